//! `[limit]`: how much anyone may ask for.

use std::time::Duration;

use crate::model::rate::Rate;

/// How much anyone may ask for of this node. None is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitConfig {
    /// Open connections of one user.
    pub connections_per_user: Option<usize>,
    /// Open connections of one client address.
    pub connections_per_address: Option<usize>,
    /// How often clients may connect.
    pub connect_rate: Option<Rate>,
    /// How long one that comes too early may wait for its turn.
    pub connect_wait: Duration,
    /// How many may wait.
    pub connect_queue_max: usize,
    /// How often clients of one address may connect.
    pub connect_rate_per_address: Option<Rate>,
    /// Channels with subscribers beyond which clients open no further ones by themselves.
    pub channels: Option<usize>,
    /// What one connection may do.
    pub connection: CommandRates,
    /// How often a connection may be refused before it is closed.
    pub refusals: Option<Rate>,
    /// What all connections of one user may do together.
    pub user: CommandRates,
    /// The user's rates are counted for all nodes together.
    pub cluster: bool,
}

/// How often commands may come, by their kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandRates {
    /// Commands of any kind.
    pub commands: Option<Rate>,
    /// Subscribe commands.
    pub subscribes: Option<Rate>,
    /// Publish commands.
    pub publishes: Option<Rate>,
    /// Calls of the application, and messages to it.
    pub rpcs: Option<Rate>,
    /// Channels that are new to the node.
    pub new_channels: Option<Rate>,
}
