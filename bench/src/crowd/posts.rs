//! HTTP connections that publish: kept alive as long as the server likes, one request at a time on each.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use memchr::memmem;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token};

use crate::wire::Request;

/// Connections, and so requests under way, at most.
pub const CONNECTIONS: usize = 16;

/// Tokens of the crowd's members end below.
const FIRST: usize = 1 << 40;

/// Requests that wait for a connection.
const WAITING_MAX: usize = 4096;

/// Bytes of an answer to a publication.
const ANSWER_MAX: usize = 64 * 1024;

pub(super) struct Posts {
    address: SocketAddr,
    registry: Registry,
    connections: Vec<Connection>,
    free: Vec<usize>,
    waiting: VecDeque<Vec<u8>>,
    connections_max: usize,
    answered: u64,
}

#[derive(Default)]
struct Connection {
    /// None while the server has closed it.
    socket: Option<TcpStream>,
    asked: bool,
    answer: Vec<u8>,
}

impl Posts {
    pub(super) fn new(address: SocketAddr, registry: Registry, connections_max: usize) -> Self {
        let (connections, free, waiting) = Default::default();
        Self { address, registry, connections, free, waiting, connections_max, answered: 0 }
    }

    pub(super) fn post(&mut self, request: &Request) -> anyhow::Result<()> {
        let Request { method, path, headers, body } = request;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        let bytes = [head.as_bytes(), body].concat();
        if let Some(free) = self.free.pop() {
            return self.send(free, &bytes);
        }
        if self.connections.len() < self.connections_max {
            self.connections.push(Connection::default());
            return self.send(self.connections.len() - 1, &bytes);
        }
        ensure!(self.waiting.len() < WAITING_MAX, "the server takes publications too slowly over HTTP");
        self.waiting.push_back(bytes);
        Ok(())
    }

    fn send(&mut self, place: usize, bytes: &[u8]) -> anyhow::Result<()> {
        let connection = &mut self.connections[place];
        if connection.socket.is_none() {
            let socket =
                std::net::TcpStream::connect(self.address).context("no connection for publishing over HTTP")?;
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            let socket = connection.socket.insert(TcpStream::from_std(socket));
            self.registry.register(socket, Token(FIRST + place), Interest::READABLE)?;
        }
        connection.asked = true;
        let socket = connection.socket.as_mut().context("a connection is there")?;
        let written = socket.write(bytes).context("publishing over HTTP")?;
        ensure!(written == bytes.len(), "a request of {} bytes did not fit into the socket", bytes.len());
        Ok(())
    }

    /// Something has come on a connection.
    pub(super) fn attend(&mut self, token: usize, scratch: &mut [u8]) -> anyhow::Result<()> {
        let Some(place) = token.checked_sub(FIRST) else { return Ok(()) };
        let connection = &mut self.connections[place];
        let Some(socket) = &mut connection.socket else { return Ok(()) };
        match socket.read(scratch) {
            Ok(0) if connection.asked => bail!("the server closed a connection without an answer to a publication"),
            Ok(0) => {
                connection.socket = None;
                return Ok(());
            }
            Ok(count) => connection.answer.extend_from_slice(&scratch[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).context("publishing over HTTP"),
        }
        let Some(answer) = Answer::read(&connection.answer)? else { return Ok(()) };
        ensure!(answer.good, "the server refused a publication: {}", String::from_utf8_lossy(&connection.answer));
        connection.answer.clear();
        connection.asked = false;
        if answer.last {
            connection.socket = None;
        }
        self.answered += 1;
        match self.waiting.pop_front() {
            Some(bytes) => self.send(place, &bytes),
            None => {
                self.free.push(place);
                Ok(())
            }
        }
    }
}

/// What has to be known of an answer that is all here.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    good: bool,
    /// The server closes the connection.
    last: bool,
}

impl Answer {
    /// None if it is not all here.
    fn read(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        ensure!(bytes.len() < ANSWER_MAX, "the server's answer to a publication does not end");
        let Some(end) = memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let body = &bytes[end + 4..];
        let whole = match header("content-length") {
            Some(length) => body.len() >= length.trim().parse().context("an answer with a strange Content-Length")?,
            None if header("transfer-encoding").is_some() => body.ends_with(b"0\r\n\r\n"),
            None => true,
        };
        let good = head.starts_with("http/1.1 2");
        Ok(whole.then(|| Self { good, last: header("connection").is_some_and(|value| value.trim() == "close") }))
    }
}

/// HTTP connections to one server that publish, without a crowd.
pub struct Poster {
    poll: Poll,
    events: Events,
    posts: Posts,
    posted: u64,
    scratch: Vec<u8>,
}

impl Poster {
    /// At most so many connections, opened when there is something to be published.
    pub fn new(address: SocketAddr, connections_max: usize) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let posts = Posts::new(address, poll.registry().try_clone()?, connections_max);
        Ok(Self { poll, events: Events::with_capacity(64), posts, posted: 0, scratch: vec![0; ANSWER_MAX] })
    }

    /// Publishes on a connection that has nothing under way, or waits for one.
    pub fn post(&mut self, request: &Request) -> anyhow::Result<()> {
        self.posted += 1;
        self.posts.post(request)
    }

    /// Publications that have been answered.
    pub fn answered(&self) -> u64 {
        self.posts.answered
    }

    /// Publications that wait for a connection.
    pub fn waiting(&self) -> usize {
        self.posts.waiting.len()
    }

    /// Publications that have not been answered.
    pub fn under_way(&self) -> u64 {
        self.posted - self.posts.answered
    }

    /// Takes what has come, waiting for it at most so long.
    pub fn turn(&mut self, wait: Duration) -> anyhow::Result<()> {
        if let Err(error) = self.poll.poll(&mut self.events, Some(wait))
            && error.kind() != ErrorKind::Interrupted
        {
            return Err(error.into());
        }
        for event in &self.events {
            self.posts.attend(event.token().0, &mut self.scratch)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_or_waited_for() {
        let answers: [(&[u8], bool, bool); 4] = [
            (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", true, false),
            (b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", true, true),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", true, false),
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false, false),
        ];
        for (bytes, good, last) in answers {
            assert_eq!(Answer::read(bytes).unwrap(), Some(Answer { good, last }));
            assert_eq!(Answer::read(&bytes[..bytes.len() - 1]).unwrap(), None);
        }
    }
}
