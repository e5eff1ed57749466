//! `[history]`: what holds for the streams of all channels.

use std::time::Duration;

/// Limits and habits of history and recovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryConfig {
    /// Most publications of one recovery or one page of history; none: the namespace's `history_size`.
    pub recovery_max_publication_limit: Option<usize>,
    /// How often the position of a channel that is quiet is compared with its stream's.
    pub position_check_interval: Duration,
    /// How long an idempotency key is remembered.
    pub idempotency_window: Duration,
    /// Replicas that a publication with the ack level `replicated` waits for.
    pub replicas: u64,
    /// How long it waits for them.
    pub replicated_timeout: Duration,
}
