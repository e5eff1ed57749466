//! Where this node stands in a channel's stream: the seam between what is kept and what is live. Pure:
//! publications, gaps and pages of history go in, what is to be delivered comes out.
//!
//! A cursor moves by one publication at a time. What does not follow makes it **hold** the channel:
//! what comes waits, until a page of history has shown what is missing; then all of it is delivered in
//! order. Where the stream no longer has it, or has become another one, the positioned subscribers are
//! **expelled**: they come back, and are told what became of their recovery.
//!
//! Everything about one cursor happens under its lock, deliveries and joins included: a subscriber that
//! joins at a position gets everything after it, and nothing twice.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::tail::Tail;
use crate::broker::{HistoryPage, Previous};
use crate::model::command::Since;
use crate::model::event::Recovery;
use crate::model::{ByteSize, Position, Retained};

/// Publications of one channel that may wait for history. More are thrown away and read from it.
const WAITING_MAX: usize = 1024;

/// Bytes of them.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// About what a wire adds to each publication: names, offset, time.
const WRITTEN: usize = 32;

/// A node's place in one channel's stream.
#[derive(Debug)]
pub(super) struct Cursor {
    state: State,
    tail: Tail,
    /// The epoch before the present one; none if that is not known yet.
    lineage: Option<Option<Previous>>,
    /// Nothing up to this offset can be read any more: it has expired or was evicted.
    floor: u64,
    /// The highest top that a page has shown in the present epoch.
    top_seen: u64,
    /// The epoch that was left: what still comes of it is late.
    left: Option<Arc<str>>,
    /// When something last showed that the position is right, by the clock of deadlines.
    proven: Duration,
}

#[derive(Debug)]
enum State {
    /// The stream has not been read yet.
    Opening { waiting: Waiting },
    /// Everything up to here was delivered.
    Live { at: Position },
    /// Everything up to here was, and something may be missing after it.
    Held { at: Position, waiting: Waiting },
}

/// What has come while the channel is held, in order.
#[derive(Debug, Default)]
struct Waiting {
    publications: VecDeque<Arc<Retained>>,
    bytes: usize,
    /// More may be missing than the page that is being read can show.
    again: bool,
    /// So many of them, the first ones, had come before the page was read: it knows better.
    known: usize,
}

/// What becomes of a publication that has come.
#[derive(Debug)]
pub(super) enum Arrival {
    /// It is next: deliver it. `before` is the one before it, if it is kept.
    Deliver {
        /// To which patches may be made.
        before: Option<Arc<Retained>>,
    },
    /// The stream goes on under another epoch: expel the positioned, then deliver it to the others.
    Turn,
    /// It was delivered before, or is of an epoch that was left.
    Late,
    /// It waits.
    Wait,
    /// It waits, and somebody must read what is missing.
    Heal,
}

/// What a page of history has brought.
#[derive(Debug, Default)]
pub(super) struct Healed {
    /// The positioned must be expelled, before anything is delivered: what they miss is lost here.
    pub(super) lost: bool,
    /// To be delivered now, in order.
    pub(super) deliver: Vec<Arc<Retained>>,
    /// Another page must be read.
    pub(super) again: bool,
}

/// How a subscriber would join.
#[derive(Debug)]
pub(super) enum Join {
    /// The stream has to be read first ([`Cursor::open`]).
    NotOpen,
    /// A page of history after this offset is needed ([`Cursor::learn`]).
    Read {
        /// The last offset that is not needed.
        since: u64,
    },
    /// Like this.
    At(Entrance),
}

/// Where and with what a subscriber joins.
#[derive(Clone, Debug)]
pub(super) struct Entrance {
    /// The node's position: what comes after it is delivered live.
    pub(super) at: Position,
    /// What the client has seen before it takes what it recovers; in the present epoch.
    pub(super) position: Position,
    /// What became of its wish to recover.
    pub(super) recovery: Option<Recovery>,
    /// The client has seen this much, more than the node has delivered; else 0.
    pub(super) ahead: u64,
}

/// What a recovery may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Publications.
    pub(super) count: usize,
    /// All of them together.
    pub(super) size: ByteSize,
}

