//! A broker in one process, for one node: what is published here arrives here. Nothing to install, and
//! the reference for the contract.
//!
//! # What it keeps, and how much
//! Of each channel with history: `history_size` publications for `history_ttl` after the last one, then some
//! 200 bytes for `history_meta_ttl`. Of each publication with an idempotency key: some 200 bytes for the
//! window. A million streams and a million keys at most ([`stream`] says what happens then); the bytes of the
//! publications are bounded by the namespaces' sizes alone. Revocations as [`super::ledger`] says. All of it ends with the process, which its next
//! epochs tell. There are no replicas: who asks for them is answered that there are none.

mod due;
mod ledger;
mod stream;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fanfare_proto::envelope::Control;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, mpsc};

use super::event::Room;
use super::roster::{Announcement, NodeRecord, matches};
use super::{
    Ack, BoxFuture, Broker, BrokerError, BrokerEvent, Bus, Events, Health, HistoryPage, HistoryQuery, Outcome,
    Outgoing, PublishOptions, Published, Roster,
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
    /// Locked before `wanted` where both are.
    store: Mutex<stream::Store>,
    ledger: Mutex<ledger::Book>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
}

/// A place among what waits for the node, and the room that goes with it.
struct Place<'a> {
    place: mpsc::Permit<'a, BrokerEvent>,
    room: Room,
}

impl Place<'_> {
    fn send(self, mut event: BrokerEvent) {
        if let BrokerEvent::Published { room, .. } | BrokerEvent::Member { room, .. } = &mut event {
            *room = Some(self.room);
        }
        self.place.send(event);
    }
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
            store: Mutex::default(),
            ledger: Mutex::default(),
            metrics,
            clock,
        };
        (Arc::new(broker), events)
    }

    /// Waits for room, with a deadline: whoever publishes faster than this node delivers is slowed down.
    async fn put(&self, event: BrokerEvent) -> Result<(), BrokerError> {
        let bytes = match &event {
            BrokerEvent::Published { outgoing, .. } => outgoing.publication.data.len(),
            BrokerEvent::Member { membership, .. } => membership.who.size(),
            BrokerEvent::Control(_) | BrokerEvent::Gap { .. } => 0,
        };
        self.place(bytes).await?.send(event);
        Ok(())
    }

    async fn place(&self, bytes: usize) -> Result<Place<'_>, BrokerError> {
        let waiting = async {
            let bytes = self.room.clone().acquire_many_owned(Room::needed(bytes)).await;
            let room = Room::new(bytes.expect("nobody closes the room"));
            self.intake.reserve().await.map(|place| Place { place, room })
        };
        let place = tokio::time::timeout(self.patience, waiting).await;
        let waiting = self.intake.max_capacity() - self.intake.capacity();
        self.metrics.broker_intake.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        match place {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(BrokerError::Unreachable("the node has stopped".into())),
            Err(_) => Err(BrokerError::Timeout),
        }
    }

    fn wants(&self, channel: &ChannelName) -> bool {
        self.wanted.read().contains(channel)
    }

    /// Numbers, stores and sends in one step, with the place for it taken before: what is refused leaves no
    /// trace, and the order of offsets is the order of events.
    async fn keep(
        &self,
        channel: &ChannelName,
        mut outgoing: Outgoing,
        options: &PublishOptions,
    ) -> Result<Published, BrokerError> {
        let mut place: Option<Place<'_>> = None;
        loop {
            {
                let mut store = self.store.lock();
                // Asked while the store is held: who subscribes and then reads the stream misses nothing.
                let wanted = self.wants(channel);
                if !wanted || place.is_some() {
                    let published = store.accept(self.clock.now(), channel, &outgoing.publication, options)?;
                    if let Some(place) = place.filter(|_| wanted && published.outcome == Outcome::Sent) {
                        outgoing.publication.position.clone_from(&published.position);
                        place.send(BrokerEvent::Published { channel: channel.clone(), outgoing, room: None });
                    }
                    return Ok(published);
                }
            }
            place = Some(self.place(outgoing.publication.data.len()).await?);
        }
    }

    /// Tells a channel's listeners who joined or left: what [`crate::presence::memory`] has to tell.
    pub async fn tell(&self, channel: ChannelName, membership: Membership) {
        if self.wants(&channel) {
            // A node that is slower than its members come and go has lost more than this.
            let _ = self.put(BrokerEvent::Member { channel, membership, room: None }).await;
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
        options: PublishOptions,
    ) -> BoxFuture<'a, Result<Published, BrokerError>> {
        Box::pin(async move {
            options.check()?;
            if options.is_plain() {
                if self.wants(channel) {
                    self.put(BrokerEvent::Published { channel: channel.clone(), outgoing, room: None }).await?;
                }
                return Ok(Published::default());
            }
            let published = self.keep(channel, outgoing, &options).await?;
            match options.ack {
                Ack::Stored => Ok(published),
                Ack::Replicated { replicas, .. } => Err(BrokerError::NotReplicated { confirmed: 0, wanted: replicas }),
            }
        })
    }

    fn history<'a>(
        &'a self,
        channel: &'a ChannelName,
        query: HistoryQuery,
    ) -> BoxFuture<'a, Result<HistoryPage, BrokerError>> {
        let page = self.store.lock().page(self.clock.now(), channel, &query);
        Box::pin(std::future::ready(Ok(page)))
    }

    fn tops<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<Vec<Option<Position>>, BrokerError>> {
        let (store, now) = (self.store.lock(), self.clock.now());
        let tops = channels.iter().map(|channel| store.top(now, channel)).collect();
        Box::pin(std::future::ready(Ok(tops)))
    }

    fn forget<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.store.lock().forget(channel);
        Box::pin(std::future::ready(Ok(())))
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
