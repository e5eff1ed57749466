//! What a crowd has received.

use super::histogram::Histogram;
use super::marker::Marker;
use super::order::{Order, Place};
use super::window::Window;

/// All members together.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Publications received, with those that came again: the server had to send them.
    pub deliveries: u64,
    /// Received again.
    pub duplicated: u64,
    /// Received after a later one.
    pub misordered: u64,
    /// Passed over and not received since.
    pub passed_over: u64,
    /// From publishing to receiving.
    pub latency: Histogram,
    /// Publications over HTTP that the server has answered.
    pub answered: u64,
    /// From publishing over HTTP to the answer.
    pub answering: Histogram,
    /// Members whose connections ended after they were subscribed.
    pub ended: u64,
    /// How the first of them ended.
    pub ended_how: Option<String>,
}

impl Tally {
    /// Counts what somebody receives at `now`; false if they have it already.
    #[inline]
    pub fn count(&mut self, order: &mut Order, marker: Marker, now: u64) -> bool {
        self.deliveries += 1;
        self.latency.add(now.saturating_sub(marker.at));
        match order.note(marker.sequence) {
            Place::Later(skipped) => self.passed_over += u64::from(skipped),
            Place::Late => {
                self.misordered += 1;
                self.passed_over = self.passed_over.saturating_sub(1);
            }
            Place::Again => {
                self.duplicated += 1;
                return false;
            }
        }
        true
    }
}

/// What a crowd keeps of its channel.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) tally: Tally,
    pub(super) window: Window,
    /// Where in their messages markers are.
    hint: usize,
}

impl Books {
    pub(super) fn after(published: u32) -> Self {
        Self { window: Window::after(published), ..Self::default() }
    }

    /// Counts all publications in a message; false if there are none.
    #[inline]
    pub(super) fn hear(&mut self, order: &mut Order, message: &[u8], now: u64) -> bool {
        let Some((marker, mut end)) = Marker::find(message, &mut self.hint) else { return false };
        self.count(order, marker, now);
        while let Some((marker, size)) = Marker::search(&message[end..]) {
            self.count(order, marker, now);
            end += size;
        }
        true
    }

    #[inline]
    fn count(&mut self, order: &mut Order, marker: Marker, now: u64) {
        if self.tally.count(order, marker, now) {
            self.window.receive(marker.sequence);
        }
    }
}

/// A subscriber without a crowd, who counts as its members do.
#[derive(Debug)]
pub struct Ear {
    books: Books,
    order: Order,
}

impl Ear {
    /// Of a channel in which nothing was published yet.
    pub fn new() -> Self {
        Self { books: Books::default(), order: Order::after(0) }
    }

    /// Counts all publications in a message that has come at `now`.
    pub fn hear(&mut self, message: &[u8], now: u64) {
        self.books.hear(&mut self.order, message, now);
    }

    /// What has been received.
    pub fn tally(&self) -> &Tally {
        &self.books.tally
    }

    /// Forgets it.
    pub fn reset_tally(&mut self) {
        self.books.tally = Tally::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(sequence: u32) -> Vec<u8> {
        Marker { sequence, at: 2 }.payload(64)
    }

    #[test]
    fn what_is_missing_doubled_or_late_is_told_apart() {
        let (mut books, mut order) = (Books::default(), Order::after(0));
        for sequence in [1, 2, 4, 4, 3, 8] {
            assert!(books.hear(&mut order, &publication(sequence), 5));
        }
        let tally = &books.tally;
        assert_eq!((tally.deliveries, tally.duplicated, tally.misordered, tally.passed_over), (6, 1, 1, 3));
        assert_eq!(tally.latency.quantile_ms(1.0), 3e-6);
    }

    #[test]
    fn all_publications_of_a_message_count_and_other_messages_do_not() {
        let (mut books, mut order) = (Books::default(), Order::after(0));
        books.window.join();
        assert!(!books.hear(&mut order, b"{\"id\":1}", 5));
        assert!(books.hear(&mut order, &[publication(1), b"\n".to_vec(), publication(2), publication(3)].concat(), 5));
        assert_eq!((books.tally.deliveries, books.window.published(), books.window.outstanding()), (3, 3, 0));
    }
}
