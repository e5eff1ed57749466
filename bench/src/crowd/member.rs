//! One client: from the SYN to the last publication.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, bail, ensure};
use mio::net::TcpStream;
use socket2::{Domain, Socket, Type};
use std::sync::Arc;

use super::frame::{self, CLOSE, PING, PONG};
use super::marker::{self, Marker};
use super::tally::Tally;
use super::{Plan, READ};
use crate::wire::{Heard, Who, Wire};

/// Any 16 bytes will do: what a server makes of it is not what is measured.
const KEY: &str = "ZmFuZmFyZS1iZW5jaC1rZQ==";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Connecting,
    Upgrading,
    Joining,
    Ready,
}

pub(super) struct Member {
    pub(super) socket: TcpStream,
    pub(super) state: State,
    pub(super) who: Who,
    /// The number of the last publication that came.
    pub(super) last: u32,
    /// What has come of a frame that is not all here.
    partial: Vec<u8>,
}

impl Member {
    pub(super) fn open(plan: &Plan, number: usize, source: Option<Ipv4Addr>) -> anyhow::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(source) = source {
            // The port is chosen when the other end is known: each source has all ports for each server.
            socket.set_reuse_address(true)?;
            socket.bind(&SocketAddr::from((source, 0)).into())?;
        }
        match socket.connect(&plan.address.into()) {
            Err(error) if error.raw_os_error() != Some(115) && error.kind() != ErrorKind::WouldBlock => {
                return Err(error.into());
            }
            _ => {}
        }
        let who =
            Who { number, channel: plan.channel.replace("{n}", &number.to_string()), secret: plan.secret.clone() };
        let socket = TcpStream::from_std(socket.into());
        Ok(Self { socket, state: State::Connecting, who, last: 0, partial: Vec::new() })
    }

    /// The socket may be connected: asks for the upgrade.
    pub(super) fn begin(&mut self, wire: &Arc<dyn Wire>) -> anyhow::Result<()> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error).context("the server does not take connections");
        }
        if self.socket.peer_addr().is_err() {
            return Ok(());
        }
        let opening = wire.opening(&self.who);
        let mut request = format!(
            "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n",
            opening.path
        );
        for (name, value) in &opening.headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        self.state = State::Upgrading;
        self.send(request.as_bytes())
    }

    /// Sends what always fits: a member says little.
    pub(super) fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut rest = bytes;
        let mut patience = 10_000;
        while !rest.is_empty() {
            match self.socket.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    patience -= 1;
                    ensure!(patience > 0, "the server takes nothing from connection {}", self.who.number);
                    std::thread::sleep(std::time::Duration::from_micros(200));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).with_context(|| format!("connection {} broke", self.who.number)),
            }
        }
        Ok(())
    }

    /// Reads behind what was kept; answers where in `scratch` what has to be heard begins, and its length.
    /// None if nothing has come.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> anyhow::Result<Option<(usize, usize)>> {
        let kept = self.partial.len();
        ensure!(kept < READ, "connection {} got a frame that is too long", self.who.number);
        match self.socket.read(&mut scratch[kept..]) {
            Ok(0) => bail!("the server closed connection {} ({:?})", self.who.number, self.state),
            Ok(count) => {
                scratch[..kept].copy_from_slice(&self.partial);
                self.partial = Vec::new();
                Ok(Some((0, kept + count)))
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::NotConnected) =>
            {
                Ok(None)
            }
            Err(error) => Err(error).with_context(|| format!("connection {} broke", self.who.number)),
        }
    }

    /// Keeps what is not all here.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        if !rest.is_empty() {
            self.partial = rest.to_vec();
        }
    }

    /// Takes what has come; answers how many bytes were whole.
    pub(super) fn hear(
        &mut self,
        bytes: &[u8],
        plan: &Plan,
        tally: &mut Tally,
        hint: &mut usize,
    ) -> anyhow::Result<usize> {
        let mut used = 0;
        if self.state == State::Upgrading {
            let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Ok(0) };
            let head = &bytes[..end];
            ensure!(head.starts_with(b"HTTP/1.1 101"), "no upgrade: {}", String::from_utf8_lossy(head));
            used = end + 4;
            self.state = State::Joining;
            let mut out = Vec::new();
            plan.wire.begin(&self.who).iter().for_each(|message| frame::write_message(message, &mut out));
            self.send(&out)?;
            if plan.wire.silent() {
                self.state = State::Ready;
            }
        }
        // One look at the clock for all that came together.
        let now = marker::now();
        while let Some(frame) = frame::first(&bytes[used..]) {
            used += frame.size;
            match frame.opcode {
                PING => {
                    let mut pong = Vec::new();
                    frame::write(PONG, frame.payload, &mut pong);
                    self.send(&pong)?;
                }
                PONG => {}
                CLOSE => bail!(
                    "the server said goodbye to connection {}: {}",
                    self.who.number,
                    String::from_utf8_lossy(frame.payload)
                ),
                _ => self.message(frame.payload, plan, (tally, hint, now))?,
            }
        }
        Ok(used)
    }

    fn message(
        &mut self,
        message: &[u8],
        plan: &Plan,
        (tally, hint, now): (&mut Tally, &mut usize, u64),
    ) -> anyhow::Result<()> {
        let mut rest = message;
        let mut found = false;
        while let Some((marker, end)) = Marker::find(rest, hint) {
            tally.count(&mut self.last, marker, now);
            rest = &rest[end..];
            found = true;
            if rest.len() < marker::LEN {
                break;
            }
        }
        // A recovery's publications come with the answer that makes a member ready.
        if found && self.state == State::Ready {
            return Ok(());
        }
        match plan.wire.hear(&self.who, message) {
            Heard::Nothing | Heard::Publications(_) => {}
            Heard::Ready => self.state = State::Ready,
            Heard::Refused(why) => bail!("the server refuses connection {}: {why}", self.who.number),
            Heard::Answer(messages) => {
                let mut out = Vec::new();
                messages.iter().for_each(|message| frame::write_message(message, &mut out));
                self.send(&out)?;
            }
        }
        Ok(())
    }
}
