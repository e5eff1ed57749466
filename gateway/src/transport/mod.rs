//! From sockets to conversations: a transport turns a socket into messages and back, and [`drive`] runs
//! the one loop that joins it with whoever talks over it. Knows the session's face and the codec trait;
//! nothing of brokers or the hub's inside.

pub mod client;
pub mod drive;
pub mod websocket;

use std::future::Future;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::model::wire::Frame;
use crate::model::{Close, Directive};
use crate::session::Flow;

/// A two-way road of whole messages. Methods with `cx` follow the rules of polling.
pub trait Link: Send {
    /// The next message from the other end.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received>;

    /// Whether there is room for a frame.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>>;

    /// Takes a frame into the write buffer, after [`Link::poll_ready`] said yes.
    ///
    /// # Errors
    /// [`Gone`] when the socket is broken.
    fn start_send(&mut self, frame: Frame) -> Result<(), Gone>;

    /// Writes the buffer out.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>>;

    /// Says goodbye, tells why and waits for the other end to have heard it; at most `patience`, then
    /// the socket is reset.
    fn close(self, close: Close, patience: Duration) -> impl Future<Output = ()> + Send;
}

/// What came from the other end.
#[derive(Debug)]
pub enum Received {
    /// A message.
    Message(Frame),
    /// Something that breaks the transport's own rules: close with this.
    Broken(Close),
    /// Nothing more will come.
    Gone,
}

/// The other end is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Who talks over a link: one thing at a time, in the order in which it comes.
pub trait Conversation: Send {
    /// Takes a message. Dropped half way only if the whole conversation is.
    fn receive(&mut self, message: Frame) -> impl Future<Output = Flow> + Send;

    /// Takes an order from the node. Dropped half way only if the whole conversation is.
    fn obey(&mut self, directive: Directive) -> impl Future<Output = Flow> + Send;

    /// Looks at the clock.
    fn tick(&mut self) -> Flow;
}
