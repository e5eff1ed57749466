//! Those who carry what deliveries have put into outboxes to the sockets: a few tasks that take outboxes
//! from one list, so that a delivery wakes none of its subscribers' tasks, and what gathers in an outbox
//! until its turn goes out in one write.
//!
//! - **Bound:** the list names an outbox again only after it was flushed; what waits in outboxes has their bound. A pump that
//!   runs ahead is held ([`Writers::keep_up`]).
//! - **Fair:** what was said first is written first, but publications to a few take turns with those to many,
//!   a slice each, and do not wait for them.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Outbox;
use super::outbox::{SLOT, Taken};
use crate::model::ByteSize;
use crate::model::wire::Frame;

/// Outboxes written before other publications get their turn: about half a millisecond, if little waits in
/// each.
const SLICE: usize = 64;

/// Slices written before other tasks of the thread get their turn, which takes a look at all sockets and may
/// wake another thread: about eight milliseconds.
const STINT: usize = 16;

/// With so many outboxes waiting for each writer that is at work, one more joins it: a single one gathers
/// more in each outbox before it comes round again.
const BUSY: usize = 16 * SLICE;

/// The writers' list, and how they hear of it.
#[derive(Debug, Default)]
pub struct Writers {
    list: Mutex<Waiting>,
    more: Notify,
    caught_up: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Jobs of publications to a few: no more than a slice, however many of them had something waiting.
    short: VecDeque<Job>,
    /// All others.
    long: VecDeque<Job>,
    /// The last slice was of a long one.
    long_had_its_turn: bool,
    outboxes: usize,
    /// Writers at work.
    busy: usize,
    /// Jobs not done, of this generation and the one before.
    open: [usize; 2],
    generation: usize,
    /// Bytes that this generation has put into any one outbox, at most.
    bytes: usize,
    /// More deliveries are about to come: writers that rest need not be woken yet.
    held: bool,
}

/// What one delivery has put frames into.
#[derive(Debug)]
struct Job {
    outboxes: Vec<Outbox>,
    generation: usize,
}

/// Outboxes that one delivery has put frames into; they are written soon after this is dropped.
#[derive(Debug)]
pub(super) struct List<'a> {
    writers: &'a Writers,
    outboxes: Vec<Outbox>,
    /// Whom it may reach, those included in whose outboxes something waited already.
    audience: usize,
    /// What any one outbox got, at most.
    bytes: usize,
}

impl<'a> List<'a> {
    pub(super) fn new(writers: &'a Writers, audience: usize) -> Self {
        Self { writers, outboxes: Vec::new(), audience, bytes: 0 }
    }

    /// Puts a frame into an outbox; false if that is closed, or full and therefore closes now.
    pub(super) fn push(&mut self, outbox: &Outbox, frame: Frame) -> bool {
        self.note(frame.len() + SLOT);
        match outbox.push(frame) {
            Ok(Taken::Flush) => self.outboxes.push(outbox.clone()),
            Ok(Taken::Waits) => {}
            Err(_) => return false,
        }
        true
    }

    /// An outbox got so many bytes, all that it was told together.
    pub(super) fn note(&mut self, bytes: usize) {
        self.bytes = self.bytes.max(bytes);
    }
}

impl Drop for List<'_> {
    fn drop(&mut self) {
        if !self.outboxes.is_empty() || self.bytes > 0 {
            self.writers.submit(std::mem::take(&mut self.outboxes), self.audience, self.bytes);
        }
    }
}

impl Writers {
    fn submit(&self, outboxes: Vec<Outbox>, audience: usize, bytes: usize) {
        let mut list = self.list.lock();
        list.bytes += bytes;
        if outboxes.is_empty() {
            return;
        }
        let generation = list.generation;
        list.outboxes += outboxes.len();
        list.open[generation] += 1;
        let jobs = if audience <= SLICE { &mut list.short } else { &mut list.long };
        jobs.push_back(Job { outboxes, generation });
        let help = list.needs_help();
        drop(list);
        if help {
            self.more.notify_one();
        }
    }

    /// More deliveries come at once: they are written together. Until [`Writers::release`].
    pub fn hold(&self) {
        self.list.lock().held = true;
    }

    /// Lets writers go. What is little is written at once: waking somebody would cost more.
    pub fn release(&self) {
        let mut list = self.list.lock();
        list.held = false;
        if list.outboxes == 0 || list.busy > 0 || list.outboxes > SLICE {
            if list.needs_help() {
                self.more.notify_one();
            }
            return;
        }
        list.busy += 1;
        drop(list);
        // As many jobs as there were outboxes, at most.
        for _ in 0..SLICE {
            if !self.write_slice() {
                break;
            }
        }
        self.rest();
    }

    /// Writes until told to stop. Several may run.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.more.notified() => {}
            }
            self.list.lock().busy += 1;
            while (0..STINT).all(|_| self.write_slice()) {
                tokio::task::yield_now().await;
            }
            self.rest();
        }
    }

    /// Writes a slice; false if there was none.
    fn write_slice(&self) -> bool {
        let Some((slice, ended)) = self.take() else { return false };
        slice.iter().for_each(Outbox::flush);
        if let Some(generation) = ended {
            self.done(generation);
        }
        true
    }

    /// One that was at work rests. What came between its last look and this was left to it: somebody has to
    /// look again.
    fn rest(&self) {
        let mut list = self.list.lock();
        list.busy -= 1;
        if list.needs_help() {
            self.more.notify_one();
        }
    }

    /// The next slice; with its generation if it ends a job.
    fn take(&self) -> Option<(Vec<Outbox>, Option<usize>)> {
        let mut list = self.list.lock();
        let short_first = list.long_had_its_turn || list.long.is_empty();
        list.long_had_its_turn = !short_first || list.short.is_empty();
        let mut job = if list.long_had_its_turn { list.long.pop_front()? } else { list.short.pop_front()? };
        let slice = job.outboxes.split_off(job.outboxes.len().saturating_sub(SLICE));
        list.outboxes -= slice.len();
        let ended = job.outboxes.is_empty().then_some(job.generation);
        if ended.is_none() {
            list.long.push_front(job);
        }
        if list.needs_help() {
            self.more.notify_one();
        }
        Some((slice, ended))
    }

    fn done(&self, generation: usize) {
        let mut list = self.list.lock();
        list.open[generation] -= 1;
        if list.open[generation] == 0 {
            self.caught_up.notify_one();
        }
    }

    /// Waits while deliveries are ahead of the writers by more than `ahead` bytes in an outbox, the next one,
    /// of `next` bytes, included. For one task at a time: the pump.
    pub async fn keep_up(&self, ahead: ByteSize, next: usize) {
        while !self.has_room(ahead.bytes() / 2, next) {
            // Nobody else would let them go.
            self.release();
            self.caught_up.notified().await;
        }
    }

    /// Two generations are ahead at most: the one that grows, by `most` bytes, and the one before it. What is
    /// larger goes alone.
    fn has_room(&self, most: usize, next: usize) -> bool {
        let mut list = self.list.lock();
        if list.bytes + next < most {
            return true;
        }
        let (this, before) = (list.generation, 1 - list.generation);
        if list.open[before] > 0 || (next >= most && list.open[this] > 0) {
            return false;
        }
        list.generation = before;
        list.bytes = 0;
        true
    }
}

impl Waiting {
    /// Whether a writer that rests should get to work.
    fn needs_help(&self) -> bool {
        self.outboxes > self.busy * BUSY && !self.held
    }
}
