//! The connections that publish and do nothing else: made as they are needed, kept for the next call.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::failure::{self, Failure};
use super::pipe::{Door, Pipe};

/// Those at rest, and how many more there may be.
pub(super) struct Pipes {
    door: Door,
    address: String,
    /// How long it is believed that the other side is a primary.
    ttl: Duration,
    permits: Semaphore,
    /// The last one used is the next one used. Never more than there are permits.
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    pipe: Pipe,
    proven_at: Instant,
}

/// A connection in use. Unless it is [given back](Lent::give_back) it is closed: whoever stops half-way leaves
/// answers in it that belong to nobody.
pub(super) struct Lent<'a> {
    pub(super) pipe: Pipe,
    proven_at: Instant,
    pipes: &'a Pipes,
    _permit: SemaphorePermit<'a>,
}

impl Pipes {
    pub(super) fn new(door: Door, address: String, ttl: Duration, max: usize) -> Self {
        Self { door, address, ttl, permits: Semaphore::new(max), idle: Mutex::default() }
    }

    /// A connection to a primary, as far as was heard within `ttl`. Waits as long as too many are in use: the
    /// deadline is the caller's.
    pub(super) async fn lend(&self) -> Result<Lent<'_>, Failure> {
        let permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let failed = |error| Failure::of(&self.address, &error);
        let idle = self.idle();
        let (mut pipe, proven_at) = match idle {
            Some(Idle { pipe, proven_at }) => (pipe, Some(proven_at)),
            None => (Pipe::open(&self.door).await.map_err(failed)?, None),
        };
        let proven_at = match proven_at.filter(|at| at.elapsed() < self.ttl) {
            Some(at) => at,
            // A replica takes a PUBLISH and reaches nobody.
            None if pipe.is_replica().await.map_err(failed)? => {
                return Err(Failure::broken(failure::replica(&self.address)));
            }
            None => Instant::now(),
        };
        Ok(Lent { pipe, proven_at, pipes: self, _permit: permit })
    }

    /// One that the other side has not hung up on meanwhile.
    fn idle(&self) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(|idle| idle.pipe.is_quiet())
    }
}

impl Lent<'_> {
    /// For the next call. Everything that was asked has been answered.
    pub(super) fn give_back(self) {
        let Self { pipe, proven_at, pipes, .. } = self;
        pipes.idle.lock().unwrap_or_else(PoisonError::into_inner).push(Idle { pipe, proven_at });
    }
}
