//! What both roads need to try a message again: a key that makes it harmless, and pauses that grow.

use std::time::Duration;

use rand::RngExt;

/// The first and the longest pause, cut by up to half at random, so that publishers that failed together do
/// not come back together.
const FIRST: Duration = Duration::from_millis(100);
const MAX: Duration = Duration::from_secs(2);

/// An idempotency key that nobody else has given: 128 random bits, as text.
pub(super) fn random_key() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// How long to wait before each next try: about twice as long as before, up to a limit. Never ends.
pub(super) struct Pauses(Duration);

impl Pauses {
    pub(super) fn new() -> Self {
        Self(FIRST)
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.0.mul_f64(rand::rng().random_range(0.5..=1.0));
        self.0 = (self.0 * 2).min(MAX);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_random_and_may_be_used() {
        let (one, other) = (random_key(), random_key());
        assert!(fanfare_proto::name::is_idempotency_key(&one) && one.len() == 32 && one != other, "{one} {other}");
    }

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let pauses: Vec<_> = Pauses::new().take(20).collect();
        assert!(pauses[0] <= FIRST && pauses[19] >= MAX / 2 && pauses.iter().all(|pause| *pause <= MAX), "{pauses:?}");
    }
}
