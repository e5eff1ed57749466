//! Where a channel's options do not hold for one subscription, because the application says so.

/// Departures from a channel's options; none leaves the option as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Whether the subscriber is known to be there.
    pub presence: Option<bool>,
    /// Whether those who want to know are told that it comes and goes; only with presence.
    pub join_leave: Option<bool>,
    /// Whether it is told who comes and goes, without asking.
    pub force_push_join_leave: Option<bool>,
    /// Whether it gets what it missed when it comes back, without asking; only where history is kept.
    pub force_recovery: Option<bool>,
    /// Whether it is told when it may have missed something, without asking; only where history is kept.
    pub force_positioning: Option<bool>,
}
