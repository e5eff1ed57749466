//! A way out that keeps what is written, and takes only so much when told so.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::hub::Pipe;
use crate::model::wire::Frame;

#[derive(Clone, Debug)]
pub(crate) struct Tape {
    written: Arc<Mutex<Vec<u8>>>,
    /// How many bytes it still takes.
    room: Arc<AtomicUsize>,
    /// How often something was written to it.
    pub(crate) writes: Arc<AtomicUsize>,
}

impl Tape {
    pub(crate) fn new(room: usize) -> Self {
        Self { written: Arc::default(), room: Arc::new(AtomicUsize::new(room)), writes: Arc::default() }
    }

    pub(crate) fn give_room(&self, room: usize) {
        self.room.store(room, Ordering::SeqCst);
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.written.lock().clone()
    }

    /// Takes the whole frames off the tape.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        let mut written = self.written.lock();
        let mut frames = Vec::new();
        let mut at = 0;
        while let Some((head, rest)) = written[at..].split_first_chunk::<9>() {
            let len = usize::from_le_bytes(std::array::from_fn(|i| head[i + 1]));
            let Some(bytes) = rest.get(..len) else { break };
            let bytes = Bytes::copy_from_slice(bytes);
            frames.push(if head[0] == b'T' { Frame::Text(bytes) } else { Frame::Binary(bytes) });
            at += 9 + len;
        }
        written.drain(..at);
        frames
    }
}

impl Pipe for Tape {
    fn head(&self, frame: &Frame, out: &mut Vec<u8>) {
        out.push(if matches!(frame, Frame::Text(_)) { b'T' } else { b'B' });
        out.extend_from_slice(&frame.len().to_le_bytes());
    }

    fn gather(&self) -> usize {
        16 * 1024
    }

    fn try_write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let room = self.room.load(Ordering::SeqCst);
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.writes.fetch_add(1, Ordering::SeqCst);
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).take(room).collect();
        self.room.store(room - bytes.len(), Ordering::SeqCst);
        self.written.lock().extend_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn poll_writable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.room.load(Ordering::SeqCst) > 0 { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}
