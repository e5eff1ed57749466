//! One client's claim of continuity on one channel. Knows offsets; what they carry is the judge's business.

use std::collections::BTreeSet;

use super::{Name, Place};

/// More missing in one hole than this is told once, not one by one.
const HOLE_MAX: u64 = 10_000;

/// From a position on, everything: so the client believes.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) epoch: Name,
    /// Where it began: nothing up to here may come.
    start: u64,
    /// The highest offset that came.
    pub(super) last: u64,
    /// What is below `last` and has not come.
    missing: BTreeSet<u64>,
    /// Whether the client is subscribed now.
    pub(super) live: bool,
    /// The line at which it began.
    pub(super) began: usize,
}

/// What an offset is to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The next one.
    Next,
    /// What lies between is missing so far; none: too much to be remembered.
    Ahead,
    /// It had been skipped.
    Late,
    /// It stands before the beginning.
    Before,
    /// It had come already.
    Again,
}

impl Claim {
    pub(super) fn begin(place: Place, began: usize) -> Self {
        let Place { epoch, offset } = place;
        Self { epoch, start: offset, last: offset, missing: BTreeSet::new(), live: true, began }
    }

    pub(super) fn take(&mut self, offset: u64) -> Turn {
        if offset > self.last {
            let hole = self.last + 1..offset;
            self.last = offset;
            if hole.is_empty() {
                return Turn::Next;
            }
            self.missing.extend(hole.take(HOLE_MAX as usize));
            Turn::Ahead
        } else if self.missing.remove(&offset) {
            Turn::Late
        } else if offset <= self.start {
            Turn::Before
        } else {
            Turn::Again
        }
    }

    /// What never came, below the highest that did.
    pub(super) fn missing(&self) -> impl Iterator<Item = u64> + '_ {
        self.missing.iter().copied()
    }
}
