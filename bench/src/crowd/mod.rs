//! Thousands of clients on one thread, as cheap as can be: they share the machine with what they measure.
//!
//! Members open WebSockets and subscribe as their [`Wire`] has it; then each publication that reaches one is
//! counted by the [`marker`] in its payload. The first member publishes, or HTTP connections beside the
//! crowd do.

mod frame;
pub mod histogram;
pub mod marker;
mod member;
pub mod posts;
pub mod tally;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use mio::{Events, Interest, Poll, Token};

use crate::wire::Wire;
use marker::Marker;
use member::{Member, State};
use posts::Posts;
use tally::Tally;

/// How long nothing at all may happen while something must.
const STALL: Duration = Duration::from_secs(20);

/// Connections from one address of this machine: below the number of ports that are free for it.
const PER_SOURCE: usize = 20_000;

/// Bytes read at once.
const READ: usize = 512 * 1024;

/// Who opens connections to what.
#[derive(Clone)]
pub struct Plan {
    /// The server.
    pub address: SocketAddr,
    /// How it is spoken to.
    pub wire: Arc<dyn Wire>,
    /// What everybody subscribes to; `{n}` stands for the member's number.
    pub channel: String,
    /// What tokens are signed with.
    pub secret: String,
    /// How many connections.
    pub members: usize,
    /// The number of the first one.
    pub first: usize,
    /// Handshakes under way at once, at most.
    pub at_once: usize,
}

impl Plan {
    /// The same for other members: numbers go on after these.
    pub fn after(mut self, members: usize) -> Self {
        self.first = members;
        self
    }
}

/// Connections to one server.
pub struct Crowd {
    plan: Plan,
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
    members: Vec<Member>,
    /// Members that are subscribed.
    ready: usize,
    hint: usize,
    posts: Option<Posts>,
    tally: Tally,
    /// Publications so far.
    published: u32,
}

impl Crowd {
    /// Opens all connections and waits until each is subscribed.
    pub fn connect(plan: Plan) -> anyhow::Result<Self> {
        ensure!(plan.members > 0, "a crowd of nobody: give at least one member");
        let mut crowd = Self::nobody(plan)?;
        let mut progress = (0, Instant::now());
        while crowd.ready < crowd.plan.members {
            while crowd.members.len() < crowd.plan.members && crowd.members.len() - crowd.ready < crowd.plan.at_once {
                crowd.admit(0)?;
            }
            crowd.turn(Duration::from_millis(100))?;
            if crowd.ready > progress.0 {
                progress = (crowd.ready, Instant::now());
            }
            let (ready, wanted) = (crowd.ready, crowd.plan.members);
            ensure!(progress.1.elapsed() < STALL, "only {ready} of {wanted} connections got as far as subscribing");
        }
        Ok(crowd)
    }

