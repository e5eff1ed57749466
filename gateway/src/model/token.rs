//! A token as a client sent it: opens doors for whoever reads it, so it is not shown.

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
