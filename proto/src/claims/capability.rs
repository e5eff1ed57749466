//! The claim `caps` of a connection token: what its bearer may do on which channels, beyond what the
//! channels' own rules allow. The shape is Centrifugo's:
//!
//! ```json
//! [{"channels": ["news", "user_42"], "allow": ["sub"]},
//!  {"channels": ["chat:*"], "match": "wildcard", "allow": ["sub", "pub", "prs", "hst"]}]
//! ```

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ClaimsError, Object, claim, present};
use crate::limits::{CAPABILITIES_MAX, CAPABILITY_CHANNELS_MAX, CHANNEL_NAME_BYTES_MAX};
use crate::name;

/// The claim's name, for errors.
const CAPS: &str = "caps";

/// One entry: the first that names a channel says what its bearer may do there.
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
pub enum Matching {
    /// Each is one channel's name.
    #[default]
    #[serde(rename = "")]
    Exact,
    /// `*` stands for any characters, none and `:` included.
    #[serde(rename = "wildcard")]
    Wildcard,
}

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Action {
    /// Subscribe.
    #[serde(rename = "sub")]
    Subscribe,
    /// Publish.
    #[serde(rename = "pub")]
    Publish,
    /// Ask who is there, and be told who comes and goes.
    #[serde(rename = "prs")]
    Presence,
    /// Read what was said, and get what was missed.
    #[serde(rename = "hst")]
    History,
}

#[derive(Deserialize)]
struct Raw {
    channels: Vec<String>,
    #[serde(rename = "match", default, deserialize_with = "present")]
    matching: Option<Matching>,
    allow: Vec<Action>,
}

/// Reads the claim. Strict as all claims are: an entry that says nothing we know (`regex`, a right of
/// another version) makes the token invalid, since to pass over an exception would widen what follows.
pub(super) fn read(raw: Option<&RawValue>) -> Result<Vec<Capability>, ClaimsError> {
    let entries: Vec<Object<Raw>> = claim(CAPS, raw)?.unwrap_or_default();
    let channels: usize = entries.iter().map(|Object(entry)| entry.channels.len()).sum();
    if entries.len() > CAPABILITIES_MAX || channels > CAPABILITY_CHANNELS_MAX {
        return Err(ClaimsError::Claim(CAPS));
    }
    entries.into_iter().map(|Object(entry)| check(entry)).collect()
}

fn check(Raw { channels, matching, allow }: Raw) -> Result<Capability, ClaimsError> {
    let matching = matching.unwrap_or_default();
    let could_be = |text: &String| match matching {
        Matching::Exact => name::check(text).is_ok(),
        // Without its stars it is a part of a name, or nothing.
        Matching::Wildcard => {
            text.len() <= CHANNEL_NAME_BYTES_MAX
                && text.split('*').all(|part| part.is_empty() || name::check(part).is_ok())
        }
    };
    let sound = channels.iter().all(could_be) && channels.iter().all(|text| !text.is_empty());
    if sound { Ok(Capability { channels, matching, allow }) } else { Err(ClaimsError::Claim(CAPS)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::{ConnectClaims, SubscribeClaims};

    fn caps(value: &str) -> Result<Vec<Capability>, ClaimsError> {
        ConnectClaims::parse(format!(r#"{{"caps":{value}}}"#).as_bytes()).map(|claims| claims.caps)
    }

    #[test]
    fn what_is_written_is_read() {
        let read = caps(
            r#"[{"channels":["news","$a"],"allow":["sub"]},{"channels":["chat:*","*"],"match":"wildcard",
                "allow":["hst","prs","pub","sub"],"later":1},{"channels":[],"match":"","allow":[]}]"#,
        )
        .unwrap();
        let all = vec![Action::History, Action::Presence, Action::Publish, Action::Subscribe];
        let entry = |channels: &[&str], matching, allow| Capability {
            channels: channels.iter().map(|channel| (*channel).to_owned()).collect(),
            matching,
            allow,
        };
        assert_eq!(
            read,
            [
                entry(&["news", "$a"], Matching::Exact, vec![Action::Subscribe]),
                entry(&["chat:*", "*"], Matching::Wildcard, all),
                entry(&[], Matching::Exact, vec![]),
            ]
        );
        assert_eq!(caps("[]"), Ok(vec![]));
        assert_eq!(ConnectClaims::parse(b"{}").unwrap().caps, []);
    }

    #[test]
    fn what_cannot_be_meant_makes_the_token_invalid() {
        let one = |fields: &str| format!("[{{{fields}}}]");
        let long = format!(r#""channels":["{}"],"allow":[]"#, "x".repeat(CHANNEL_NAME_BYTES_MAX + 1));
        let table = [
            "null".to_owned(),
            "{}".to_owned(),
            r#""sub""#.to_owned(),
            "[null]".to_owned(),
            r#"["news"]"#.to_owned(),
            r#"[[["news"],null,["sub"]]]"#.to_owned(),
            one(r#""channels":["news"]"#),
            one(r#""allow":["sub"]"#),
            one(r#""channels":"news","allow":["sub"]"#),
            one(r#""channels":[1],"allow":["sub"]"#),
            one(r#""channels":null,"allow":["sub"]"#),
            one(r#""channels":["news"],"allow":null"#),
            one(r#""channels":["news"],"allow":"sub""#),
            one(r#""channels":["news"],"allow":["SUB"]"#),
            one(r#""channels":["news"],"allow":["subscribe"]"#),
            one(r#""channels":["news"],"match":null,"allow":["sub"]"#),
            one(r#""channels":["news"],"match":"exact","allow":["sub"]"#),
            one(r#""channels":["^news$"],"match":"regex","allow":["sub"]"#),
            one(r#""channels":["news"],"channels":["*"],"allow":["sub"]"#),
            // A star without `wildcard` is most often a wildcard that would match nothing.
            one(r#""channels":["chat:*"],"allow":["sub"]"#),
            one(r#""channels":[""],"allow":["sub"]"#),
            one(r#""channels":[""],"match":"wildcard","allow":["sub"]"#),
            one(r#""channels":["a b"],"allow":["sub"]"#),
            one(r#""channels":["a b*"],"match":"wildcard","allow":["sub"]"#),
            one(r#""channels":["é*"],"match":"wildcard","allow":["sub"]"#),
            one(&long),
            one(&format!(r#"{long},"match":"wildcard""#)),
        ];
        for value in &table {
            assert_eq!(caps(value), Err(ClaimsError::Claim("caps")), "{value}");
        }
    }

    #[test]
    fn a_token_has_so_many_of_them() {
        let entries = |count: usize, channels: usize| {
            let channels = vec![r#""a""#; channels].join(",");
            let entry = format!(r#"{{"channels":[{channels}],"allow":["sub"]}}"#);
            caps(&format!("[{}]", vec![entry; count].join(",")))
        };
        assert_eq!(entries(CAPABILITIES_MAX, 1).unwrap().len(), CAPABILITIES_MAX);
        assert!(entries(CAPABILITIES_MAX + 1, 1).is_err());
        assert!(entries(1, CAPABILITY_CHANNELS_MAX).is_ok());
        assert!(entries(1, CAPABILITY_CHANNELS_MAX + 1).is_err());
    }

    #[test]
    fn subscription_tokens_have_none() {
        // Unknown there, and therefore ignored: the token opens its one channel.
        assert!(SubscribeClaims::parse(br#"{"channel":"news","caps":1}"#).is_ok());
    }
}
