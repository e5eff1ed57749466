//! What waits for one connection: frames to write and orders to obey.
//!
//! - **Bound:** bytes (`client.queue_max_size`) for frames, [`DIRECTIVES_MAX`] for orders.
//! - **Full:** the outbox closes with 3008 (slow) for frames, 3011 (force reconnect) for orders. What
//!   waited is thrown away: the reader could not have kept up with it.
//! - **Metrics:** `fanfare_outbox_bytes` is the depth, `fanfare_outbox_dropped_total{reason}` the drops.
//!
//! Writers never block. There is one reader: the connection's own task.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use fanfare_proto::code::CloseCode;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::model::wire::Frame;
use crate::model::{ByteSize, Close, Directive};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::ReasonLabel;

/// Orders that may wait for one session. They come from people and backends, a few at a time.
pub const DIRECTIVES_MAX: usize = 256;

/// What a waiting frame costs besides its bytes: its slot in the queue.
const SLOT: usize = size_of::<Frame>();

/// The writers' end. Cloning gives another handle to the same outbox.
#[derive(Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
}

/// The reader's end: there is one.
pub struct OutboxReader {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    reader: AtomicWaker,
    limit: usize,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Frame>,
    /// Bytes of the frames that wait, slots included.
    bytes: usize,
    directives: VecDeque<Directive>,
    /// Frames wait for the one that must come first.
    corked: bool,
    /// The wheel says that some deadline has passed.
    tick: bool,
    /// No more frames are taken; the reader ends the connection.
    close: Option<Close>,
}

/// What the reader finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Signal {
    /// Frames were moved into the reader's batch.
    Frames,
    /// An order to obey.
    Directive(Directive),
    /// Some deadline of the session has passed.
    Tick,
    /// End the connection, with what [`OutboxReader::finish`] gives as last words. Told whenever asked.
    Close(Close),
}

/// The outbox has closed, now or before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

impl Outbox {
    /// A new outbox with its two ends, corked: nothing goes out before [`Outbox::uncork`].
    #[must_use]
    pub fn new(limit: ByteSize, metrics: Arc<Metrics>) -> (Self, OutboxReader) {
        let queue = Mutex::new(Queue { corked: true, ..Queue::default() });
        let shared = Arc::new(Shared { queue, reader: AtomicWaker::new(), limit: limit.bytes(), metrics });
        (Self { shared: Arc::clone(&shared) }, OutboxReader { shared })
    }

    /// Lets frames out, this one before those that came meanwhile.
    pub fn uncork(&self, first: Frame) {
        let mut queue = self.shared.queue.lock();
        if queue.close.is_none() {
            queue.bytes += first.len() + SLOT;
            queue.frames.push_front(first);
        }
        queue.corked = false;
        drop(queue);
        self.shared.reader.wake();
    }

    /// Adds a publication or another push.
    ///
    /// # Errors
    /// [`Refused`] when the outbox is closed, or is full and therefore closes now.
    pub fn push(&self, frame: Frame) -> Result<(), Refused> {
        // One frame alone always fits, however small the limit.
        self.put(frame, |waiting, cost, limit| waiting > 0 && waiting + cost > limit)
    }

    /// Adds an answer to a command. However large, it does not trip the limit by itself.
    ///
    /// # Errors
    /// As [`Outbox::push`].
    pub fn reply(&self, frame: Frame) -> Result<(), Refused> {
        self.put(frame, |waiting, _, limit| waiting > limit)
    }

    fn put(&self, frame: Frame, is_full: impl FnOnce(usize, usize, usize) -> bool) -> Result<(), Refused> {
        let cost = frame.len() + SLOT;
        let mut queue = self.shared.queue.lock();
        if queue.close.is_some() {
            return Err(Refused);
        }
        if is_full(queue.bytes, cost, self.shared.limit) {
            let dropped = queue.abandon(CloseCode::Slow.into()) + 1;
            drop(queue);
            self.shared.count_dropped("slow", dropped);
            self.shared.reader.wake();
            return Err(Refused);
        }
        // The reader looks again by itself while something waits: one wake-up for each batch.
        let wake = queue.frames.is_empty() && !queue.corked;
        queue.bytes += cost;
        queue.frames.push_back(frame);
        drop(queue);
        if wake {
            self.shared.reader.wake();
        }
        Ok(())
    }

