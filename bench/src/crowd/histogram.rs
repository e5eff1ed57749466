//! Latencies, in buckets that are never wider than 1/64 of what they hold.

/// Steps for each power of two.
const STEPS: u64 = 64;

/// Counts by value, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; place(u64::MAX) + 1], total: 0 }
    }
}

/// Exact below [`STEPS`], then by the leading bits.
fn place(value: u64) -> usize {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(STEPS.trailing_zeros() + 1);
    // Below 2 * STEPS by the shift, and no more than 64 shifts: fits.
    (u64::from(shift) * STEPS + (value >> shift)) as usize
}

/// The middle of a bucket.
fn value(place: usize) -> u64 {
    let place = place as u64;
    if place < 2 * STEPS {
        return place;
    }
    let shift = place / STEPS - 1;
    ((place - shift * STEPS) << shift) + (1 << shift) / 2
}

impl Histogram {
    /// Counts a value once.
    pub fn add(&mut self, nanos: u64) {
        self.counts[place(nanos)] += 1;
        self.total += 1;
    }

    /// The value that a share of all are not above, in milliseconds; 0 if there are none.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        // Counts are far below what a float holds exactly.
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (place, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return value(place) as f64 / 1e6;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_no_wider_than_a_64th_of_what_it_holds() {
        for power in 0..63 {
            for offset in [0, 1, 7] {
                let exact = (1_u64 << power) + offset;
                let told = value(place(exact));
                assert!(told.abs_diff(exact) <= exact / 64, "{exact} is told as {told}");
            }
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_ms(0.5), 0.0);
        (1..=1000).for_each(|ms| histogram.add(ms * 1_000_000));
        for (share, ms) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0)] {
            assert!((histogram.quantile_ms(share) - ms).abs() < ms / 60.0);
        }
    }
}
