//! Makes the log agree with the [`super::book`] of a shard: one task, which also keeps this node's lease there, and
//! brings about what is due.

use std::sync::Arc;
use std::time::Duration;

use super::book::{Batch, Book};
use super::log::{Log, LogError};
use super::phase::Phase;
use crate::task::backoff::Backoff;
use crate::telemetry::Metrics;

/// Notes in one call: enough to be quick, and few enough not to hold up Redis.
const NOTES_MAX: usize = 128;

/// The first wait after a failure; the longest is the heartbeat. At a start the log may not be reached yet.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);

/// What is due is looked for a little later, rather than a little too early.
const SLACK: Duration = Duration::from_millis(5);

/// The task's state.
pub(super) struct Keeper {
    pub(super) shard: usize,
    pub(super) book: Arc<Book>,
    pub(super) log: Arc<dyn Log>,
    pub(super) heartbeat: Duration,
    pub(super) metrics: Arc<Metrics>,
    pub(super) closing: Arc<Phase>,
    /// The log knows this node.
    pub(super) begun: bool,
    /// A batch of which nobody knows whether it was noted.
    pub(super) unsure: Option<Batch>,
}

impl Keeper {
    pub(super) async fn run(mut self) {
        let closing = Arc::clone(&self.closing);
        let mut backoff = Backoff::new(BACKOFF_FIRST, self.heartbeat);
        while !closing.has_come() {
            let caught_up = self.catch_up().await;
            let failed = caught_up.is_err();
            let wait = if let Ok(until_due) = caught_up {
                backoff.reset();
                until_due
            } else {
                backoff.next_wait()
            };
            tokio::select! {
                () = closing.comes() => {}
                () = tokio::time::sleep(wait) => {}
                // Nobody is served by a try for each client while the log is away.
                () = self.book.changed(), if !failed => {}
            }
        }
        let said = match self.catch_up().await {
            Ok(_) => self.log.farewell(self.shard).await,
            Err(error) => Err(error),
        };
        if let Err(error) = said {
            tracing::debug!(%error, "not all events of this node are noted; other nodes find who is gone");
        }
        closing.done();
    }

    /// Notes all that there is; answers how long nothing will be due, at most a heartbeat.
    async fn catch_up(&mut self) -> Result<Duration, LogError> {
        loop {
            if !self.begun {
                self.begin().await?;
            }
            let batch = self.book.take(NOTES_MAX);
            match self.log.keep(self.shard, batch.call, &batch.notes).await {
                Ok(kept) => {
                    self.book.settle(batch);
                    self.metrics.webhook_events.inc_by(kept.told);
                    if self.book.is_even() {
                        return Ok(kept.due.map_or(self.heartbeat, |due| (due + SLACK).min(self.heartbeat)));
                    }
                }
                Err(LogError::Late) => {
                    self.book.put_back(batch);
                    self.begun = false;
                }
                Err(error @ LogError::Away(_)) => {
                    self.unsure = Some(batch);
                    self.begun = false;
                    return Err(error);
                }
                Err(error @ LogError::Refused(_)) => {
                    tracing::debug!(%error, "events are not noted");
                    self.book.put_back(batch);
                    return Err(error);
                }
            }
        }
    }

    async fn begin(&mut self) -> Result<(), LogError> {
        let last_call = self.log.begin(self.shard).await?;
        self.begun = true;
        if let Some(batch) = self.unsure.take() {
            if last_call.is_some_and(|last| last >= batch.call) {
                self.book.settle(batch);
            } else {
                self.book.put_back(batch);
            }
        }
        self.book.doubt_all();
        Ok(())
    }
}
