//! The log of a node that is alone, in its memory: the reference for the contract. What waits ends with the process.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque, hash_map};
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use fanfare_proto::hook::event::Name;

use parking_lot::Mutex;
use rand::distr::{Alphanumeric, SampleString};

use super::{BoxFuture, Entry, Kept, Log, LogError, Note, SHARDS, Taken, Thing, Told};
use crate::model::ChannelName;
use crate::model::time::Clock;

/// Length of an epoch's name: two processes have different ones.
const EPOCH_BYTES: usize = 10;

/// The log of one process.
#[derive(Debug)]
pub struct MemoryLog {
    shards: [Mutex<Shard>; SHARDS],
    epoch: String,
    debounce: Duration,
    /// Most entries of a shard.
    entries_max: usize,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Shard {
    held: HashSet<Thing>,
    /// Things that are not held any more, by when that is told.
    due: BTreeSet<(Duration, Thing)>,
    due_at: HashMap<Thing, Duration>,
    /// Until when the same is not told again.
    quiet: HashMap<(Name, Option<ChannelName>), Duration>,
    entries: VecDeque<Entry>,
    top: u64,
    done: u64,
    last_call: Option<u64>,
}

impl MemoryLog {
    /// An empty log. `backlog_max` is for all shards together.
    #[must_use]
    pub fn new(debounce: Duration, backlog_max: usize, clock: Arc<dyn Clock>) -> Arc<Self> {
        let epoch = Alphanumeric.sample_string(&mut rand::rng(), EPOCH_BYTES);
        Arc::new(Self {
            shards: Default::default(),
            epoch,
            debounce,
            entries_max: (backlog_max / SHARDS).max(1),
            clock,
        })
    }

    fn tell(&self, shard: &mut Shard, told: &Told) {
        shard.top += 1;
        shard.entries.push_back(Entry {
            number: shard.top,
            name: told.name.as_str().to_owned(),
            time_ms: u64::try_from(told.time_ms).unwrap_or(0),
            channel: told.channel.as_ref().map(ToString::to_string).unwrap_or_default(),
            user: told.user.as_str().to_owned(),
            client: told.client.clone(),
        });
        if shard.entries.len() > self.entries_max {
            shard.entries.pop_front();
        }
    }

    fn decide(&self, shard: &mut Shard, thing: &Thing, of_channel: Name, of_member: Name) {
        let name = if thing.user.is_anonymous() { of_channel } else { of_member };
        let (channel, user) = (Some(thing.channel.clone()), thing.user.clone());
        let told = Told { name, time_ms: self.clock.unix_ms(), channel, user, client: String::new() };
        self.tell(shard, &told);
    }

    fn vacate(&self, shard: &mut Shard, until: Duration) {
        while shard.due.first().is_some_and(|(at, _)| *at <= until) {
            let Some((_, thing)) = shard.due.pop_first() else { return };
            shard.due_at.remove(&thing);
            self.decide(shard, &thing, Name::ChannelVacated, Name::MemberLeft);
        }
    }

    fn note(&self, shard: &mut Shard, note: &Note, now: Duration) {
        match note {
            Note::Hold(thing) => {
                if !shard.held.insert(thing.clone()) {
                    return;
                }
                match shard.due_at.remove(thing) {
                    // Whoever comes back in time was never away.
                    Some(at) => {
                        shard.due.remove(&(at, thing.clone()));
                    }
                    None => self.decide(shard, thing, Name::ChannelOccupied, Name::MemberJoined),
                }
            }
            Note::Release(thing) => {
                if shard.held.remove(thing) {
                    shard.due_at.insert(thing.clone(), now + self.debounce);
                    shard.due.insert((now + self.debounce, thing.clone()));
                }
            }
            Note::Tell(told) => self.tell(shard, told),
            Note::Once(told) => {
                let quiet = (told.name, told.channel.clone());
                if let hash_map::Entry::Vacant(vacant) = shard.quiet.entry(quiet) {
                    vacant.insert(now + self.debounce);
                    self.tell(shard, told);
                }
            }
        }
    }

    fn keep_now(&self, shard: usize, call: u64, notes: &[Note]) -> Kept {
        let now = self.clock.now();
        let mut shard = self.shards[shard].lock();
        let before = shard.top;
        shard.last_call = Some(call);
        self.vacate(&mut shard, now);
        shard.quiet.retain(|_, until| *until > now);
        for note in notes {
            self.note(&mut shard, note, now);
        }
        // With a debounce time of zero, what was let go of just now is due.
        self.vacate(&mut shard, now);
        let due = shard.due.first().map(|(at, _)| at.saturating_sub(now));
        Kept { due, told: shard.top - before }
    }

    fn take_now(&self, shard: usize, limit: usize) -> Taken {
        let shard = self.shards[shard].lock();
        let entries = shard.entries.iter().take(limit).cloned().collect();
        Taken { epoch: self.epoch.clone(), top: shard.top, done: shard.done, entries }
    }
}

impl Log for MemoryLog {
    fn begin(&self, shard: usize) -> BoxFuture<'_, Result<Option<u64>, LogError>> {
        Box::pin(ready(Ok(self.shards[shard].lock().last_call)))
    }

    fn keep<'a>(&'a self, shard: usize, call: u64, notes: &'a [Note]) -> BoxFuture<'a, Result<Kept, LogError>> {
        Box::pin(ready(Ok(self.keep_now(shard, call, notes))))
    }

    fn take(&self, shard: usize, limit: usize) -> BoxFuture<'_, Result<Option<Taken>, LogError>> {
        Box::pin(ready(Ok(Some(self.take_now(shard, limit)))))
    }

    fn done<'a>(&'a self, shard: usize, epoch: &'a str, number: u64) -> BoxFuture<'a, Result<bool, LogError>> {
        let mut shard = self.shards[shard].lock();
        let mine = self.epoch == epoch;
        if mine {
            shard.done = shard.done.max(number);
            while shard.entries.front().is_some_and(|entry| entry.number <= number) {
                shard.entries.pop_front();
            }
        }
        Box::pin(ready(Ok(mine)))
    }

    /// Nobody can come back to a process that ends: what is due some day is due now.
    fn farewell(&self, shard: usize) -> BoxFuture<'_, Result<(), LogError>> {
        let mut shard = self.shards[shard].lock();
        for thing in std::mem::take(&mut shard.held) {
            self.decide(&mut shard, &thing, Name::ChannelVacated, Name::MemberLeft);
        }
        self.vacate(&mut shard, Duration::MAX);
        Box::pin(ready(Ok(())))
    }
}
