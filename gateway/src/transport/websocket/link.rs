//! The two halves of a socket: the connection's task reads, whoever has something to say writes.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_rustls::server::TlsStream;

use super::frame::{self, Opcode};
use super::inbound::{Fault, Inbound, Item};
use super::{Seat, Sizes, tls};
use crate::hub::Pipe;
use crate::model::wire::Frame;
use crate::model::{ByteSize, Close};
use crate::transport::{Link, Received};

/// How much is read and thrown away so that the other end, still sending, hears the goodbye.
const DRAIN_MAX: usize = 16 * 1024 * 1024;

/// A close code that is never sent: whoever ends a connection with it wants the client to see a line
/// that went dead, as Centrifugo does it.
const WITHOUT_A_WORD: u16 = 3000;

thread_local! {
    /// Where a thread reads to: what comes is taken out before anything else is read.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A WebSocket: the half that reads.
#[derive(Debug)]
pub struct WebSocket {
    half: ReadHalf,
    inbound: Inbound,
    read_buffer: ByteSize,
    /// The other end has said goodbye or broken the transport's rules: nothing more can be read.
    ended: bool,
    _seat: Option<Seat>,
}

/// With TLS or without.
#[derive(Debug)]
enum ReadHalf {
    Plain(OwnedReadHalf),
    Tls(tls::ReadHalf),
}

impl ReadHalf {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(half) => Pin::new(half).poll_read(cx, buffer),
            Self::Tls(half) => half.poll_read(cx, buffer),
        }
    }

    /// Whatever comes, for whoever throws it away.
    async fn read_raw(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(half) => half.read(buffer).await,
            Self::Tls(half) => half.read_sealed(buffer).await,
        }
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(half) => half.as_ref(),
            Self::Tls(half) => half.socket(),
        }
    }
}

/// The half that writes, without TLS.
#[derive(Debug)]
struct Outbound {
    half: OwnedWriteHalf,
    gather: ByteSize,
}

impl WebSocket {
    /// A socket after the upgrade, with what had been read of it by then.
    pub(super) fn new(socket: TcpStream, early: &[u8], sizes: Sizes, seat: Option<Seat>) -> (Self, Box<dyn Pipe>) {
        let (read, write) = socket.into_split();
        let link = Self::reading(ReadHalf::Plain(read), early, sizes, seat);
        (link, Box::new(Outbound { half: write, gather: sizes.write_buffer }))
    }

    /// The same under TLS.
    pub(super) fn over_tls(
        stream: TlsStream<TcpStream>,
        early: &[u8],
        sizes: Sizes,
        seat: Option<Seat>,
    ) -> (Self, Box<dyn Pipe>) {
        let (read, write) = tls::split(stream, sizes.write_buffer);
        (Self::reading(ReadHalf::Tls(read), early, sizes, seat), Box::new(write))
    }

    fn reading(half: ReadHalf, early: &[u8], sizes: Sizes, seat: Option<Seat>) -> Self {
        let Sizes { read_buffer, message_max, write_buffer: _ } = sizes;
        Self { half, inbound: Inbound::new(message_max, early), read_buffer, ended: false, _seat: seat }
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Result<Item, Fault>>> {
        if let Some(item) = self.inbound.next().transpose() {
            return Poll::Ready(Ok(item));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.resize(self.read_buffer.bytes(), 0);
            loop {
                let mut buffer = ReadBuf::new(scratch);
                ready!(self.half.poll_read(cx, &mut buffer))?;
                if buffer.filled().is_empty() {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                if let Some(item) = self.inbound.receive(buffer.filled()).transpose() {
                    return Poll::Ready(Ok(item));
                }
            }
        })
    }
}

impl Link for WebSocket {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        let broken = |code, reason: &'static str| Received::Broken(Close { code, reason: reason.into() });
        let received = match ready!(self.poll_item(cx)) {
            Ok(Ok(Item::Message(frame))) => return Poll::Ready(Received::Message(frame)),
            Ok(Ok(Item::Ping(pong))) => return Poll::Ready(Received::Answer(pong)),
            Ok(Ok(Item::Close(answer))) => Received::Farewell(answer),
            Ok(Err(Fault::Protocol)) => broken(1002, "protocol error"),
            Ok(Err(Fault::NotUtf8)) => broken(1007, "text is not UTF-8"),
            Ok(Err(Fault::TooBig)) => broken(1009, "message too big"),
            Err(_) => Received::Gone,
        };
        self.ended = true;
        Poll::Ready(received)
    }

    fn goodbye(&self, close: &Close) -> Option<Bytes> {
        let mut payload = close.code.to_be_bytes().to_vec();
        payload.extend_from_slice(close.reason.as_bytes());
        (close.code != WITHOUT_A_WORD).then(|| frame::whole(Opcode::Close, &payload).into())
    }

    async fn heard(&mut self) {
        while !self.ended {
            // Messages that crossed our goodbye are not for anybody any more.
            std::future::poll_fn(|cx| self.poll_receive(cx)).await;
        }
    }

    /// Reads what the other end still sends, so that the kernel does not answer it with a reset, which
    /// would overtake the goodbye.
    async fn hung_up(&mut self) {
        let mut scratch = vec![0; 4096];
        let mut drained = 0;
        while drained < DRAIN_MAX {
            match self.half.read_raw(&mut scratch).await {
                Ok(count) if count > 0 => drained += count,
                _ => return,
            }
        }
    }

    fn reset(&self) {
        let _ = self.half.socket().set_zero_linger();
    }
}

impl Pipe for Outbound {
    fn head(&self, frame: &Frame, out: &mut Vec<u8>) {
        frame::write_head(frame.into(), frame.len(), out);
    }

    fn gather(&self) -> usize {
        self.gather.bytes()
    }

    fn try_write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        send(self.half.as_ref(), parts)
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.half.as_ref().poll_write_ready(cx)
    }
}

/// Asks the kernel at once, not the runtime first whether the kernel might refuse: to look that up costs a
/// cache miss for each socket, and most sockets have room. After a refusal the runtime has to see it, too, or
/// it would not wait for room.
pub(super) fn send(stream: &TcpStream, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    let socket = SockRef::from(stream);
    let sent = match parts {
        [part] => socket.send(part),
        parts => socket.send_vectored(parts),
    };
    match sent {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.try_write_vectored(parts),
        sent => sent,
    }
}
