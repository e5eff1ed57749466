//! A broker in one process, for one node: what is published here arrives here. Nothing to install, and
//! the reference for the contract.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fanfare_proto::envelope::Control;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, mpsc};

use super::event::Room;
use super::roster::{Announcement, NodeRecord, matches};
use super::{
    BoxFuture, Broker, BrokerError, BrokerEvent, Bus, Events, Health, HistoryPage, HistoryQuery, Outgoing,
    PublishOptions, Published, Roster,
};
use crate::config::section::BrokerConfig;
use crate::model::time::Clock;
use crate::model::{ChannelName, Membership, Position};
use crate::telemetry::Metrics;

/// The broker of a node that is alone.
#[derive(Debug)]
pub struct MemoryBroker {
    intake: mpsc::Sender<BrokerEvent>,
    /// Bytes of publications that may wait.
    room: Arc<Semaphore>,
    /// How long a publisher waits for room.
    patience: Duration,
    wanted: RwLock<HashSet<ChannelName, foldhash::fast::RandomState>>,
    /// The last announcement, and when its lease ends.
    announced: Mutex<Option<(Announcement, Duration)>>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
}

impl MemoryBroker {
    /// A broker, and the node's end of it. `config` gives the bound (`intake_max`) and the deadline
    /// (`command_timeout`).
    #[must_use]
    pub fn start(config: &BrokerConfig, metrics: Arc<Metrics>, clock: Arc<dyn Clock>) -> (Arc<Self>, Events) {
        let (intake, events) = mpsc::channel(config.intake_max.max(1));
        metrics.broker_up.set(1);
        let broker = Self {
            intake,
            room: Room::all(),
            patience: config.command_timeout,
            wanted: RwLock::default(),
            announced: Mutex::default(),
            metrics,
            clock,
        };
        (Arc::new(broker), events)
    }

    /// Waits for room: whoever publishes faster than this node delivers is slowed down.
    async fn put(&self, mut event: BrokerEvent) -> Result<(), BrokerError> {
        let putting = async {
            if let BrokerEvent::Published { outgoing, room, .. } = &mut event {
                let bytes = self.room.clone().acquire_many_owned(Room::needed(outgoing.publication.data.len())).await;
                *room = Some(Room::new(bytes.expect("nobody closes the room")));
            }
            self.intake.send(event).await
        };
        let sent = tokio::time::timeout(self.patience, putting).await;
        let waiting = self.intake.max_capacity() - self.intake.capacity();
        self.metrics.broker_intake.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(BrokerError::Unreachable("the node has stopped".into())),
            Err(_) => Err(BrokerError::Timeout),
        }
    }

    /// Tells a channel's listeners who joined or left: what [`crate::presence::memory`] has to tell.
    pub async fn tell(&self, channel: ChannelName, membership: Membership) {
        if self.wanted.read().contains(&channel) {
            // A node that is slower than its members come and go has lost more than this.
            let _ = self.put(BrokerEvent::Member { channel, membership }).await;
        }
    }

    /// What was announced, while its lease lasts.
    fn announced<T>(&self, read: impl FnOnce(&Announcement) -> T) -> Option<T> {
        let announced = self.announced.lock();
        announced.as_ref().filter(|(_, end)| self.clock.now() < *end).map(|(announcement, _)| read(announcement))
    }
}

impl Broker for MemoryBroker {
    fn subscribe<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.wanted.write().extend(channels.iter().cloned());
        Box::pin(std::future::ready(Ok(())))
    }

    fn unsubscribe<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<(), BrokerError>> {
        let mut wanted = self.wanted.write();
        for channel in channels {
            wanted.remove(channel);
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn publish<'a>(
        &'a self,
        channel: &'a ChannelName,
        outgoing: Outgoing,
        _options: PublishOptions,
    ) -> BoxFuture<'a, Result<Published, BrokerError>> {
        Box::pin(async move {
            let wanted = self.wanted.read().contains(channel);
            if wanted {
                self.put(BrokerEvent::Published { channel: channel.clone(), outgoing, room: None }).await?;
            }
            Ok(Published::default())
        })
    }

    fn history<'a>(
        &'a self,
        _channel: &'a ChannelName,
        _query: HistoryQuery,
    ) -> BoxFuture<'a, Result<HistoryPage, BrokerError>> {
        Box::pin(std::future::ready(Err(BrokerError::Refused("no history yet".into()))))
    }

    fn tops<'a>(&'a self, _channels: &'a [ChannelName]) -> BoxFuture<'a, Result<Vec<Option<Position>>, BrokerError>> {
        Box::pin(std::future::ready(Err(BrokerError::Refused("no history yet".into()))))
    }

    fn forget<'a>(&'a self, _channel: &'a ChannelName) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(std::future::ready(Err(BrokerError::Refused("no history yet".into()))))
    }

    fn health(&self) -> Health {
        Health::Delivers
    }
}

impl Bus for MemoryBroker {
    fn send(&self, control: Control) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(self.put(BrokerEvent::Control(Box::new(control))))
    }
}

impl Roster for MemoryBroker {
    fn announce(&self, announcement: Announcement) -> BoxFuture<'_, Result<(), BrokerError>> {
        let end = self.clock.now() + announcement.lease;
        *self.announced.lock() = Some((announcement, end));
        Box::pin(std::future::ready(Ok(())))
    }

    fn leave<'a>(&'a self, node: &'a str) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.announced.lock().take_if(|(announcement, _)| announcement.node.id == node);
        Box::pin(std::future::ready(Ok(())))
    }

    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeRecord>, BrokerError>> {
        let nodes = self.announced(|announcement| announcement.node.clone()).into_iter().collect();
        Box::pin(std::future::ready(Ok(nodes)))
    }

    fn channels<'a>(&'a self, pattern: &'a str) -> BoxFuture<'a, Result<BTreeMap<String, u64>, BrokerError>> {
        let matching = |announcement: &Announcement| {
            let channels = announcement.channels.iter().filter(|(channel, _)| matches(pattern, channel.as_str()));
            channels.map(|(channel, count)| (channel.to_string(), *count)).collect()
        };
        Box::pin(std::future::ready(Ok(self.announced(matching).unwrap_or_default())))
    }
}
