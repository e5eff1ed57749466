//! What somebody may do on which channels beyond the channels' own rules, as the application writes it: in a
//! connection token's claim `caps`, and in a hook's answer. The shape is Centrifugo's:
//!
//! ```json
//! [{"channels": ["news", "user_42"], "allow": ["sub"]},
//!  {"channels": ["chat:*"], "match": "wildcard", "allow": ["sub", "pub", "prs", "hst"]}]
//! ```
//!
//! Strict: an entry that says nothing we know (`regex`, a right of another version) spoils all of them, since
//! to pass over an exception would widen what follows.

use serde::Deserialize;

use crate::limits::{CAPABILITIES_MAX, CAPABILITY_CHANNELS_MAX, CHANNEL_NAME_BYTES_MAX};
use crate::name;

/// One entry: the first that names a channel says what may be done there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capability {
    /// Names, or patterns of names, as [`Capability::matching`] says; each could name a channel.
    pub channels: Vec<String>,
    /// How `channels` are compared with a channel's name.
    pub matching: Matching,
    /// What may be done; nothing at all makes an exception from the entries that follow.
    pub allow: Vec<Action>,
}

/// How a capability's channels are compared with names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Matching {
    /// Each is one channel's name.
    #[default]
    Exact,
    /// `*` stands for any characters, none and `:` included.
    Wildcard,
}

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Action {
    /// Subscribe.
    Subscribe,
    /// Publish.
    Publish,
    /// Ask who is there, and be told who comes and goes.
    Presence,
    /// Read what was said, and get what was missed.
    History,
}

/// These are no capabilities; the application's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no list of channels with the actions allowed on them")]
pub struct CapabilityError;

impl TryFrom<String> for Matching {
    type Error = CapabilityError;

    fn try_from(text: String) -> Result<Self, CapabilityError> {
        match text.as_str() {
            "" => Ok(Self::Exact),
            "wildcard" => Ok(Self::Wildcard),
            _ => Err(CapabilityError),
        }
    }
}

impl TryFrom<String> for Action {
    type Error = CapabilityError;

    fn try_from(text: String) -> Result<Self, CapabilityError> {
        match text.as_str() {
            "sub" => Ok(Self::Subscribe),
            "pub" => Ok(Self::Publish),
            "prs" => Ok(Self::Presence),
            "hst" => Ok(Self::History),
            _ => Err(CapabilityError),
        }
    }
}

/// Checks entries that have been read, all together.
///
/// # Errors
/// Too many of them, or one whose channels could not be channels.
pub fn check(entries: &[Capability]) -> Result<(), CapabilityError> {
    let channels: usize = entries.iter().map(|entry| entry.channels.len()).sum();
    let bounded = entries.len() <= CAPABILITIES_MAX && channels <= CAPABILITY_CHANNELS_MAX;
    if bounded && entries.iter().all(Capability::is_sound) { Ok(()) } else { Err(CapabilityError) }
}

impl Capability {
    fn is_sound(&self) -> bool {
        let could_be = |text: &String| match self.matching {
            Matching::Exact => name::check(text).is_ok(),
            // Without its stars it is a part of a name, or nothing.
            Matching::Wildcard => {
                text.len() <= CHANNEL_NAME_BYTES_MAX
                    && text.split('*').all(|part| part.is_empty() || name::check(part).is_ok())
            }
        };
        self.channels.iter().all(|text| !text.is_empty() && could_be(text))
    }
}
