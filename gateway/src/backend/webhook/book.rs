//! What this node has seen of one shard and what of it stands in the log. Clients' sessions change the book at once and
//! wait for nobody; the [`super::keeper`] takes what differs, has it noted, and settles it here.
//!
//! What nodes hold is never lost here: a thing is named at most once among those that differ, so that is bounded by who
//! is on this node. Single events wait in a queue; when it is full the new one is lost, and counted.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::log::{Note, Thing};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::ReasonLabel;

/// Single events of a shard that may wait: some megabytes.
const QUEUE_MAX: usize = 8192;

/// The book of one shard.
#[derive(Debug)]
pub(super) struct Book {
    state: Mutex<State>,
    changed: Notify,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct State {
    things: HashMap<Thing, Entry, RandomState>,
    differing: VecDeque<Thing>,
    queue: VecDeque<Note>,
    /// Counts batches.
    calls: u64,
}

#[derive(Debug)]
struct Entry {
    /// Subscriptions of this node.
    count: u64,
    stands: Stands,
    /// It is among those that differ.
    named: bool,
}

/// What is known of a thing in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Nothing,
    Held,
    /// Something is on its way, or was.
    Unsure,
}

/// Notes that are made together.
#[derive(Debug)]
pub(super) struct Batch {
    /// Counts them, from 1.
    pub(super) call: u64,
    /// What was seen.
    pub(super) notes: Vec<Note>,
}

