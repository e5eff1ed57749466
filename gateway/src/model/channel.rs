//! A channel's name, checked once at the edge and cheap to pass on.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use fanfare_proto::name::{self, NameError};

/// A channel name that fits the grammar of [`fanfare_proto::name`]. Cloning bumps a counter.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName(Arc<str>);

impl ChannelName {
    /// Checks the name.
    ///
    /// # Errors
    /// What is wrong with it: empty, too long, or a forbidden character. The client's or backend's fault.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        name::check(text)?;
        Ok(Self(Arc::from(text)))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// `str` and `ChannelName` hash alike, so maps keyed by name can be asked with a plain `&str`.
impl Borrow<str> for ChannelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}
