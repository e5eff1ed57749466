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
use crate::pattern::Pattern;

/// The newest version that is written: rules with patterns. Rules without are written as the one before, so
/// that its readers go on.
pub const VERSION: u32 = 3;

/// The version without patterns.
const WITHOUT_PATTERNS: u32 = 2;

/// The oldest version that is read: its gateways kept no history.
const OLDEST: u32 = 1;

/// The rules of all channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Of the JSON's shape, as it was read: [`VERSION`], or one of the two before.
    pub version: u32,
    /// Names the content: equal hashes, equal rules. Readers compare it, they do not compute it.
    pub hash: String,
    /// For all channels alike.
    #[serde(flatten)]
    pub common: CommonRules,
    /// For names without a namespace.
    pub default: ChannelRules,
    /// By name. A channel whose namespace is not here does not exist.
    pub namespaces: BTreeMap<String, ChannelRules>,
    /// For names that begin with `/`, the narrower pattern first. One that fits none does not exist.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub patterns: BTreeMap<Pattern, ChannelRules>,
}

/// What holds on every channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CommonRules {
    /// How long an idempotency key is remembered after its last use, in milliseconds.
    pub idempotency_window_ms: u64,
    /// How many replicas must confirm a publication with [`Ack::Replicated`].
    pub replicas: u64,
    /// How long to wait for them, in milliseconds.
    pub replicated_timeout_ms: u64,
}

/// What a publication to a channel must respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRules {
    /// What payloads are.
    pub data_format: DataFormat,
    /// Largest payload, in bytes.
    pub publication_size_limit: usize,
    /// What is kept of what was said; none: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// When a publisher is answered who does not ask for something else.
    #[serde(default)]
    pub ack: Ack,
    /// Every publication may be sent as a patch, whether its publisher asks for it or not.
    #[serde(default)]
    pub delta_publish: bool,
}

/// What is kept of what was said on a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Publications; at least 1.
    pub size: u64,
    /// How long they are kept after the last one, in milliseconds; at least 1.
    pub ttl_ms: u64,
    /// How long the stream's epoch and numbering are, in milliseconds; at least `ttl_ms`.
    pub meta_ttl_ms: u64,
}

/// When a publisher is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ack {
    /// When Redis has stored the publication (with history) or sent it (without).
    #[default]
    Stored,
    /// When replicas have it, too.
    Replicated,
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
        Self {
            data_format: DataFormat::Json,
            publication_size_limit: limits::API_BODY_BYTES_DEFAULT,
            history: None,
            ack: Ack::Stored,
            delta_publish: false,
        }
    }
}

/// What gateways have when nothing else is configured.
impl Default for CommonRules {
    fn default() -> Self {
        Self { idempotency_window_ms: 300_000, replicas: 1, replicated_timeout_ms: 1000 }
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
    /// The numbers of a history contradict each other.
    #[error("the stored rules make no sense: a history of {size} publications for {ttl_ms} ms, numbered for {meta_ttl_ms} ms", size = .0.size, ttl_ms = .0.ttl_ms, meta_ttl_ms = .0.meta_ttl_ms)]
    Senseless(History),
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
    /// A name that begins with `/` and fits no pattern.
    #[error("the name begins with '/' and fits no pattern of a namespace")]
    UnknownPattern,
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
    /// Rules of the current version, with their hash, and [`CommonRules::default`].
    #[must_use]
    pub fn new(default: ChannelRules, namespaces: BTreeMap<String, ChannelRules>) -> Self {
        let (version, common, patterns) = (WITHOUT_PATTERNS, CommonRules::default(), BTreeMap::new());
        Self { version, hash: String::new(), common, default, namespaces, patterns }.hashed()
    }

    /// The same with rules for names that begin with `/`.
    #[must_use]
    pub fn with_patterns(self, patterns: BTreeMap<Pattern, ChannelRules>) -> Self {
        let version = if patterns.is_empty() { WITHOUT_PATTERNS } else { VERSION };
        Self { version, patterns, ..self }.hashed()
    }

    /// The same with other rules for all channels.
    #[must_use]
    pub fn with_common(self, common: CommonRules) -> Self {
        Self { common, ..self }.hashed()
    }

    /// Reads what [`Rules::print`] wrote, here or in the version before, which knew of no history. Fields
    /// that are not known here are ignored.
    ///
    /// # Errors
    /// When it has another version or another shape, or contradicts itself.
    pub fn parse(json: &[u8]) -> Result<Self, ReadError> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        // The version first: of another one, nothing else can be expected to fit.
        let head: Head = serde_json::from_slice(json)?;
        if !(OLDEST..=VERSION).contains(&head.version) {
            return Err(ReadError::Version(head.version));
        }
        let rules: Self = serde_json::from_slice(json)?;
        let all = std::iter::once(&rules.default).chain(rules.namespaces.values()).chain(rules.patterns.values());
        let histories = all.filter_map(|of| of.history);
        match histories.into_iter().find(|history| !history.is_sound()) {
            Some(history) => Err(ReadError::Senseless(history)),
            None => Ok(rules),
        }
    }

    /// The rules as they are stored.
    #[must_use]
    pub fn print(&self) -> String {
        serde_json::to_string(self).expect("maps with text keys can always be written")
    }

