//! Members of all nodes, in Redis. `docs/protocol/redis.md` has the layout, `fanfare_proto::script` the
//! scripts; each change of a channel, with what is told of it, is one step there.
//!
//! Calls go to the [`book`], what this node wants to stand; the [`writer`] makes Redis agree with it,
//! under a [`tenure`] with a lease; the [`reaper`] removes what nodes without a lease have left.

mod book;
mod leases;
mod reaper;
mod tenure;
mod wire;
mod writer;

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_proto::keys::Keys;
use fanfare_proto::script::presence::{CHANGE, READ, REAP};
use tokio::sync::watch;

use super::{BoxFuture, Departure, Entry, Presence, PresenceError};
use crate::config::section::BrokerConfig;
use crate::model::event::PresenceStats;
use crate::model::time::{Clock, millis};
use crate::model::{ChannelName, ClientInfo, ConnectionId, NodeId};
use crate::redis_link::{Link, LinkError, LinkState, Script, pipe};
use crate::task::Tasks;
use crate::telemetry::Metrics;
use book::Book;
use leases::Leases;
use reaper::Reaper;
use tenure::Tenures;
use writer::Writer;

/// Members that are read on the quick road. More would hold up what waits behind them.
const FEW: usize = 128;

/// The book of members of all nodes.
pub struct RedisPresence {
    link: Arc<Link>,
    keys: Keys,
    book: Arc<Book>,
    leases: Arc<Leases>,
    read: Script,
    retired: watch::Receiver<bool>,
    /// How long anybody waits.
    deadline: Duration,
    clock: Arc<dyn Clock>,
}

/// Where members are kept, and by whom.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The link to Redis.
    pub link: Arc<Link>,
    /// How keys and channels are called there.
    pub keys: Keys,
    /// Who keeps them.
    pub node: NodeId,
    /// What writes and reaps ends with these.
    pub tasks: Tasks,
    /// Counts members, and what was struck out.
    pub metrics: Arc<Metrics>,
    /// For delays and leases.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for RedisPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPresence").finish_non_exhaustive()
    }
}

impl RedisPresence {
    /// Starts writing and reaping in the background. `config` gives the heartbeat, the lease and the
    /// deadline of calls (`command_timeout`).
    #[must_use]
    pub fn start(config: &BrokerConfig, surroundings: Surroundings) -> Arc<Self> {
        let Surroundings { link, keys, node, tasks, metrics, clock } = surroundings;
        let (book, leases) = (Book::new(metrics.clone()), Arc::new(Leases::default()));
        let (farewell, retired) = watch::channel(false);
        let generation = Arc::default();
        let writer = Writer {
            link: link.clone(),
            keys: keys.clone(),
            book: book.clone(),
            tenures: Tenures::new(node.to_string(), config.node_lease),
            script: Script::new(CHANGE),
            heartbeat: config.heartbeat_interval,
            clock: clock.clone(),
            metrics: metrics.clone(),
            stop: tasks.stop(),
            generation: Arc::clone(&generation),
            retired: farewell,
            listed: HashSet::default(),
            round: VecDeque::new(),
            pace: 0,
            script_known: false,
            server: None,
            unknown_server: true,
            last_beat: clock.now(),
        };
        tasks.spawn("presence writer", writer.run());
        let reaper = Reaper {
            link: link.clone(),
            keys: keys.clone(),
            node: node.to_string(),
            generation,
            leases: leases.clone(),
            reap: Script::new(REAP),
            heartbeat: config.heartbeat_interval,
            lock_ms: millis(config.node_lease).max(1),
            clock: clock.clone(),
            metrics,
            stop: tasks.stop(),
        };
        tasks.spawn("presence reaper", reaper.run());
        let read = Script::new(READ);
        Arc::new(Self { link, keys, book, leases, read, retired, deadline: config.command_timeout, clock })
    }

    /// How many members and users there are, and the members' values if they are at most `few`.
    async fn look(&self, channel: &ChannelName, few: i64) -> Result<(u64, u64, Vec<Vec<u8>>), LinkError> {
        let keys = [self.keys.members(channel.as_str()), self.keys.member_users(channel.as_str())];
        let few = few.to_string();
        self.link.run_script(&self.read, &[&keys[0], &keys[1]], &[few.as_bytes()]).await
    }

    async fn members(&self, channel: &ChannelName, limit: usize) -> Result<Vec<ClientInfo>, PresenceError> {
        let too_many = |count| PresenceError::TooMany { count, limit: limit as u64 };
        let few = i64::try_from(limit.min(FEW)).unwrap_or(i64::MAX);
        let (count, _, mut values) = self.look(channel, few).await?;
        if count > limit as u64 {
            return Err(too_many(count));
        }
        if values.is_empty() && count > 0 {
            let mut ask = pipe();
            ask.cmd("HVALS").arg(self.keys.members(channel.as_str()));
            (values,) = self.link.admin(&ask).await?;
        }
        if values.len() > limit {
            return Err(too_many(values.len() as u64));
        }
        let members: Vec<_> = values.into_iter().filter_map(|value| wire::read(Bytes::from(value))).collect();
        let holders = members.iter().map(|(holder, _)| holder).collect::<HashSet<_>>();
        let holders = holders.into_iter().map(ToString::to_string).collect();
        let dead = self.leases.dead(&self.link, &self.keys, &*self.clock, holders).await?;
        let alive = members.into_iter().filter(|(holder, _)| dead.is_empty() || !dead.contains(&holder.to_string()));
        Ok(alive.map(|(_, info)| info).collect())
    }
}

impl Presence for RedisPresence {
    fn enter<'a>(&'a self, channel: &'a ChannelName, entry: Entry) -> BoxFuture<'a, Result<(), PresenceError>> {
        Box::pin(async move {
            if self.link.state() != LinkState::Up {
                return Err(PresenceError::Unavailable("there is no link".into()));
            }
            let ticket = self.book.enter(channel, entry)?;
            let answer = tokio::time::timeout(self.deadline, ticket.answer()).await;
            answer.unwrap_or_else(|_| Err(LinkError::Timeout.into()))
        })
    }

    fn leave(&self, channel: &ChannelName, client: ConnectionId, departure: Departure) {
        self.book.leave(channel, client, departure, self.clock.now());
    }

    fn list<'a>(
        &'a self,
        channel: &'a ChannelName,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ClientInfo>, PresenceError>> {
        Box::pin(self.members(channel, limit))
    }

    fn count<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<PresenceStats, PresenceError>> {
        Box::pin(async move {
            let (clients, users, _) = self.look(channel, -1).await?;
            Ok(PresenceStats { clients, users })
        })
    }

    fn retire(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.book.retire();
            if self.link.state() != LinkState::Up {
                return;
            }
            let mut retired = self.retired.clone();
            let farewell = retired.wait_for(|retired| *retired);
            if !matches!(tokio::time::timeout(self.deadline, farewell).await, Ok(Ok(_))) {
                tracing::warn!("not all members of this node are written out; other nodes do so when its lease ends");
            }
        })
    }
}

impl From<LinkError> for PresenceError {
    fn from(error: LinkError) -> Self {
        Self::Unavailable(error.why())
    }
}
