//! What waits for one connection: frames to write and orders to obey.
//!
//! - **Bound:** bytes (`client.queue_max_size`) for frames, [`DIRECTIVES_MAX`] for orders.
//! - **Full:** the outbox closes with 3008 (slow) for frames, 3011 (force reconnect) for orders. What
//!   waited is thrown away: the reader could not have kept up with it.
//! - **Metrics:** `fanfare_outbox_bytes` is the depth, `fanfare_outbox_dropped_total{reason}` the drops.
//!
//! Who pushes never waits for a socket. Whoever comes to write ([`Outbox::flush`]: one of the hub's writers, or
//! the connection's own task) takes the way out and writes all that has gathered; who finds the way taken
//! leaves it to the other, who looks again before it ends. What a socket does not take waits for the
//! connection's own task, the one reader.

mod queue;
mod reader;

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Weak};

use fanfare_proto::code::CloseCode;
use futures_util::task::AtomicWaker;
use parking_lot::{Mutex, MutexGuard};

use super::Pipe;
use crate::model::wire::Frame;
use crate::model::{ByteSize, Close, Directive};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::ReasonLabel;

use queue::Queue;

pub(super) use queue::SLOT;
pub use reader::{OutboxReader, Signal};

/// Orders that may wait for one session. They come from people and backends, a few at a time.
pub const DIRECTIVES_MAX: usize = 256;

/// Writes to its own socket before a connection's task lets others have their turn.
const ROUNDS: usize = 16;

/// The same for those who write to many.
const ROUNDS_FOR_OTHERS: usize = 2;

thread_local! {
    /// Where a thread puts together what it writes next.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The pushers' end. Cloning gives another handle to the same outbox.
#[derive(Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    reader: AtomicWaker,
    limit: usize,
    metrics: Arc<Metrics>,
}

/// The outbox has closed, now or before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// The outbox took a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a frame that nobody writes is never seen"]
pub enum Taken {
    /// Whoever took this answer must see to it that the outbox is flushed soon.
    Flush,
    /// Somebody else will write it.
    Waits,
}

impl Outbox {
    /// A new outbox with its two ends, corked: nothing goes out by `pipe` before [`Outbox::uncork`].
    #[must_use]
    pub fn new(limit: ByteSize, pipe: Box<dyn Pipe>, metrics: Arc<Metrics>) -> (Self, OutboxReader) {
        let queue = Mutex::new(Queue { corked: true, pipe: Some(pipe), ..Queue::default() });
        let shared = Arc::new(Shared { queue, reader: AtomicWaker::new(), limit: limit.bytes(), metrics });
        (Self { shared: Arc::clone(&shared) }, OutboxReader { shared })
    }

    /// Lets frames out, this one before those that came meanwhile. For the connection's own task, as
    /// [`Outbox::reply`] is: it writes before it waits again.
    pub fn uncork(&self, first: Frame) {
        let mut queue = self.shared.queue.lock();
        if queue.close.is_none() {
            queue.bytes += first.len() + SLOT;
            queue.frames.push_front(first);
            queue.corked = false;
        }
    }

    /// Adds a publication or another push.
    ///
    /// # Errors
    /// [`Refused`] when the outbox is closed, or is full and therefore closes now.
    pub fn push(&self, frame: Frame) -> Result<Taken, Refused> {
        // One frame alone always fits, however small the limit.
        let mut queue = self.put(frame, |waiting, cost, limit| waiting > 0 && waiting + cost > limit)?;
        // Who writes looks again before it ends; who waits for the socket or the cork writes then.
        let flush = !queue.listed && queue.has_load();
        queue.listed |= flush;
        Ok(if flush { Taken::Flush } else { Taken::Waits })
    }

    /// Adds an answer to a command. However large, it does not trip the limit by itself. For the
    /// connection's own task, which writes before it waits again.
    ///
    /// # Errors
    /// As [`Outbox::push`].
    pub fn reply(&self, frame: Frame) -> Result<(), Refused> {
        self.put(frame, |waiting, _, limit| waiting > limit).map(|_| ())
    }

    fn put(
        &self,
        frame: Frame,
        is_full: impl FnOnce(usize, usize, usize) -> bool,
    ) -> Result<MutexGuard<'_, Queue>, Refused> {
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
        queue.append(frame);
        Ok(queue)
    }

    /// Writes what waits, as far as the socket takes it; what is much is left to the connection's own task.
    pub fn flush(&self) {
        self.shared.flush(ROUNDS_FOR_OTHERS);
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

impl Shared {
    fn flush(&self, most: usize) {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut queue = self.queue.lock();
            queue.listed = false;
            let mut rounds = 0;
            while rounds < most
                && let Some(load) = queue.load(scratch)
            {
                drop(queue);
                let written = load.write(scratch);
                queue = self.queue.lock();
                queue.settle(written, scratch);
                rounds += 1;
            }
            let more = queue.has_load();
            let heard = rounds > 0 && std::mem::take(&mut queue.awaited);
            // Only after a write of ours: the reader itself looks before it waits.
            let wake = rounds > 0 && (more || heard || queue.blocked || queue.broken);
            drop(queue);
            if wake {
                self.reader.wake();
            }
        });
    }

    fn count_dropped(&self, reason: &'static str, count: u64) {
        if count == 0 {
            return;
        }
        self.metrics.outbox_dropped.get_or_create(&ReasonLabel { reason }).inc_by(count);
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
