//! What was written about the history and the members of all channels.

use std::time::Duration;

use super::Checker;
use crate::config::duration::show_duration;
use crate::config::raw::{RawHistory, RawPresence};
use crate::config::section::{HistoryConfig, PresenceConfig};

/// Most publications of one answer: as many as the longest history has.
const PUBLICATIONS_MAX: usize = 100_000;
/// More replicas than anybody has behind one Redis: a slip.
const REPLICAS_MAX: usize = 10;
/// A longer answer would keep Redis and the gateway busy for seconds.
const MEMBERS_MAX: usize = 1_000_000;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Each key is remembered in Redis for so long, whether it is used again or not.
const WINDOW_MAX: Duration = Duration::from_secs(24 * 3600);

impl Checker<'_> {
    pub(super) fn history(&mut self, raw: &RawHistory) -> HistoryConfig {
        if let Some(limit) = raw.recovery_max_publication_limit {
            self.between("history.recovery_max_publication_limit", limit, 1, PUBLICATIONS_MAX);
        }
        // More often costs more than it finds; more seldom, a silent loss stays silent.
        self.time_between("history.position_check_interval", raw.position_check_interval, SECOND, HOUR);
        self.time_between("history.idempotency_window", raw.idempotency_window, SECOND, WINDOW_MAX);
        self.between("history.replicas", raw.replicas, 1, REPLICAS_MAX);
        // On its own connection: it may well be longer than another command's patience.
        self.time_between("history.replicated_timeout", raw.replicated_timeout, MILLISECOND, MINUTE);
        HistoryConfig {
            recovery_max_publication_limit: raw.recovery_max_publication_limit,
            position_check_interval: raw.position_check_interval,
            idempotency_window: raw.idempotency_window,
            replicas: raw.replicas as u64,
            replicated_timeout: raw.replicated_timeout,
        }
    }

    pub(super) fn presence(&mut self, raw: &RawPresence) -> PresenceConfig {
        self.between("presence.list_max", raw.list_max, 1, MEMBERS_MAX);
        PresenceConfig { list_max: raw.list_max }
    }

    /// A time between two, both included.
    pub(super) fn time_between(&mut self, path: &str, value: Duration, min: Duration, max: Duration) {
        if !(min..=max).contains(&value) {
            let (value, min, max) = (show_duration(value), show_duration(min), show_duration(max));
            self.problem(path, format!("{value} is out of range: write {min} to {max}"));
        }
    }
}
