//! The end of a channel's stream, as far as this node keeps it: the latest publication always, where
//! somebody needs it, and more for a while after clients have recovered, so that a storm of them costs
//! one read.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{ByteSize, Retained};

/// How long after the last recovery a tail is kept.
const WARM: Duration = Duration::from_secs(10);

/// What one publication costs besides what was said.
const SLOT: usize = size_of::<Retained>();

/// Publications that follow each other without gaps up to the node's position.
#[derive(Debug, Default)]
pub(super) struct Tail {
    publications: VecDeque<Arc<Retained>>,
    bytes: usize,
    /// Until when more than the latest is kept, by the clock of deadlines.
    warm_until: Option<Duration>,
    /// The latest is kept in any case.
    keeps_latest: bool,
    /// Beyond so many bytes its oldest publications go: who needs those reads them again.
    bytes_max: usize,
}

fn offset(publication: &Arc<Retained>) -> u64 {
    publication.position().offset
}

fn cost(publication: &Arc<Retained>) -> usize {
    publication.size() + SLOT
}

impl Tail {
    /// An empty tail. `keeps_latest` if somebody will ask for the latest publication: patches are made to
    /// it, and it is all that clients get who recover in cache mode. `max` bounds it.
    pub(super) fn new(keeps_latest: bool, max: ByteSize) -> Self {
        Self { keeps_latest, bytes_max: max.bytes(), ..Self::default() }
    }

    pub(super) fn latest(&self) -> Option<&Arc<Retained>> {
        self.publications.back()
    }

    /// Adds the next publication; whatever does not follow the last one begins anew.
    pub(super) fn push(&mut self, publication: Arc<Retained>) {
        let follows = self.latest().is_none_or(|latest| offset(latest) + 1 == offset(&publication));
        if !follows {
            self.clear();
        }
        self.bytes += cost(&publication);
        self.publications.push_back(publication);
        self.shrink();
    }

    /// Adds what came before the first one here, or in an empty tail before what is next: `older` is in
    /// order, without gaps, and ends where this begins.
    pub(super) fn extend_back(&mut self, older: &[Arc<Retained>]) {
        for publication in older.iter().rev() {
            self.bytes += cost(publication);
            self.publications.push_front(Arc::clone(publication));
        }
        self.shrink();
    }

    /// The first offset here.
    pub(super) fn start(&self) -> Option<u64> {
        self.publications.front().map(offset)
    }

    /// Everything after an offset, if it is all here. `at` is where the node is.
    pub(super) fn since(&self, seen: u64, at: u64) -> Option<Vec<Arc<Retained>>> {
        if seen == at {
            return Some(Vec::new());
        }
        let start = self.start().filter(|start| *start <= seen + 1)?;
        let skip = usize::try_from(seen + 1 - start).ok()?;
        let rest: Vec<_> = self.publications.iter().skip(skip).cloned().collect();
        (rest.last().map(offset) == Some(at)).then_some(rest)
    }

    /// Keeps everything from now on, for a while.
    pub(super) fn warm(&mut self, now: Duration) {
        self.warm_until = Some(now + WARM);
    }

    /// Lets go of what nobody has asked for lately.
    pub(super) fn cool(&mut self, now: Duration) {
        if self.warm_until.is_some_and(|until| until <= now) {
            self.warm_until = None;
            self.shrink();
        }
    }

    pub(super) fn clear(&mut self) {
        self.publications = VecDeque::new();
        self.bytes = 0;
    }

    fn shrink(&mut self) {
        let least = usize::from(self.keeps_latest);
        while self.publications.len() > least && (self.warm_until.is_none() || self.bytes > self.bytes_max) {
            if let Some(oldest) = self.publications.pop_front() {
                self.bytes -= cost(&oldest);
            }
        }
        if self.publications.len() <= 1 {
            // A burst is over: its slots are not kept.
            self.publications.shrink_to(4);
        }
    }
}