impl Book {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { state: Mutex::default(), changed: Notify::new(), metrics }
    }

    /// A subscription of this node more.
    pub(super) fn enter(&self, thing: Thing) {
        let mut state = self.state.lock();
        let entry =
            state.things.entry(thing.clone()).or_insert(Entry { count: 0, stands: Stands::Nothing, named: false });
        entry.count += 1;
        if entry.count == 1 {
            self.name(&mut state, thing);
        }
    }

    /// One less.
    pub(super) fn leave(&self, thing: Thing) {
        let mut state = self.state.lock();
        let Some(entry) = state.things.get_mut(&thing) else { return };
        entry.count = entry.count.saturating_sub(1);
        if entry.count == 0 {
            self.name(&mut state, thing);
        }
    }

    /// Something happened once.
    pub(super) fn tell(&self, note: Note) {
        let mut state = self.state.lock();
        if state.queue.len() >= QUEUE_MAX {
            self.metrics.webhook_lost.get_or_create(&ReasonLabel { reason: "queue_full" }).inc();
            return;
        }
        state.queue.push_back(note);
        self.metrics.webhook_queued.inc();
        self.changed.notify_one();
    }

    fn name(&self, state: &mut State, thing: Thing) {
        let Some(entry) = state.things.get_mut(&thing) else { return };
        if !std::mem::replace(&mut entry.named, true) {
            state.differing.push_back(thing);
            self.metrics.webhook_queued.inc();
            self.changed.notify_one();
        }
    }

    /// Waits until there is something to note. Cancel-safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether nothing is to be noted.
    pub(super) fn is_even(&self) -> bool {
        let state = self.state.lock();
        state.differing.is_empty() && state.queue.is_empty()
    }

    /// The next notes, at most about so many: who came, then what happened, then who left, so that a channel is told to
    /// be occupied before what happens on it.
    pub(super) fn take(&self, most: usize) -> Batch {
        let mut state = self.state.lock();
        let (mut notes, mut releases) = (Vec::new(), Vec::new());
        let mut looked = 0;
        while notes.len() + releases.len() < most
            && let Some(thing) = state.differing.pop_front()
        {
            looked += 1;
            let Some(entry) = state.things.get_mut(&thing) else { continue };
            entry.named = false;
            let stood = std::mem::replace(&mut entry.stands, Stands::Unsure);
            match (entry.count > 0, stood) {
                (true, Stands::Held) => entry.stands = Stands::Held,
                (false, Stands::Nothing) => {
                    state.things.remove(&thing);
                }
                (true, Stands::Nothing | Stands::Unsure) => notes.push(Note::Hold(thing)),
                (false, Stands::Held | Stands::Unsure) => releases.push(Note::Release(thing)),
            }
        }
        let room = most.saturating_sub(notes.len() + releases.len()).min(state.queue.len());
        notes.extend(state.queue.drain(..room));
        notes.append(&mut releases);
        self.metrics.webhook_queued.dec_by(i64::try_from(looked + room).unwrap_or(i64::MAX));
        state.calls += 1;
        Batch { call: state.calls, notes }
    }

    /// A batch was noted.
    pub(super) fn settle(&self, batch: Batch) {
        let mut state = self.state.lock();
        for note in batch.notes {
            let (thing, stands) = match note {
                Note::Hold(thing) => (thing, Stands::Held),
                Note::Release(thing) => (thing, Stands::Nothing),
                Note::Tell(_) | Note::Once(_) => continue,
            };
            let Some(entry) = state.things.get_mut(&thing) else { continue };
            entry.stands = stands;
            if entry.count == 0 && !entry.named && stands == Stands::Nothing {
                state.things.remove(&thing);
            }
        }
    }

    /// A batch was not noted: it is to be taken again. Nothing of a thing is lost if it was noted after all.
    pub(super) fn put_back(&self, batch: Batch) {
        let mut state = self.state.lock();
        for note in batch.notes.into_iter().rev() {
            match note {
                Note::Hold(thing) | Note::Release(thing) => self.name(&mut state, thing),
                told @ (Note::Tell(_) | Note::Once(_)) => {
                    state.queue.push_front(told);
                    self.metrics.webhook_queued.inc();
                }
            }
        }
    }

    /// Nobody knows what stands in the log: everything is noted anew.
    pub(super) fn doubt_all(&self) {
        let mut state = self.state.lock();
        let mut doubted = Vec::new();
        for (thing, entry) in &mut state.things {
            if entry.stands == Stands::Held {
                entry.stands = Stands::Unsure;
            }
            doubted.push(thing.clone());
        }
        for thing in doubted {
            self.name(&mut state, thing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ChannelName, UserId};

    fn thing(name: &str) -> Thing {
        Thing { channel: ChannelName::parse(name).unwrap(), user: UserId::default() }
    }

    fn book() -> Book {
        Book::new(Arc::new(Metrics::new()))
    }

    fn taken(book: &Book) -> Vec<Note> {
        book.take(100).notes
    }

    #[test]
    fn only_the_first_and_the_last_of_a_thing_are_noted() {
        let book = book();
        book.enter(thing("a"));
        book.enter(thing("a"));
        let batch = book.take(100);
        assert_eq!(batch.notes, [Note::Hold(thing("a"))]);
        book.settle(batch);
        book.leave(thing("a"));
        assert_eq!(taken(&book), []);
        book.leave(thing("a"));
        let batch = book.take(100);
        assert_eq!(batch.notes, [Note::Release(thing("a"))]);
        book.settle(batch);
        assert!(book.is_even() && book.state.lock().things.is_empty());
    }

    #[test]
    fn who_comes_and_goes_before_it_is_noted_leaves_nothing() {
        let book = book();
        book.enter(thing("a"));
        book.leave(thing("a"));
        assert_eq!(taken(&book), []);
        assert!(book.state.lock().things.is_empty());
        assert_eq!(book.metrics.webhook_queued.get(), 0);
    }

    #[test]
    fn what_changes_while_it_is_noted_is_noted_again() {
        let book = book();
        book.enter(thing("a"));
        let batch = book.take(100);
        book.leave(thing("a"));
        book.settle(batch);
        assert_eq!(taken(&book), [Note::Release(thing("a"))]);
        // Never settled: nobody knows whether it was carried out.
        book.enter(thing("a"));
        assert_eq!(taken(&book), [Note::Hold(thing("a"))]);
    }

    #[test]
    fn doubt_names_everything_once() {
        let book = book();
        book.enter(thing("a"));
        book.enter(thing("b"));
        let batch = book.take(100);
        book.settle(batch);
        book.leave(thing("b"));
        book.doubt_all();
        let mut notes = taken(&book);
        notes.sort_by_key(|note| matches!(note, Note::Release(_)));
        assert_eq!(notes, [Note::Hold(thing("a")), Note::Release(thing("b"))]);
    }

    #[test]
    fn a_full_queue_loses_what_is_new_and_counts_it() {
        let book = book();
        let told = super::super::log::Told {
            name: fanfare_proto::hook::event::Name::ClientConnected,
            time_ms: 0,
            channel: None,
            user: UserId::default(),
            client: String::new(),
        };
        for _ in 0..QUEUE_MAX + 3 {
            book.tell(Note::Tell(told.clone()));
        }
        let lost = book.metrics.webhook_lost.get_or_create(&ReasonLabel { reason: "queue_full" }).get();
        assert_eq!(lost, 3);
        let batch = book.take(usize::MAX);
        assert_eq!(batch.notes.len(), QUEUE_MAX);
        book.put_back(batch);
        assert_eq!(book.take(10).notes.len(), 10);
    }
}
