//! The claim `caps` of a connection token, as JSON: see [`crate::capability`].

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ClaimsError, Object, claim, present};
use crate::capability::{Action, Capability, Matching, check};

/// The claim's name, for errors.
const CAPS: &str = "caps";

#[derive(Deserialize)]
struct Raw {
    channels: Vec<String>,
    #[serde(rename = "match", default, deserialize_with = "present")]
    matching: Option<Matching>,
    allow: Vec<Action>,
}

/// Reads the claim; one bad entry makes the token invalid.
pub(super) fn read(raw: Option<&RawValue>) -> Result<Vec<Capability>, ClaimsError> {
    let entries: Vec<Object<Raw>> = claim(CAPS, raw)?.unwrap_or_default();
    let entry = |Object(Raw { channels, matching, allow })| Capability {
        channels,
        matching: matching.unwrap_or_default(),
        allow,
    };
    let entries: Vec<Capability> = entries.into_iter().map(entry).collect();
    check(&entries).map_err(|_| ClaimsError::Claim(CAPS))?;
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::{ConnectClaims, SubscribeClaims};
    use crate::limits::{CAPABILITIES_MAX, CAPABILITY_CHANNELS_MAX, CHANNEL_NAME_BYTES_MAX};

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
