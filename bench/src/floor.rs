//! The floor: a server that does nothing but write a ready frame to each socket. What it is charged for a
//! delivery is the kernel's price; a server's own work is what it costs above that, and what it saves by
//! writing less often.
//!
//! One thread takes connections in; the other reads what members publish and writes it to all of them, the
//! publisher, too, with one blocking send(2) each.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::{Domain, Socket, Type};

/// Options of the server that is the floor.
#[derive(Clone, Debug, Args)]
pub struct FloorArgs {
    /// Where it listens, on 127.0.0.1
    #[arg(long)]
    port: u16,
    /// Messages that are gathered and written to each subscriber by one send
    #[arg(long, default_value_t = 1)]
    frames_per_send: usize,
}

const ARRIVALS: Token = Token(usize::MAX);

/// Longest request or message that is understood.
const READ: usize = 64 * 1024;

/// How long a socket may be full.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long gathered messages wait for more.
const GATHERING: Duration = Duration::from_millis(100);

/// Serves until it is killed.
pub fn serve(args: &FloorArgs) -> Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    socket.bind(&address.into()).with_context(|| format!("--port {}: cannot listen", args.port))?;
    socket.listen(8192)?;
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), ARRIVALS)?;
    let (sender, arrivals) = mpsc::channel();
    thread::spawn(move || take_in(&TcpListener::from(socket), &sender, &waker));
    Floor {
        poll,
        arrivals,
        members: BTreeMap::new(),
        next: 0,
        gathered: Vec::new(),
        frames: 0,
        most: args.frames_per_send,
    }
    .run()
}

/// A connection whose request is read, and the answer to it.
type Arrival = (TcpStream, String);

fn take_in(listener: &TcpListener, arrivals: &Sender<Arrival>, waker: &Waker) {
    for stream in listener.incoming().flatten() {
        // Whoever only looks whether somebody listens is let go.
        if let Ok(answer) = upgrade(&stream)
            && arrivals.send((stream, answer)).is_ok()
        {
            let _ = waker.wake();
        }
    }
}

/// Reads a request and makes the answer to it.
fn upgrade(mut stream: &TcpStream) -> Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let (mut request, mut part) = (Vec::new(), [0; 2048]);
    while !request.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut part)?;
        ensure!(count > 0 && request.len() < READ, "no request");
        request.extend_from_slice(&part[..count]);
    }
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let request = std::str::from_utf8(&request)?;
    let key = request.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    });
    let accept = accept_key(key.context("no WebSocket")?);
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ))
}

/// RFC 6455, section 4.2.2.
fn accept_key(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

struct Floor {
    poll: Poll,
    arrivals: Receiver<Arrival>,
    /// Each with what has come of a frame that is not all here.
    members: BTreeMap<usize, (TcpStream, Vec<u8>)>,
    next: usize,
    gathered: Vec<u8>,
    frames: usize,
    /// Frames in one send.
    most: usize,
}

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
                let Token(place) = event.token();
                if event.token() == ARRIVALS {
                    self.welcome()?;
                } else if self.hear(place).is_err() {
                    self.members.remove(&place);
                }
            }
        }
    }

    fn welcome(&mut self) -> Result<()> {
        while let Ok((mut stream, answer)) = self.arrivals.try_recv() {
            if stream.write_all(answer.as_bytes()).is_ok() {
                let mut source = SourceFd(&stream.as_raw_fd());
                self.poll.registry().register(&mut source, Token(self.next), Interest::READABLE)?;
                self.members.insert(self.next, (stream, Vec::new()));
                self.next += 1;
            }
        }
        Ok(())
    }

    fn hear(&mut self, place: usize) -> Result<()> {
        let Some((stream, partial)) = self.members.get_mut(&place) else { return Ok(()) };
        let mut bytes = std::mem::take(partial);
        let kept = bytes.len();
        bytes.resize(kept + READ, 0);
        let count = stream.read(&mut bytes[kept..])?;
        ensure!(count > 0, "gone");
        bytes.truncate(kept + count);
        let mut used = 0;
        while let Some((frame, size)) = frame(&bytes[used..]) {
            self.gathered.extend_from_slice(&frame);
            self.frames += 1;
            used += size;
            if self.frames == self.most {
                self.tell();
            }
        }
        if let Some((_, partial)) = self.members.get_mut(&place) {
            *partial = bytes.split_off(used);
        }
        Ok(())
    }

    /// The floor itself: one send for each member.
    fn tell(&mut self) {
        for (stream, _) in self.members.values_mut() {
            // A member that is gone is noticed when it is read.
            let _ = stream.write_all(&self.gathered);
        }
        self.gathered.clear();
        self.frames = 0;
    }
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
