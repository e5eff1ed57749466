//! `[presence]`: what holds for the members of all channels.

/// Limits of presence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceConfig {
    /// Most members of a channel that are listed in one answer.
    pub list_max: usize,
}
