//! A call of the script that reads a channel's stream, and its answer.

use bytes::Bytes;

use super::{AnswerError, time};
use crate::keys::Keys;

/// The script; for `EVAL`, `EVALSHA` and `SCRIPT LOAD`.
pub const SCRIPT: &str = concat!(include_str!("stream.lua"), include_str!("history.lua"));

/// A question about a stream.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// How things are called there.
    pub keys: &'a Keys,
    /// The channel.
    pub channel: &'a str,
    /// A random name for a new epoch, in case the stream begins with this question.
    pub fresh_epoch: &'a str,
    /// How long the stream's numbering is kept from now on, in milliseconds.
    pub meta_ttl_ms: u64,
    /// Only what is after this offset (before it, in reverse); none: all.
    pub since: Option<u64>,
    /// Entries at most; 0 only asks where the stream stands.
    pub limit: usize,
    /// Bytes of envelopes at most; the first one is answered in any case.
    pub bytes: u64,
    /// From new to old.
    pub reverse: bool,
}

impl Call<'_> {
    /// `KEYS` of the script.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        vec![self.keys.stream(self.channel), self.keys.meta(self.channel)]
    }

    /// `ARGV` of the script.
    #[must_use]
    pub fn arguments(&self) -> Vec<Bytes> {
        // Counted here: the script's numbers are not exact up there.
        let (from, nothing) = match self.since.map(|since| self.beside(since)) {
            None => (String::new(), false),
            Some(None) => (String::new(), true),
            Some(Some(offset)) => (offset.to_string(), false),
        };
        let limit = if nothing { 0 } else { self.limit };
        vec![
            Bytes::copy_from_slice(self.fresh_epoch.as_bytes()),
            time(self.meta_ttl_ms).into(),
            limit.to_string().into(),
            self.bytes.to_string().into(),
            Bytes::from_static(if self.reverse { b"reverse" } else { b"forward" }),
            from.into(),
        ]
    }

    /// The next offset; none if there can be no publication on that side.
    fn beside(&self, since: u64) -> Option<u64> {
        if self.reverse { since.checked_sub(1).filter(|offset| *offset > 0) } else { since.checked_add(1) }
    }
}

/// What the script answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The stream's present epoch.
    pub epoch: String,
    /// Its newest offset; 0 if there has been no publication.
    pub top: u64,
    /// The epoch before, and the last offset of it that the stream knew when it ended.
    pub previous: Option<(String, u64)>,
    /// Offset and envelope, in the order asked for. An empty envelope is an entry that was not written by
    /// the publishing script.
    pub entries: Vec<(u64, Bytes)>,
}

impl Answer {
    /// Reads the script's answer, an array of bulk strings.
    ///
    /// # Errors
    /// When the script never says this.
    pub fn parse(answer: Vec<Bytes>) -> Result<Self, AnswerError> {
        let pieces = answer.len();
        Self::read(answer).ok_or_else(|| AnswerError(format!("{pieces} pieces that do not fit together")))
    }

    fn read(answer: Vec<Bytes>) -> Option<Self> {
        if !answer.len().is_multiple_of(2) {
            return None;
        }
        let mut pieces = answer.into_iter();
        let (epoch, top) = (word(&pieces.next()?)?, number(&pieces.next()?)?);
        let (previous, previous_top) = (word(&pieces.next()?)?, pieces.next()?);
        // A top that makes no sense is none: then nothing of the epoch before can be relied on.
        let previous =
            Some(previous).filter(|epoch| !epoch.is_empty()).and_then(|epoch| Some((epoch, number(&previous_top)?)));
        let mut entries = Vec::with_capacity(pieces.len() / 2);
        while let (Some(offset), Some(envelope)) = (pieces.next(), pieces.next()) {
            entries.push((number(&offset)?, envelope));
        }
        Some(Self { epoch, top, previous, entries })
    }
}

fn word(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

fn number(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(since: Option<u64>, reverse: bool) -> (String, String) {
        let keys = Keys::new("p", 0);
        let (channel, fresh_epoch) = ("a", "f");
        let call =
            Call { keys: &keys, channel, fresh_epoch, meta_ttl_ms: 5, since, limit: 9, bytes: u64::MAX, reverse };
        assert_eq!(call.keys(), ["p:stream:{a}", "p:meta:{a}"]);
        let arguments = call.arguments();
        let text = |at: usize| String::from_utf8(arguments[at].to_vec()).unwrap();
        assert_eq!([text(0), text(1), text(3)], ["f", "5", "18446744073709551615"]);
        assert_eq!(text(4), if reverse { "reverse" } else { "forward" });
        (text(2), text(5))
    }

    #[test]
    fn from_where() {
        for (since, reverse, limit, from) in [
            (None, false, "9", ""),
            (Some(0), false, "9", "1"),
            (Some(7), false, "9", "8"),
            (Some(u64::MAX - 1), false, "9", "18446744073709551615"),
            (Some(u64::MAX), false, "0", ""),
            (None, true, "9", ""),
            (Some(0), true, "0", ""),
            (Some(1), true, "0", ""),
            (Some(2), true, "9", "1"),
            (Some(u64::MAX), true, "9", "18446744073709551614"),
        ] {
            assert_eq!(arguments(since, reverse), (limit.to_owned(), from.to_owned()), "{since:?} {reverse}");
        }
    }

    fn parse(pieces: &[&'static str]) -> Result<Answer, AnswerError> {
        Answer::parse(pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect())
    }

    #[test]
    fn answers() {
        let empty = parse(&["e", "0", "", ""]).unwrap();
        assert_eq!(empty, Answer { epoch: "e".to_owned(), top: 0, previous: None, entries: Vec::new() });
        let full = parse(&["f", "9", "e", "7", "8", "x", "9", ""]).unwrap();
        assert_eq!(full.previous, Some(("e".to_owned(), 7)));
        assert_eq!(full.entries, [(8, Bytes::from_static(b"x")), (9, Bytes::new())]);
        assert_eq!(parse(&["f", "9", "e", "x"]).unwrap().previous, None);
        for bad in [&[][..], &["e"], &["e", "0", ""], &["e", "x", "", ""], &["e", "1", "", "", "1"]] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        assert!(parse(&["e", "1", "", "", "x", "y"]).is_err());
    }
}
