//! Channel rules: pure functions over configuration and identity. [`Rules`] finds the options of a
//! channel by its name; [`permission`] decides what they allow to whom.
//!
//! This module must not know connections, tokens or wires. It holds nothing that changes: new rules
//! are a new [`Rules`].

mod overrides;
pub mod permission;

use std::collections::HashMap;

use fanfare_proto::code::ErrorCode;
use fanfare_proto::name;
use foldhash::fast::RandomState;

use crate::config::section::{ChannelConfig, ChannelOptions};
use crate::model::ChannelName;

pub use overrides::overridden;
pub use permission::{Asker, Carries, Decision, Grant, Granted, Standing, Trust};

/// Finds a channel's options.
#[derive(Debug, Default)]
pub struct Rules {
    /// Of names without a namespace.
    default: ChannelOptions,
    by_namespace: HashMap<Box<str>, ChannelOptions, RandomState>,
}

impl Rules {
    /// Takes checked rules.
    #[must_use]
    pub fn new(config: &ChannelConfig) -> Self {
        let namespaces = config.namespaces.iter();
        Self {
            default: config.default.clone(),
            by_namespace: namespaces.map(|each| (each.name.as_str().into(), each.options.clone())).collect(),
        }
    }

    /// The options of a channel; none for a namespace that nobody configured. Allocates nothing.
    #[must_use]
    pub fn options(&self, channel: &ChannelName) -> Option<&ChannelOptions> {
        match name::namespace(channel.as_str()) {
            Some(namespace) => self.by_namespace.get(namespace),
            None => Some(&self.default),
        }
    }

    /// The options of a channel that must have some, whoever asks; a token is no exception.
    ///
    /// # Errors
    /// [`ErrorCode::UnknownChannel`] for a namespace that nobody configured.
    pub fn require(&self, channel: &ChannelName) -> Result<&ChannelOptions, ErrorCode> {
        self.options(channel).ok_or(ErrorCode::UnknownChannel)
    }

    /// The configured namespace that a channel is in, for metrics and spans: `default` for names
    /// without one, `unknown` for one that nobody configured. A closed list, whatever clients send.
    #[must_use]
    pub fn namespace_label(&self, channel: &ChannelName) -> &str {
        match name::namespace(channel.as_str()) {
            Some(namespace) => self.by_namespace.get_key_value(namespace).map_or("unknown", |(name, _)| name),
            None => "default",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section::Namespace;

    fn rules() -> Rules {
        let chat = ChannelOptions { allow_subscribe_for_client: true, ..ChannelOptions::default() };
        Rules::new(&ChannelConfig {
            default: ChannelOptions { allow_publish_for_client: true, ..ChannelOptions::default() },
            namespaces: vec![
                Namespace { name: "chat".to_owned(), options: chat },
                Namespace { name: "empty".to_owned(), options: ChannelOptions::default() },
            ],
        })
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
