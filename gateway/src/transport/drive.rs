//! The one loop: what the outbox holds goes out, what the link brings comes in. One task, no timer.
//!
//! Writing goes before reading, and goes on while a command waits for the broker. A client that does not
//! read stops nobody but itself: its outbox fills, closes, and the loop ends.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use fanfare_proto::code::CloseCode;
use tokio::time::timeout;

use super::{Conversation, Link, Received};
use crate::hub::{OutboxReader, Signal};
use crate::model::wire::Frame;
use crate::model::{Close, Directive};
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

/// A link with a conversation over it, and what waits to be told: all that a connection's task holds.
#[derive(Debug)]
pub struct Connection<L, C> {
    link: L,
    reader: OutboxReader,
    /// Until the end begins.
    talk: Option<C>,
    /// The transport has to answer something. Nothing more is read before that is out: whoever asks and
    /// does not read would make us remember answers without end.
    owes: bool,
    /// A tick waits; so many messages have gone before it.
    put_off: Option<u16>,
}

/// Messages that may go before a tick. What came while the session was at work counts as come in time:
/// a pong that nobody had looked at yet, above all.
const BEFORE_TICK: u16 = 256;

/// The transport's questions that are answered before other connections of the thread get their turn.
const ANSWERS_MAX: usize = 64;

enum Turn {
    Message(Frame),
    /// The last message has more to do.
    More,
    Directive(Directive),
    Tick,
    Last(Last),
}

/// What the loop ends with.
enum Last {
    /// We say goodbye.
    Close(Close),
    /// The other end does, and hears this.
    Farewell(Bytes),
    /// Nobody says anything.
    Gone,
}

impl<L: Link, C: Conversation> Connection<L, C> {
    /// Joins them.
    #[must_use]
    pub fn new(link: L, talk: C, reader: OutboxReader) -> Self {
        Self { link, reader, talk: Some(talk), owes: false, put_off: None }
    }

    /// Runs until one side ends it.
    pub async fn run(&mut self) -> Ended {
        let last = self.talk().await;
        // Leaves its channels before the goodbye, which may take seconds.
        self.talk = None;
        match last {
            Last::Close(close) => {
                Box::pin(self.goodbye(&close)).await;
                Ended::Closed(close)
            }
            Last::Farewell(answer) => {
                Box::pin(self.farewell(answer)).await;
                Ended::Gone
            }
            Last::Gone => Ended::Gone,
        }
    }

    async fn talk(&mut self) -> Last {
        loop {
            // What has come already, and writing, cost nothing by tokio's own count: a connection that
            // always has something to do must still let others have theirs.
            tokio::task::coop::consume_budget().await;
            let turn = poll_fn(|cx| self.poll_turn(cx)).await;
            let Self { reader, talk: Some(talk), .. } = self else { return Last::Gone };
            let flow = match turn {
                // Boxed: most connections are idle, and an idle one should not keep room for a command.
                Turn::Message(message) => Box::pin(attend(reader, talk.receive(message))).await,
                Turn::More => Box::pin(attend(reader, talk.go_on())).await,
                Turn::Directive(directive) => Box::pin(attend(reader, talk.obey(directive))).await,
                Turn::Tick => Ok(talk.tick()),
                Turn::Last(last) => Err(last),
            };
            match flow {
                Ok(Flow::Continue) => {}
                Ok(Flow::Close(close)) => return Last::Close(close),
                Err(last) => return last,
            }
        }
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        match self.reader.poll(cx, false) {
            Poll::Ready(Signal::Close(close)) => return Poll::Ready(Turn::Last(Last::Close(close))),
            Poll::Ready(Signal::Gone) => return Poll::Ready(Turn::Last(Last::Gone)),
            Poll::Ready(Signal::Directive(directive)) => return Poll::Ready(Turn::Directive(directive)),
            Poll::Ready(Signal::Tick) => self.put_off = self.put_off.or(Some(0)),
            Poll::Pending => {}
        }
        if self.put_off.is_some_and(|messages| messages >= BEFORE_TICK) {
            self.put_off = None;
            return Poll::Ready(Turn::Tick);
        }
        if self.talk.as_ref().is_some_and(Conversation::has_more) {
            self.put_off = self.put_off.map(|messages| messages + 1);
            return Poll::Ready(Turn::More);
        }
        match self.poll_receive(cx) {
            Poll::Ready(Received::Message(message)) => {
                self.put_off = self.put_off.map(|messages| messages + 1);
                Poll::Ready(Turn::Message(message))
            }
            Poll::Ready(Received::Broken(close)) => Poll::Ready(Turn::Last(Last::Close(close))),
            Poll::Ready(Received::Farewell(answer)) => Poll::Ready(Turn::Last(Last::Farewell(answer))),
            Poll::Ready(Received::Gone) => Poll::Ready(Turn::Last(Last::Gone)),
            Poll::Ready(Received::Answer(_)) | Poll::Pending if self.put_off.take().is_some() => {
                Poll::Ready(Turn::Tick)
            }
            Poll::Ready(Received::Answer(_)) | Poll::Pending => Poll::Pending,
        }
    }

    /// The next message; the transport's own questions are answered on the way.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        for _ in 0..ANSWERS_MAX {
            if self.owes && self.reader.poll_control(cx).is_pending() {
                return Poll::Pending;
            }
            self.owes = false;
            match self.link.poll_receive(cx) {
                Poll::Ready(Received::Answer(answer)) => {
                    self.reader.control(answer);
                    self.owes = true;
                }
                other => return other,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Last words, why, and the end.
    async fn goodbye(&mut self, close: &Close) {
        let slow = close.code == CloseCode::Slow.code();
        // Half for the last words, half for the close.
        let patience = if slow { GOODBYE_SLOW } else { GOODBYE / 2 };
        self.reader.finish(close);
        if slow || timeout(patience, poll_fn(|cx| self.reader.poll_clear(cx))).await.is_err() {
            // It does not read: last words would only stand in the way of the goodbye.
            self.reader.give_up();
        }
        match self.link.goodbye(close) {
            Some(goodbye) => self.end(goodbye, patience).await,
            None => self.hang_up(patience).await,
        }
    }

    /// The other end has said goodbye: answers, and ends.
    async fn farewell(&mut self, answer: Bytes) {
        self.reader.give_up();
        self.end(answer, GOODBYE_SLOW).await;
    }

    async fn end(&mut self, word: Bytes, patience: Duration) {
        self.reader.control(word);
        let heard = timeout(patience, async {
            poll_fn(|cx| self.reader.poll_clear(cx)).await;
            self.link.heard().await;
        });
        match heard.await {
            Ok(()) => self.hang_up(patience).await,
            Err(_) => self.link.reset(),
        }
    }

    async fn hang_up(&mut self, patience: Duration) {
        self.reader.hang_up();
        if timeout(patience, self.link.hung_up()).await.is_err() {
            self.link.reset();
        }
    }
}

/// Writes while the conversation is at work on something.
async fn attend(reader: &mut OutboxReader, work: impl Future<Output = Flow>) -> Result<Flow, Last> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(flow) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(flow));
        }
        match reader.poll(cx, true) {
            Poll::Ready(Signal::Close(close)) => Poll::Ready(Err(Last::Close(close))),
            Poll::Ready(Signal::Gone) => Poll::Ready(Err(Last::Gone)),
            // The reader keeps these back while the session is at work.
            Poll::Ready(Signal::Directive(_) | Signal::Tick) | Poll::Pending => Poll::Pending,
        }
    })
    .await
}
