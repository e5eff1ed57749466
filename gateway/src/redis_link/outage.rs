//! One line in the log when a link is lost and one when it is back, however often it was tried between.

use std::sync::Arc;
use std::time::Duration;

use crate::model::time::Clock;
use crate::telemetry::Metrics;

/// Follows one link's ups and downs.
pub(super) struct Outage {
    link: &'static str,
    target: String,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    /// Since when there is none; none while there is one.
    since: Option<Duration>,
    told: bool,
}

impl Outage {
    /// A link that is not there yet.
    pub(super) fn new(link: &'static str, target: String, metrics: Arc<Metrics>, clock: Arc<dyn Clock>) -> Self {
        let since = Some(clock.now());
        Self { link, target, metrics, clock, since, told: false }
    }

    /// The link was there and is not any more.
    pub(super) fn lost(&mut self, why: &str) {
        self.since = Some(self.clock.now());
        self.told = true;
        self.metrics.broker_reconnects.inc();
        tracing::warn!(link = self.link, target = %self.target, why, "lost a link to Redis; reconnecting");
    }

    /// Another try failed.
    pub(super) fn failed(&mut self, why: &str) {
        if self.told {
            tracing::debug!(link = self.link, target = %self.target, why, "still no link to Redis");
        } else {
            self.told = true;
            tracing::warn!(link = self.link, target = %self.target, why, "cannot reach Redis yet; trying on");
        }
    }

    /// The link is there.
    pub(super) fn over(&mut self, what: &str) {
        let down = self.since.take().map_or(Duration::ZERO, |since| self.clock.now().saturating_sub(since));
        tracing::info!(link = self.link, target = %self.target, down = ?down, what, "linked to Redis");
        self.told = false;
    }
}
