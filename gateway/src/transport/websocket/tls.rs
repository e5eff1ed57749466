//! The two halves of a socket under TLS. They share one session, whose keys seal in order, so whoever reads and
//! whoever writes take turns with it; neither waits while it has its turn.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use rustls::ServerConnection;
use socket2::SockRef;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::frame;
use super::link::send;
use crate::hub::Pipe;
use crate::model::ByteSize;
use crate::model::wire::Frame;

#[derive(Debug)]
struct Shared {
    socket: TcpStream,
    session: Mutex<ServerConnection>,
}

/// The half that reads.
#[derive(Debug)]
pub(super) struct ReadHalf(Arc<Shared>);

/// The half that writes.
#[derive(Debug)]
pub(super) struct Outbound {
    shared: Arc<Shared>,
    gather: ByteSize,
    /// So many bytes, of those that come next, are sealed already: the socket has not taken all of what they
    /// became. Only when it has do they count as written, so that nothing waits where nobody would look for it.
    sealed: usize,
}

/// Takes a connection apart after its handshake.
pub(super) fn split(stream: TlsStream<TcpStream>, gather: ByteSize) -> (ReadHalf, Outbound) {
    let (socket, session) = stream.into_inner();
    let shared = Arc::new(Shared { socket, session: Mutex::new(session) });
    (ReadHalf(Arc::clone(&shared)), Outbound { shared, gather, sealed: 0 })
}

impl ReadHalf {
    /// As `AsyncRead` has it: nothing is added at the end.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Shared { socket, session } = &*self.0;
        loop {
            match session.lock().reader().read(buffer.initialize_unfilled()) {
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            ready!(socket.poll_read_ready(cx))?;
            match receive(socket, &mut session.lock()) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                _ => {}
            }
        }
    }

    /// What comes from the socket, sealed as it is.
    pub(super) async fn read_sealed(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.0.socket.readable().await?;
            match self.0.socket.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.0.socket
    }
}

/// Takes some of what has come.
fn receive(socket: &TcpStream, session: &mut ServerConnection) -> io::Result<()> {
    session.read_tls(&mut Socket(socket))?;
    let processed = session.process_new_packets();
    // Answers of the session's own, an alert if it ends now. What is not taken goes out before the next write.
    let _ = flush(socket, session);
    processed.map(|_| ()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes out what is sealed.
fn flush(socket: &TcpStream, session: &mut ServerConnection) -> io::Result<()> {
    while session.wants_write() {
        if session.write_tls(&mut Socket(socket))? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}

impl Pipe for Outbound {
    fn head(&self, frame: &Frame, out: &mut Vec<u8>) {
        frame::write_head(frame.into(), frame.len(), out);
    }

    fn gather(&self) -> usize {
        self.gather.bytes()
    }

    fn try_write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let Shared { socket, session } = &*self.shared;
        let mut session = session.lock();
        if self.sealed == 0 {
            // Before anything is sealed, so that no more than one write's worth is kept.
            flush(socket, &mut session)?;
            self.sealed = session.writer().write_vectored(parts)?;
        }
        flush(socket, &mut session)?;
        Ok(std::mem::take(&mut self.sealed))
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.socket.poll_write_ready(cx)
    }
}

impl Drop for Outbound {
    /// Says that nothing more comes (RFC 8446, 6.1), as far as the socket takes it.
    fn drop(&mut self) {
        let Shared { socket, session } = &*self.shared;
        let mut session = session.lock();
        session.send_close_notify();
        let _ = flush(socket, &mut session);
        let _ = SockRef::from(socket).shutdown(Shutdown::Write);
    }
}

/// A socket as the session wants to see it: takes and gives what it can at once.
struct Socket<'a>(&'a TcpStream);

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        send(self.0, &[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        send(self.0, parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
