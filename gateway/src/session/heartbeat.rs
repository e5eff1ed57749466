//! Deadlines as data, and the one wheel that wakes sessions at them: no timer and no second task for
//! any connection.
//!
//! A client gets a ping each interval (the first one after half to a whole interval, so that those who
//! came together are not pinged together) and answers each with one pong in time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::hub::outbox::Alarm;
use crate::model::time::Clock;

/// How exact deadlines are.
const RESOLUTION: Duration = Duration::from_millis(100);

/// Rings alarms at given moments.
#[derive(Debug)]
pub struct Wheel {
    /// Alarms by the tick at which they ring. A session has few: it arms again only for an earlier
    /// moment than it already waits for.
    slots: Mutex<BTreeMap<u128, Vec<Alarm>>>,
    clock: Arc<dyn Clock>,
}

impl Wheel {
    /// A wheel that stands still until [`Wheel::run`].
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { slots: Mutex::default(), clock })
    }

    /// Turns until told to stop.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut interval = tokio::time::interval(RESOLUTION);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = interval.tick() => self.turn(),
            }
        }
    }

    /// Rings what is due.
    pub fn turn(&self) {
        let now = self.clock.now().as_millis() / RESOLUTION.as_millis();
        let due = {
            let mut slots = self.slots.lock();
            let later = slots.split_off(&(now + 1));
            std::mem::replace(&mut *slots, later)
        };
        for alarm in due.into_values().flatten() {
            alarm.ring();
        }
    }

    /// Rings everybody, due or not.
    pub fn ring_all(&self) {
        for alarm in std::mem::take(&mut *self.slots.lock()).into_values().flatten() {
            alarm.ring();
        }
    }

    pub(super) fn ring_at(&self, at: Duration, alarm: Alarm) {
        // Rounded up: an alarm that rings early would find nothing due and have to be armed again.
        let slot = at.as_millis().div_ceil(RESOLUTION.as_millis());
        self.slots.lock().entry(slot).or_default().push(alarm);
    }
}

/// A session's own deadlines.
#[derive(Debug)]
pub(super) struct Heartbeat {
    phase: Phase,
    /// The earliest moment at which the wheel will ring.
    armed: Option<Duration>,
}

#[derive(Debug)]
enum Phase {
    /// The client must say who it is until then.
    Waiting { until: Duration },
    /// The next ping goes out then.
    Quiet { ping_at: Duration, rhythm: Rhythm },
    /// A ping is out: the pong must come until then.
    Pinged { pong_until: Duration, next_ping: Duration, rhythm: Rhythm },
}

#[derive(Clone, Copy, Debug)]
struct Rhythm {
    interval: Duration,
    timeout: Duration,
}

/// What a look at the clock found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Stale,
    Ping,
    NoPong,
}

impl Heartbeat {
    pub(super) fn waiting_for_connect(now: Duration, patience: Duration) -> Self {
        Self { phase: Phase::Waiting { until: now + patience }, armed: None }
    }

    /// The client has connected: pings begin. `jitter` is between 0 and 1.
    pub(super) fn begin(&mut self, now: Duration, interval: Duration, timeout: Duration, jitter: f64) {
        let ping_at = now + interval.mul_f64(0.5 + jitter / 2.0);
        self.phase = Phase::Quiet { ping_at, rhythm: Rhythm { interval, timeout } };
    }

    pub(super) fn due(&mut self, now: Duration) -> Due {
        // Whatever rang has rung: the caller arms anew.
        if self.armed.is_some_and(|armed| armed <= now) {
            self.armed = None;
        }
        match self.phase {
            Phase::Waiting { until } if now >= until => Due::Stale,
            Phase::Pinged { pong_until, .. } if now >= pong_until => Due::NoPong,
            Phase::Quiet { ping_at, rhythm } if now >= ping_at => {
                let (pong_until, next_ping) = (now + rhythm.timeout, now + rhythm.interval);
                self.phase = Phase::Pinged { pong_until, next_ping, rhythm };
                Due::Ping
            }
            Phase::Waiting { .. } | Phase::Quiet { .. } | Phase::Pinged { .. } => Due::Nothing,
        }
    }

    /// True if a pong was owed.
    pub(super) fn pong(&mut self) -> bool {
        let Phase::Pinged { next_ping, rhythm, .. } = self.phase else { return false };
        self.phase = Phase::Quiet { ping_at: next_ping, rhythm };
        true
    }

    /// When the next ping goes out; none while one is owed an answer, or before pings begin.
    pub(super) fn ping_at(&self) -> Option<Duration> {
        match self.phase {
            Phase::Quiet { ping_at, .. } => Some(ping_at),
            Phase::Waiting { .. } | Phase::Pinged { .. } => None,
        }
    }

    pub(super) fn next(&self) -> Duration {
        match self.phase {
            Phase::Waiting { until } => until,
            Phase::Quiet { ping_at, .. } => ping_at,
            Phase::Pinged { pong_until, .. } => pong_until,
        }
    }

    /// Notes that the wheel is to ring at `at`; none if it rings no later already.
    pub(super) fn arm(&mut self, at: Duration) -> Option<Duration> {
        if self.armed.is_some_and(|armed| armed <= at) {
            return None;
        }
        self.armed = Some(at);
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_client_that_says_nothing_is_stale() {
        let mut heartbeat = Heartbeat::waiting_for_connect(S, 10 * S);
        assert_eq!(heartbeat.due(10 * S), Due::Nothing);
        assert_eq!(heartbeat.due(11 * S), Due::Stale);
        assert!(!heartbeat.pong());
    }

    #[test]
    fn each_ping_wants_one_pong_in_time() {
        let mut heartbeat = Heartbeat::waiting_for_connect(Duration::ZERO, 10 * S);
        heartbeat.begin(Duration::ZERO, 20 * S, 8 * S, 0.0);
        assert_eq!(heartbeat.next(), 10 * S);
        assert_eq!(heartbeat.due(10 * S), Due::Ping);
        assert_eq!(heartbeat.next(), 18 * S);
        assert!(heartbeat.pong());
        assert!(!heartbeat.pong(), "one ping, one pong");
        assert_eq!(heartbeat.next(), 30 * S);
        assert_eq!(heartbeat.due(30 * S), Due::Ping);
        assert_eq!(heartbeat.due(37 * S), Due::Nothing);
        assert_eq!(heartbeat.due(38 * S), Due::NoPong);
    }

    #[test]
    fn the_wheel_is_asked_for_earlier_moments_only() {
        let mut heartbeat = Heartbeat::waiting_for_connect(Duration::ZERO, 10 * S);
        assert_eq!(heartbeat.arm(10 * S), Some(10 * S));
        assert_eq!(heartbeat.arm(12 * S), None);
        assert_eq!(heartbeat.arm(5 * S), Some(5 * S));
        assert_eq!(heartbeat.due(5 * S), Due::Nothing);
        assert_eq!(heartbeat.arm(12 * S), Some(12 * S));
    }
}
