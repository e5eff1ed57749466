//! When to publish: as soon as a window has room, or at a steady rate.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::crowd::{Crowd, marker};

/// How long nothing may arrive before what is outstanding counts as lost.
const SILENCE: Duration = Duration::from_secs(5);

/// What decides about the next publication.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// As many as this are kept outstanding: published, and not yet received by all.
    Window(u32),
    /// So many per second, come what may; latencies count from when each was due.
    Rate(f64),
}

impl Pace {
    /// Publishes payloads of so many bytes for some time. Nothing is lost only because of its end: what is
    /// outstanding then is still under way.
    pub fn keep(self, crowd: &mut Crowd, payload: usize, time: Duration) -> Result<()> {
        let begun = Instant::now();
        self.keep_while(crowd, payload, || begun.elapsed() < time)
    }

    /// The same as long as `go_on` says so.
    pub fn keep_while(self, crowd: &mut Crowd, payload: usize, go_on: impl Fn() -> bool) -> Result<()> {
        let (mut heard, mut due) = (Instant::now(), marker::now());
        while go_on() {
            let wait = self.publish(crowd, payload, &mut due)?;
            if crowd.turn(wait.min(Duration::from_millis(100)))? > 0 {
                heard = Instant::now();
            } else if heard.elapsed() > SILENCE {
                crowd.give_up();
                heard = Instant::now();
            }
        }
        Ok(())
    }

    /// Publishes what is due; answers how long may be waited until more is.
    fn publish(self, crowd: &mut Crowd, payload: usize, due: &mut u64) -> Result<Duration> {
        let now = marker::now();
        match self {
            Self::Window(window) => {
                while crowd.outstanding() < window {
                    crowd.publish(payload, now)?;
                }
                Ok(Duration::MAX)
            }
            Self::Rate(rate) => {
                while *due <= now {
                    crowd.publish(payload, *due)?;
                    *due += (1e9 / rate).max(1.0) as u64;
                }
                Ok(Duration::from_nanos(due.saturating_sub(now)))
            }
        }
    }
}