    /// Gives the session an order.
    ///
    /// # Errors
    /// [`Refused`] when the outbox is closed, or orders pile up and it therefore closes now.
    pub fn direct(&self, directive: Directive) -> Result<(), Refused> {
        let mut queue = self.shared.queue.lock();
        if queue.close.is_some() {
            return Err(Refused);
        }
        let full = queue.directives.len() >= DIRECTIVES_MAX;
        if full {
            let dropped = queue.abandon(CloseCode::ForceReconnect.into()) + 1;
            drop(queue);
            self.shared.count_dropped("directives_full", dropped);
        } else {
            queue.directives.push_back(directive);
            drop(queue);
        }
        self.shared.reader.wake();
        if full { Err(Refused) } else { Ok(()) }
    }

    /// Ends the connection with what waits as its last words. The first reason stays.
    pub fn close(&self, close: Close) {
        let mut queue = self.shared.queue.lock();
        queue.close.get_or_insert(close);
        drop(queue);
        self.shared.reader.wake();
    }

    /// Bytes that wait.
    #[must_use]
    pub fn waiting(&self) -> ByteSize {
        ByteSize(self.shared.queue.lock().bytes)
    }

    /// A handle for the wheel that does not keep the outbox alive.
    #[must_use]
    pub fn alarm(&self) -> Alarm {
        Alarm { shared: Arc::downgrade(&self.shared) }
    }
}

/// Wakes a session at a deadline, if it still lives.
#[derive(Clone)]
pub struct Alarm {
    shared: Weak<Shared>,
}

impl Alarm {
    /// Makes the reader see [`Signal::Tick`].
    pub fn ring(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.queue.lock().tick = true;
            shared.reader.wake();
        }
    }
}

impl Queue {
    /// Closes at once; answers how many frames and orders will never be seen.
    fn abandon(&mut self, close: Close) -> u64 {
        let dropped = self.frames.len() + self.directives.len();
        self.frames = VecDeque::new();
        self.directives = VecDeque::new();
        self.bytes = 0;
        self.corked = false;
        self.close = Some(close);
        dropped as u64
    }
}

impl Shared {
    fn count_dropped(&self, reason: &'static str, count: u64) {
        self.metrics.outbox_dropped.get_or_create(&ReasonLabel { reason }).inc_by(count);
    }
}

impl OutboxReader {
    /// Looks what is there, most pressing first, and else registers for a wake-up. Frames are moved to
    /// the end of `batch`, whole ones, until they add up to `size`; with a size of 0 they stay where they
    /// are, because the socket takes no more. With `busy`, orders and ticks stay: the session is at work.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        batch: &mut VecDeque<Frame>,
        size: ByteSize,
        busy: bool,
    ) -> Poll<Signal> {
        // Registered before looking: a push in between wakes in vain rather than not at all.
        self.shared.reader.register(cx.waker());
        let mut queue = self.shared.queue.lock();
        if let Some(close) = &queue.close {
            return Poll::Ready(Signal::Close(close.clone()));
        }
        if size.bytes() > 0 && !queue.corked && !queue.frames.is_empty() {
            queue.take(batch, size.bytes());
            return Poll::Ready(Signal::Frames);
        }
        if busy {
            return Poll::Pending;
        }
        if let Some(directive) = queue.directives.pop_front() {
            return Poll::Ready(Signal::Directive(directive));
        }
        if std::mem::take(&mut queue.tick) { Poll::Ready(Signal::Tick) } else { Poll::Pending }
    }

    /// Closes the outbox, if it is open still, and takes what is left in it: last words.
    pub fn finish(&mut self, close: &Close, batch: &mut VecDeque<Frame>) {
        let mut queue = self.shared.queue.lock();
        queue.close.get_or_insert_with(|| close.clone());
        // What waits behind a cork waits for a first word that will never come.
        if !queue.corked {
            queue.take(batch, usize::MAX);
        }
    }
}

impl Queue {
    fn take(&mut self, batch: &mut VecDeque<Frame>, size: usize) {
        let mut taken = 0;
        while taken < size {
            let Some(frame) = self.frames.pop_front() else { break };
            taken += frame.len();
            self.bytes -= frame.len() + SLOT;
            batch.push_back(frame);
        }
        if self.frames.is_empty() {
            // An idle connection keeps no memory of its busiest moment.
            self.frames = VecDeque::new();
        }
    }
}

impl Drop for OutboxReader {
    fn drop(&mut self) {
        let mut queue = self.shared.queue.lock();
        let close = queue.close.take().unwrap_or_else(|| CloseCode::WriteError.into());
        let dropped = queue.abandon(close);
        drop(queue);
        if dropped > 0 {
            self.shared.count_dropped("gone", dropped);
        }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl fmt::Debug for OutboxReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxReader").finish_non_exhaustive()
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").finish_non_exhaustive()
    }
}
