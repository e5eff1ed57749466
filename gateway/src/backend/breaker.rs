//! What a hook's target is spared, and what those are spared who would wait for it in vain.
//!
//! - **Places:** so many calls are under way at once (`concurrency_max`). As many again wait for a place, within
//!   their own deadline; who comes then is refused at once. Half of `concurrency_max` (two at least) is the
//!   most that one user has, under way and waiting together. Not counted are questions about who is nobody yet, because
//!   behind one address there may be everybody, and those whether something that has expired goes on. `fanfare_hook_waiting` is the depth,
//!   `fanfare_hook_calls_total{outcome="full"}` the refusals.
//! - **Circuit:** after `breaker_failures` calls in a row that nobody answered it opens: calls fail at once. After
//!   `breaker_pause` one call goes through as a probe; its answer closes the circuit, its failure opens it anew.
//!   Calls that may have failed by what they asked count once for each [`Culprit`]: one client with requests that a
//!   backend chokes on must not take it away from all others.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Culprit;
use super::failure::Failure;
use crate::model::UserId;
use crate::model::time::Clock;

#[derive(Debug)]
pub(super) struct Breaker {
    places: Semaphore,
    waiting: AtomicUsize,
    waiting_max: usize,
    shares: Mutex<HashMap<UserId, usize>>,
    share_max: usize,
    failures_max: usize,
    pause: Duration,
    circuit: Mutex<Circuit>,
    clock: Arc<dyn Clock>,
    /// Calls that wait, of all hooks.
    depth: Gauge,
    /// 1 while the circuit is open.
    open: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Circuit {
    /// Calls have been failing since the last answer.
    Closed(Row),
    /// Nobody is let through before this moment.
    Open(Duration),
    /// One is under way to find out.
    Probing,
}

/// Failures in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Row {
    /// Those that were nobody's doing.
    outages: usize,
    /// Whose doing the others may have been. Shorter than the limit.
    suspects: Vec<Culprit>,
}

/// What a breaker goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) concurrency_max: usize,
    pub(super) failures_max: usize,
    pub(super) pause: Duration,
}

/// A call that was let through. Dropped without a word, it says nothing about the target: whoever waited for the
/// answer has gone.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    probe: bool,
    told: bool,
    _place: SemaphorePermit<'a>,
    _share: Option<Share<'a>>,
}

/// What a call did to the circuit, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Stays,
    Opened,
    Closed,
}

impl Breaker {
    pub(super) fn new(limits: Limits, clock: Arc<dyn Clock>, depth: Gauge, open: Gauge) -> Self {
        Self {
            places: Semaphore::new(limits.concurrency_max.min(Semaphore::MAX_PERMITS)),
            waiting: AtomicUsize::new(0),
            waiting_max: limits.concurrency_max,
            shares: Mutex::default(),
            // Two at least: somebody has two tabs.
            share_max: limits.concurrency_max.div_ceil(2).max(2),
            failures_max: limits.failures_max,
            pause: limits.pause,
            circuit: Mutex::new(Circuit::Closed(Row::default())),
            clock,
            depth,
            open,
        }
    }

    /// Waits for a place, for a call of this user's doing; none for what is nobody's, or the gateway's own. The deadline
    /// is the caller's.
    pub(super) async fn enter(&self, user: Option<UserId>) -> Result<Pass<'_>, Failure> {
        // Looked at before waiting, so that nobody waits for a target that is left alone, and after.
        if matches!(*self.circuit.lock(), Circuit::Open(until) if self.clock.now() < until) {
            return Err(Failure::Open);
        }
        let share = user.map(|user| Share::take(self, user).ok_or(Failure::Share)).transpose()?;
        let place = match self.places.try_acquire() {
            Ok(place) => place,
            Err(_) => self.wait().await?,
        };
        let probe = self.admit()?;
        Ok(Pass { breaker: self, probe, told: false, _place: place, _share: share })
    }

    async fn wait(&self) -> Result<SemaphorePermit<'_>, Failure> {
        let waiter = Waiter::join(self).ok_or(Failure::Full)?;
        let place = self.places.acquire().await;
        drop(waiter);
        // Nobody closes it.
        place.map_err(|_| Failure::Full)
    }

    /// Whether the call is the probe.
    fn admit(&self) -> Result<bool, Failure> {
        let mut circuit = self.circuit.lock();
        match *circuit {
            Circuit::Closed(_) => Ok(false),
            Circuit::Open(until) if self.clock.now() >= until => {
                *circuit = Circuit::Probing;
                Ok(true)
            }
            Circuit::Open(_) | Circuit::Probing => Err(Failure::Open),
        }
    }

    fn set(&self, circuit: &mut Circuit, to: Circuit) {
        self.open.set(i64::from(!matches!(to, Circuit::Closed(_))));
        *circuit = to;
    }
}

