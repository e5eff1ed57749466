//! Scripts that run inside Redis, and the shape of what they write and announce. Who runs one passes
//! keys and arguments in the order that the script's head lists; for the scripts of streams, [`publish`]
//! and [`history`] put them in that order.

pub mod events;
pub mod history;
pub mod publish;

pub mod presence;
pub mod revoke;

use std::fmt;
use std::str::FromStr;

use bytes::{Bytes, BytesMut};

/// Logs an order and announces it. `KEYS`: [`crate::keys::Keys::control_log`]; `ARGV`:
/// [`crate::keys::Keys::control`], the envelope, [`CONTROL_LOG_MAX`], [`CONTROL_LOG_AGE_MS`].
/// Answers the [`LogId`] as text.
pub const CONTROL: &str = include_str!("control.lua");

/// Takes from a rate that nodes share. Key and arguments are listed in the script's head; the key is
/// [`crate::keys::Keys::rate`].
pub const RATE: &str = include_str!("rate.lua");
/// Writes a revocation down, logs it and announces it, in one step; [`revoke`] has its keys and arguments.
/// Answers the [`LogId`] as text, or [`REVOKE_FULL`].
pub const REVOKE: &str = concat!(include_str!("revoke.lua"), include_str!("control.lua"));

/// What [`REVOKE`] answers when there is no room for one more; then nothing was done.
pub const REVOKE_FULL: &str = "full";

/// About how many orders the control log keeps.
pub const CONTROL_LOG_MAX: u64 = 10_000;

/// How long the control log keeps orders, in milliseconds: one hour.
pub const CONTROL_LOG_AGE_MS: u64 = 60 * 60 * 1000;

/// Field of a log entry: the id of the entry before, so that a reader sees whether one is missing.
pub const FIELD_PREVIOUS: &str = "p";

/// Field of an entry of the control log or of a channel's stream: the envelope.
pub const FIELD_ENVELOPE: &str = "e";

/// Longest time that anything is kept, in milliseconds: about 30,000 years. Redis refuses times whose end
/// it cannot write.
const TIME_MS_MAX: u64 = 1_000_000_000_000_000;

/// A time to live as an argument: what would be none at all is the shortest.
fn time(ms: u64) -> String {
    ms.clamp(1, TIME_MS_MAX).to_string()
}

/// What is wrong with a script's answer: somebody else has written to its keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a script answered what it never says: {0}")]
pub struct AnswerError(pub String);

/// The place of an entry in a Redis stream. The default, `0-0`, is before every entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// Milliseconds since 1970 by the server's clock.
    pub ms: u64,
    /// Counts entries of one millisecond.
    pub sequence: u64,
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.sequence)
    }
}

/// Not a stream id. The fault of whoever wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a log id is written as two numbers with a dash between them")]
pub struct LogIdError;

impl FromStr for LogId {
    type Err = LogIdError;

    fn from_str(text: &str) -> Result<Self, LogIdError> {
        let (ms, sequence) = text.split_once('-').ok_or(LogIdError)?;
        let number = |text: &str| match text.as_bytes() {
            [b'0'..=b'9', ..] => text.parse().map_err(|_| LogIdError),
            _ => Err(LogIdError),
        };
        Ok(Self { ms: number(ms)?, sequence: number(sequence)? })
    }
}

/// What [`CONTROL`] announces: the id, a newline, the envelope.
#[must_use]
pub fn announce_control(id: LogId, envelope: &[u8]) -> Bytes {
    let mut bytes = BytesMut::from(format!("{id}\n").as_bytes());
    bytes.extend_from_slice(envelope);
    bytes.freeze()
}

/// Reads an announcement; the envelope shares its memory. `None` if it is none.
#[must_use]
pub fn parse_control(mut announcement: Bytes) -> Option<(LogId, Bytes)> {
    let newline = announcement.iter().position(|b| *b == b'\n')?;
    let envelope = announcement.split_off(newline + 1);
    let id = std::str::from_utf8(&announcement[..newline]).ok()?.parse().ok()?;
    Some((id, envelope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_sequence() {
        let id = |text: &str| text.parse::<LogId>().unwrap();
        assert!(id("9-9") < id("10-0") && id("10-0") < id("10-1"));
        assert_eq!(id("1700000000000-3").to_string(), "1700000000000-3");
        assert!(LogId::default() < id("0-1"));
    }

    #[test]
    fn anything_else_is_no_id() {
        for text in ["", "-", "1", "1-", "-1", "1-+2", "+1-2", "1-2-3", "a-b", "99999999999999999999-0"] {
            assert_eq!(text.parse::<LogId>(), Err(LogIdError), "{text}");
        }
    }

    #[test]
    fn announcements_come_back() {
        let id = LogId { ms: 5, sequence: 7 };
        let bytes = announce_control(id, b"\x01c\nrest");
        assert_eq!(&bytes[..], b"5-7\n\x01c\nrest");
        assert_eq!(parse_control(bytes), Some((id, Bytes::from_static(b"\x01c\nrest"))));
        for bad in [&b""[..], b"5-7", b"x\ny", b"\n", b"\xff\n"] {
            assert_eq!(parse_control(Bytes::copy_from_slice(bad)), None);
        }
    }
}
