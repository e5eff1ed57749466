//! Log lines that clients can bring about as often as they like.

use std::time::Duration;

use parking_lot::Mutex;

/// How long nothing more is said after a line.
const PAUSE: Duration = Duration::from_secs(10);

/// Lets a line through now and then, and counts those between.
#[derive(Debug, Default)]
pub struct Sparing(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    last: Option<Duration>,
    since: u64,
}

impl Sparing {
    /// Whether to say it now: then how many were left out since the last one.
    pub fn turn(&self, now: Duration) -> Option<u64> {
        let mut said = self.0.lock();
        if said.last.is_some_and(|last| now.saturating_sub(last) < PAUSE) {
            said.since += 1;
            return None;
        }
        said.last = Some(now);
        Some(std::mem::take(&mut said.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_and_then_the_number_of_those_left_out() {
        let (sparing, second) = (Sparing::default(), Duration::from_secs(1));
        assert_eq!(sparing.turn(second), Some(0));
        assert_eq!((2..10).filter_map(|n| sparing.turn(second * n)).count(), 0);
        assert_eq!(sparing.turn(second * 11), Some(8));
        assert_eq!(sparing.turn(second * 12), None);
    }
}