impl Pass<'_> {
    /// The target has answered, whatever it was.
    pub(super) fn answered(mut self) -> Turn {
        self.told = true;
        let mut circuit = self.breaker.circuit.lock();
        match (&mut *circuit, self.probe) {
            (Circuit::Probing, true) => {
                self.breaker.set(&mut circuit, Circuit::Closed(Row::default()));
                Turn::Closed
            }
            (Circuit::Closed(row), _) => {
                row.outages = 0;
                row.suspects.clear();
                Turn::Stays
            }
            // Late, from before the circuit opened: the probe decides.
            (Circuit::Open(_) | Circuit::Probing, _) => Turn::Stays,
        }
    }

    /// The target has not answered; if that may be somebody's doing, whose.
    pub(super) fn failed(mut self, suspect: Option<Culprit>) -> Turn {
        self.told = true;
        let breaker = self.breaker;
        let mut circuit = breaker.circuit.lock();
        let open = Circuit::Open(breaker.clock.now() + breaker.pause);
        match (&mut *circuit, self.probe) {
            (Circuit::Probing, true) => {
                breaker.set(&mut circuit, open);
                Turn::Stays
            }
            (Circuit::Closed(row), _) => {
                if row.grow(suspect) < breaker.failures_max {
                    return Turn::Stays;
                }
                breaker.set(&mut circuit, open);
                Turn::Opened
            }
            (Circuit::Open(_) | Circuit::Probing, _) => Turn::Stays,
        }
    }
}

impl Row {
    /// One more; answers how many count.
    fn grow(&mut self, suspect: Option<Culprit>) -> usize {
        match suspect {
            None => self.outages += 1,
            Some(suspect) if self.suspects.contains(&suspect) => {}
            Some(suspect) => self.suspects.push(suspect),
        }
        self.outages + self.suspects.len()
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe && !self.told {
            // The next one finds out instead.
            *self.breaker.circuit.lock() = Circuit::Open(self.breaker.clock.now());
        }
    }
}

/// One of somebody's calls, for as long as it lasts.
#[derive(Debug)]
struct Share<'a> {
    breaker: &'a Breaker,
    whose: UserId,
}

impl<'a> Share<'a> {
    /// None if they have their share already.
    fn take(breaker: &'a Breaker, whose: UserId) -> Option<Self> {
        let mut shares = breaker.shares.lock();
        let held = shares.entry(whose.clone()).or_insert(0);
        if *held >= breaker.share_max {
            return None;
        }
        *held += 1;
        Some(Self { breaker, whose })
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut shares = self.breaker.shares.lock();
        if let Some(held) = shares.get_mut(&self.whose) {
            *held -= 1;
            if *held == 0 {
                shares.remove(&self.whose);
            }
        }
    }
}

/// Counts somebody who waits for as long as they do.
struct Waiter<'a>(&'a Breaker);

impl<'a> Waiter<'a> {
    /// None if too many wait already.
    fn join(breaker: &'a Breaker) -> Option<Self> {
        // Relaxed: a count that orders nothing else.
        let before = breaker.waiting.fetch_add(1, Ordering::Relaxed);
        breaker.depth.inc();
        let waiter = Self(breaker);
        (before < breaker.waiting_max).then_some(waiter)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.depth.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::TestClock;

    const PAUSE: Duration = Duration::from_secs(5);

    fn breaker(concurrency_max: usize) -> (Breaker, Arc<TestClock>) {
        let clock = TestClock::at_unix_ms(1000);
        let limits = Limits { concurrency_max, failures_max: 2, pause: PAUSE };
        (Breaker::new(limits, clock.clone(), Gauge::default(), Gauge::default()), clock)
    }

    /// Each time somebody else.
    async fn enter(breaker: &Breaker) -> Result<Pass<'_>, Failure> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        breaker.enter(user(&number.to_string())).await
    }

