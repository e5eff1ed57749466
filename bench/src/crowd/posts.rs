//! HTTP connections that publish: kept alive where the server keeps them, one request at a time on each.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token};

use super::answer::Answer;
use super::histogram::Histogram;
use super::tally::Tally;
use crate::wire::Request;

/// Tokens of the crowd's members end below.
const FIRST: usize = 1 << 40;

/// Connections, and so requests under way, if nothing else is asked for.
pub const CONNECTIONS: usize = 16;

/// Bytes read at once by a [`Poster`].
const READ: usize = 64 * 1024;

/// Requests that wait for a connection.
const WAITING_MAX: usize = 4096;

/// HTTP connections in a loop of somebody else's.
pub(super) struct Posts {
    address: SocketAddr,
    registry: Registry,
    /// How many there may be; they are opened when they are needed.
    most: usize,
    links: Vec<Link>,
    /// Links without a request.
    free: Vec<usize>,
    waiting: VecDeque<Vec<u8>>,
}

struct Link {
    socket: TcpStream,
    request: Vec<u8>,
    /// How much of the request is sent.
    sent: usize,
    begun: Instant,
    answer: Vec<u8>,
}

impl Posts {
    /// Up to so many connections, at least one.
    pub(super) fn new(address: SocketAddr, registry: Registry, most: usize) -> Self {
        let (links, free, waiting) = Default::default();
        Self { address, registry, most: most.max(1), links, free, waiting }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Requests that wait for a connection.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn dial(&self, place: usize) -> Result<TcpStream> {
        let mut socket = TcpStream::connect(self.address).context("no connection for publishing over HTTP")?;
        socket.set_nodelay(true)?;
        self.registry.register(&mut socket, Token(FIRST + place), Interest::READABLE | Interest::WRITABLE)?;
        Ok(socket)
    }

    /// Sends a request on a connection that is free, or as soon as one is.
    pub(super) fn post(&mut self, request: &Request) -> Result<()> {
        ensure!(self.waiting.len() < WAITING_MAX, "the server takes publications too slowly over HTTP");
        self.waiting.push_back(bytes(request));
        if self.free.is_empty() && self.links.len() < self.most {
            let place = self.links.len();
            let (request, answer) = Default::default();
            self.links.push(Link { socket: self.dial(place)?, request, sent: 0, begun: Instant::now(), answer });
            self.free.push(place);
        }
        match self.free.pop() {
            Some(place) => self.next(place),
            None => Ok(()),
        }
    }

    fn next(&mut self, place: usize) -> Result<()> {
        let Some(request) = self.waiting.pop_front() else {
            self.free.push(place);
            return Ok(());
        };
        let link = &mut self.links[place];
        (link.request, link.sent, link.begun) = (request, 0, Instant::now());
        link.send()
    }

    /// Something has happened at a connection.
    pub(super) fn attend(&mut self, token: usize, scratch: &mut [u8], tally: &mut Tally) -> Result<()> {
        let Some(place) = token.checked_sub(FIRST) else { return Ok(()) };
        let link = &mut self.links[place];
        link.send()?;
        let mut ends = link.receive(scratch)?;
        let is_answered = match Answer::read(&link.answer)? {
            Some(answer) => {
                ends |= answer.closes;
                link.answer.clear();
                link.request.clear();
                tally.answered += 1;
                tally.answering.add(u64::try_from(link.begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
                true
            }
            None => false,
        };
        if ends {
            // A request without an answer goes out once more.
            ensure!(link.answer.is_empty(), "the server ends a connection in the middle of an answer over HTTP");
            link.sent = 0;
            self.registry.deregister(&mut self.links[place].socket)?;
            self.links[place].socket = self.dial(place)?;
        }
        if is_answered { self.next(place) } else { Ok(()) }
    }
}

/// HTTP connections to one server that publish, without a crowd.
pub struct Poster {
    poll: Poll,
    events: Events,
    posts: Posts,
    tally: Tally,
    posted: u64,
    scratch: Vec<u8>,
}

impl Poster {
    /// Up to so many of them, as soon as there is something to be published.
    pub fn new(address: SocketAddr, connections: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let posts = Posts::new(address, poll.registry().try_clone()?, connections);
        let (tally, scratch) = (Tally::default(), vec![0; READ]);
        Ok(Self { poll, events: Events::with_capacity(64), posts, tally, posted: 0, scratch })
    }

    /// Publishes on a connection that has nothing under way, or waits for one.
    pub fn post(&mut self, request: &Request) -> Result<()> {
        self.posted += 1;
        self.posts.post(request)
    }

    /// Publications that wait for a connection.
    pub fn waiting(&self) -> usize {
        self.posts.waiting()
    }

    /// Publications that have been answered.
    pub fn answered(&self) -> u64 {
        self.tally.answered
    }

    /// Publications that have not.
    pub fn under_way(&self) -> u64 {
        self.posted - self.tally.answered
    }

    /// Forgets how long answers took.
    pub fn reset_tally(&mut self) {
        self.tally.answering = Histogram::default();
    }

    /// How long answers took, from the first byte of a request.
    pub fn answering(&self) -> &Histogram {
        &self.tally.answering
    }

    /// Takes what has come, waiting for it at most so long.
    pub fn turn(&mut self, wait: Duration) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &self.events {
            self.posts.attend(event.token().0, &mut self.scratch, &mut self.tally)?;
        }
        Ok(())
    }
}

impl Link {
    fn send(&mut self) -> Result<()> {
        while self.sent < self.request.len() {
            match self.socket.write(&self.request[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // One that is closed is noticed when it is read.
                Err(error) if is_later(&error) || is_end(&error) => break,
                Err(error) => return Err(error).context("cannot publish over HTTP"),
            }
        }
        Ok(())
    }

    /// True if the connection has ended.
    fn receive(&mut self, scratch: &mut [u8]) -> Result<bool> {
        loop {
            match self.socket.read(scratch) {
                Ok(0) => return Ok(true),
                Ok(count) => self.answer.extend_from_slice(&scratch[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_later(&error) => return Ok(false),
                Err(error) if is_end(&error) => return Ok(true),
                Err(error) => return Err(error).context("cannot publish over HTTP"),
            }
        }
    }
}

fn is_later(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}

fn is_end(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

fn bytes(request: &Request) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\nHost: 127.0.0.1\r\n", request.method, request.path);
    for (name, value) in &request.headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head += &format!("Content-Length: {}\r\n\r\n", request.body.len());
    [head.as_bytes(), &request.body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_how_long_its_body_is() {
        let request = Request {
            method: "POST",
            path: "/p".to_owned(),
            headers: vec![("X-A".to_owned(), "b".to_owned())],
            body: b"{}".to_vec(),
        };
        let expected = b"POST /p HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: b\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(bytes(&request), expected);
    }
}
