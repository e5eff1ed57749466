//! By Redis alone.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, ensure};
use mio::{Events, Interest, Poll, Token};

use super::{Road, next};
use crate::crowd::marker;
use crate::crowd::tally::{Ear, Tally};
use crate::resp;

const CHANNEL: &[u8] = b"raw";

/// What comes at once is far smaller at this pace.
const READ: usize = 64 * 1024;

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
    ear: Ear,
}

impl Raw {
    pub(super) fn connect(redis: SocketAddr) -> anyhow::Result<Self> {
        let (publisher, mut subscriber) = (resp::connect(redis)?, resp::connect(redis)?);
        resp::ask(&mut subscriber, &[b"SUBSCRIBE", CHANNEL])?;
        publisher.set_nonblocking(true)?;
        subscriber.set_nonblocking(true)?;
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
            ear: Ear::new(),
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

impl Road for Raw {
    fn publish(&mut self, size: usize) -> anyhow::Result<()> {
        let answered = Self::read(&self.publisher, &mut self.scratch)?;
        ensure!(!self.scratch[..answered].starts_with(b"-"), "Redis refuses to publish");
        let payload = next(&mut self.sequence).payload(size);
        self.publisher.write_all(&resp::command(&[b"PUBLISH", CHANNEL, &payload])).context("publishing to Redis")
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
        while let Some(size) = resp::reply(&self.heard) {
            self.ear.hear(&self.heard[..size], now);
            self.heard.drain(..size);
        }
        Ok(())
    }

    fn tally(&self) -> &Tally {
        self.ear.tally()
    }

    fn reset_tally(&mut self) {
        self.ear.reset_tally();
    }
}