    fn user(id: &str) -> Option<UserId> {
        Some(UserId::new(id))
    }

    async fn fail(breaker: &Breaker) -> Turn {
        enter(breaker).await.unwrap().failed(None)
    }

    async fn refused(breaker: &Breaker) -> bool {
        enter(breaker).await.is_err_and(|failure| failure == Failure::Open)
    }

    #[tokio::test]
    async fn it_opens_after_failures_in_a_row_and_heals_by_a_probe() {
        let (breaker, clock) = breaker(8);
        assert_eq!(fail(&breaker).await, Turn::Stays);
        assert_eq!(enter(&breaker).await.unwrap().answered(), Turn::Stays, "an answer begins the row anew");
        assert_eq!(fail(&breaker).await, Turn::Stays);
        assert_eq!(fail(&breaker).await, Turn::Opened);
        assert!(refused(&breaker).await);
        assert_eq!(breaker.open.get(), 1);
        clock.advance(PAUSE);
        let probe = enter(&breaker).await.unwrap();
        assert!(refused(&breaker).await, "one probe at a time");
        assert_eq!(probe.failed(None), Turn::Stays);
        assert!(refused(&breaker).await);
        clock.advance(PAUSE);
        assert_eq!(enter(&breaker).await.unwrap().answered(), Turn::Closed);
        assert_eq!(enter(&breaker).await.unwrap().answered(), Turn::Stays);
        assert_eq!(breaker.open.get(), 0);
    }

    #[tokio::test]
    async fn what_may_be_one_clients_doing_counts_once() {
        let (breaker, clock) = breaker(8);
        let suspect = |id: &str| Some(Culprit::User(UserId::new(id)));
        for _ in 0..9 {
            assert_eq!(enter(&breaker).await.unwrap().failed(suspect("1")), Turn::Stays);
        }
        assert_eq!(enter(&breaker).await.unwrap().failed(suspect("2")), Turn::Opened);
        // The probe needs no second opinion.
        clock.advance(PAUSE);
        assert_eq!(enter(&breaker).await.unwrap().failed(suspect("2")), Turn::Stays);
        assert!(refused(&breaker).await);
    }

    #[tokio::test]
    async fn a_probe_that_nobody_waits_for_any_more_leaves_it_to_the_next() {
        let (breaker, clock) = breaker(8);
        fail(&breaker).await;
        fail(&breaker).await;
        clock.advance(PAUSE);
        drop(enter(&breaker).await.unwrap());
        assert_eq!(enter(&breaker).await.unwrap().answered(), Turn::Closed);
    }

    #[tokio::test]
    async fn a_late_answer_does_not_close_it() {
        let (breaker, _clock) = breaker(8);
        let late = enter(&breaker).await.unwrap();
        fail(&breaker).await;
        fail(&breaker).await;
        assert_eq!(late.answered(), Turn::Stays);
        assert!(refused(&breaker).await);
    }

    #[tokio::test]
    async fn places_are_waited_for_and_the_line_has_an_end() {
        let (breaker, _clock) = breaker(1);
        let first = enter(&breaker).await.unwrap();
        let mut second = Box::pin(enter(&breaker));
        assert!(futures_util::poll!(&mut second).is_pending());
        assert_eq!(breaker.depth.get(), 1);
        assert_eq!(enter(&breaker).await.unwrap_err(), Failure::Full);
        first.answered();
        second.await.unwrap().answered();
        assert_eq!(breaker.depth.get(), 0);
    }

    #[tokio::test]
    async fn nobody_has_more_than_half_of_the_places() {
        let (breaker, _clock) = breaker(4);
        let mut mine = vec![breaker.enter(user("1")).await.unwrap(), breaker.enter(user("1")).await.unwrap()];
        assert_eq!(breaker.enter(user("1")).await.unwrap_err(), Failure::Share);
        let _theirs = (breaker.enter(user("2")).await.unwrap(), breaker.enter(user("2")).await.unwrap());
        mine.pop();
        mine.push(breaker.enter(user("1")).await.unwrap());
        mine.clear();
        let nobody = || breaker.enter(None);
        let first = (nobody().await.unwrap(), nobody().await.unwrap());
        assert!(futures_util::poll!(Box::pin(nobody())).is_pending(), "it waits for a place");
        drop(first);
        assert_eq!(breaker.shares.lock().len(), 1, "user 2: who has none is forgotten");
    }
}
