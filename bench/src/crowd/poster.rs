//! HTTP connections to one server that publish, without a crowd.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use mio::{Events, Poll};

use super::posts::Posts;
use super::tally::Tally;
use crate::wire::Request;

/// Bytes read at once: answers are short.
const READ: usize = 64 * 1024;

/// One request under way on each connection, and others waiting for their turn.
pub struct Poster {
    poll: Poll,
    events: Events,
    posts: Posts,
    posted: u64,
    tally: Tally,
    scratch: Vec<u8>,
}

impl Poster {
    /// Up to so many connections, as soon as there is something to be published.
    pub fn new(address: SocketAddr, connections: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let posts = Posts::new(address, poll.registry().try_clone()?, connections);
        let (events, tally) = (Events::with_capacity(connections.max(16)), Tally::default());
        Ok(Self { poll, events, posts, posted: 0, tally, scratch: vec![0; READ] })
    }

    /// Publishes on a connection that has nothing under way, or as soon as there is one.
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

    /// Publications that have not been answered.
    pub fn under_way(&self) -> u64 {
        self.posted - self.tally.answered
    }

    /// Takes what has come, waiting for it at most so long.
    pub fn turn(&mut self, wait: Duration) -> Result<()> {
        if let Err(error) = self.poll.poll(&mut self.events, Some(wait))
            && error.kind() != ErrorKind::Interrupted
        {
            return Err(error.into());
        }
        for event in &self.events {
            self.posts.attend(event.token().0, &mut self.scratch, &mut self.tally)?;
        }
        Ok(())
    }
}
