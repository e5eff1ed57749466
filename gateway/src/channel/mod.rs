//! Channel rules: pure functions over configuration and identity.

use crate::config::section::{ChannelConfig, ChannelOptions};
use crate::model::ChannelName;

/// Finds a channel's options.
#[derive(Debug, Default)]
pub struct Rules;

impl Rules {
    /// Takes checked rules.
    #[must_use]
    pub fn new(_config: &ChannelConfig) -> Self {
        Self
    }

    /// The options of a channel; none for a namespace that nobody configured.
    #[must_use]
    pub fn options(&self, _channel: &ChannelName) -> Option<&ChannelOptions> {
        None
    }
}
