//! By Redis alone.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, ensure};
use mio::{Events, Interest, Poll, Token};

use super::{Road, next};
use crate::crowd::marker::{self, Marker};
use crate::crowd::tally::Tally;
use crate::redis;

const CHANNEL: &[u8] = b"raw";

/// What comes at once is far smaller at this pace.
const READ: usize = 64 * 1024;

/// How long Redis may take to confirm the subscription.
const PATIENCE: Duration = Duration::from_secs(5);

/// One connection that publishes, one that subscribes.
pub(super) struct Raw {
    publisher: TcpStream,
    subscriber: mio::net::TcpStream,
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
    /// What has come of pushes that are not all here.
    heard: Vec<u8>,
    sequence: u32,
    last: u32,
    hint: usize,
    tally: Tally,
}

impl Raw {
    pub(super) fn connect(redis: SocketAddr) -> anyhow::Result<Self> {
        let publisher = TcpStream::connect(redis)?;
        publisher.set_nodelay(true)?;
        publisher.set_nonblocking(true)?;
        let subscriber = subscribe(redis)?;
        let mut subscriber = mio::net::TcpStream::from_std(subscriber);
        let poll = Poll::new()?;
        poll.registry().register(&mut subscriber, Token(0), Interest::READABLE)?;
        Ok(Self {
            publisher,
            subscriber,
            poll,
            events: Events::with_capacity(4),
            scratch: vec![0; READ],
            heard: Vec::new(),
            sequence: 0,
            last: 0,
            hint: 0,
            tally: Tally::default(),
        })
    }

    /// What may be there, or may not.
    fn read(mut socket: impl Read, scratch: &mut [u8]) -> anyhow::Result<usize> {
        match socket.read(scratch) {
            Ok(0) => Err(anyhow::anyhow!("Redis has hung up")),
            Ok(count) => Ok(count),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
            Err(error) => Err(error).context("Redis is gone"),
        }
    }
}

/// A connection that is subscribed.
fn subscribe(redis: SocketAddr) -> anyhow::Result<TcpStream> {
    let mut socket = TcpStream::connect(redis)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(&redis::command(&[b"SUBSCRIBE", CHANNEL]))?;
    let (mut answer, mut part) = (Vec::new(), [0; 256]);
    while redis::reply(&answer).is_none() {
        let count = socket.read(&mut part).context("Redis does not confirm a subscription")?;
        ensure!(count > 0, "Redis has hung up");
        answer.extend_from_slice(&part[..count]);
    }
    ensure!(answer.starts_with(b"*3"), "Redis refuses to subscribe: {}", String::from_utf8_lossy(&answer));
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl Road for Raw {
    fn publish(&mut self, size: usize) -> anyhow::Result<()> {
        let answered = Self::read(&self.publisher, &mut self.scratch)?;
        ensure!(!self.scratch[..answered].starts_with(b"-"), "Redis refuses to publish");
        let payload = next(&mut self.sequence).payload(size);
        self.publisher.write_all(&redis::command(&[b"PUBLISH", CHANNEL, &payload])).context("publishing to Redis")
    }

    fn turn(&mut self, wait: Duration) -> anyhow::Result<()> {
        if let Err(error) = self.poll.poll(&mut self.events, Some(wait))
            && error.kind() != ErrorKind::Interrupted
        {
            return Err(error.into());
        }
        if self.events.is_empty() {
            return Ok(());
        }
        let count = Self::read(&self.subscriber, &mut self.scratch)?;
        self.heard.extend_from_slice(&self.scratch[..count]);
        let now = marker::now();
        while let Some(size) = redis::reply(&self.heard) {
            if let Some((marker, _)) = Marker::find(&self.heard[..size], &mut self.hint) {
                self.tally.count(&mut self.last, marker, now);
            }
            self.heard.drain(..size);
        }
        Ok(())
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }

    fn reset_tally(&mut self) {
        self.tally = Tally::default();
    }
}
