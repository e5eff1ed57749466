//! `[shutdown]`: how a node goes down.

use std::time::Duration;

/// How a node goes down: `ready_delay`, then `drain`, all within `timeout`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownConfig {
    /// How long `/ready` says no before sockets are closed: the balancer's time to notice.
    pub ready_delay: Duration,
    /// Over how long the closing of sockets is spread.
    pub drain: Duration,
    /// When the process ends, whoever is still inside.
    pub timeout: Duration,
}
