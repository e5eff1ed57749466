//! The reader's end of an outbox: the connection's own task.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use fanfare_proto::code::CloseCode;

use super::{ROUNDS, Shared};
use crate::model::{Close, Directive};

/// The reader's end: there is one. Dropping it ends the connection's way out.
pub struct OutboxReader {
    pub(super) shared: Arc<Shared>,
}

/// What the reader finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Signal {
    /// An order to obey.
    Directive(Directive),
    /// Some deadline of the session has passed.
    Tick,
    /// End the connection; [`OutboxReader::finish`] lets out what waits as last words. Told whenever asked.
    Close(Close),
    /// The other end is gone.
    Gone,
}

impl OutboxReader {
    /// Writes what waits, looks what else there is, most pressing first, and else registers for a wake-up.
    /// With `busy`, orders and ticks stay: the session is at work.
    pub fn poll(&mut self, cx: &mut Context<'_>, busy: bool) -> Poll<Signal> {
        // Registered before looking: a push in between wakes in vain rather than not at all.
        self.shared.reader.register(cx.waker());
        if let Some(close) = &self.shared.queue.lock().close {
            return Poll::Ready(Signal::Close(close.clone()));
        }
        self.poll_write(cx);
        let mut queue = self.shared.queue.lock();
        if queue.broken {
            return Poll::Ready(Signal::Gone);
        }
        if busy {
            return Poll::Pending;
        }
        if let Some(directive) = queue.directives.pop_front() {
            return Poll::Ready(Signal::Directive(directive));
        }
        if std::mem::take(&mut queue.tick) { Poll::Ready(Signal::Tick) } else { Poll::Pending }
    }

    /// Sends a word of the transport's own, a pong say, before all frames. There is one at a time: wait
    /// for [`OutboxReader::poll_control`] before the next.
    pub fn control(&mut self, word: Bytes) {
        self.shared.queue.lock().control = Some(Box::new(word));
    }

    /// Ready when all that waited has been written, or nothing can be written any more.
    pub fn poll_clear(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.reader.register(cx.waker());
        self.poll_write(cx);
        let mut queue = self.shared.queue.lock();
        if queue.is_clear() || queue.broken {
            return Poll::Ready(());
        }
        queue.awaited = true;
        Poll::Pending
    }

    /// Ready when no word of the transport's own waits any more.
    pub fn poll_control(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_write(cx);
        let mut queue = self.shared.queue.lock();
        if (queue.control.is_none() && queue.pipe.is_some()) || queue.broken {
            return Poll::Ready(());
        }
        queue.awaited = true;
        Poll::Pending
    }

    /// Closes the outbox, if it is open still: what is left in it are last words.
    pub fn finish(&mut self, close: &Close) {
        let mut queue = self.shared.queue.lock();
        queue.close.get_or_insert_with(|| close.clone());
        // What waits behind a cork waits for a first word that will never come.
        let dropped = if queue.corked { queue.drop_waiting() } else { 0 };
        drop(queue);
        self.shared.count_dropped("gone", dropped);
    }

    /// Throws last words away that nobody takes: what is half out stays.
    pub fn give_up(&mut self) {
        let dropped = self.shared.queue.lock().drop_waiting();
        self.shared.count_dropped("gone", dropped);
    }

    fn poll_write(&self, cx: &mut Context<'_>) {
        let mut queue = self.shared.queue.lock();
        if queue.poll_unblock(cx).is_pending() {
            return;
        }
        if queue.has_load() {
            drop(queue);
            self.shared.flush(ROUNDS);
            queue = self.shared.queue.lock();
            if queue.blocked && queue.poll_unblock(cx).is_ready() {
                // It was writable again at once: the next turn writes.
                cx.waker().wake_by_ref();
            }
        }
    }

    /// Drops the way out: the other end reads no further. What waits is thrown away.
    pub fn hang_up(&mut self) {
        let mut queue = self.shared.queue.lock();
        let close = queue.close.take().unwrap_or_else(|| CloseCode::WriteError.into());
        let dropped = queue.abandon(close);
        queue.retire();
        drop(queue);
        self.shared.count_dropped("gone", dropped);
    }
}

impl Drop for OutboxReader {
    fn drop(&mut self) {
        self.hang_up();
    }
}
