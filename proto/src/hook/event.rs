//! What the gateway tells the application's backend of its own accord: events, in signed batches.
//!
//! A batch is the body of one POST. Its header [`SIGNATURE_HEADER`] holds when it was sent and the HMAC-SHA256, under
//! the secret that both know, of what [`signed`] makes of that time and the body. `docs/operations/webhooks.md` is the
//! page for those who receive them.

use std::fmt::{self, Write};
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The header with time and signature: `t=1700000000,v1=HEX`.
pub const SIGNATURE_HEADER: &str = "x-fanfare-signature";

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// A channel has its first subscriber, on whatever node.
    ChannelOccupied,
    /// A channel has had no subscriber on any node for the debounce time.
    ChannelVacated,
    /// A user is on a channel with presence, on whatever connection and node.
    MemberJoined,
    /// A user has had no connection on the channel for the debounce time.
    MemberLeft,
    /// A connection has said who it is.
    ClientConnected,
    /// A connection that had said who it is has ended.
    ClientDisconnected,
    /// A connection has got a channel.
    ClientSubscribed,
    /// A connection that had a channel has it no more.
    ClientUnsubscribed,
    /// Somebody wanted the latest publication of a cache channel, and there was none.
    CacheEmpty,
    /// Events before this one are lost. Never asked for: whoever gets events gets this, too.
    EventsLost,
}

impl Name {
    /// All that can be asked for.
    pub const ALL: [Self; 9] = [
        Self::ChannelOccupied,
        Self::ChannelVacated,
        Self::MemberJoined,
        Self::MemberLeft,
        Self::ClientConnected,
        Self::ClientDisconnected,
        Self::ClientSubscribed,
        Self::ClientUnsubscribed,
        Self::CacheEmpty,
    ];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChannelOccupied => "channel_occupied",
            Self::ChannelVacated => "channel_vacated",
            Self::MemberJoined => "member_joined",
            Self::MemberLeft => "member_left",
            Self::ClientConnected => "client_connected",
            Self::ClientDisconnected => "client_disconnected",
            Self::ClientSubscribed => "client_subscribed",
            Self::ClientUnsubscribed => "client_unsubscribed",
            Self::CacheEmpty => "cache_empty",
            Self::EventsLost => "events_lost",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not the name of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no event of that name")]
pub struct NameError;

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let all = Self::ALL.into_iter().chain([Self::EventsLost]);
        all.into_iter().find(|name| name.as_str() == text).ok_or(NameError)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One event. What does not apply to it is empty, and left out of the JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The same each time that the event is delivered, and no other event's.
    pub id: String,
    /// What happened.
    pub name: Name,
    /// When, in milliseconds since 1970, by the clock of whoever noticed it. For people; the order is that of the
    /// batch.
    pub time_ms: u64,
    /// Which channel it is about.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub channel: String,
    /// Which user.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub user: String,
    /// Which connection.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub client: String,
    /// Of [`Name::EventsLost`]: how many; none if nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// The body of a POST.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Batch {
    /// When it was made, in milliseconds since 1970. A batch that is sent again has the time of the first try.
    pub time_ms: u64,
    /// In the order in which they happened, as far as they are about one channel.
    pub events: Vec<Event>,
}

impl Batch {
    /// The body.
    #[must_use]
    pub fn print(&self) -> String {
        serde_json::to_string(self).expect("plain fields can always be written")
    }
}

/// What the signature is made of: seconds since 1970, a dot, the body.
#[must_use]
pub fn signed(time_s: u64, body: &str) -> String {
    format!("{time_s}.{body}")
}

/// The value of [`SIGNATURE_HEADER`].
#[must_use]
pub fn signature(time_s: u64, mac: &[u8]) -> String {
    let mut value = format!("t={time_s},v1=");
    for byte in mac {
        let _ = write!(value, "{byte:02x}");
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for name in Name::ALL.into_iter().chain([Name::EventsLost]) {
            assert_eq!(name.as_str().parse(), Ok(name));
        }
        for text in ["", "channel", "Channel_Occupied", "member_added"] {
            assert_eq!(text.parse::<Name>(), Err(NameError), "{text}");
        }
    }

    #[test]
    fn what_does_not_apply_is_left_out() {
        let event = |name| Event {
            id: "0.e.1".into(),
            name,
            time_ms: 5,
            channel: String::new(),
            user: String::new(),
            client: String::new(),
            count: None,
        };
        let joined = Event { channel: "a\"b".into(), user: "42".into(), ..event(Name::MemberJoined) };
        let lost = Event { count: Some(3), ..event(Name::EventsLost) };
        let batch = Batch { time_ms: 6, events: vec![joined, lost] };
        let expected = concat!(
            r#"{"time_ms":6,"events":["#,
            r#"{"id":"0.e.1","name":"member_joined","time_ms":5,"channel":"a\"b","user":"42"},"#,
            r#"{"id":"0.e.1","name":"events_lost","time_ms":5,"count":3}]}"#
        );
        assert_eq!(batch.print(), expected);
    }

    #[test]
    fn the_header() {
        assert_eq!(signed(7, "{}"), "7.{}");
        assert_eq!(signature(7, &[0, 0xab]), "t=7,v1=00ab");
    }
}
