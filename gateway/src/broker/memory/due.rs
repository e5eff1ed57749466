//! What ends when, so that it can be removed without looking at everything.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Things by the time at which somebody should look whether they have ended. Their end may have moved since;
/// then they are put back under the new one.
#[derive(Debug)]
pub(super) struct Due<K> {
    heap: BinaryHeap<Reverse<(Duration, K)>>,
}

impl<K: Ord> Default for Due<K> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new() }
    }
}

impl<K: Ord> Due<K> {
    /// Looks at this at that time.
    pub(super) fn put(&mut self, end: Duration, key: K) {
        self.heap.push(Reverse((end, key)));
    }

    /// The next one whose time has come.
    pub(super) fn take(&mut self, now: Duration) -> Option<K> {
        let Reverse((end, _)) = self.heap.peek()?;
        if *end <= now { self.take_any().map(|(_, key)| key) } else { None }
    }

    /// The next one, whenever it is due.
    pub(super) fn take_any(&mut self) -> Option<(Duration, K)> {
        self.heap.pop().map(|Reverse(next)| next)
    }

    /// How many are waiting for their time.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}
