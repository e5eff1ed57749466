//! From sockets to conversations: a transport turns a socket into messages and back, and [`drive`] runs
//! the one loop that joins it with whoever talks over it. Knows the session's face and the codec trait;
//! nothing of brokers or the hub's inside.

pub mod client;
pub mod drive;
pub mod websocket;

use std::future::Future;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::model::wire::Frame;
use crate::model::{Close, Directive};
use crate::session::Flow;

/// A connection as its task sees it: what the other end says, and how it ends. The way out is the
/// [`Pipe`](crate::hub::Pipe) that was made together with it.
pub trait Link: Send {
    /// The next message from the other end. Follows the rules of polling.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received>;

    /// What is sent to say why a connection ends; none if nothing is to be said.
    fn goodbye(&self, close: &Close) -> Option<Bytes>;

    /// Waits until the other end has taken notice of a goodbye, or cannot.
    fn heard(&mut self) -> impl Future<Output = ()> + Send;

    /// Waits until the other end has hung up, after we did.
    fn hung_up(&mut self) -> impl Future<Output = ()> + Send;

    /// Nobody listens any more: what the kernel still holds for the other end is not worth keeping when
    /// this is dropped.
    fn reset(&self);
}

/// What came from the other end.
#[derive(Debug)]
pub enum Received {
    /// A message.
    Message(Frame),
    /// Something that the transport has to answer with this before it reads on.
    Answer(Bytes),
    /// The other end says goodbye, and wants to hear this.
    Farewell(Bytes),
    /// Something that breaks the transport's own rules: close with this.
    Broken(Close),
    /// Nothing more will come.
    Gone,
}

/// Who talks over a link: one thing at a time, in the order in which it comes.
pub trait Conversation: Send {
    /// Takes a message. Dropped half way only if the whole conversation is.
    fn receive(&mut self, message: Frame) -> impl Future<Output = Flow> + Send;

    /// Whether the last message has more to do: [`Conversation::go_on`] does it, a part at a time, so that orders
    /// and the clock do not wait for all of it.
    fn has_more(&self) -> bool {
        false
    }

    /// Does the next part of the last message. Dropped half way only if the whole conversation is.
    fn go_on(&mut self) -> impl Future<Output = Flow> + Send {
        std::future::ready(Flow::Continue)
    }

    /// Takes an order from the node. Dropped half way only if the whole conversation is.
    fn obey(&mut self, directive: Directive) -> impl Future<Output = Flow> + Send;

    /// Looks at the clock.
    fn tick(&mut self) -> Flow;
}
