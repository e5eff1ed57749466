//! The traffic that was there before: one channel, some subscribers, a steady rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::crowd::Crowd;
use crate::crowd::tally::Tally;
use crate::run::pace::Pace;

/// How long the last publications may take.
const SETTLE: Duration = Duration::from_secs(5);

/// Subscribers, one of whom publishes.
pub(super) struct Beside {
    crowd: Crowd,
    payload: usize,
    pace: Pace,
}

impl Beside {
    pub(super) fn new(crowd: Crowd, payload: usize, rate: f64) -> Self {
        Self { crowd, payload, pace: Pace::Rate(rate) }
    }

    /// Publishes for some time; answers what was received.
    pub(super) fn watch(&mut self, time: Duration) -> Result<Tally> {
        let end = Instant::now() + time;
        self.watch_while(|| Instant::now() < end)
    }

    /// The same on a thread of its own, whatever else goes on: what others do here must not look like latency.
    pub(super) fn begin(mut self) -> Watching {
        let go_on = Arc::new(AtomicBool::new(true));
        let told = Arc::clone(&go_on);
        let thread = std::thread::spawn(move || self.watch_while(|| told.load(Ordering::Relaxed)));
        Watching { go_on, thread: Some(thread) }
    }

    fn watch_while(&mut self, go_on: impl Fn() -> bool) -> Result<Tally> {
        self.crowd.reset_tally();
        self.pace.keep_while(&mut self.crowd, self.payload, go_on)?;
        self.crowd.settle(SETTLE)?;
        Ok(self.crowd.tally().clone())
    }
}

/// Goes on until it is ended, or dropped.
pub(super) struct Watching {
    go_on: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Tally>>>,
}

impl Watching {
    /// Answers what was received.
    pub(super) fn end(mut self) -> Result<Tally> {
        self.go_on.store(false, Ordering::Relaxed);
        let thread = self.thread.take().context("it has ended already")?;
        thread.join().unwrap_or_else(|_| bail!("the thread that watches other traffic has panicked"))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.go_on.store(false, Ordering::Relaxed);
    }
}
