//! The log of all nodes, in Redis: `fanfare_proto::script::events` has the scripts, which decide and log in one step.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_proto::keys::Keys;
use fanfare_proto::script::events::{self, OTHER, TTL_MS};
use parking_lot::Mutex;
use rand::distr::{Alphanumeric, SampleString};

use super::{BoxFuture, Kept, Log, LogError, Note, SHARDS, Taken, Thing, Told};
use crate::model::NodeId;
use crate::model::time::millis;
use crate::redis_link::{Link, LinkError, Script, cmd};

/// Length of an epoch's name. Among 62^10 of them nobody meets one twice.
const EPOCH_BYTES: usize = 10;

/// Things of a dead node that are let go of in one step.
const SLICE: usize = 256;

/// The log in Redis.
#[derive(Debug)]
pub struct RedisLog {
    link: Arc<Link>,
    keys: Keys,
    node: String,
    habits: Habits,
    keep: Script,
    reap: Script,
    take: Script,
    done: Script,
    tenures: [Mutex<Tenure>; SHARDS],
}

/// How the log is kept.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How long a thing is not held before that is told.
    pub debounce: Duration,
    /// Most entries, all shards together.
    pub backlog_max: usize,
    /// How long what a node holds stands without a call.
    pub lease: Duration,
    /// How long a node delivers without being heard of; longer than one delivery takes.
    pub courier_lease: Duration,
}

/// What this node knows of a shard.
#[derive(Clone, Debug, Default)]
struct Tenure {
    /// Counts how often it has begun.
    generation: u64,
    /// The log's epoch; empty before it was heard of.
    epoch: String,
}

impl RedisLog {
    /// A node's end of the log.
    #[must_use]
    pub fn new(link: Arc<Link>, keys: Keys, node: NodeId, habits: Habits) -> Arc<Self> {
        Arc::new(Self {
            link,
            keys,
            node: node.to_string(),
            habits,
            keep: Script::new(events::KEEP),
            reap: Script::new(events::REAP),
            take: Script::new(events::TAKE),
            done: Script::new(events::DONE),
            tenures: Default::default(),
        })
    }

    /// The arguments that scripts have in common, for the node itself or one that is dead.
    fn head(&self, node: &str) -> [String; 3] {
        let entries_max = (self.habits.backlog_max / SHARDS).max(1);
        [node.to_owned(), millis(self.habits.debounce).to_string(), entries_max.to_string()]
    }

    async fn call(&self, shard: usize, call: u64, begins: bool, notes: &[Note]) -> Result<events::Kept, LogError> {
        let tenure = self.tenures[shard].lock().clone();
        let mut arguments: Vec<Vec<u8>> = self.head(&self.node).into_iter().map(String::into_bytes).collect();
        arguments.extend([
            tenure.generation.to_string().into_bytes(),
            call.to_string().into_bytes(),
            if begins { b"begin".to_vec() } else { b"on".to_vec() },
            millis(self.habits.lease).max(1).to_string().into_bytes(),
            Alphanumeric.sample_string(&mut rand::rng(), EPOCH_BYTES).into_bytes(),
            tenure.epoch.into_bytes(),
            TTL_MS.to_string().into_bytes(),
        ]);
        notes.iter().for_each(|note| print(note, &mut arguments));
        let keys = events::keep_keys(&self.keys, shard, &self.node);
        let keys = keys.each_ref().map(String::as_str);
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        let answer: Vec<String> = self.link.run_script(&self.keep, &keys, &arguments).await?;
        let kept = events::Kept::parse(answer).map_err(|error| LogError::Refused(error.to_string()))?;
        let kept = kept.ok_or(LogError::Late)?;
        self.tenures[shard].lock().epoch.clone_from(&kept.epoch);
        Ok(kept)
    }

    /// Lets go of all that a dead node held.
    async fn bury(&self, shard: usize, node: &str) -> Result<(), LogError> {
        let keys = events::keep_keys(&self.keys, shard, node);
        let keys = keys.each_ref().map(String::as_str);
        let [node, debounce, entries_max] = self.head(node);
        let slice = SLICE.to_string();
        let arguments = [&node, &debounce, &entries_max, &slice].map(|argument| argument.as_bytes());
        loop {
            let left: u64 = self.link.run_script(&self.reap, &keys, &arguments).await?;
            if left == 0 {
                return Ok(());
            }
        }
    }

