//! Async locks by key, of a fixed number: what must not interleave for one channel may still go on for
//! others.

use std::hash::{BuildHasher, Hash};

use tokio::sync::{Mutex, MutexGuard};

/// A fixed number of locks; keys share them by hash.
#[derive(Debug)]
pub struct Striped {
    locks: Box<[Mutex<()>]>,
    hasher: foldhash::fast::RandomState,
}

impl Striped {
    /// `count` locks, at least one.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self {
            locks: (0..count.max(1)).map(|_| Mutex::new(())).collect(),
            hasher: foldhash::fast::RandomState::default(),
        }
    }

    /// Waits for the key's lock. Take one at a time: two keys may share a lock.
    pub async fn lock(&self, key: &impl Hash) -> MutexGuard<'_, ()> {
        let stripe = usize::try_from(self.hasher.hash_one(key) % self.locks.len() as u64).unwrap_or(0);
        self.locks[stripe].lock().await
    }
}