/// What a client that recovers wants.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wish<'a> {
    /// Nothing: it begins here.
    Nothing,
    /// Everything since.
    Everything(&'a Since),
    /// The latest publication, unless it has it.
    Latest(&'a Since),
}

impl Cursor {
    /// A cursor in a stream that has not been read. Arguments: see [`Tail::new`].
    pub(super) fn new(keeps_latest: bool, tail_max: ByteSize) -> Self {
        Self {
            state: State::Opening { waiting: Waiting::default() },
            tail: Tail::new(keeps_latest, tail_max),
            lineage: None,
            floor: 0,
            top_seen: 0,
            left: None,
            proven: Duration::ZERO,
        }
    }

    /// Where everything up to was delivered; none before the stream was read.
    pub(super) fn at(&self) -> Option<&Position> {
        match &self.state {
            State::Opening { .. } => None,
            State::Live { at } | State::Held { at, .. } => Some(at),
        }
    }

    /// Whether something may be missing and somebody must read.
    pub(super) fn is_held(&self) -> bool {
        matches!(self.state, State::Held { .. })
    }

    /// A publication has come from the broker.
    pub(super) fn arrive(&mut self, publication: &Arc<Retained>, now: Duration) -> Arrival {
        let position = publication.position();
        if self.left.as_deref() == Some(&*position.epoch) {
            return Arrival::Late;
        }
        match &mut self.state {
            State::Opening { waiting } => {
                waiting.push(publication);
                Arrival::Wait
            }
            State::Held { at, .. } if at.epoch == position.epoch && position.offset <= at.offset => Arrival::Late,
            State::Held { waiting, .. } => {
                waiting.push(publication);
                Arrival::Wait
            }
            State::Live { at } if at.epoch != position.epoch => {
                self.turn(position.clone());
                self.tail.push(Arc::clone(publication));
                self.proven = now;
                Arrival::Turn
            }
            State::Live { at } if position.offset <= at.offset => Arrival::Late,
            State::Live { at } if position.offset == at.offset + 1 => {
                at.offset = position.offset;
                let before = self.tail.latest().cloned();
                self.tail.push(Arc::clone(publication));
                self.proven = now;
                Arrival::Deliver { before }
            }
            State::Live { .. } => {
                self.hold();
                if let State::Held { waiting, .. } = &mut self.state {
                    waiting.push(publication);
                }
                Arrival::Heal
            }
        }
    }

    /// Something may be missing after the present position; true if somebody must begin to read.
    pub(super) fn gap(&mut self) -> bool {
        match &mut self.state {
            State::Opening { waiting } | State::Held { waiting, .. } => {
                waiting.again = true;
                false
            }
            State::Live { .. } => {
                self.hold();
                true
            }
        }
    }

    /// The offset after which a held channel's history must be read now; none if it is not held. What is
    /// found missing before this call is in the page that is read after it. One reads at a time.
    pub(super) fn begin_read(&mut self) -> Option<u64> {
        match &mut self.state {
            State::Held { at, waiting } => {
                waiting.again = false;
                waiting.known = waiting.publications.len();
                Some(at.offset)
            }
            State::Opening { .. } | State::Live { .. } => None,
        }
    }

    /// The stream as it was read after the broker had confirmed the channel: the cursor begins at its
    /// top. The page need not hold anything.
    pub(super) fn open(&mut self, page: &HistoryPage, since: u64, now: Duration) -> Healed {
        let State::Opening { waiting } = &mut self.state else { return Healed::default() };
        let waiting = std::mem::take(waiting);
        self.turn(page.stream.top.clone());
        self.left = None;
        self.proven = now;
        if !page.publications.is_empty() {
            // Somebody needs them, and will ask next.
            self.tail.warm(now);
        }
        self.learn(page, since);
        self.resume(waiting, &page.stream.top, Healed::default())
    }

    /// A page that was read after [`Cursor::begin_read`] said so, forward from there.
    pub(super) fn heal(&mut self, page: &HistoryPage, now: Duration) -> Healed {
        let State::Held { at, waiting } = &mut self.state else { return Healed::default() };
        let (at, waiting) = (at.clone(), std::mem::take(waiting));
        let top = &page.stream.top;
        self.proven = now;
        let same = top.epoch == at.epoch && top.offset >= at.offset;
        let missing = if same { follow(at.offset, &page.publications) } else { &[] };
        let end = at.offset + missing.len() as u64;
        // All of the page must follow, and there must be something where something is missing.
        let whole = missing.len() == page.publications.len() && (end == top.offset || !missing.is_empty());
        if !same || !whole {
            return self.lose(page, waiting);
        }
        self.lineage = Some(page.stream.previous.clone());
        self.top_seen = self.top_seen.max(top.offset);
        for publication in missing {
            self.tail.push(Arc::clone(publication));
        }
        self.state = State::Live { at: Position { offset: end, epoch: at.epoch } };
        let healed = Healed { lost: false, deliver: missing.to_vec(), again: end < top.offset };
        self.resume(waiting, top, healed)
    }

    /// The stream does not have what is missing: the cursor goes on at its top.
    fn lose(&mut self, page: &HistoryPage, waiting: Waiting) -> Healed {
        self.turn(page.stream.top.clone());
        self.lineage = Some(page.stream.previous.clone());
        self.resume(waiting, &page.stream.top, Healed { lost: true, ..Healed::default() })
    }

    /// After a page: what waited and follows goes on; if there is a hole, another page is needed. What had
    /// come before the page was read and is not of the stream that it shows never will be.
    fn resume(&mut self, waiting: Waiting, top: &Position, mut healed: Healed) -> Healed {
        let mut again = healed.again || waiting.again;
        let mut rest = Waiting::default();
        for (index, publication) in waiting.publications.into_iter().enumerate() {
            let Some(at) = self.at().cloned() else { break };
            let position = publication.position();
            let stale = index < waiting.known && (position.epoch != top.epoch || position.offset > top.offset);
            if stale || self.left.as_deref() == Some(&*position.epoch) {
                continue;
            }
            let follows = position.epoch == at.epoch && position.offset == at.offset + 1;
            if !again && follows {
                if let State::Live { at } = &mut self.state {
                    at.offset = position.offset;
                }
                self.tail.push(Arc::clone(&publication));
                healed.deliver.push(publication);
            } else if position.epoch != at.epoch || position.offset > at.offset {
                // Kept, also if the page was cut: then it is the next page's business.
                again = true;
                rest.push(&publication);
            }
        }
        if again && let State::Live { at } = &self.state {
            rest.again = true;
            self.state = State::Held { at: at.clone(), waiting: rest };
        }
        healed.again = again;
        healed
    }

    /// How a subscriber would join now. `fresh` if a page was just learned on its behalf: what that did
    /// not bring is not there.
    pub(super) fn join(&mut self, wish: Wish<'_>, bounds: Bounds, fresh: bool, now: Duration) -> Join {
        let Some(at) = self.at().cloned() else { return Join::NotOpen };
        let (since, latest) = match wish {
            Wish::Nothing => {
                return Join::At(Entrance { position: at.clone(), at, recovery: None, ahead: 0 });
            }
            Wish::Everything(since) => (since, false),
            Wish::Latest(since) => (since, true),
        };
        self.tail.warm(now);
        let lost = Join::At(Entrance {
            position: at.clone(),
            at: at.clone(),
            recovery: Some(Recovery::Unrecovered),
            ahead: 0,
        });
        if latest {
            return self.join_latest(at, since, fresh).unwrap_or(lost);
        }
        let comparable = match &self.lineage {
            _ if since.epoch.is_empty() || since.epoch == at.epoch => true,
            Some(Some(previous)) if previous.epoch == since.epoch => since.offset <= previous.top,
            Some(_) => false,
            None if fresh => false,
            None => return Join::Read { since: at.offset },
        };
        if !comparable {
            return lost;
        }
        let seen = Position { offset: since.offset, epoch: Arc::clone(&at.epoch) };
        let recovered = |publications, ahead| {
            let recovery = Some(Recovery::Recovered(publications));
            Join::At(Entrance { at: at.clone(), position: seen.clone(), recovery, ahead })
        };
        if since.offset > at.offset {
            // It has seen more on another node than has arrived here; or so it says.
            return match since.offset <= self.top_seen {
                true => recovered(Vec::new(), since.offset),
                false if fresh => lost,
                false => Join::Read { since: at.offset },
            };
        }
        if since.offset < self.floor || at.offset - since.offset > bounds.count as u64 {
            return lost;
        }
        match self.tail.since(since.offset, at.offset) {
            Some(missed) if fits(&missed, bounds.size) => recovered(missed, 0),
            Some(_) => lost,
            None if fresh => lost,
            None => Join::Read { since: since.offset },
        }
    }

    /// None if there is no latest publication.
    fn join_latest(&self, at: Position, since: &Since, fresh: bool) -> Option<Join> {
        if at.offset == 0 || self.floor >= at.offset {
            return None;
        }
        let before = Position { offset: at.offset - 1, epoch: Arc::clone(&at.epoch) };
        if since.offset == at.offset && since.epoch == at.epoch {
            let recovery = Some(Recovery::Recovered(Vec::new()));
            return Some(Join::At(Entrance { position: at.clone(), at, recovery, ahead: 0 }));
        }
        match self.tail.since(before.offset, at.offset) {
            Some(latest) => {
                let recovery = Some(Recovery::Recovered(latest));
                Some(Join::At(Entrance { position: before, at, recovery, ahead: 0 }))
            }
            None if fresh => None,
            None => Some(Join::Read { since: before.offset }),
        }
    }

    /// A publisher on this node was answered with this position: it is about to arrive.
    pub(super) fn expect(&mut self, position: &Position) {
        if self.at().is_some_and(|at| at.epoch == position.epoch) {
            self.top_seen = self.top_seen.max(position.offset);
        }
    }

    /// Whether something is known to be there that has not arrived here.
    pub(super) fn is_behind(&self) -> bool {
        self.at().is_some_and(|at| at.offset < self.top_seen)
    }

    /// Takes over a page that was read forward from `since` for somebody who joins. False if it is not of
    /// the stream that this cursor follows: then there is a gap.
    pub(super) fn learn(&mut self, page: &HistoryPage, since: u64) -> bool {
        let Some(at) = self.at().cloned() else { return true };
        let top = &page.stream.top;
        if top.epoch != at.epoch {
            return false;
        }
        self.lineage = Some(page.stream.previous.clone());
        self.top_seen = self.top_seen.max(top.offset);
        let first = page.publications.first().map_or(top.offset + 1, |first| first.position().offset);
        if since < at.offset && first > since + 1 {
            // `since` itself is the last thing that can be asked for without loss if the next is there.
            self.floor = self.floor.max((first - 1).min(at.offset));
        }
        let known: Vec<_> = page.publications.iter().filter(|p| p.position().offset <= at.offset).cloned().collect();
        // Without gaps up to the node's position, or up to what is kept already.
        let end = self.tail.start().map_or(at.offset, |start| start - 1);
        let older: Vec<_> = known.into_iter().filter(|p| p.position().offset <= end).collect();
        let follows = older.windows(2).all(|pair| pair[0].position().offset + 1 == pair[1].position().offset);
        if follows && older.last().is_some_and(|last| last.position().offset == end) {
            self.tail.extend_back(&older);
        }
        true
    }

    /// What has come since a client's entrance was made: it gets that besides. None if it is not kept, or
    /// the stream is another one: make the entrance anew.
    pub(super) fn catch_up(&self, from: &Position) -> Option<Vec<Arc<Retained>>> {
        let at = self.at().filter(|at| at.epoch == from.epoch && at.offset >= from.offset)?;
        self.tail.since(from.offset, at.offset)
    }

    /// Where the stream is said to stand by a check that began when this cursor was at `was`; true if
    /// somebody must begin to read.
    pub(super) fn compare(&mut self, was: &Position, top: Option<&Position>, now: Duration) -> bool {
        let State::Live { at } = &self.state else { return false };
        if at != was {
            // Something has come since: that is proof enough.
            return false;
        }
        // A stream in which nothing was ever said may expire: nothing is lost with it.
        if top == Some(was) || (top.is_none() && was.offset == 0) {
            self.proven = now;
            return false;
        }
        self.gap()
    }

    /// The position, if nothing has proven it for as long as `age`.
    pub(super) fn unproven(&self, age: Duration, now: Duration) -> Option<Position> {
        match &self.state {
            State::Live { at } if now.saturating_sub(self.proven) >= age => Some(at.clone()),
            _ => None,
        }
    }

    /// Lets go of what is kept for recoveries that have ended.
    pub(super) fn cool(&mut self, now: Duration) {
        self.tail.cool(now);
    }

    fn hold(&mut self) {
        if let State::Live { at } = &self.state {
            self.state = State::Held { at: at.clone(), waiting: Waiting::default() };
        }
    }

    /// Goes on elsewhere: another epoch, or a place that does not follow.
    fn turn(&mut self, to: Position) {
        if let Some(at) = self.at()
            && at.epoch != to.epoch
        {
            self.left = Some(Arc::clone(&at.epoch));
        }
        self.tail.clear();
        self.lineage = None;
        self.floor = 0;
        self.top_seen = to.offset;
        self.state = State::Live { at: to };
    }
}

/// As many of a page's publications as follow an offset without gaps.
fn follow(after: u64, publications: &[Arc<Retained>]) -> &[Arc<Retained>] {
    let run = publications.iter().zip(after + 1..).take_while(|(each, offset)| each.position().offset == *offset);
    &publications[..run.count()]
}

fn fits(publications: &[Arc<Retained>], size: ByteSize) -> bool {
    publications.iter().map(|publication| publication.size() + WRITTEN).sum::<usize>() <= size.bytes()
}

impl Waiting {
    fn push(&mut self, publication: &Arc<Retained>) {
        if self.publications.len() >= WAITING_MAX || self.bytes >= WAITING_BYTES_MAX {
            // History has them; the next page will bring them.
            *self = Self { again: true, ..Self::default() };
        }
        self.bytes += publication.size();
        self.publications.push_back(Arc::clone(publication));
    }
}

#[cfg(test)]
mod tests;