    /// A crowd whose members come one by one, by [`Crowd::admit`].
    pub fn nobody(plan: Plan) -> anyhow::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(4096),
            scratch: vec![0; READ],
            members: Vec::with_capacity(plan.members),
            ready: 0,
            hint: 0,
            posts: None,
            tally: Tally::default(),
            published: 0,
            plan,
        })
    }

    /// Opens a connection for the next member, who has got all publications up to `last` elsewhere.
    pub fn admit(&mut self, last: u32) -> anyhow::Result<()> {
        let place = self.members.len();
        let number = self.plan.first + place;
        let source = Ipv4Addr::new(127, 0, 1, u8::try_from(1 + place / PER_SOURCE).unwrap_or(u8::MAX));
        let source = (self.plan.members > PER_SOURCE).then_some(source);
        let mut member = Member::open(&self.plan, number, source)
            .with_context(|| format!("connection {number} to {} cannot be opened", self.plan.address))?;
        member.last = last;
        self.poll.registry().register(&mut member.socket, Token(place), Interest::READABLE | Interest::WRITABLE)?;
        self.members.push(member);
        Ok(())
    }

    /// What has been received.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Forgets what has been received; what is still under way counts from now on.
    pub fn reset_tally(&mut self) {
        self.tally = Tally::default();
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// How many of them are subscribed.
    pub fn ready(&self) -> usize {
        self.ready
    }

    /// Others have published so many.
    pub fn expect(&mut self, published: u32) {
        self.published = published;
    }

    /// Publications so far.
    pub fn published(&self) -> u32 {
        self.published
    }

    /// Publications that the member who has got least has not got.
    pub fn missing(&self) -> u64 {
        self.members.iter().map(|member| u64::from(self.published - member.last)).sum()
    }

    /// Publishes a payload of `size` bytes, as if at `at` (nanoseconds since 1970).
    pub fn publish(&mut self, size: usize, at: u64) -> anyhow::Result<()> {
        self.published += 1;
        let payload = Marker { sequence: self.published, at }.payload(size);
        let first = &mut self.members[0];
        if let Some(message) = self.plan.wire.publish(&first.who, &payload) {
            let mut out = Vec::with_capacity(size + 128);
            frame::write_message(&message, &mut out);
            return first.send(&out);
        }
        let request = self.plan.wire.publish_http(&first.who.channel, &payload);
        let request = request.context("this kind of server takes no publications from clients or over HTTP")?;
        if self.posts.is_none() {
            self.posts = Some(Posts::new(self.plan.address, self.poll.registry().try_clone()?, posts::CONNECTIONS));
        }
        match &mut self.posts {
            Some(posts) => posts.post(&request),
            None => Ok(()),
        }
    }

    /// Handles what has come, waiting for it at most so long; answers how many publications that were.
    pub fn turn(&mut self, wait: Duration) -> anyhow::Result<u64> {
        let before = self.tally.deliveries;
        if let Err(error) = self.poll.poll(&mut self.events, Some(wait))
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            return Err(error.into());
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let Token(place) = event.token();
            match self.members.get_mut(place) {
                Some(_) => self.attend(place)?,
                None => self.posts.as_mut().map_or(Ok(()), |posts| posts.attend(place, &mut self.scratch))?,
            }
        }
        self.events = events;
        Ok(self.tally.deliveries - before)
    }

    fn attend(&mut self, place: usize) -> anyhow::Result<()> {
        let Self { members, scratch, tally, hint, plan, ready, .. } = self;
        let member = &mut members[place];
        if member.state == State::Connecting {
            member.begin(&plan.wire)?;
        }
        loop {
            let (begin, count) = match member.read(scratch)? {
                Some(count) => count,
                None => return Ok(()),
            };
            let was_ready = member.state == State::Ready;
            let used = member.hear(&scratch[begin..begin + count], plan, tally, hint)?;
            member.keep(&scratch[begin + used..begin + count]);
            if !was_ready && member.state == State::Ready {
                *ready += 1;
            }
            if count < READ / 2 {
                return Ok(());
            }
        }
    }

    /// Closes all connections at once, without a word.
    pub fn hang_up(self) {
        drop(self);
    }

    /// The server has ended: takes what it has still sent, and answers each member's last publication.
    pub fn survive(mut self) -> Vec<u32> {
        let end = Instant::now() + STALL;
        for place in 0..self.members.len() {
            // Ends with the error that nobody is there any more.
            while self.attend(place).is_ok() && Instant::now() < end {}
        }
        self.members.iter().map(|member| member.last).collect()
    }

    /// Lets the crowd be for a while: answers what has to be answered.
    pub fn idle(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            self.turn(left.min(Duration::from_millis(100)))?;
        }
        Ok(())
    }

    /// Waits until everybody has got everything that was published, at most so long; false if not.
    pub fn settle(&mut self, patience: Duration) -> anyhow::Result<bool> {
        let end = Instant::now() + patience;
        while self.missing() > 0 {
            if Instant::now() >= end {
                return Ok(false);
            }
            self.turn(Duration::from_millis(20))?;
        }
        Ok(true)
    }
}

/// Runs crowds until `done`, giving each its turn; for experiments with several servers.
pub fn turn_all(crowds: &mut [&mut Crowd], mut done: impl FnMut() -> bool, deadline: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + deadline;
    while !done() {
        if Instant::now() >= end {
            bail!("not done within {deadline:?}");
        }
        for crowd in crowds.iter_mut() {
            crowd.turn(Duration::from_millis(1))?;
        }
    }
    Ok(())
}
