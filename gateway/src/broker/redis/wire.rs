//! Between the model's nouns and the envelope's. Anybody with access to Redis can publish there, so what
//! comes in is checked: from here on it is copied into JSON frames as it is.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_proto::data::{DataError, normalise_json};
use fanfare_proto::envelope::{self, Envelope};
use fanfare_proto::rules::DataFormat;

use crate::broker::Outgoing;
use crate::model::{Change, ClientInfo, ConnectionId, Membership, Position, Publication, UserId};

/// A publication as it travels.
pub(super) fn encode(outgoing: Outgoing) -> Bytes {
    let Outgoing { publication, traceparent } = outgoing;
    let position = publication.position;
    Envelope::Publication(envelope::Publication {
        data: publication.data,
        info: publication.info.map(|info| envelope::ClientInfo {
            user: info.user.as_str().to_owned(),
            client: info.client.as_ref().to_owned(),
            connection_info: info.connection_info,
            channel_info: info.channel_info,
        }),
        tags: publication.tags,
        time_ms: publication.time_ms,
        exclude_client: publication.exclude.map(|client| client.to_string()).unwrap_or_default(),
        traceparent,
        offset: position.as_ref().map_or(0, |position| position.offset),
        delta: publication.delta,
        epoch: position.map(|position| position.epoch.as_ref().to_owned()).unwrap_or_default(),
    })
    .encode()
}

/// The publication that has travelled, on a channel of this format. The payload shares the envelope's
/// memory. What it says of its publisher is JSON on every channel, and left out where it is not.
///
/// # Errors
/// When the channel carries JSON and the payload is none.
pub(super) fn decode(publication: envelope::Publication, format: DataFormat) -> Result<Outgoing, DataError> {
    let data = match format {
        DataFormat::Json => normalise_json(publication.data)?,
        DataFormat::Binary => publication.data,
    };
    // Offsets count from 1; 0 is a channel without history.
    let position = (publication.offset > 0)
        .then(|| Position { offset: publication.offset, epoch: Arc::from(publication.epoch.as_str()) });
    Ok(Outgoing {
        publication: Publication {
            data,
            info: publication.info.map(decode_info),
            tags: publication.tags,
            position,
            time_ms: publication.time_ms,
            // An id of another form is no connection of ours: nobody to leave out.
            exclude: ConnectionId::parse(&publication.exclude_client),
            delta: publication.delta,
        },
        traceparent: publication.traceparent,
    })
}

/// Who joined or left; none if the message does not say who.
pub(super) fn decode_membership(membership: envelope::Membership) -> Option<Membership> {
    let change = if membership.left { Change::Left } else { Change::Joined };
    let who = membership.who.filter(|who| !who.client.is_empty())?;
    Some(Membership { change, who: decode_info(who) })
}

fn decode_info(info: envelope::ClientInfo) -> ClientInfo {
    ClientInfo {
        user: UserId::new(&info.user),
        client: Arc::from(info.client.as_str()),
        connection_info: normalise_json(info.connection_info).unwrap_or_default(),
        channel_info: normalise_json(info.channel_info).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memberships_name_somebody() {
        let who = envelope::ClientInfo {
            user: "42".into(),
            client: "c".into(),
            connection_info: "[1,\n2]".into(),
            channel_info: "no JSON".into(),
        };
        let membership = envelope::Membership { who: Some(who.clone()), left: true };
        let read = decode_membership(membership).unwrap();
        assert_eq!((read.change, read.who.client.as_ref()), (Change::Left, "c"));
        assert_eq!((&read.who.connection_info[..], &read.who.channel_info[..]), (&b"[1,2]"[..], &b""[..]));
        assert_eq!(decode_membership(envelope::Membership::default()), None);
        let nobody = envelope::ClientInfo { client: String::new(), ..who };
        assert_eq!(decode_membership(envelope::Membership { who: Some(nobody), left: false }), None);
    }

    fn round_trip(outgoing: &Outgoing) -> Outgoing {
        match Envelope::decode(encode(outgoing.clone())).unwrap() {
            Envelope::Publication(publication) => decode(publication, DataFormat::Json).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_is_lost_on_the_way() {
        let full = Outgoing {
            publication: Publication {
                data: Bytes::from_static(b"{\"a\":1}"),
                info: Some(ClientInfo {
                    user: UserId::new("42"),
                    client: Arc::from("c"),
                    connection_info: Bytes::from_static(b"1"),
                    channel_info: Bytes::from_static(b"2"),
                }),
                tags: [("k".to_owned(), "v".to_owned())].into(),
                position: Some(Position { offset: 7, epoch: Arc::from("e") }),
                time_ms: 1,
                exclude: Some(ConnectionId::random()),
                delta: true,
            },
            traceparent: "00-1-2-01".into(),
        };
        assert_eq!(round_trip(&full), full);
        let null = Publication { data: Bytes::from_static(b"null"), ..Publication::default() };
        let least = Outgoing { publication: null, ..Outgoing::default() };
        assert_eq!(round_trip(&least), least);
    }
}
