//! Every task has a name, an owner and an end.

pub mod backoff;
pub mod striped;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::telemetry::Metrics;

/// Spawns tasks and waits for them. Cloning gives another handle to the same set.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    metrics: Arc<Metrics>,
    names: Arc<Mutex<std::collections::BTreeMap<&'static str, usize>>>,
}

impl Tasks {
    /// An empty set.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { tracker: TaskTracker::new(), stop: CancellationToken::new(), metrics, names: Arc::default() }
    }

    /// Runs a future as a task. A panic ends that task only; it is logged and counted.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        let guard = Guard::enter(self, name);
        #[allow(clippy::disallowed_methods, reason = "the one place that spawns")]
        let _handle = tokio::spawn(self.tracker.track_future(async move {
            let _guard = guard;
            future.await;
        }));
    }

    /// Cancelled when all tasks are to end. Long-lived tasks select on it.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Waits until no task is left, however long that takes.
    pub async fn drained(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Who is running, by name.
    #[must_use]
    pub fn names(&self) -> Vec<(&'static str, usize)> {
        self.names.lock().iter().map(|(name, count)| (*name, *count)).collect()
    }

    /// Tells all tasks to end and waits for them; after `patience` gives up and answers who is left.
    pub async fn shutdown(&self, patience: Duration) -> Result<(), Vec<(&'static str, usize)>> {
        self.stop.cancel();
        self.tracker.close();
        match tokio::time::timeout(patience, self.tracker.wait()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.names()),
        }
    }
}

/// Counts a task in while it runs and, when it ends by unwinding, as a panic.
struct Guard {
    name: &'static str,
    tasks: Tasks,
}

impl Guard {
    fn enter(tasks: &Tasks, name: &'static str) -> Self {
        *tasks.names.lock().entry(name).or_default() += 1;
        Self { name, tasks: tasks.clone() }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut names = self.tasks.names.lock();
        if let Some(count) = names.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                names.remove(self.name);
            }
        }
        drop(names);
        if std::thread::panicking() {
            self.tasks.metrics.task_panics.inc();
            tracing::error!(task = self.name, "a task panicked; this is a bug, and only that task has ended");
        }
    }
}
