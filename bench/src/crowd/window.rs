//! Which publications all members have, and which are still under way to some.

use std::collections::VecDeque;

/// The publications of a channel, in the order of their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    /// The number of the latest.
    published: u32,
    /// All up to this number have reached everybody, or were given up.
    complete: u32,
    /// How many members have received each of those after `complete`.
    received: VecDeque<u32>,
    /// How many members there are.
    members: u32,
}

impl Window {
    pub(super) fn published(&self) -> u32 {
        self.published
    }

    /// Published, and not yet received by all.
    pub(super) fn outstanding(&self) -> u32 {
        self.published - self.complete
    }

    /// The number of the next publication.
    pub(super) fn publish(&mut self) -> u32 {
        self.learn(self.published + 1);
        self.published
    }

    /// Others have published up to this number, too.
    pub(super) fn learn(&mut self, number: u32) {
        if number > self.published {
            self.published = number;
            self.received.resize((self.published - self.complete) as usize, 0);
            self.settle();
        }
    }

    /// Somebody has received this publication, for the first time.
    #[inline]
    pub(super) fn receive(&mut self, number: u32) {
        if number > self.published {
            self.learn(number);
        }
        let Some(place) = number.checked_sub(self.complete + 1).map(|place| place as usize) else { return };
        self.received[place] += 1;
        if place == 0 {
            self.settle();
        }
    }

    pub(super) fn join(&mut self) {
        self.members += 1;
    }

    /// Somebody is gone: nothing is outstanding only because of them.
    pub(super) fn leave(&mut self) {
        self.members -= 1;
        self.settle();
    }

    /// What is outstanding will not come.
    pub(super) fn give_up(&mut self) {
        self.received.clear();
        self.complete = self.published;
    }

    fn settle(&mut self) {
        while self.received.front().is_some_and(|received| *received >= self.members) {
            self.received.pop_front();
            self.complete += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_is_outstanding_until_all_have_it() {
        let mut window = Window::default();
        window.join();
        window.join();
        assert_eq!([window.publish(), window.publish()], [1, 2]);
        window.receive(2);
        window.receive(2);
        window.receive(1);
        assert_eq!(window.outstanding(), 2);
        window.receive(1);
        assert_eq!((window.outstanding(), window.published()), (0, 2));
    }

    #[test]
    fn nobody_waits_for_those_who_are_gone() {
        let mut window = Window::default();
        window.learn(7);
        window.join();
        window.join();
        assert_eq!(window.publish(), 8);
        window.receive(8);
        assert_eq!(window.outstanding(), 1);
        window.leave();
        assert_eq!(window.outstanding(), 0);
        window.publish();
        window.give_up();
        assert_eq!((window.outstanding(), window.published()), (0, 9));
    }

    #[test]
    fn what_others_publish_is_outstanding_too() {
        let mut window = Window::default();
        window.join();
        window.receive(2);
        assert_eq!((window.published(), window.outstanding()), (2, 2));
        window.receive(1);
        window.learn(5);
        assert_eq!(window.outstanding(), 3);
        // Without members everything has reached everybody.
        window.leave();
        assert_eq!(window.outstanding(), 0);
    }
}
