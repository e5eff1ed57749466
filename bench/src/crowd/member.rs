//! One client: from the SYN to the last publication.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use mio::net::TcpStream;
use socket2::{Domain, SockRef, Socket, Type};

use super::frame::{self, CLOSE, PING, PONG};
use super::order::Order;
use super::tally::Books;
use super::{Plan, READ, marker};
use crate::wire::{Heard, Message, Opening, Who, Wire};

/// Any 16 bytes will do: what a server makes of it is not what is measured.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// EINPROGRESS: the SYN is out.
const IN_PROGRESS: i32 = 115;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Connecting,
    Upgrading,
    Joining,
    Ready,
    Ended,
}

pub(super) struct Member {
    pub(super) socket: TcpStream,
    pub(super) state: State,
    pub(super) who: Who,
    pub(super) order: Order,
    /// What has come of a frame that is not all here.
    partial: Vec<u8>,
    /// What has come of a message in several frames.
    fragments: Vec<u8>,
    /// What the socket has not taken yet.
    unsent: Vec<u8>,
}

/// The GET that opens a WebSocket.
pub(super) fn request(opening: &Opening) -> String {
    let mut request = format!(
        "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n",
        opening.path
    );
    for (name, value) in &opening.headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request += "\r\n";
    request
}

impl Member {
    pub(super) fn open(plan: &Plan, number: usize, last: u32, source: Option<Ipv4Addr>) -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(source) = source {
            socket.bind(&SocketAddr::from((source, 0)).into())?;
        }
        match socket.connect(&plan.address.into()) {
            Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => return Err(error.into()),
            _ => {}
        }
        let channel = plan.channel.replace("{n}", &number.to_string());
        Ok(Self {
            socket: TcpStream::from_std(socket.into()),
            state: State::Connecting,
            who: Who { number, channel, secret: plan.secret.clone() },
            order: Order::after(last),
            partial: Vec::new(),
            fragments: Vec::new(),
            unsent: Vec::new(),
        })
    }

    /// The socket may be connected: asks for the upgrade.
    pub(super) fn begin(&mut self, wire: &dyn Wire) -> Result<()> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error).context("the server does not take connections");
        }
        if self.socket.peer_addr().is_err() {
            return Ok(());
        }
        self.state = State::Upgrading;
        self.unsent = request(&wire.opening(&self.who)).into_bytes();
        self.flush()
    }

    /// Queues messages for the next [`Member::flush`].
    pub(super) fn say(&mut self, messages: &[Message]) {
        messages.iter().for_each(|message| frame::write_message(message, &mut self.unsent));
    }

    /// Sends what the socket takes; the rest waits until it takes more.
    pub(super) fn flush(&mut self) -> Result<()> {
        let mut sent = 0;
        while sent < self.unsent.len() {
            match self.socket.write(&self.unsent[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot write"),
            }
        }
        self.unsent.drain(..sent);
        if self.unsent.is_empty() {
            // Most say nothing after their handshake.
            self.unsent = Vec::new();
        }
        Ok(())
    }

    /// Reads behind what was kept; answers how much there is to hear, and whether that is all for now. None if
    /// nothing has come.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> Result<Option<(usize, bool)>> {
        let kept = self.partial.len();
        ensure!(kept < READ, "a frame of more than {READ} bytes");
        match self.socket.read(&mut scratch[kept..]) {
            Ok(0) => bail!("the server closes the connection without a word"),
            Ok(count) => {
                scratch[..kept].copy_from_slice(&self.partial);
                self.partial = Vec::new();
                Ok(Some((kept + count, kept + count < scratch.len())))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
            Err(error) => Err(error).context("cannot read"),
        }
    }

    /// Keeps what is not all here.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        if !rest.is_empty() {
            self.partial = rest.to_vec();
        }
    }

    /// Takes what has come; answers how many bytes were whole.
    pub(super) fn hear(&mut self, bytes: &[u8], wire: &dyn Wire, books: &mut Books) -> Result<usize> {
        let mut used = 0;
        if self.state == State::Upgrading {
            let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Ok(0) };
            let head = &bytes[..end];
            ensure!(head.starts_with(b"HTTP/1.1 101"), "no upgrade: {}", String::from_utf8_lossy(bytes));
            used = end + 4;
            self.state = if wire.silent() { State::Ready } else { State::Joining };
            self.say(&wire.begin(&self.who));
            if wire.silent() {
                // Clients of all protocols say something, and then the kernel puts their acknowledgements off until
                // the next segment comes, at the server's expense. From those who only listen it takes them when
                // they read, at their own: a quarter less for a server whose clients need not speak.
                frame::write(PONG, &[], &mut self.unsent);
            }
            self.flush()?;
        }
        // One look at the clock for all that came together.
        let now = marker::now();
        while let Some(frame) = frame::first(&bytes[used..]) {
            used += frame.size;
            match frame.opcode {
                PING => {
                    frame::write(PONG, frame.payload, &mut self.unsent);
                    self.flush()?;
                }
                PONG => {}
                CLOSE => bail!("the server says goodbye: {}", frame::reason(frame.payload)),
                _ if frame.last && self.fragments.is_empty() => self.message(frame.payload, wire, books, now)?,
                _ => {
                    self.fragments.extend_from_slice(frame.payload);
                    if frame.last {
                        let message = std::mem::take(&mut self.fragments);
                        self.message(&message, wire, books, now)?;
                    }
                }
            }
        }
        Ok(used)
    }

    #[inline]
    fn message(&mut self, message: &[u8], wire: &dyn Wire, books: &mut Books, now: u64) -> Result<()> {
        let counted = books.hear(&mut self.order, message, now);
        // The word that makes somebody ready may bring along what was missed.
        if counted && self.state == State::Ready {
            return match wire.pong(message) {
                Some(pong) => {
                    self.say(&[pong]);
                    self.flush()
                }
                None => Ok(()),
            };
        }
        match wire.hear(&self.who, message) {
            Heard::Nothing | Heard::Publications(_) => Ok(()),
            Heard::Ready => {
                self.state = State::Ready;
                Ok(())
            }
            Heard::Refused(why) => bail!("the server refuses: {why}"),
            Heard::Answer(messages) => {
                self.say(&messages);
                self.flush()
            }
        }
    }

    /// Ends without a word, and without leaving the port behind to wait: crowds come and go.
    pub(super) fn hang_up(&self) {
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }
}
