//! The floor: a server that does nothing but write a ready frame to each socket. What it is charged for a
//! delivery is the kernel's price; a server's own work is what it costs above that, and what it saves by
//! writing less often.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

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

const LISTENER: Token = Token(0);

/// Longest request or message that is understood.
const READ: usize = 64 * 1024;

struct Member {
    socket: TcpStream,
    upgraded: bool,
    partial: Vec<u8>,
}

/// Serves until it is killed.
pub fn serve(args: &FloorArgs) -> anyhow::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into()).with_context(|| format!("--port {}: cannot listen", args.port))?;
    socket.listen(8192)?;
    socket.set_nonblocking(true)?;
    let mut listener = mio::net::TcpListener::from_std(socket.into());
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let (mut events, mut members, mut next) = (Events::with_capacity(1024), HashMap::new(), 1);
    let (mut gathered, mut frames) = (Vec::new(), 0);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut socket, _)) = listener.accept() {
                    socket.set_nodelay(true)?;
                    poll.registry().register(&mut socket, Token(next), Interest::READABLE)?;
                    members.insert(next, Member { socket, upgraded: false, partial: Vec::new() });
                    next += 1;
                }
                continue;
            }
            let Token(place) = event.token();
            let Some(messages) = members.get_mut(&place).map(listen) else { continue };
            let Ok(messages) = messages else {
                members.remove(&place);
                continue;
            };
            for message in messages {
                write_frame(&message, &mut gathered);
                frames += 1;
                if frames == args.frames_per_send {
                    members.values_mut().filter(|member| member.upgraded).for_each(|member| tell(member, &gathered));
                    gathered.clear();
                    frames = 0;
                }
            }
        }
    }
}

/// The floor itself: one send for each member.
fn tell(member: &mut Member, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match member.socket.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_micros(50)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Its end is heard when it is read.
            Err(_) => return,
        }
    }
}

fn write_frame(message: &[u8], out: &mut Vec<u8>) {
    // A cast to two bytes: messages are shorter than what is read at once.
    match message.len() {
        len @ 0..=125 => out.extend_from_slice(&[0x81, len as u8]),
        len => {
            out.extend_from_slice(&[0x81, 126]);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(message);
}

/// Reads what has come, answers the upgrade, and gives the messages, which come with a mask of zeros.
fn listen(member: &mut Member) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut scratch = vec![0; READ];
    match member.socket.read(&mut scratch) {
        Ok(0) => anyhow::bail!("gone"),
        Ok(count) => member.partial.extend_from_slice(&scratch[..count]),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(error) => return Err(error.into()),
    }
    if !member.upgraded {
        let Some(end) = memchr::memmem::find(&member.partial, b"\r\n\r\n") else { return Ok(Vec::new()) };
        member.partial.drain(..end + 4);
        member.upgraded = true;
        member
            .socket
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")?;
    }
    let (mut messages, mut at) = (Vec::new(), 0);
    while let Some((message, size)) = message(&member.partial[at..]) {
        messages.push(message.to_vec());
        at += size;
    }
    member.partial.drain(..at);
    if member.partial.is_empty() {
        member.partial = Vec::new();
    }
    Ok(messages)
}

fn message(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (head, len) = match bytes.get(1)? & 0x7F {
        126 => (8, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        len => (6, usize::from(len)),
    };
    Some((bytes.get(head..head + len)?, head + len))
}
