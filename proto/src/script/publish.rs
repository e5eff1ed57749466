//! A call of the script that numbers, stores and sends a publication, and its answer.

use bytes::Bytes;

use super::{AnswerError, time};
use crate::keys::Keys;

/// The script; for `EVAL`, `EVALSHA` and `SCRIPT LOAD`.
pub const SCRIPT: &str = concat!(include_str!("stream.lua"), include_str!("publish.lua"));

/// A publication on its way to Redis. One that [`Call::is_plain`] needs no script: it is a `PUBLISH` of
/// [`Call::envelope`] to [`Call::name`].
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// How things are called there.
    pub keys: &'a Keys,
    /// The channel.
    pub channel: &'a str,
    /// The whole envelope, without offset and epoch: the script adds them to what it sends.
    pub envelope: Bytes,
    /// How the channel keeps it; none: it is only sent.
    pub retention: Option<Retention>,
    /// Idempotency key, and how long it is remembered, in milliseconds.
    pub key: Option<(&'a str, u64)>,
    /// Version and its epoch; without retention they mean nothing.
    pub version: Option<(u64, &'a str)>,
    /// A random name for a new epoch, in case one begins with this publication. Never used twice; at most
    /// [`crate::limits::EPOCH_BYTES_MAX`] letters, digits, `-` and `_`.
    pub fresh_epoch: &'a str,
}

/// How a channel keeps its publications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Publications; at least 1.
    pub size: u64,
    /// How long the stream is kept after its last publication, in milliseconds.
    pub ttl_ms: u64,
    /// How long its numbering is, in milliseconds; at least `ttl_ms`.
    pub meta_ttl_ms: u64,
}

impl Call<'_> {
    /// Whether nothing is to be kept of it.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.retention.is_none() && self.key.is_none()
    }

    /// The channel's pub/sub name.
    #[must_use]
    pub fn name(&self) -> String {
        self.keys.channel(self.channel)
    }

    /// `KEYS` of the script.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let mut keys = vec![self.keys.stream(self.channel), self.keys.meta(self.channel)];
        keys.extend(self.key.map(|(key, _)| self.keys.once(self.channel, key)));
        keys
    }

    /// `ARGV` of the script.
    #[must_use]
    pub fn arguments(&self) -> Vec<Bytes> {
        let kept = |read: fn(&Retention) -> u64| self.retention.as_ref().map_or(1, read);
        vec![
            self.name().into(),
            self.envelope.clone(),
            self.retention.map_or(0, |retention| retention.size.max(1)).to_string().into(),
            time(kept(|retention| retention.ttl_ms)).into(),
            time(kept(|retention| retention.meta_ttl_ms.max(retention.ttl_ms))).into(),
            Bytes::copy_from_slice(self.fresh_epoch.as_bytes()),
            time(self.key.map_or(1, |(_, window)| window)).into(),
            self.version.map(|(number, _)| number.to_string()).unwrap_or_default().into(),
            Bytes::copy_from_slice(self.version.map_or("", |(_, epoch)| epoch).as_bytes()),
        ]
    }
}

/// What became of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was sent, and stored if it was to be.
    Sent,
    /// One with the same key had been sent before: this one was not.
    Repeated,
    /// One with the same or a higher version had been sent before: this one was not.
    Stale,
}

/// What the script answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What became of it.
    pub outcome: Outcome,
    /// Offset and epoch, with retention: of a repeated one where the first one stands, of a stale one
    /// where the stream's top does.
    pub position: Option<(u64, String)>,
}

impl Answer {
    /// Reads the script's answer, a bulk string.
    ///
    /// # Errors
    /// When the script never says this.
    pub fn parse(answer: &[u8]) -> Result<Self, AnswerError> {
        Self::read(answer).ok_or_else(|| AnswerError(String::from_utf8_lossy(answer).into_owned()))
    }

    fn read(answer: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(answer).ok()?.split(' ');
        let outcome = match words.next()? {
            "sent" => Outcome::Sent,
            "repeated" => Outcome::Repeated,
            "stale" => Outcome::Stale,
            _ => return None,
        };
        let position = match (words.next(), words.next(), words.next()) {
            (None, None, None) => None,
            (Some(offset), Some(epoch), None) => Some((offset.parse().ok()?, epoch.to_owned())),
            _ => return None,
        };
        Some(Self { outcome, position })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_arguments_are_in_the_order_of_the_scripts_head() {
        let keys = Keys::new("p", 2);
        let call = Call {
            keys: &keys,
            channel: "a",
            envelope: Bytes::from_static(b"E"),
            retention: Some(Retention { size: 10, ttl_ms: 1000, meta_ttl_ms: 5000 }),
            key: Some(("k", 300)),
            version: Some((u64::MAX, "v")),
            fresh_epoch: "fresh",
        };
        assert!(!call.is_plain());
        assert_eq!(call.keys(), ["p:stream:{a}", "p:meta:{a}", "p:once:{a}:k"]);
        let arguments = call.arguments();
        assert_eq!(
            arguments.iter().map(|argument| std::str::from_utf8(argument).unwrap()).collect::<Vec<_>>(),
            ["p:2:ch:{a}", "E", "10", "1000", "5000", "fresh", "300", "18446744073709551615", "v"]
        );

        let plain = Call { retention: None, key: None, version: None, ..call };
        assert!(plain.is_plain());
        assert_eq!(plain.keys().len(), 2);
        let arguments = plain.arguments();
        assert_eq!((&arguments[2][..], &arguments[7][..], &arguments[8][..]), (&b"0"[..], &b""[..], &b""[..]));
    }

    #[test]
    fn times_and_sizes_that_redis_would_refuse_are_made_to_fit() {
        let keys = Keys::new("p", 0);
        let call = Call {
            keys: &keys,
            channel: "a",
            envelope: Bytes::new(),
            retention: Some(Retention { size: 0, ttl_ms: u64::MAX, meta_ttl_ms: 0 }),
            key: Some(("k", 0)),
            version: None,
            fresh_epoch: "f",
        };
        let arguments = call.arguments();
        assert_eq!(&arguments[2][..], b"1");
        assert_eq!(&arguments[3][..], b"1000000000000000");
        assert_eq!(arguments[4], arguments[3]);
        assert_eq!(&arguments[6][..], b"1");
    }

    #[test]
    fn answers() {
        let answer = |text: &str| Answer::parse(text.as_bytes()).unwrap();
        assert_eq!(answer("sent"), Answer { outcome: Outcome::Sent, position: None });
        assert_eq!(answer("repeated 7 e"), Answer { outcome: Outcome::Repeated, position: Some((7, "e".to_owned())) });
        assert_eq!(answer("stale 0 e").outcome, Outcome::Stale);
        for bad in ["", "lost", "sent 7", "sent x e", "sent 7 e f", "sent -1 e", "sent 18446744073709551616 e"] {
            assert_eq!(Answer::parse(bad.as_bytes()), Err(AnswerError(bad.to_owned())), "{bad}");
        }
        assert!(Answer::parse(b"\xff").is_err());
    }
}
