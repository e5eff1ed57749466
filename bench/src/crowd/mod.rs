//! Thousands of clients on one thread, as cheap as can be: they share the machine with what they measure.
//!
//! Members open WebSockets and subscribe as their [`Wire`] has it; then each publication that reaches one is
//! counted by the [`marker`] in its payload, without parsing what is around it. The first member publishes, or
//! HTTP connections beside the crowd do. One buffer serves all sockets: a member keeps bytes of its own only
//! while a frame is incomplete. The clock is read once for all that one read brings.

mod answer;
mod frame;
pub mod histogram;
pub mod marker;
mod member;
pub mod order;
pub mod pinger;
mod plan;
pub mod posts;
pub mod tally;
#[cfg(test)]
mod tests;
mod window;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mio::{Events, Interest, Poll, Token};

use marker::Marker;
use member::{Member, State};
pub use plan::Plan;
use posts::Posts;
use tally::{Books, Tally};

/// How long nothing at all may happen while something must.
const STALL: Duration = Duration::from_secs(20);

/// Files of a process that are no members of a crowd.
const FILES: u64 = 32;

/// Bytes read at once.
const READ: usize = 512 * 1024;

/// Connections to one server.
pub struct Crowd {
    plan: Plan,
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
    members: Vec<Member>,
    /// Members that were subscribed at one time.
    ready: usize,
    books: Books,
    posts: Option<Posts>,
    /// The first member has something to send.
    speaks: bool,
}

impl Crowd {
    /// Opens all connections and waits until each is subscribed. One that is refused is an error.
    pub fn connect(plan: Plan) -> Result<Self> {
        ensure!(plan.members > 0, "a crowd of nobody: give at least one member");
        let files = rlimit::Resource::NOFILE.get_soft()?;
        ensure!(
            plan.members as u64 + FILES <= files,
            "{} connections are more than {files} open files allow: see ulimit -n",
            plan.members
        );
        let mut crowd = Self::nobody(plan)?;
        let mut progress = (0, Instant::now());
        while crowd.ready < crowd.plan.members {
            let (wanted, at_once) = (crowd.plan.members, crowd.plan.at_once.max(1));
            while crowd.members.len() < wanted && crowd.members.len() - crowd.ready < at_once {
                crowd.admit(0)?;
            }
            crowd.turn(Duration::from_millis(100))?;
            let ready = crowd.ready;
            if ready > progress.0 {
                progress = (ready, Instant::now());
            }
            ensure!(progress.1.elapsed() < STALL, "only {ready} of {wanted} connections got as far as subscribing");
        }
        Ok(crowd)
    }

