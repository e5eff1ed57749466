//! A token bucket in eight bytes: not how much is in it, but when it will be full again. Pure; the caller
//! brings the time.

use std::time::Duration;

use crate::model::rate::Rate;

/// A rate, ready to be counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// In how many nanoseconds one more comes in.
    interval_ns: u64,
    /// In how many nanoseconds the empty bucket fills.
    depth_ns: u64,
    /// How many the full bucket holds.
    burst: u32,
}

impl From<Rate> for Pace {
    fn from(rate: Rate) -> Self {
        let interval_ns = nanos(rate.interval()).max(1);
        Self { interval_ns, depth_ns: interval_ns.saturating_mul(rate.burst.into()), burst: rate.burst }
    }
}

impl Pace {
    /// How many the full bucket holds.
    #[must_use]
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// In how long one more comes in.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval_ns)
    }
}

/// What may be taken at a [`Pace`]. A new one is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// In nanoseconds of the clock.
    full_at_ns: u64,
}

impl Bucket {
    /// Takes one; if there is none, answers how long until there is.
    pub fn take(&mut self, pace: &Pace, now: Duration) -> Result<(), Duration> {
        let now = nanos(now);
        let full_at = self.full_at_ns.max(now).saturating_add(pace.interval_ns);
        match full_at.saturating_sub(now.saturating_add(pace.depth_ns)) {
            0 => {
                self.full_at_ns = full_at;
                Ok(())
            }
            wait => Err(Duration::from_nanos(wait)),
        }
    }

    /// How long until there is one; zero if there is.
    #[must_use]
    pub fn wait(&self, pace: &Pace, now: Duration) -> Duration {
        let mut copy = *self;
        copy.take(pace, now).err().unwrap_or_default()
    }

    /// It is full: as good as a new one, and need not be kept.
    #[must_use]
    pub fn is_full(&self, now: Duration) -> bool {
        self.full_at_ns <= nanos(now)
    }
}

/// Centuries fit.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rate::Per;

    const S: Duration = Duration::from_secs(1);

    fn pace(count: u32, burst: u32) -> Pace {
        Rate { count, per: Per::Second, burst }.into()
    }

    /// How many can be taken at this moment.
    fn draw(bucket: &mut Bucket, pace: &Pace, now: Duration) -> usize {
        (0..10_000).take_while(|_| bucket.take(pace, now).is_ok()).count()
    }

    #[test]
    fn a_burst_at_once_and_then_the_rate() {
        let (mut bucket, pace) = (Bucket::default(), pace(10, 30));
        assert_eq!(draw(&mut bucket, &pace, S), 30);
        assert_eq!(bucket.take(&pace, S), Err(S / 10), "it says when to come again");
        assert_eq!(draw(&mut bucket, &pace, S + S / 10), 1);
        assert_eq!(draw(&mut bucket, &pace, 2 * S), 9);
        assert_eq!(draw(&mut bucket, &pace, 100 * S), 30, "no more than a burst is saved up");
    }

    #[test]
    fn a_refusal_takes_nothing() {
        let (mut bucket, pace) = (Bucket::default(), pace(1, 1));
        bucket.take(&pace, S).unwrap();
        for _ in 0..100 {
            assert_eq!(bucket.take(&pace, S + S / 2), Err(S / 2));
        }
        assert_eq!(bucket.take(&pace, 2 * S), Ok(()));
    }

    #[test]
    fn a_rate_that_does_not_divide_the_second() {
        let (mut bucket, pace) = (Bucket::default(), pace(3, 1));
        let taken = (0..30_000u64).filter(|ms| bucket.take(&pace, Duration::from_millis(*ms)).is_ok()).count();
        assert!((89..=90).contains(&taken), "{taken} in thirty seconds");
    }

    #[test]
    fn a_full_bucket_is_as_good_as_a_new_one() {
        let (mut bucket, pace) = (Bucket::default(), pace(2, 4));
        assert!(bucket.is_full(S));
        bucket.take(&pace, S).unwrap();
        assert!(!bucket.is_full(S));
        assert!(bucket.is_full(S + S / 2));
    }
}