    /// The rules of one channel; none if its namespace, or a pattern that it fits, does not exist.
    #[must_use]
    pub fn of(&self, channel: &str) -> Option<&ChannelRules> {
        if let Some(path) = name::path(channel) {
            let fitting = self.patterns.iter().find(|(pattern, _)| pattern.matches(path));
            return fitting.map(|(_, rules)| rules);
        }
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
        let rules = self.of(channel).ok_or_else(|| match name::path(channel) {
            Some(_) => RuleError::UnknownPattern,
            None => RuleError::UnknownNamespace(name::namespace(channel).unwrap_or_default().to_owned()),
        })?;
        let max = rules.publication_size_limit;
        if data.len() > max {
            return Err(RuleError::TooLarge { len: data.len(), max });
        }
        match rules.data_format {
            DataFormat::Json => Ok(data::normalise_json(data)?),
            DataFormat::Binary => Ok(data),
        }
    }

    fn hashed(mut self) -> Self {
        self.hash = hash(&self);
        self
    }
}

impl History {
    fn is_sound(self) -> bool {
        self.size > 0 && self.ttl_ms > 0 && self.meta_ttl_ms >= self.ttl_ms
    }
}

/// FNV-1a, 64 bits, of the content's canonical JSON: maps are sorted, fields stand in order.
fn hash(rules: &Rules) -> String {
    let content = (&rules.common, &rules.default, &rules.namespaces);
    let mut json = serde_json::to_vec(&content).expect("maps with text keys can always be written");
    if !rules.patterns.is_empty() {
        json.extend(serde_json::to_vec(&rules.patterns).expect("maps with text keys can always be written"));
    }
    let hash = json
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        let binary = ChannelRules {
            data_format: DataFormat::Binary,
            publication_size_limit: 4,
            history: Some(History { size: 10, ttl_ms: 1000, meta_ttl_ms: 2000 }),
            ack: Ack::Replicated,
            delta_publish: true,
        };
        let small = ChannelRules { publication_size_limit: 10, ..ChannelRules::default() };
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
        assert_eq!(rules.hash, hash(&rules));
        assert_ne!(rules.hash, Rules::new(rules.default, BTreeMap::new()).hash);
        let patient = CommonRules { replicated_timeout_ms: 5000, ..rules.common };
        assert_ne!(rules.hash, rules.clone().with_common(patient).hash);
        assert_eq!(rules.hash, rules.clone().with_common(rules.common).hash);
    }

    #[test]
    fn this_version_and_the_one_before_are_read() {
        assert_eq!(Rules::parse(rules().print().as_bytes()).unwrap(), rules());
        let newer = br#"{"version":4,"shape":"who knows"}"#;
        assert!(matches!(Rules::parse(newer), Err(ReadError::Version(4))));
        assert!(matches!(Rules::parse(br#"{"version":0}"#), Err(ReadError::Version(0))));
        for bad in [&b""[..], b"{}", b"[]", br#"{"version":1}"#, br#"{"version":2}"#] {
            assert!(matches!(Rules::parse(bad), Err(ReadError::Malformed(_))), "{bad:?}");
        }
    }

    #[test]
    fn names_that_are_paths_have_the_rules_of_the_narrowest_pattern() {
        let pattern = |text: &str| Pattern::parse(text).unwrap();
        let sized = |publication_size_limit| ChannelRules { publication_size_limit, ..ChannelRules::default() };
        let patterns =
            [(pattern("/:a/:b"), sized(1)), (pattern("/users/:id"), sized(2)), (pattern("/users/me"), sized(3))];
        let with = rules().with_patterns(patterns.into());
        let size = |channel: &str| with.of(channel).map(|rules| rules.publication_size_limit);
        assert_eq!([size("/x/1"), size("/users/1"), size("/users/me"), size("$/users/me")], [1, 2, 3, 3].map(Some));
        assert_eq!([size("/users"), size("/users/1/2"), size("/files:x/y/z"), size("$/")], [None; 4]);
        assert_eq!(with.check("/users", Bytes::from_static(b"1")), Err(RuleError::UnknownPattern));
        assert_eq!((with.version, Rules::parse(with.print().as_bytes()).unwrap()), (VERSION, with.clone()));
        // Without patterns nothing has changed for older readers; and other names are as ever.
        assert_eq!(rules().version, WITHOUT_PATTERNS);
        assert_eq!(size("a/b"), Some(10));
        assert_ne!(with.hash, rules().hash);
        assert_eq!(rules().of("/x/1"), None);
    }

    #[test]
    fn a_history_that_cannot_be_is_not_read() {
        for (size, ttl_ms, meta_ttl_ms) in [(0, 1, 1), (1, 0, 1), (1, 2, 1)] {
            let history = History { size, ttl_ms, meta_ttl_ms };
            let broken = ChannelRules { history: Some(history), ..ChannelRules::default() };
            for rules in [
                Rules::new(broken, BTreeMap::new()),
                Rules::new(ChannelRules::default(), [("chat".to_owned(), broken)].into()),
            ] {
                let read = Rules::parse(rules.print().as_bytes());
                assert!(matches!(read, Err(ReadError::Senseless(found)) if found == history), "{read:?}");
            }
        }
    }
}
