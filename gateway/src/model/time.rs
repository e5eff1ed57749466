//! The only place that asks the machine what time it is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A time in whole milliseconds, as Redis and wires count it; what no number can hold is the largest.
#[must_use]
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Tells the time. Parts take an `Arc<dyn Clock>`, so that tests can move it.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Since some fixed moment; never goes back. For deadlines.
    fn now(&self) -> Duration;

    /// Milliseconds since 1970. For tokens and for people; may jump.
    fn unix_ms(&self) -> i64;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Starts counting now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that asks")]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { start: Instant::now() })
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that asks")]
    fn unix_ms(&self) -> i64 {
        // A clock before 1970 is broken; 0 then, which makes tokens with `nbf` invalid, not valid.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that only moves when told to.
#[derive(Debug, Default)]
pub struct TestClock {
    now_ms: AtomicU64,
}

impl TestClock {
    /// Starts at the given moment.
    #[must_use]
    pub fn at_unix_ms(unix_ms: u64) -> Arc<Self> {
        Arc::new(Self { now_ms: AtomicU64::new(unix_ms) })
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        // SeqCst: tests reason about it as about a plain variable.
        self.now_ms.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Duration {
        Duration::from_millis(self.now_ms.load(Ordering::SeqCst))
    }

    fn unix_ms(&self) -> i64 {
        i64::try_from(self.now_ms.load(Ordering::SeqCst)).unwrap_or(i64::MAX)
    }
}
