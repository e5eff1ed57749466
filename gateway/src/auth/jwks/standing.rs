//! What the operator is told of a key set: in logs when it changes, in two gauges as long as it lasts.

use std::sync::Arc;
use std::time::Duration;

use super::fetch::FetchError;
use crate::telemetry::Metrics;

/// How a key set stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    Fresh,
    /// The last fetch has failed; what was fetched before is in use.
    Stale,
    /// There is nothing to use.
    Missing,
}

/// Keeps gauges and logs. A set begins as missing, without a word: its first fetch is under way.
pub(super) struct Standing {
    is: Is,
    metrics: Arc<Metrics>,
    url: String,
    keys: usize,
}

impl Standing {
    pub(super) fn new(metrics: Arc<Metrics>, url: String) -> Self {
        metrics.jwks_missing.inc();
        Self { is: Is::Missing, metrics, url, keys: 0 }
    }

    pub(super) fn is_fresh(&mut self, keys: usize, skipped: &[String]) {
        let was = std::mem::replace(&mut self.keys, keys);
        if self.turn(Is::Fresh) || was != keys {
            let why = skipped.first().map_or("none is left out", String::as_str);
            tracing::info!(url = self.url, keys, skipped = skipped.len(), skipped_first = why, "key set fetched");
        }
    }

    /// `left` says how long what is held will be used.
    pub(super) fn has_failed(&mut self, error: &FetchError, left: Option<Duration>) {
        self.turn(if left.is_some() { Is::Stale } else { Is::Missing });
        match left {
            Some(left) => tracing::warn!(
                url = self.url,
                %error,
                good_for_s = left.as_secs(),
                "a key set cannot be fetched; its keys are used as they were, for so long"
            ),
            None => tracing::error!(
                url = self.url,
                %error,
                "a key set cannot be fetched, and there are no keys of it to use: its issuer's tokens are put off"
            ),
        }
    }

    /// Whether that is new.
    fn turn(&mut self, is: Is) -> bool {
        let was = std::mem::replace(&mut self.is, is);
        self.count(was, -1);
        self.count(is, 1);
        was != is
    }

    fn count(&self, is: Is, by: i64) {
        match is {
            Is::Fresh => {}
            Is::Stale => _ = self.metrics.jwks_stale.inc_by(by),
            Is::Missing => _ = self.metrics.jwks_missing.inc_by(by),
        }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.count(self.is, -1);
    }
}
