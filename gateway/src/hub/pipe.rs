//! The seam between an outbox and the transport that empties it.

use std::fmt;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use crate::model::wire::Frame;

/// The way to the other end of one connection: takes bytes from whichever thread has some, and never
/// waits. One thread at a time has it; dropping it ends what the other end can read.
pub trait Pipe: fmt::Debug + Send {
    /// Appends what goes before a frame on this transport; the frame's own bytes follow.
    fn head(&self, frame: &Frame, out: &mut Vec<u8>);

    /// How many bytes are gathered before they are written: what more would not make cheaper.
    fn gather(&self) -> usize;

    /// Writes as much of the parts, one after the other, as is taken at once; answers how many bytes.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing is taken now; all others are the end of the connection.
    fn try_write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize>;

    /// After [`io::ErrorKind::WouldBlock`]: whether it is worth trying again. Wakes the task when it is.
    ///
    /// # Errors
    /// At the end of the connection.
    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}