    /// A crowd whose members come one by one, by [`Crowd::admit`].
    pub fn nobody(plan: Plan) -> Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(4096),
            scratch: vec![0; READ],
            members: Vec::with_capacity(plan.members),
            ready: 0,
            books: Books::default(),
            posts: None,
            speaks: false,
            plan,
        })
    }

    /// Opens a connection for the next member, to whom nothing up to the publication `last` is owed. It is
    /// subscribed some turns later.
    pub fn admit(&mut self, last: u32) -> Result<()> {
        let place = self.members.len();
        let number = self.plan.first + place;
        let source = self.plan.source(place);
        let mut member = Member::open(&self.plan, number, last, source)
            .with_context(|| format!("connection {number} to {} cannot be opened", self.plan.address))?;
        self.poll.registry().register(&mut member.socket, Token(place), Interest::READABLE | Interest::WRITABLE)?;
        self.members.push(member);
        Ok(())
    }

    /// What has been received.
    pub fn tally(&self) -> &Tally {
        &self.books.tally
    }

    /// Forgets what has been received; what is still under way counts from now on.
    pub fn reset_tally(&mut self) {
        self.books.tally = Tally::default();
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// How many were subscribed at one time.
    pub fn ready(&self) -> usize {
        self.ready
    }

    /// Publications so far.
    pub fn published(&self) -> u32 {
        self.books.window.published()
    }

    /// Publications that have not reached every member.
    pub fn outstanding(&self) -> u32 {
        self.books.window.outstanding()
    }

    /// No longer waits for what is outstanding: it is lost.
    pub fn give_up(&mut self) {
        self.books.window.give_up();
    }

    /// Others have published in the channel, up to this number.
    pub fn expect(&mut self, published: u32) {
        self.books.window.learn(published);
    }

    /// Publications after the last one of each member, added up: those who are gone miss theirs for good.
    pub fn missing(&self) -> u64 {
        let published = self.published();
        self.members.iter().map(|member| u64::from(member.order.behind(published))).sum()
    }

    /// Publishes over HTTP on so many connections at most, also where members could.
    pub fn post_on(&mut self, connections: usize) -> Result<()> {
        self.posts = Some(Posts::new(self.plan.address, self.poll.registry().try_clone()?, connections));
        Ok(())
    }

    /// Whether publications leave in the order of their numbers: over several HTTP connections they do not.
    pub fn publishes_in_order(&self) -> bool {
        self.posts.as_ref().is_none_or(|posts| posts.most() == 1)
    }

    /// Publishes a payload of `size` bytes, as if at `at` (nanoseconds since 1970). What members publish goes out at
    /// the next turn, all together.
    pub fn publish(&mut self, size: usize, at: u64) -> Result<()> {
        // Nothing would ever come back, and all that is published settle at once.
        ensure!(
            self.members[0].state != State::Ended,
            "the publisher's connection has ended: {}",
            self.books.tally.ended_how.as_deref().unwrap_or("without a word")
        );
        let payload = Marker { sequence: self.books.window.publish(), at }.payload(size);
        let first = &mut self.members[0];
        if self.posts.is_none() {
            if let Some(message) = self.plan.wire.publish(&first.who, &payload) {
                first.say(&[message]);
                self.speaks = true;
                return Ok(());
            }
            self.post_on(posts::CONNECTIONS)?;
        }
        let request = self.plan.wire.publish_http(&self.members[0].who.channel, &payload);
        let request = request.context("this kind of server takes no publications from clients or over HTTP")?;
        self.posts.as_mut().map_or(Ok(()), |posts| posts.post(&request))
    }

    /// Sends what is to be sent, and handles what has come, waiting for it at most so long; answers how many
    /// publications that were.
    pub fn turn(&mut self, wait: Duration) -> Result<u64> {
        let before = self.books.tally.deliveries;
        if std::mem::take(&mut self.speaks) {
            self.members[0].flush()?;
        }
        if let Err(error) = self.poll.poll(&mut self.events, Some(wait))
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            return Err(error.into());
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let Token(place) = event.token();
            if place < self.members.len() {
                if let Err(error) = self.attend(place, event.is_read_closed()) {
                    self.end(place, error)?;
                }
            } else if let Some(posts) = &mut self.posts {
                posts.attend(place, &mut self.scratch, &mut self.books.tally)?;
            }
        }
        self.events = events;
        Ok(self.books.tally.deliveries - before)
    }

    fn attend(&mut self, place: usize, closed: bool) -> Result<()> {
        let Self { members, scratch, books, plan, ready, .. } = self;
        let member = &mut members[place];
        match member.state {
            State::Ended => return Ok(()),
            State::Connecting => return member.begin(&*plan.wire),
            State::Upgrading | State::Joining | State::Ready => member.flush()?,
        }
        while let Some((count, is_all)) = member.read(scratch)? {
            let was_ready = member.state == State::Ready;
            let heard = member.hear(&scratch[..count], &*plan.wire, books);
            if !was_ready && member.state == State::Ready {
                *ready += 1;
                books.window.join();
            }
            member.keep(&scratch[heard?..count]);
            // A read that leaves room has taken all; only the end may come after it.
            if is_all && !closed {
                break;
            }
        }
        Ok(())
    }

    /// A connection that ends before it is subscribed is an error; later, it is told and costs what it misses.
    fn end(&mut self, place: usize, how: anyhow::Error) -> Result<()> {
        let member = &mut self.members[place];
        let number = member.who.number;
        match std::mem::replace(&mut member.state, State::Ended) {
            State::Ready => {
                self.books.window.leave();
                let tally = &mut self.books.tally;
                tally.ended += 1;
                tally.ended_how.get_or_insert_with(|| format!("connection {number}: {how:#}"));
                Ok(())
            }
            state => Err(how.context(format!("connection {number} gets no further than {state:?}"))),
        }
    }

    /// The server has ended: takes what it has still sent, and answers each member's last publication, and what all
    /// together have received.
    pub fn survive(mut self) -> Result<(Vec<u32>, Tally)> {
        let end = Instant::now() + STALL;
        while self.members.iter().any(|member| member.state != State::Ended) {
            ensure!(Instant::now() < end, "the server has not closed its connections after {STALL:?}");
            self.turn(Duration::from_millis(100))?;
        }
        let tally = std::mem::take(&mut self.books.tally);
        Ok((self.members.iter().map(|member| member.order.last()).collect(), tally))
    }

    /// Lets the crowd be for a while: answers what has to be answered.
    pub fn idle(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            self.turn(left.min(Duration::from_millis(100)))?;
        }
        Ok(())
    }

    /// Waits until everybody has got everything that was published; false if nothing has come for so long
    /// and something is missing.
    pub fn settle(&mut self, patience: Duration) -> Result<bool> {
        let mut last = Instant::now();
        while self.is_owed() {
            if last.elapsed() >= patience {
                return Ok(false);
            }
            if self.turn(Duration::from_millis(20))? > 0 {
                last = Instant::now();
            }
        }
        Ok(true)
    }

    /// Whether somebody who is still there has not got the last publication.
    fn is_owed(&self) -> bool {
        let published = self.published();
        self.members.iter().any(|member| member.state == State::Ready && member.order.behind(published) > 0)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.members.iter().for_each(Member::hang_up);
    }
}
