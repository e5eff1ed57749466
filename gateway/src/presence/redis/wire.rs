//! Between the model's members and what stands in Redis. Anybody with access to Redis can write there,
//! so what comes in is checked: from here on it is copied into JSON frames as it is.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_proto::data::normalise_json;
use fanfare_proto::envelope::{self, Envelope};
use fanfare_proto::script::presence::{Holder, Member};

use crate::model::{Change, ClientInfo, UserId};
use crate::presence::Entry;

/// What is said when a member joins or leaves.
pub(super) fn membership(info: &ClientInfo, change: Change) -> Bytes {
    let who = envelope::ClientInfo {
        user: info.user.as_str().to_owned(),
        client: info.client.as_ref().to_owned(),
        connection_info: info.connection_info.clone(),
        channel_info: info.channel_info.clone(),
    };
    Envelope::Membership(envelope::Membership { who: Some(who), left: change == Change::Left }).encode()
}

/// What stands for a member.
pub(super) fn value(holder: &Holder, entry: &Entry) -> Bytes {
    let leave = membership(&entry.info, Change::Left);
    let user = entry.info.user.as_str().to_owned();
    Member { holder: holder.clone(), told: entry.told, user, leave }.print()
}

/// Reads what stands for a member, and who holds it; none if somebody else has written there.
pub(super) fn read(value: Bytes) -> Option<(Holder, ClientInfo)> {
    let member = Member::parse(value)?;
    let Ok(Envelope::Membership(envelope::Membership { who: Some(who), .. })) = Envelope::decode(member.leave) else {
        return None;
    };
    let info = ClientInfo {
        user: UserId::new(&who.user),
        client: Arc::from(who.client.as_str()),
        connection_info: normalise_json(who.connection_info).unwrap_or_default(),
        channel_info: normalise_json(who.channel_info).unwrap_or_default(),
    };
    Some((member.holder, info))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::ConnectionId;

    #[test]
    fn nothing_is_lost_on_the_way() {
        let client = ConnectionId::random();
        let info = ClientInfo {
            user: UserId::new("42"),
            client: Arc::from(client.to_string()),
            connection_info: Bytes::from_static(b"{\"a\":1}"),
            channel_info: Bytes::from_static(b"2"),
        };
        let entry = Entry { client, info: info.clone(), told: true, leave_delay: Duration::ZERO };
        let holder = Holder { node: "n".into(), generation: 1 };
        assert_eq!(read(value(&holder, &entry)), Some((holder, info)));
    }

    #[test]
    fn anything_else_is_nobody() {
        for bad in [&b""[..], b"n 1 1 2 42 ", b"n 1 1 2 42 \x01p", b"n 1 1 2 42 \x01m\xff"] {
            assert_eq!(read(Bytes::copy_from_slice(bad)), None, "{bad:?}");
        }
    }
}
