//! Channel rules: pure functions over configuration and identity. [`Rules`] finds the options of a
//! channel by its name; [`permission`] decides what they allow to whom.
//!
//! This module must not know connections, tokens or wires. It holds nothing that changes: new rules
//! are a new [`Rules`].

mod overrides;
pub mod permission;

use std::collections::{BTreeMap, HashMap};

use fanfare_proto::code::ErrorCode;
use fanfare_proto::name;
use fanfare_proto::pattern::Pattern;
use foldhash::fast::RandomState;

use crate::config::section::{ChannelConfig, ChannelOptions, Namespace};
use crate::model::ChannelName;

pub use overrides::overridden;
pub use permission::{Asker, Carries, Decision, Grant, Granted, Standing, Trust};

/// Finds a channel's options.
#[derive(Debug, Default)]
pub struct Rules {
    /// Of names without a namespace.
    default: ChannelOptions,
    by_namespace: HashMap<Box<str>, ChannelOptions, RandomState>,
    /// Of names that are paths: namespace and options by pattern, the narrower first.
    by_pattern: BTreeMap<Pattern, (Box<str>, ChannelOptions)>,
}

impl Rules {
    /// Takes checked rules.
    #[must_use]
    pub fn new(config: &ChannelConfig) -> Self {
        let mut rules = Self { default: config.default.clone(), ..Self::default() };
        for Namespace { name, pattern, options } in &config.namespaces {
            let (name, options) = (Box::from(name.as_str()), options.clone());
            match pattern {
                Some(pattern) => drop(rules.by_pattern.insert(pattern.clone(), (name, options))),
                None => drop(rules.by_namespace.insert(name, options)),
            }
        }
        rules
    }

    /// The options of a channel; none for a namespace that nobody configured, and for a path that fits no
    /// pattern. Allocates nothing.
    #[must_use]
    pub fn options(&self, channel: &ChannelName) -> Option<&ChannelOptions> {
        if let Some(path) = name::path(channel.as_str()) {
            return self.fitting(path).map(|(_, options)| options);
        }
        match name::namespace(channel.as_str()) {
            Some(namespace) => self.by_namespace.get(namespace),
            None => Some(&self.default),
        }
    }

    /// The options of a channel that must have some, whoever asks; a token is no exception.
    ///
    /// # Errors
    /// [`ErrorCode::UnknownChannel`] where [`Rules::options`] has none; [`ErrorCode::BadRequest`] for a name that
    /// its namespace's `channel_regex` does not take.
    pub fn require(&self, channel: &ChannelName) -> Result<&ChannelOptions, ErrorCode> {
        let options = self.options(channel).ok_or(ErrorCode::UnknownChannel)?;
        match &options.channel_regex {
            Some(regex) if !regex.fits(name::own_part(channel.as_str())) => Err(ErrorCode::BadRequest),
            _ => Ok(options),
        }
    }

    fn fitting(&self, path: &str) -> Option<&(Box<str>, ChannelOptions)> {
        self.by_pattern.iter().find(|(pattern, _)| pattern.matches(path)).map(|(_, found)| found)
    }

