//! Tokens: what clients send, and what is left of one once it was good. The text opens doors for whoever reads it, so it
//! is not shown.

use std::fmt;
use std::ops::Deref;

/// The text of a token; empty for none. `Debug` says only whether there is one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Token(String);

impl Deref for Token {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<String> for Token {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Token {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "***" })
    }
}

/// What a token can be revoked by, in as little room as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// A hash of its id (`jti`), by a hasher of this process; 0 if it has none.
    pub id: u64,
    /// When it was made, in seconds since 1970. Of one that does not say, the earliest moment: whoever wants
    /// older tokens gone cannot want it to stay.
    pub issued_at: i64,
}

impl Fingerprint {
    /// Of a token that says nothing of itself.
    pub const UNKNOWN: Self = Self { id: 0, issued_at: i64::MIN };
}

impl Default for Fingerprint {
    fn default() -> Self {
        Self::UNKNOWN
    }
}
