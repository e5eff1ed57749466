//! The book of nodes in Redis: an index of nodes by the end of their lease, and for each node what it
//! says of itself and which channels it holds, both of which vanish with the lease. Redis' clock counts,
//! so that nodes need not agree on the time.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use serde::{Deserialize, Serialize};

use super::RedisBroker;
use crate::broker::roster::{Announcement, NodeRecord, matches};
use crate::broker::{BoxFuture, BrokerError, Roster};
use crate::model::ChannelName;
use crate::model::time::millis;
use crate::redis_link::pipe;

/// Fields in one command: large enough to be quick, small enough not to hold up the server.
const FIELDS_MAX: usize = 512;

/// Commands in one round trip.
const COMMANDS_MAX: usize = 16;

/// A [`NodeRecord`] as it is stored. What a newer version adds is ignored, what an older one lacks is
/// empty.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Stored {
    id: String,
    name: String,
    version: String,
    connections: u64,
    users: u64,
    subscriptions: u64,
    channels: u64,
    uptime_s: u64,
}

fn print(node: &NodeRecord) -> String {
    let NodeRecord { id, name, version, connections, users, subscriptions, channels, uptime_s } = node.clone();
    let stored = Stored { id, name, version, connections, users, subscriptions, channels, uptime_s };
    serde_json::to_string(&stored).expect("plain fields can always be written")
}

fn parse(json: &[u8]) -> Option<NodeRecord> {
    let stored = serde_json::from_slice(json).ok()?;
    let Stored { id, name, version, connections, users, subscriptions, channels, uptime_s } = stored;
    Some(NodeRecord { id, name, version, connections, users, subscriptions, channels, uptime_s })
}

/// Names a set of channels, to see whether it is still the one that stands in Redis.
fn fingerprint(channels: &BTreeMap<ChannelName, u64>) -> u64 {
    foldhash::quality::FixedState::with_seed(0).hash_one(channels)
}

impl RedisBroker {
    async fn write_announcement(&self, announcement: &Announcement) -> Result<(), BrokerError> {
        let node = announcement.node.id.as_str();
        let lease = millis(announcement.lease);
        let mut ask = pipe();
        ask.cmd("TIME").cmd("PEXPIRE").arg(self.keys.node_channels(node)).arg(lease);
        let ((seconds, micros), there): ((u64, u64), bool) = self.link.admin(&ask).await?;
        let now = seconds * 1000 + micros / 1000;

        let mut write = pipe();
        write.cmd("SET").arg(self.keys.node(node)).arg(print(&announcement.node)).arg("PX").arg(lease).ignore();
        write.cmd("ZADD").arg(self.keys.nodes()).arg(now + lease).arg(node).ignore();
        write.cmd("ZREMRANGEBYSCORE").arg(self.keys.nodes()).arg("-inf").arg(now).ignore();
        self.link.admin::<()>(&write).await?;

        let print = fingerprint(&announcement.channels);
        let stands = there || announcement.channels.is_empty();
        if stands && *self.channels_written.lock() == Some(print) {
            return Ok(());
        }
        // Until it has succeeded nothing is known of what stands there.
        *self.channels_written.lock() = None;
        self.write_channels(node, &announcement.channels, lease).await?;
        *self.channels_written.lock() = Some(print);
        Ok(())
    }

    /// Writes the channels beside the old ones and then puts them in their place at once, so that nobody
    /// ever reads half of them.
    async fn write_channels(
        &self,
        node: &str,
        channels: &BTreeMap<ChannelName, u64>,
        lease: u64,
    ) -> Result<(), BrokerError> {
        let (now, next) = (self.keys.node_channels(node), self.keys.node_channels_next(node));
        let mut write = pipe();
        write.cmd("DEL").arg(&next).ignore();
        if channels.is_empty() {
            write.cmd("DEL").arg(&now).ignore();
            return Ok(self.link.admin(&write).await?);
        }
        let fields: Vec<(&str, u64)> = channels.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        for commands in fields.chunks(FIELDS_MAX * COMMANDS_MAX) {
            for fields in commands.chunks(FIELDS_MAX) {
                let command = write.cmd("HSET").arg(&next);
                for (name, count) in fields {
                    command.arg(*name).arg(*count);
                }
                command.ignore();
            }
            // Each time, so that nothing is left for ever if this node dies here.
            write.cmd("PEXPIRE").arg(&next).arg(lease).ignore();
            self.link.admin::<()>(&write).await?;
            write = pipe();
        }
        write.cmd("RENAME").arg(&next).arg(&now).ignore();
        Ok(self.link.admin(&write).await?)
    }

    async fn node_ids(&self) -> Result<Vec<String>, BrokerError> {
        let mut ask = pipe();
        ask.cmd("ZRANGE").arg(self.keys.nodes()).arg(0).arg(-1);
        let (ids,): (Vec<String>,) = self.link.admin(&ask).await?;
        Ok(ids)
    }

    async fn read_nodes(&self) -> Result<Vec<NodeRecord>, BrokerError> {
        let ids = self.node_ids().await?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut ask = pipe();
        ask.cmd("MGET").arg(ids.iter().map(|id| self.keys.node(id)).collect::<Vec<_>>());
        let (records,): (Vec<Option<Vec<u8>>>,) = self.link.admin(&ask).await?;
        // Without a record the lease has ended; the index is behind by at most one heartbeat.
        let mut nodes: Vec<NodeRecord> = records.into_iter().flatten().filter_map(|json| parse(&json)).collect();
        nodes.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(nodes)
    }

    async fn read_channels(&self, pattern: &str) -> Result<BTreeMap<String, u64>, BrokerError> {
        let mut sums = BTreeMap::new();
        for id in self.node_ids().await? {
            let mut ask = pipe();
            ask.cmd("HGETALL").arg(self.keys.node_channels(&id));
            let (channels,): (Vec<(String, u64)>,) = self.link.admin(&ask).await?;
            for (channel, count) in channels.into_iter().filter(|(channel, _)| matches(pattern, channel)) {
                *sums.entry(channel).or_default() += count;
            }
        }
        Ok(sums)
    }
}

impl Roster for RedisBroker {
    fn announce(&self, announcement: Announcement) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async move { self.write_announcement(&announcement).await })
    }

    fn leave<'a>(&'a self, node: &'a str) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            let mut write = pipe();
            write.cmd("ZREM").arg(self.keys.nodes()).arg(node).ignore();
            let keys = [self.keys.node(node), self.keys.node_channels(node), self.keys.node_channels_next(node)];
            write.cmd("DEL").arg(&keys).ignore();
            *self.channels_written.lock() = None;
            Ok(self.link.admin(&write).await?)
        })
    }

    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeRecord>, BrokerError>> {
        Box::pin(self.read_nodes())
    }

    fn channels<'a>(&'a self, pattern: &'a str) -> BoxFuture<'a, Result<BTreeMap<String, u64>, BrokerError>> {
        Box::pin(self.read_channels(pattern))
    }
}
