//! The one loop: what the outbox holds goes out, what the link brings comes in. One task, no timer.
//!
//! Writing goes before reading, and goes on while a command waits for the broker. What has gathered is
//! fed whole and flushed once. A client that does not read stops nobody but itself: its outbox fills,
//! closes, and the loop ends.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use fanfare_proto::code::CloseCode;

use super::{Conversation, Gone, Link, Received};
use crate::hub::{OutboxReader, Signal};
use crate::model::wire::Frame;
use crate::model::{ByteSize, Close, Directive};
use crate::session::Flow;

/// How long the other end may take to hear a goodbye, last words and close together.
const GOODBYE: Duration = Duration::from_secs(5);

/// The same for one that is cut off because it does not read.
const GOODBYE_SLOW: Duration = Duration::from_secs(1);

/// Why the loop ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// We closed the link.
    Closed(Close),
    /// The other end left.
    Gone,
}

/// Runs a conversation over a link until one side ends it. `batch` is how much is taken from the outbox
/// at once: about the link's write buffer.
pub async fn drive<L: Link>(link: L, mut talk: impl Conversation, reader: OutboxReader, batch: ByteSize) -> Ended {
    let mut out = Out { link, reader, batch: VecDeque::new(), size: batch, dirty: false, put_off: None };
    let ended = loop {
        let flow = match poll_fn(|cx| out.poll_turn(cx, false)).await {
            // Boxed: most connections are idle, and an idle one should not keep room for a command.
            Turn::Message(message) => Box::pin(out.attend(talk.receive(message))).await,
            Turn::Directive(directive) => Box::pin(out.attend(talk.obey(directive))).await,
            Turn::Tick => Ok(talk.tick()),
            Turn::Ended(ended) => Err(ended),
        };
        match flow {
            Ok(Flow::Continue) => {}
            Ok(Flow::Close(close)) => break Ended::Closed(close),
            Err(ended) => break ended,
        }
    };
    // Leaves its channels before the goodbye, which may take seconds.
    drop(talk);
    if let Ended::Closed(close) = &ended {
        Box::pin(out.goodbye(close.clone())).await;
    }
    ended
}

struct Out<L> {
    link: L,
    reader: OutboxReader,
    /// Taken from the outbox, not yet in the link's buffer.
    batch: VecDeque<Frame>,
    size: ByteSize,
    /// The link's buffer holds something.
    dirty: bool,
    /// A tick waits; so many messages have gone before it.
    put_off: Option<usize>,
}

/// Messages that may go before a tick. What came while the session was at work counts as come in time:
/// a pong that nobody had looked at yet, above all.
const BEFORE_TICK: usize = 256;

enum Turn {
    Message(Frame),
    Directive(Directive),
    Tick,
    Ended(Ended),
}

impl<L: Link> Out<L> {
    /// Writes while the conversation is at work on something.
    async fn attend(&mut self, work: impl Future<Output = Flow>) -> Result<Flow, Ended> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(flow) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(flow));
            }
            match self.poll_turn(cx, true) {
                Poll::Ready(Turn::Ended(ended)) => Poll::Ready(Err(ended)),
                // A busy turn brings nothing else.
                Poll::Ready(_) | Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>, busy: bool) -> Poll<Turn> {
        let signal = match self.poll_write(cx, busy) {
            Ok(signal) => signal,
            Err(Gone) => return Poll::Ready(Turn::Ended(Ended::Gone)),
        };
        match signal {
            Some(Signal::Close(close)) => return Poll::Ready(Turn::Ended(Ended::Closed(close))),
            Some(Signal::Directive(directive)) => return Poll::Ready(Turn::Directive(directive)),
            Some(Signal::Tick) => self.put_off = self.put_off.or(Some(0)),
            Some(Signal::Frames) | None => {}
        }
        if busy {
            return Poll::Pending;
        }
        if self.put_off.is_some_and(|messages| messages >= BEFORE_TICK) {
            self.put_off = None;
            return Poll::Ready(Turn::Tick);
        }
        match self.link.poll_receive(cx) {
            Poll::Ready(Received::Message(message)) => {
                self.put_off = self.put_off.map(|messages| messages + 1);
                Poll::Ready(Turn::Message(message))
            }
            Poll::Ready(Received::Broken(close)) => Poll::Ready(Turn::Ended(Ended::Closed(close))),
            Poll::Ready(Received::Gone) => Poll::Ready(Turn::Ended(Ended::Gone)),
            Poll::Pending if self.put_off.take().is_some() => Poll::Ready(Turn::Tick),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Moves what the outbox holds towards the socket; answers what else the outbox says.
    fn poll_write(&mut self, cx: &mut Context<'_>, busy: bool) -> Result<Option<Signal>, Gone> {
        let signal = loop {
            let room = self.poll_feed(cx)?;
            let size = if room { self.size } else { ByteSize(0) };
            match self.reader.poll(cx, &mut self.batch, size, busy) {
                Poll::Ready(Signal::Frames) => {}
                Poll::Ready(signal) => break Some(signal),
                Poll::Pending => break None,
            }
        };
        if self.dirty
            && let Poll::Ready(flushed) = self.link.poll_flush(cx)
        {
            flushed?;
            self.dirty = false;
        }
        Ok(signal)
    }

    /// Feeds the batch to the link; true if the link took it all.
    fn poll_feed(&mut self, cx: &mut Context<'_>) -> Result<bool, Gone> {
        while let Some(frame) = self.batch.pop_front() {
            let Poll::Ready(ready) = self.link.poll_ready(cx) else {
                self.batch.push_front(frame);
                return Ok(false);
            };
            ready?;
            self.link.start_send(frame)?;
            self.dirty = true;
        }
        // An idle connection keeps no memory of its busiest moment.
        if self.batch.capacity() > 0 {
            self.batch = VecDeque::new();
        }
        Ok(true)
    }

    async fn goodbye(mut self, close: Close) {
        let slow = close.code == CloseCode::Slow.code();
        // Half for the last words, half for the close.
        let patience = if slow { GOODBYE_SLOW } else { GOODBYE / 2 };
        if slow {
            // It did not read before; last words would only stand in the way of the goodbye.
            self.batch.clear();
        } else {
            self.reader.finish(&close, &mut self.batch);
            let last_words = poll_fn(|cx| match self.poll_feed(cx) {
                Ok(false) => Poll::Pending,
                Ok(true) | Err(Gone) => Poll::Ready(()),
            });
            // Too late is too late: the link's own close has its deadline, too.
            let _ = tokio::time::timeout(patience, last_words).await;
        }
        self.link.close(close, patience).await;
    }
}
