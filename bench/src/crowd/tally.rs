//! What a crowd has received.

use super::histogram::Histogram;
use super::marker::Marker;

/// All members together.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Publications received.
    pub deliveries: u64,
    /// Received again.
    pub duplicated: u64,
    /// Received after a later one.
    pub misordered: u64,
    /// Passed over and not received since.
    pub passed_over: u64,
    /// From publishing to receiving.
    pub latency: Histogram,
}

impl Tally {
    /// A member whose last publication was `last` receives one at `now`.
    pub fn count(&mut self, last: &mut u32, marker: Marker, now: u64) {
        self.deliveries += 1;
        self.latency.add(now.saturating_sub(marker.at));
        match marker.sequence.checked_sub(*last) {
            Some(0) => self.duplicated += 1,
            Some(ahead) => {
                self.passed_over += u64::from(ahead - 1);
                *last = marker.sequence;
            }
            None => {
                self.misordered += 1;
                self.passed_over = self.passed_over.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_doubled_or_late_is_told_apart() {
        let (mut tally, mut last) = (Tally::default(), 0);
        for sequence in [1, 2, 4, 4, 3, 8] {
            tally.count(&mut last, Marker { sequence, at: 0 }, 5);
        }
        assert_eq!(last, 8);
        assert_eq!((tally.deliveries, tally.duplicated, tally.misordered, tally.passed_over), (6, 1, 1, 3));
    }
}
