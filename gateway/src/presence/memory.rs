//! Members of a node that is alone.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{BoxFuture, Departure, Entry, Presence, PresenceError};
use crate::model::event::PresenceStats;
use crate::model::{Change, ChannelName, ClientInfo, ConnectionId, Membership};

/// Brings what is to be told to the channel's listeners; never waits for long.
pub type Tell = Arc<dyn Fn(ChannelName, Membership) -> BoxFuture<'static, ()> + Send + Sync>;

/// The book of members of one node.
pub struct MemoryPresence {
    channels: Mutex<HashMap<ChannelName, HashMap<ConnectionId, Entry>>>,
    tell: Tell,
}

impl MemoryPresence {
    /// An empty book; `tell` gets what is to be told, in order for each channel.
    #[must_use]
    pub fn new(tell: Tell) -> Arc<Self> {
        Arc::new(Self { channels: Mutex::default(), tell })
    }
}

impl fmt::Debug for MemoryPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryPresence").finish_non_exhaustive()
    }
}

impl Presence for MemoryPresence {
    fn enter<'a>(&'a self, channel: &'a ChannelName, entry: Entry) -> BoxFuture<'a, Result<(), PresenceError>> {
        Box::pin(async move {
            let (told, who) = (entry.told, entry.info.clone());
            let known = self.channels.lock().entry(channel.clone()).or_default().insert(entry.client, entry).is_some();
            if told && !known {
                (self.tell)(channel.clone(), Membership { change: Change::Joined, who }).await;
            }
            Ok(())
        })
    }

    fn leave(&self, channel: &ChannelName, client: ConnectionId, _departure: Departure) {
        let mut channels = self.channels.lock();
        if let Some(members) = channels.get_mut(channel) {
            members.remove(&client);
            if members.is_empty() {
                channels.remove(channel);
            }
        }
    }

    fn list<'a>(
        &'a self,
        channel: &'a ChannelName,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ClientInfo>, PresenceError>> {
        let channels = self.channels.lock();
        let members: Vec<ClientInfo> = channels
            .get(channel)
            .map(|members| members.values().map(|entry| entry.info.clone()).collect())
            .unwrap_or_default();
        let listed = if members.len() > limit {
            Err(PresenceError::TooMany { count: members.len() as u64, limit: limit as u64 })
        } else {
            Ok(members)
        };
        Box::pin(std::future::ready(listed))
    }

    fn count<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<PresenceStats, PresenceError>> {
        let channels = self.channels.lock();
        let stats = channels.get(channel).map_or(PresenceStats::default(), |members| {
            let users: HashSet<&str> = members.values().map(|entry| entry.info.user.as_str()).collect();
            PresenceStats { clients: members.len() as u64, users: users.len() as u64 }
        });
        Box::pin(std::future::ready(Ok(stats)))
    }

    fn retire(&self) -> BoxFuture<'_, ()> {
        self.channels.lock().clear();
        Box::pin(std::future::ready(()))
    }
}
