//! A part of going down: several tasks are told to end their work, and say when they have.

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// One part.
#[derive(Debug)]
pub(super) struct Phase {
    come: CancellationToken,
    done: Semaphore,
}

impl Phase {
    pub(super) fn new() -> Self {
        Self { come: CancellationToken::new(), done: Semaphore::new(0) }
    }

    /// Whether it has come.
    pub(super) fn has_come(&self) -> bool {
        self.come.is_cancelled()
    }

    /// Waits until it comes. Cancel-safe.
    pub(super) async fn comes(&self) {
        self.come.cancelled().await;
    }

    /// One task is done.
    pub(super) fn done(&self) {
        self.done.add_permits(1);
    }

    /// Lets it come, and waits until so many tasks are done. The deadline is the caller's.
    pub(super) async fn pass(&self, tasks: u32) {
        self.come.cancel();
        // Nobody closes it.
        let _ = self.done.acquire_many(tasks).await;
    }
}