    async fn keep_and_bury(&self, shard: usize, call: u64, notes: &[Note]) -> Result<Kept, LogError> {
        let kept = self.call(shard, call, false, notes).await?;
        for dead in &kept.dead {
            // The call itself was carried out; whoever calls next tries again.
            if let Err(error) = self.bury(shard, dead).await {
                tracing::debug!(%error, "cannot let go of what a dead node held");
            }
        }
        // What was let go of is due after the debounce time.
        let soon = (!kept.dead.is_empty()).then_some(self.habits.debounce);
        let due = kept.due_ms.map(Duration::from_millis).into_iter().chain(soon).min();
        Ok(Kept { due, told: kept.told })
    }

    async fn take_next(&self, shard: usize, limit: usize) -> Result<Option<Taken>, LogError> {
        let keys = events::take_keys(&self.keys, shard);
        let keys = keys.each_ref().map(String::as_str);
        let (lease, limit) = (millis(self.habits.courier_lease).max(1).to_string(), limit.to_string());
        let arguments = [self.node.as_bytes(), lease.as_bytes(), limit.as_bytes()];
        let answer: Vec<Vec<u8>> = self.link.run_script(&self.take, &keys, &arguments).await?;
        let answer = answer.into_iter().map(Bytes::from).collect();
        Taken::parse(answer).map_err(|error| LogError::Refused(error.to_string()))
    }

    async fn is_done(&self, shard: usize, epoch: &str, number: u64) -> Result<bool, LogError> {
        let keys = events::take_keys(&self.keys, shard);
        let keys = keys.each_ref().map(String::as_str);
        let (number, next) = (number.to_string(), number.saturating_add(1).to_string());
        let arguments = [self.node.as_str(), epoch, &number, &next].map(str::as_bytes);
        let answer: String = self.link.run_script(&self.done, &keys, &arguments).await?;
        Ok(answer != OTHER)
    }
}

/// Writes a note as the script reads it.
fn print(note: &Note, arguments: &mut Vec<Vec<u8>>) {
    let mut thing = |what: &str, thing: &Thing| {
        let words = [what, "", "", thing.channel.as_str(), thing.user.as_str(), ""];
        arguments.extend(words.map(|word| word.as_bytes().to_vec()));
    };
    let told = |what: &str, told: &Told| {
        let time = told.time_ms.max(0).to_string();
        let channel = told.channel.as_ref().map_or("", |channel| channel.as_str());
        let words = [what, told.name.as_str(), &time, channel, told.user.as_str(), &told.client];
        words.map(|word| word.as_bytes().to_vec())
    };
    match note {
        Note::Hold(held) => thing("hold", held),
        Note::Release(released) => thing("release", released),
        Note::Tell(event) => arguments.extend(told("tell", event)),
        Note::Once(event) => arguments.extend(told("once", event)),
    }
}

impl Log for RedisLog {
    fn begin(&self, shard: usize) -> BoxFuture<'_, Result<Option<u64>, LogError>> {
        Box::pin(async move {
            self.tenures[shard].lock().generation += 1;
            Ok(self.call(shard, 0, true, &[]).await?.last_call)
        })
    }

    fn keep<'a>(&'a self, shard: usize, call: u64, notes: &'a [Note]) -> BoxFuture<'a, Result<Kept, LogError>> {
        Box::pin(self.keep_and_bury(shard, call, notes))
    }

    fn take(&self, shard: usize, limit: usize) -> BoxFuture<'_, Result<Option<Taken>, LogError>> {
        Box::pin(self.take_next(shard, limit))
    }

    fn done<'a>(&'a self, shard: usize, epoch: &'a str, number: u64) -> BoxFuture<'a, Result<bool, LogError>> {
        Box::pin(self.is_done(shard, epoch, number))
    }

    fn farewell(&self, shard: usize) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(async move {
            let leases = self.keys.events(shard, "leases");
            let mut end = cmd("ZADD");
            // A lease that has ended: the others let go of what is left, or the next node that starts.
            end.arg(leases).arg("XX").arg(0).arg(&self.node);
            self.link.command::<()>(&end).await?;
            Ok(())
        })
    }
}

impl From<LinkError> for LogError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Refused(why) => Self::Refused(why),
            error @ (LinkError::Unreachable(_) | LinkError::Timeout) => Self::Away(error.why()),
        }
    }
}
