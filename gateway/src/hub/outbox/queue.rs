//! What waits, and how it becomes bytes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::hub::Pipe;
use crate::model::wire::Frame;
use crate::model::{Close, Directive};

/// What a waiting frame costs besides its bytes: its slot in the queue.
pub(in crate::hub) const SLOT: usize = size_of::<Frame>();

/// Frames over this many bytes are written from where they are; smaller ones are cheaper to copy than to
/// name one by one in a vectored write.
const LARGE: usize = 4096;

#[derive(Default)]
pub(super) struct Queue {
    pub(super) frames: VecDeque<Frame>,
    /// Bytes that wait: of frames, slots included, and of what the socket has not taken.
    pub(super) bytes: usize,
    pub(super) directives: VecDeque<Directive>,
    /// Frames wait for the one that must come first.
    pub(super) corked: bool,
    /// How many frames the last write took: about as many may gather for the next.
    pub(super) usual: u8,
    /// The wheel says that some deadline has passed.
    pub(super) tick: bool,
    /// Some writer has this outbox on its list, and will come.
    pub(super) listed: bool,
    /// The socket takes nothing: the reader waits until it does.
    pub(super) blocked: bool,
    /// The connection has ended under a write.
    pub(super) broken: bool,
    /// The reader wants to know when nothing waits any more.
    pub(super) awaited: bool,
    /// There is no reader any more.
    pub(super) gone: bool,
    /// No more frames are taken; the reader ends the connection.
    pub(super) close: Option<Close>,
    /// The way out; not here while somebody writes.
    pub(super) pipe: Option<Box<dyn Pipe>>,
    /// What the socket has not taken of the last write: goes before all else.
    pub(super) rest: Option<Box<Rest>>,
    /// A word of the transport's own: goes before frames, corked or not.
    pub(super) control: Option<Box<Bytes>>,
}

/// What is left of a write, in order.
pub(super) struct Rest {
    copied: Bytes,
    large: Bytes,
}

impl Rest {
    fn len(&self) -> usize {
        self.copied.len() + self.large.len()
    }
}

/// What one write takes: the scratch buffer's bytes, then those of one large frame, if there is one.
pub(super) struct Load {
    pipe: Box<dyn Pipe>,
    large: Bytes,
}

/// How a write ended.
pub(super) struct Written {
    load: Load,
    bytes: usize,
    end: End,
}

enum End {
    All,
    Blocked,
    Broken,
}

impl Queue {
    /// Adds a frame.
    pub(super) fn append(&mut self, frame: Frame) {
        if self.frames.capacity() == 0 {
            self.frames.reserve_exact(usize::from(self.usual).max(1));
        }
        self.bytes += frame.len() + SLOT;
        self.frames.push_back(frame);
    }

    /// Whether there is something to write and somebody may write it.
    pub(super) fn has_load(&self) -> bool {
        let waits = self.rest.is_some() || self.control.is_some() || (!self.corked && !self.frames.is_empty());
        waits && self.pipe.is_some() && !self.blocked && !self.broken
    }

    /// Whether nothing waits, nor is being written.
    pub(super) fn is_clear(&self) -> bool {
        self.pipe.is_some() && self.rest.is_none() && self.control.is_none() && self.frames.is_empty()
    }

    /// Takes what goes out next: its bytes into `scratch`, and the way out with it.
    pub(super) fn load(&mut self, scratch: &mut Vec<u8>) -> Option<Load> {
        if !self.has_load() {
            return None;
        }
        let pipe = self.pipe.take()?;
        scratch.clear();
        if let Some(rest) = self.rest.take() {
            self.bytes -= rest.len();
            scratch.extend_from_slice(&rest.copied);
            return Some(Load { pipe, large: rest.large });
        }
        if let Some(control) = self.control.take() {
            scratch.extend_from_slice(&control);
        }
        let (mut large, gather, before) = (Bytes::new(), pipe.gather(), self.frames.len());
        while !self.corked && scratch.len() < gather && large.is_empty() {
            let Some(frame) = self.frames.pop_front() else { break };
            self.bytes -= frame.len() + SLOT;
            pipe.head(&frame, scratch);
            if frame.len() > LARGE {
                large = frame.into_bytes();
            } else {
                scratch.extend_from_slice(frame.bytes());
            }
        }
        self.usual = u8::try_from(before - self.frames.len()).unwrap_or(u8::MAX);
        if self.frames.is_empty() && self.frames.capacity() > 0 {
            // An idle connection keeps no memory of its busiest moment.
            self.frames = VecDeque::new();
        }
        Some(Load { pipe, large })
    }

    /// Takes the way back, with what could not be written.
    pub(super) fn settle(&mut self, written: Written, scratch: &[u8]) {
        let Written { load: Load { pipe, mut large }, bytes, end } = written;
        if self.gone {
            return;
        }
        self.pipe = Some(pipe);
        match end {
            End::All => {}
            End::Broken => self.broken = true,
            End::Blocked => {
                let copied = Bytes::copy_from_slice(scratch.get(bytes..).unwrap_or_default());
                let large = large.split_off(bytes.saturating_sub(scratch.len()));
                let rest = Rest { copied, large };
                self.bytes += rest.len();
                self.rest = Some(Box::new(rest));
                self.blocked = true;
            }
        }
    }

    /// While the socket takes nothing: waits until it does.
    pub(super) fn poll_unblock(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.blocked
            && let Some(pipe) = &mut self.pipe
        {
            self.broken |= ready!(pipe.poll_writable(cx)).is_err();
            self.blocked = false;
        }
        Poll::Ready(())
    }

    /// Throws away all that waits but what is half out; answers how many frames and orders that were.
    pub(super) fn drop_waiting(&mut self) -> u64 {
        let dropped = self.frames.len() + self.directives.len();
        self.frames = VecDeque::new();
        self.directives = VecDeque::new();
        self.bytes = self.rest.as_ref().map_or(0, |rest| rest.len());
        self.corked = false;
        dropped as u64
    }

    /// Closes at once; answers how many frames and orders will never be seen.
    pub(super) fn abandon(&mut self, close: Close) -> u64 {
        self.close = Some(close);
        self.drop_waiting()
    }

    /// There is no reader any more: the way out goes with it.
    pub(super) fn retire(&mut self) {
        self.gone = true;
        self.pipe = None;
        self.rest = None;
        self.bytes = 0;
    }
}

impl Load {
    /// Writes without waiting, as much as is taken.
    pub(super) fn write(mut self, scratch: &[u8]) -> Written {
        let all = scratch.len() + self.large.len();
        let mut bytes = 0;
        let end = loop {
            if bytes == all {
                break End::All;
            }
            let large = &self.large[bytes.saturating_sub(scratch.len())..];
            let parts = [IoSlice::new(scratch.get(bytes..).unwrap_or_default()), IoSlice::new(large)];
            let parts = match (parts[0].is_empty(), parts[1].is_empty()) {
                (false, true) => &parts[..1],
                (true, _) => &parts[1..],
                (false, false) => &parts[..],
            };
            match self.pipe.try_write(parts) {
                Ok(0) => break End::Broken,
                Ok(taken) => bytes += taken,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break End::Blocked,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break End::Broken,
            }
        };
        Written { load: self, bytes, end }
    }
}
