//! Every task has a name, an owner and an end.

pub mod backoff;
pub mod striped;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::telemetry::Metrics;

/// Spawns tasks and waits for them. Cloning gives another handle to the same set.
#[derive(Clone, Debug)]
pub struct Tasks {
    set: Arc<Set>,
}

#[derive(Debug)]
struct Set {
    tracker: TaskTracker,
    stop: CancellationToken,
    /// An essential task has panicked.
    fatal: CancellationToken,
    metrics: Arc<Metrics>,
    names: Mutex<BTreeMap<&'static str, usize>>,
}

impl Tasks {
    /// An empty set.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let (stop, fatal) = (CancellationToken::new(), CancellationToken::new());
        let set = Set { tracker: TaskTracker::new(), stop, fatal, metrics, names: Mutex::default() };
        Self { set: Arc::new(set) }
    }

    /// Runs a future as a task. A panic ends that task only; it is logged and counted.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        self.run(Guard::enter(self, name, false), future);
    }

    /// The same for a task that everything else relies upon: its panic is the process's affair
    /// ([`Tasks::fatal`]), because a node that lives on without it would serve nobody and look healthy.
    pub fn spawn_essential(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        self.run(Guard::enter(self, name, true), future);
    }

    /// Cancelled when an essential task has panicked.
    #[must_use]
    pub fn fatal(&self) -> CancellationToken {
        self.set.fatal.clone()
    }

    fn run(&self, guard: Guard, future: impl Future<Output = ()> + Send + 'static) {
        #[allow(clippy::disallowed_methods, reason = "the one place that spawns")]
        let _handle = tokio::spawn(Guarded { future, _guard: guard });
    }

    /// Cancelled when all tasks are to end. Long-lived tasks select on it.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.set.stop.clone()
    }

    /// Waits until no task is left, however long that takes.
    pub async fn drained(&self) {
        self.set.tracker.close();
        self.set.tracker.wait().await;
    }

    /// Who is running, by name.
    #[must_use]
    pub fn names(&self) -> Vec<(&'static str, usize)> {
        self.set.names.lock().iter().map(|(name, count)| (*name, *count)).collect()
    }

    /// Tells all tasks to end and waits for them; after `patience` gives up and answers who is left.
    pub async fn shutdown(&self, patience: Duration) -> Result<(), Vec<(&'static str, usize)>> {
        self.set.stop.cancel();
        self.set.tracker.close();
        match tokio::time::timeout(patience, self.set.tracker.wait()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.names()),
        }
    }
}

pin_project! {
    /// A task with its guard. By hand, because an `async` block would hold the future twice: as what it was
    /// given and as what it waits for.
    struct Guarded<F> {
        // Dropped before the guard, which says that the task has ended.
        #[pin]
        future: F,
        _guard: Guard,
    }
}

impl<F: Future<Output = ()>> Future for Guarded<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().future.poll(cx)
    }
}

/// Counts a task in while it runs and, when it ends by unwinding, as a panic.
struct Guard {
    name: &'static str,
    essential: bool,
    tasks: Tasks,
    _token: TaskTrackerToken,
}

impl Guard {
    fn enter(tasks: &Tasks, name: &'static str, essential: bool) -> Self {
        *tasks.set.names.lock().entry(name).or_default() += 1;
        Self { name, essential, tasks: tasks.clone(), _token: tasks.set.tracker.token() }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut names = self.tasks.set.names.lock();
        if let Some(count) = names.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                names.remove(self.name);
            }
        }
        drop(names);
        if std::thread::panicking() {
            self.tasks.set.metrics.task_panics.inc();
            if self.essential {
                tracing::error!(
                    task = self.name,
                    "a task panicked that all rely upon; this is a bug, and the node goes down"
                );
                self.tasks.set.fatal.cancel();
            } else {
                tracing::error!(task = self.name, "a task panicked; this is a bug, and only that task has ended");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_counted_and_is_fatal_where_all_rely_upon_the_task() {
        let metrics = Arc::new(Metrics::new());
        let tasks = Tasks::new(Arc::clone(&metrics));
        tasks.spawn("one of many", async { panic!("on purpose") });
        while metrics.task_panics.get() < 1 {
            tokio::task::yield_now().await;
        }
        assert!(!tasks.fatal().is_cancelled());
        tasks.spawn_essential("the one", async { panic!("on purpose") });
        tasks.fatal().cancelled().await;
        assert_eq!(metrics.task_panics.get(), 2);
    }

    #[tokio::test]
    async fn who_does_not_end_is_named() {
        let tasks = Tasks::new(Arc::new(Metrics::new()));
        let stop = tasks.stop();
        tasks.spawn("good", async move { stop.cancelled().await });
        tasks.spawn("stubborn", std::future::pending());
        assert_eq!(tasks.shutdown(Duration::from_millis(50)).await, Err(vec![("stubborn", 1)]));
    }
}
