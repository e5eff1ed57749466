//! What happened, written down as it was seen from outside, and a judge of it: [`check`] reads a [`Log`]
//! once and says which of the eight invariants it breaks. Pure: no clock, no sockets, nothing of ours.
//!
//! | | invariant |
//! |---|---|
//! | I1 | each acknowledged publication is delivered to every subscriber that claims continuity over it |
//! | I2 | in one channel, offsets rise strictly within an epoch |
//! | I3 | nothing is delivered twice to one subscriber |
//! | I4 | one (epoch, offset) never carries two payloads |
//! | I5 | a discontinuity is told, with a reason |
//! | I6 | nothing is delivered where it was not published, or to those who are not subscribed |
//! | I7 | a node's memory and files return to their baseline |
//! | I8 | a node goes on saying that it is ready only while canaries come through |
//!
//! A subscriber *claims continuity* from the position in the reply to its subscribe on, through every
//! reconnect that was answered with `recovered`, until it is told otherwise. Offsets have no holes, so a
//! hole in what it saw is a loss, whether that publication was acknowledged, unknown or never logged.
//!
//! For `#[path = "../support/checker/mod.rs"] mod checker;` beside `mod dice;` in integration tests.

#![allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
#![allow(missing_docs, reason = "fields have the names of the field")]

mod claim;
mod good;
mod judge;
mod plant;
mod tests;

use std::collections::HashMap;
use std::fmt::{self, Write as _};

pub use judge::{Limits, Report, check};
pub use plant::{KINDS, plant};

/// A channel, epoch, client or node: the number of a text in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(pub u32);

/// A publication, as its publisher numbers it: tries of one publication have one id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub u64);

/// Where a publication stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub epoch: Name,
    pub offset: u64,
}

/// One observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A publisher is about to send this for the first time.
    Invoked { id: Id, channel: Name, hash: u64 },
    /// It was told that it is published; where, if it was told.
    Acked { id: Id, place: Option<Place> },
    /// It was told that it is not and never will be.
    Failed { id: Id },
    /// It was told nothing, or that it may or may not be.
    Unknown { id: Id },
    /// A client has the reply to its subscribe. `place`: on channels with history. `asked`: from where it
    /// wanted to go on.
    Subscribed {
        client: Name,
        channel: Name,
        asked: Option<Place>,
        place: Option<Place>,
        recovered: bool,
        was_recovering: bool,
    },
    /// A client got a publication. The epoch is the one that the client believes itself in.
    Delivered { client: Name, channel: Name, place: Option<Place>, id: Id, hash: u64 },
    /// A client was told that something may be missing. That a recovery failed is in `Subscribed`.
    Told { client: Name, channel: Name, what: Told, reason: Name },
    /// A client is not subscribed any more: unsubscribed, or the connection is gone.
    Ended { client: Name, channel: Name },
    /// A node's process has begun.
    Started { node: Name },
    /// The canary came back through a node.
    Canary { node: Name },
    /// A node said whether it is ready.
    Ready { node: Name, ready: bool },
    /// What a node needs while all is well, before the faults.
    Baseline { node: Name, files: u64, memory: u64 },
    /// What it needs afterwards, with the same clients.
    Settled { node: Name, files: u64, memory: u64 },
    /// From now on idempotency keys may be forgotten, or from now on no more are: what was invoked before
    /// that end may be stored twice.
    Amnesia { over: bool },
    /// All is healed, and everybody had time to get everything.
    Quiet,
}

/// How a client was told, besides a subscribe's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Unsubscribed with 2500: to come back and ask.
    Unsubscribed,
    /// Closed with 3010: the same for the whole connection.
    Closed,
    /// Error 112: what it asked for is gone.
    Unrecoverable,
}

/// An observation and when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Milliseconds since the log began.
    pub at_ms: u64,
    pub entry: Entry,
}

/// All observations of a run, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub lines: Vec<Line>,
    names: Vec<String>,
    known: HashMap<String, Name>,
}

impl Log {
    /// The number of a text.
    pub fn name(&mut self, text: &str) -> Name {
        if let Some(name) = self.known.get(text) {
            return *name;
        }
        let name = Name(u32::try_from(self.names.len()).expect("fewer names than that"));
        self.names.push(text.to_owned());
        self.known.insert(text.to_owned(), name);
        name
    }

    /// The text of a number.
    pub fn text(&self, name: Name) -> &str {
        self.names.get(name.0 as usize).map_or("?", String::as_str)
    }

    pub fn push(&mut self, at_ms: u64, entry: Entry) {
        self.lines.push(Line { at_ms, entry });
    }

    /// One line for people.
    pub fn line(&self, at: usize) -> String {
        let Some(Line { at_ms, entry }) = self.lines.get(at) else { return "the end".to_owned() };
        let mut line = format!("{at_ms:>7} ms ");
        self.write(entry, &mut line).expect("a String takes everything");
        line
    }

    fn write(&self, entry: &Entry, to: &mut String) -> fmt::Result {
        let place = |place: &Option<Place>| {
            place.map_or_else(|| "-".to_owned(), |p| format!("{}/{}", self.text(p.epoch), p.offset))
        };
        match entry {
            Entry::Invoked { id, channel, .. } => write!(to, "publish {:x} on {}", id.0, self.text(*channel)),
            Entry::Acked { id, place: at } => write!(to, "acked {:x} at {}", id.0, place(at)),
            Entry::Failed { id } => write!(to, "failed {:x}", id.0),
            Entry::Unknown { id } => write!(to, "unknown {:x}", id.0),
            Entry::Subscribed { client, channel, asked, place: at, recovered, was_recovering } => write!(
                to,
                "{} on {} subscribed at {}, asked {}, recovered={recovered} was_recovering={was_recovering}",
                self.text(*client),
                self.text(*channel),
                place(at),
                place(asked)
            ),
            Entry::Delivered { client, channel, place: at, id, .. } => {
                write!(to, "{} on {} got {:x} at {}", self.text(*client), self.text(*channel), id.0, place(at))
            }
            Entry::Told { client, channel, what, reason } => {
                let (client, channel, reason) = (self.text(*client), self.text(*channel), self.text(*reason));
                write!(to, "{client} on {channel} told {what:?}: {reason}")
            }
            Entry::Ended { client, channel } => write!(to, "{} on {} ended", self.text(*client), self.text(*channel)),
            Entry::Started { node } => write!(to, "{} started", self.text(*node)),
            Entry::Canary { node } => write!(to, "{} canary", self.text(*node)),
            Entry::Ready { node, ready } => write!(to, "{} ready={ready}", self.text(*node)),
            Entry::Baseline { node, files, memory } => {
                write!(to, "{} baseline: {files} files, {memory} bytes", self.text(*node))
            }
            Entry::Settled { node, files, memory } => {
                write!(to, "{} settled: {files} files, {memory} bytes", self.text(*node))
            }
            Entry::Amnesia { over: false } => write!(to, "keys may be forgotten"),
            Entry::Amnesia { over: true } => write!(to, "keys are remembered again"),
            Entry::Quiet => write!(to, "quiet"),
        }
    }
}

/// What must hold; see the module's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Invariant {
    I1,
    I2,
    I3,
    I4,
    I5,
    I6,
    I7,
    I8,
    /// The log itself makes no sense: the kit's mistake, or an end that was never reached.
    Log,
}

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub invariant: Invariant,
    /// The line at which it showed.
    pub at: usize,
    /// For people.
    pub what: String,
}
