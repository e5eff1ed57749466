//! What waits for the receiver in the shards that this node delivers, as metrics.

use std::sync::Arc;

use parking_lot::Mutex;

use super::log::SHARDS;
use crate::telemetry::Metrics;

/// What waits, shard by shard.
#[derive(Debug)]
pub(super) struct Backlog {
    /// Events, and the age of the oldest in milliseconds.
    shards: Mutex<[(u64, u64); SHARDS]>,
    metrics: Arc<Metrics>,
}

impl Backlog {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { shards: Mutex::default(), metrics }
    }

    /// How it is in a shard now.
    pub(super) fn note(&self, shard: usize, events: u64, oldest_ms: u64) {
        let mut shards = self.shards.lock();
        shards[shard] = (events, oldest_ms);
        let (events, oldest_ms) =
            shards.iter().fold((0, 0), |(sum, oldest), shard| (sum + shard.0, u64::max(oldest, shard.1)));
        self.metrics.webhook_waiting.set(i64::try_from(events).unwrap_or(i64::MAX));
        self.metrics.webhook_oldest_seconds.set(i64::try_from(oldest_ms / 1000).unwrap_or(i64::MAX));
    }
}
