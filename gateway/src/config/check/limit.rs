//! What was written about limits.

use std::time::Duration;

use super::Checker;
use crate::config::raw::{RawConnectionLimit, RawLimit, RawUserLimit};
use crate::config::section::{BrokerUrl, CommandRates, LimitConfig};

/// Longer, and clients give up before their turn comes.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// As many as could be connected: beyond it a queue is no bound.
const QUEUE_MAX: usize = 1_000_000;

impl Checker<'_> {
    pub(super) fn limit(
        &mut self,
        raw: &RawLimit,
        connection: &RawConnectionLimit,
        user: &RawUserLimit,
        broker: &BrokerUrl,
    ) -> LimitConfig {
        self.between("limit.connect_queue_max", raw.connect_queue_max, 1, QUEUE_MAX);
        if raw.connect_wait > WAIT_MAX {
            self.problem("limit.connect_wait", "is longer than clients wait for an answer: write \"30s\" or less");
        }
        if user.cluster && *broker == BrokerUrl::Memory {
            self.warn("limit.user.cluster", "counts nothing more: with broker.url = \"memory://\" this node is alone");
        }
        let config = LimitConfig {
            connections_per_user: some(raw.connections_per_user),
            connections_per_address: some(raw.connections_per_address),
            connect_rate: raw.connect_rate,
            connect_wait: raw.connect_wait,
            connect_queue_max: raw.connect_queue_max,
            connect_rate_per_address: raw.connect_rate_per_address,
            channels: some(raw.channels),
            connection: CommandRates {
                commands: connection.commands,
                subscribes: connection.subscribes,
                publishes: connection.publishes,
                rpcs: connection.rpcs,
                new_channels: connection.new_channels,
            },
            refusals: connection.refusals,
            user: CommandRates {
                commands: user.commands,
                subscribes: user.subscribes,
                publishes: user.publishes,
                rpcs: user.rpcs,
                new_channels: user.new_channels,
            },
            cluster: user.cluster,
        };
        if user.cluster && config.user == CommandRates::default() {
            self.warn("limit.user.cluster", "counts nothing: no rate of [limit.user] is set");
        }
        config
    }
}

/// 0 is written for no limit.
fn some(limit: usize) -> Option<usize> {
    (limit > 0).then_some(limit)
}
