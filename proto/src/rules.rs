//! The channel rules that whoever publishes past the gateways keeps to. Gateways write them to
//! [`crate::keys::Keys::rules`] as JSON; workers read them there and [`Rules::check`] what they send.
//!
//! Only what a *publication* must respect stands here. Who may subscribe or publish, and whether a
//! publisher gets its own words back, is decided by gateways and nobody else's business.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::data::{self, DataError};
use crate::limits;
use crate::name::{self, NameError};

/// The version that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// The rules of all channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Of the JSON's shape.
    pub version: u32,
    /// Names the content: equal hashes, equal rules. Readers compare it, they do not compute it.
    pub hash: String,
    /// For names without a namespace.
    pub default: ChannelRules,
    /// By name. A channel whose namespace is not here does not exist.
    pub namespaces: BTreeMap<String, ChannelRules>,
}

/// What a publication to a channel must respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRules {
    /// What payloads are.
    pub data_format: DataFormat,
    /// Largest payload, in bytes.
    pub publication_size_limit: usize,
}

/// What payloads are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataFormat {
    /// JSON on one line.
    #[default]
    Json,
    /// Any bytes.
    Binary,
}

impl Default for ChannelRules {
    fn default() -> Self {
        Self { data_format: DataFormat::Json, publication_size_limit: limits::API_BODY_BYTES_DEFAULT }
    }
}

/// Why stored rules cannot be read. The fault of whoever wrote them.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// From a newer gateway: this process is too old to publish past it.
    #[error("the stored rules have version {0}, this is version {VERSION}")]
    Version(u32),
    /// Not rules at all.
    #[error("the stored rules are malformed: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Why a publication is against the rules. The publisher's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Not a channel name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No namespace of this name.
    #[error("there is no namespace {0:?}")]
    UnknownNamespace(String),
    /// Over [`ChannelRules::publication_size_limit`].
    #[error("the payload has {len} bytes, the channel takes {max}")]
    TooLarge {
        /// The payload's size in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// Not JSON on a channel that carries JSON.
    #[error("the channel carries JSON, and this is none: {0}")]
    NotJson(#[from] DataError),
}

impl Rules {
    /// Rules of the current version, with their hash.
    #[must_use]
    pub fn new(default: ChannelRules, namespaces: BTreeMap<String, ChannelRules>) -> Self {
        let hash = hash(&default, &namespaces);
        Self { version: VERSION, hash, default, namespaces }
    }

    /// Reads what [`Rules::print`] wrote. Fields that are not known here are ignored.
    ///
    /// # Errors
    /// When it has another version or another shape.
    pub fn parse(json: &[u8]) -> Result<Self, ReadError> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        // The version first: of another one, nothing else can be expected to fit.
        let head: Head = serde_json::from_slice(json)?;
        if head.version != VERSION {
            return Err(ReadError::Version(head.version));
        }
        Ok(serde_json::from_slice(json)?)
    }

    /// The rules as they are stored.
    #[must_use]
    pub fn print(&self) -> String {
        serde_json::to_string(self).expect("maps with text keys can always be written")
    }

    /// The rules of one channel; none if its namespace does not exist.
    #[must_use]
    pub fn of(&self, channel: &str) -> Option<&ChannelRules> {
        match name::namespace(channel) {
            None => Some(&self.default),
            Some(namespace) => self.namespaces.get(namespace),
        }
    }

    /// Checks a publication and answers the payload in the form in which it must be sent.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn check(&self, channel: &str, data: Bytes) -> Result<Bytes, RuleError> {
        name::check(channel)?;
        let rules = self
            .of(channel)
            .ok_or_else(|| RuleError::UnknownNamespace(name::namespace(channel).unwrap_or_default().to_owned()))?;
        let max = rules.publication_size_limit;
        if data.len() > max {
            return Err(RuleError::TooLarge { len: data.len(), max });
        }
        match rules.data_format {
            DataFormat::Json => Ok(data::normalise_json(data)?),
            DataFormat::Binary => Ok(data),
        }
    }
}

/// FNV-1a, 64 bits, of the content's canonical JSON: maps are sorted, fields stand in order.
fn hash(default: &ChannelRules, namespaces: &BTreeMap<String, ChannelRules>) -> String {
    let json = serde_json::to_vec(&(default, namespaces)).expect("maps with text keys can always be written");
    let hash = json
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        let binary = ChannelRules { data_format: DataFormat::Binary, publication_size_limit: 4 };
        let small = ChannelRules { data_format: DataFormat::Json, publication_size_limit: 10 };
        Rules::new(small, [("files".to_owned(), binary)].into())
    }

    fn check(channel: &str, data: &'static [u8]) -> Result<Bytes, RuleError> {
        rules().check(channel, Bytes::from_static(data))
    }

    #[test]
    fn json_channels_carry_json_on_one_line() {
        assert_eq!(check("news", b"{\"a\":\r\n1}").unwrap(), "{\"a\":1}");
        assert_eq!(check("news", b"\"a\\n\"").unwrap(), "\"a\\n\"");
        for bad in [&b""[..], b"{", b"NaN", b"1 2", b"\xff"] {
            assert!(
                matches!(rules().check("news", Bytes::copy_from_slice(bad)), Err(RuleError::NotJson(_))),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn binary_channels_carry_anything() {
        assert_eq!(check("files:x", b"\x00\n\xff").unwrap(), &b"\x00\n\xff"[..]);
        assert_eq!(check("$files:x", b"\x00").unwrap(), &b"\x00"[..]);
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        assert_eq!(check("files:x", b"12345"), Err(RuleError::TooLarge { len: 5, max: 4 }));
        assert_eq!(check("other:x", b"1"), Err(RuleError::UnknownNamespace("other".into())));
        assert_eq!(check(":x", b"1"), Err(RuleError::UnknownNamespace(String::new())));
        assert_eq!(check("a b", b"1"), Err(RuleError::Name(NameError::Character)));
    }

    #[test]
    fn the_hash_names_the_content() {
        let rules = rules();
        assert_eq!(rules.hash, hash(&rules.default, &rules.namespaces));
        let other = Rules::new(rules.default, BTreeMap::new());
        assert_ne!(rules.hash, other.hash);
    }

    #[test]
    fn only_this_version_is_read() {
        assert_eq!(Rules::parse(rules().print().as_bytes()).unwrap(), rules());
        let newer = br#"{"version":2,"shape":"who knows"}"#;
        assert!(matches!(Rules::parse(newer), Err(ReadError::Version(2))));
        for bad in [&b""[..], b"{}", b"[]", br#"{"version":1}"#] {
            assert!(matches!(Rules::parse(bad), Err(ReadError::Malformed(_))), "{bad:?}");
        }
    }
}
