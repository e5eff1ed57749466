//! The floor: a server that does nothing but write a ready frame to each socket. What it is charged for a
//! delivery is the kernel's price; a server's own work is what it costs above that, and what it saves by
//! writing less often.
//!
//! One thread, whose writes block: what a member publishes goes to all of them, the publisher, too, with one
//! send(2) each.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

/// Options of the server that is the floor.
#[derive(Clone, Debug, Args)]
pub struct FloorArgs {
    /// Where it listens, on 127.0.0.1
    #[arg(long)]
    port: u16,
    /// Messages that are gathered and written to each subscriber by one send
    #[arg(long, default_value_t = 1)]
    frames_per_send: u32,
}

/// Frames in one send of the floor that gathers.
pub const GATHERED: u32 = 32;

const LISTENER: Token = Token(usize::MAX);

/// Bytes read at once; no request and no message is longer.
const READ: usize = 64 * 1024;

/// How long a socket may be full.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long gathered messages wait for more.
const GATHERING: Duration = Duration::from_millis(100);

struct Member {
    stream: TcpStream,
    upgraded: bool,
    /// What has come of a request or a message that is not all here.
    partial: Vec<u8>,
}

struct Floor {
    listener: TcpListener,
    poll: Poll,
    members: BTreeMap<usize, Member>,
    /// The next member's number.
    next: usize,
    gathered: Vec<u8>,
    frames: u32,
    frames_per_send: u32,
}

/// Serves until it is killed.
pub fn serve(args: &FloorArgs) -> Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    socket.bind(&address.into()).with_context(|| format!("--port {}: cannot listen", args.port))?;
    socket.listen(8192)?;
    serve_on(TcpListener::from(socket), args.frames_per_send)
}

/// The same for a socket that listens already.
pub fn serve_on(listener: TcpListener, frames_per_send: u32) -> Result<()> {
    listener.set_nonblocking(true)?;
    let poll = Poll::new()?;
    poll.registry().register(&mut SourceFd(&listener.as_raw_fd()), LISTENER, Interest::READABLE)?;
    let (members, gathered) = Default::default();
    Floor { listener, poll, members, next: 0, gathered, frames: 0, frames_per_send }.run()
}

/// The first byte of a word that is for nobody else: each client says it once.
const PONG: u8 = 0x8A;

impl Floor {
    fn run(mut self) -> Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, (self.frames > 0).then_some(GATHERING)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
            if events.is_empty() && self.frames > 0 {
                self.tell();
            }
            for event in &events {
                let Token(number) = event.token();
                if event.token() == LISTENER {
                    self.take_in()?;
                } else if self.attend(number).is_err() {
                    self.members.remove(&number);
                }
            }
        }
    }

    fn take_in(&mut self) -> Result<()> {
        while let Ok((stream, _)) = self.listener.accept() {
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            let mut source = SourceFd(&stream.as_raw_fd());
            self.poll.registry().register(&mut source, Token(self.next), Interest::READABLE)?;
            self.members.insert(self.next, Member { stream, upgraded: false, partial: Vec::new() });
            self.next += 1;
        }
        Ok(())
    }

    /// Takes what has come from a member: its request, then messages.
    fn attend(&mut self, number: usize) -> Result<()> {
        let Some(member) = self.members.get_mut(&number) else { return Ok(()) };
        let bytes = member.read()?;
        let mut used = 0;
        if !member.upgraded {
            used = member.upgrade(&bytes)?;
        }
        if member.upgraded {
            while let Some((frame, size)) = frame(&bytes[used..]) {
                used += size;
                if frame.first() == Some(&PONG) {
                    continue;
                }
                self.gathered.extend_from_slice(&frame);
                self.frames += 1;
                if self.frames >= self.frames_per_send {
                    self.tell();
                }
            }
        }
        if let Some(member) = self.members.get_mut(&number) {
            member.partial = bytes[used..].to_vec();
        }
        Ok(())
    }

    /// The floor itself: one send for each member.
    fn tell(&mut self) {
        for member in self.members.values_mut().filter(|member| member.upgraded) {
            // One that is gone is noticed when it is read.
            let _ = member.stream.write_all(&self.gathered);
        }
        self.gathered.clear();
        self.frames = 0;
    }
}

impl Member {
    /// What has come so far, and is not used yet.
    fn read(&mut self) -> Result<Vec<u8>> {
        let mut bytes = std::mem::take(&mut self.partial);
        let kept = bytes.len();
        ensure!(kept < READ, "neither a request nor a message");
        bytes.resize(kept + READ, 0);
        let count = self.stream.read(&mut bytes[kept..])?;
        ensure!(count > 0, "gone");
        bytes.truncate(kept + count);
        Ok(bytes)
    }

    /// Answers the request, if it is all here; how many bytes that took.
    fn upgrade(&mut self, bytes: &[u8]) -> Result<usize> {
        let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Ok(0) };
        let key = std::str::from_utf8(&bytes[..end])?.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
        });
        let accept = accept_key(key.context("no WebSocket")?);
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        self.stream.write_all(answer.as_bytes())?;
        self.upgraded = true;
        Ok(end + 4)
    }
}

/// RFC 6455, section 4.2.2.
fn accept_key(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// The first message of a member as a frame to all, and how many bytes it took; none if it is not all here.
fn frame(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (first, length) = (*bytes.first()?, *bytes.get(1)?);
    let (head, length) = match length & 0x7F {
        126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        length => (2, usize::from(length)),
    };
    let mask: [u8; 4] = *bytes.get(head..)?.first_chunk()?;
    let payload = bytes.get(head + 4..head + 4 + length)?;
    let mut frame = vec![first];
    match length {
        // Casts to a byte and to two: lengths that were read from as many.
        0..=125 => frame.push(length as u8),
        _ => {
            frame.push(126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    Some((frame, head + 4 + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_that_of_the_rfc() {
        // RFC 6455, section 1.3.
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_frame_loses_its_mask_and_nothing_else() {
        // RFC 6455, section 5.7: "Hello", masked and bare.
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58, 0xff];
        assert_eq!(frame(&masked), Some((b"\x81\x05Hello".to_vec(), 11)));
        assert_eq!(frame(&masked[..10]), None);
        let mut long = vec![0x82, 0xfe, 0x01, 0x00, 0, 0, 0, 0];
        long.extend([7; 256]);
        let (bare, size) = frame(&long).unwrap();
        assert_eq!((&bare[..4], bare.len(), size), ([0x82, 126, 1, 0].as_slice(), 260, 264));
    }
}
