//! The legal states of a session, and what it keeps while it lives.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;

use super::Shared;
use crate::model::{ChannelName, UserId};

/// Fresh -> Live, or Fresh -> Refused; both end with the connection.
#[derive(Debug)]
pub(super) enum State {
    /// Waits for connect.
    Fresh,
    /// Connect was answered with an error: every further command is against the protocol.
    Refused,
    /// Connected.
    Live(Box<Live>),
}

/// A connected client.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) user: UserId,
    /// What others see of the connection.
    pub(super) info: Bytes,
    /// When the connection token ends, in seconds since 1970.
    pub(super) expires_at: Option<i64>,
    pub(super) subscriptions: HashMap<ChannelName, Subscription>,
}

/// What is kept of one subscription.
#[derive(Debug, Default)]
pub(super) struct Subscription {
    /// What others see of the client on this channel.
    pub(super) info: Bytes,
    /// Made by the server, not asked for by the client.
    pub(super) server_side: bool,
    /// When the subscription token ends, in seconds since 1970.
    pub(super) expires_at: Option<i64>,
}

impl State {
    /// When the next token's grace period ends, by the clock of deadlines.
    pub(super) fn next_expiry(&self, shared: &Shared) -> Option<Duration> {
        let Self::Live(live) = self else { return None };
        let at = |expires_at: i64, grace: Duration| shared.now() + shared.until(expires_at) + grace;
        let connection = live.expires_at.map(|expires_at| at(expires_at, shared.config.expired_close_delay));
        let grace = shared.config.expired_sub_close_delay;
        let subscriptions = live.subscriptions.values().filter_map(|subscription| subscription.expires_at);
        connection.into_iter().chain(subscriptions.map(|expires_at| at(expires_at, grace))).min()
    }
}