    /// The configured namespace that a channel is in, for metrics and spans: `default` for names
    /// without one, `unknown` for one that nobody configured. A closed list, whatever clients send.
    #[must_use]
    pub fn namespace_label(&self, channel: &ChannelName) -> &str {
        if let Some(path) = name::path(channel.as_str()) {
            return self.fitting(path).map_or("unknown", |(name, _)| name);
        }
        match name::namespace(channel.as_str()) {
            Some(namespace) => self.by_namespace.get_key_value(namespace).map_or("unknown", |(name, _)| name),
            None => "default",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NameRegex;

    fn rules() -> Rules {
        let chat = ChannelOptions { allow_subscribe_for_client: true, ..ChannelOptions::default() };
        Rules::new(&ChannelConfig {
            default: ChannelOptions { allow_publish_for_client: true, ..ChannelOptions::default() },
            namespaces: vec![
                Namespace { name: "chat".to_owned(), pattern: None, options: chat.clone() },
                Namespace { name: "empty".to_owned(), pattern: None, options: ChannelOptions::default() },
                namespace("users", "/users/:id", chat),
                namespace("me", "/users/me", ChannelOptions::default()),
            ],
        })
    }

    fn namespace(name: &str, pattern: &str, options: ChannelOptions) -> Namespace {
        Namespace { name: name.to_owned(), pattern: Some(Pattern::parse(pattern).unwrap()), options }
    }

    fn channel(name: &str) -> ChannelName {
        ChannelName::parse(name).unwrap()
    }

    #[test]
    fn options_are_those_of_the_namespace() {
        let rules = rules();
        for name in ["chat:room", "$chat:room", "chat:", "chat:a:b", "chat:empty:x", "chat:#42"] {
            let options = rules.options(&channel(name)).unwrap();
            assert!(options.allow_subscribe_for_client && !options.allow_publish_for_client, "{name}");
            assert_eq!(rules.namespace_label(&channel(name)), "chat", "{name}");
        }
        for name in ["news", "$news", "chat", "#42", "$"] {
            let options = rules.options(&channel(name)).unwrap();
            assert!(options.allow_publish_for_client && !options.allow_subscribe_for_client, "{name}");
            assert_eq!(rules.namespace_label(&channel(name)), "default", "{name}");
        }
    }

    #[test]
    fn names_that_are_paths_have_the_options_of_the_narrowest_pattern() {
        let rules = rules();
        for (name, label, open) in [
            ("/users/42", "users", true),
            ("$/users/42", "users", true),
            ("/users/chat:1", "users", true),
            ("/users/me", "me", false),
        ] {
            let options = rules.require(&channel(name)).unwrap();
            assert_eq!(
                (options.allow_subscribe_for_client, rules.namespace_label(&channel(name))),
                (open, label),
                "{name}"
            );
        }
        // Nothing else governs them, and nothing else is governed by a pattern.
        for name in ["/", "/users", "/users/", "/users/42/x", "/chat:1", "$/other", "users:42", "me:42"] {
            assert_eq!(rules.require(&channel(name)), Err(ErrorCode::UnknownChannel), "{name}");
            assert_eq!(rules.namespace_label(&channel(name)), "unknown", "{name}");
        }
    }

    #[test]
    fn names_must_fit_their_namespaces_regex() {
        let number =
            ChannelOptions { channel_regex: Some(NameRegex::compile("^[0-9]+$").unwrap()), ..ChannelOptions::CLOSED };
        let path = ChannelOptions {
            channel_regex: Some(NameRegex::compile("^/u/[0-9]+$").unwrap()),
            ..ChannelOptions::CLOSED
        };
        let rules = Rules::new(&ChannelConfig {
            default: number.clone(),
            namespaces: vec![
                Namespace { name: "chat".to_owned(), pattern: None, options: number },
                namespace("u", "/u/:id", path),
            ],
        });
        for name in ["1", "$1", "chat:1", "$chat:22", "/u/1", "$/u/1"] {
            assert!(rules.require(&channel(name)).is_ok(), "{name}");
        }
        for name in ["a", "$a", "chat:", "chat:a", "chat:1:2", "$chat:$1", "/u/a"] {
            assert_eq!(rules.require(&channel(name)), Err(ErrorCode::BadRequest), "{name}");
        }
    }

    #[test]
    fn namespaces_inherit_nothing() {
        assert_eq!(rules().options(&channel("empty:x")), Some(&ChannelOptions::default()));
    }

    #[test]
    fn a_namespace_that_nobody_configured_is_an_unknown_channel() {
        let rules = rules();
        for name in ["other:x", ":x", "$:x", "Chat:x", "chat$:x", "x$chat:y", "$$chat:x"] {
            assert_eq!(rules.require(&channel(name)), Err(ErrorCode::UnknownChannel), "{name}");
            assert_eq!(rules.namespace_label(&channel(name)), "unknown", "{name}");
        }
    }
}
