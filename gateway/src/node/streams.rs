//! The cursors of the channels that this node holds, and what moves them: publications that come, gaps,
//! checks. What is missing is read from the broker once for each channel, by [`run`], and delivered in
//! order; clients notice nothing.
//!
//! Lock order: the map, then nothing. A cursor, then the hub's locks.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Node;
use super::cursor::{Arrival, Cursor, Healed};
use crate::broker::{BrokerError, HistoryPage, HistoryQuery};
use crate::hub::Said;
use crate::model::{ByteSize, ChannelName, Position, Publication, Retained};
use crate::task::backoff::Backoff;
use crate::task::striped::Striped;
use crate::telemetry::metrics::{Cause, CauseLabel, OutcomeLabel};

/// Channels that are healed at once. Their reads share a few connections.
const HEALS_MAX: usize = 64;

/// Refusals in a row after which a channel's subscribers are told that something may be lost to them:
/// about five seconds.
const REFUSALS_MAX: u32 = 8;

/// Publications of one page while healing: large enough to get on, small enough not to hold up others.
const PAGE_MAX: usize = 512;

/// Bytes of such a page.
const PAGE_BYTES_MAX: ByteSize = ByteSize::mib(1);

/// Channels whose position is asked for in one round trip.
const CHECKS_MAX: usize = 512;

/// How many channels may read their history at once without waiting for each other.
const STRIPES: usize = 1024;

/// A cursor with its lock.
pub(super) type Shared = Arc<Mutex<Cursor>>;

/// All cursors of a node.
#[derive(Debug)]
pub(super) struct Streams {
    cursors: Mutex<HashMap<ChannelName, Shared, RandomState>>,
    /// Channels that wait to be healed: at most as many as there are cursors.
    sick: Mutex<HashSet<ChannelName, RandomState>>,
    fallen_sick: Notify,
    /// One read of a channel's history at a time: who waited finds what the other has learned.
    pub(super) reads: Striped,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            cursors: Mutex::default(),
            sick: Mutex::default(),
            fallen_sick: Notify::new(),
            reads: Striped::new(STRIPES),
        }
    }
}

impl Streams {
    pub(super) fn get(&self, channel: &ChannelName) -> Option<Shared> {
        self.cursors.lock().get(channel).cloned()
    }

    pub(super) fn insert(&self, channel: &ChannelName, cursor: Cursor) -> Shared {
        let shared = Arc::new(Mutex::new(cursor));
        self.cursors.lock().insert(channel.clone(), Arc::clone(&shared));
        shared
    }

    pub(super) fn remove(&self, channel: &ChannelName) {
        self.cursors.lock().remove(channel);
    }

    fn all(&self) -> Vec<(ChannelName, Shared)> {
        self.cursors.lock().iter().map(|(channel, cursor)| (channel.clone(), Arc::clone(cursor))).collect()
    }

    pub(super) fn heal_soon(&self, channel: &ChannelName) {
        self.sick.lock().insert(channel.clone());
        self.fallen_sick.notify_one();
    }

    fn take_sick(&self) -> Option<ChannelName> {
        let mut sick = self.sick.lock();
        let channel = sick.iter().next().cloned()?;
        sick.take(&channel)
    }
}

/// Heals channels as they fall sick. One that cannot be read now rests and makes room for others.
pub(super) async fn run(node: Arc<Node>, stop: CancellationToken) {
    let mut healing = FuturesUnordered::new();
    let mut resting = FuturesUnordered::new();
    let mut ill: HashMap<ChannelName, Illness, RandomState> = HashMap::default();
    loop {
        while healing.len() < HEALS_MAX
            && let Some(channel) = node.streams.take_sick()
        {
            let node = &node;
            healing.push(async move {
                let healed = node.heal(&channel).await;
                (channel, healed)
            });
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = node.streams.fallen_sick.notified() => {}
            Some((channel, healed)) = healing.next() => match healed {
                Ok(()) => drop(ill.remove(&channel)),
                Err(error) => {
                    let illness = ill.entry(channel.clone()).or_default();
                    let wait = illness.of(&error);
                    tracing::debug!(%channel, %error, "cannot read what is missing; trying again");
                    if illness.refusals == REFUSALS_MAX {
                        tracing::warn!(%channel, %error, "cannot read what is missing; its subscribers are told");
                        node.lose(&channel);
                    }
                    resting.push(async move {
                        tokio::time::sleep(wait).await;
                        channel
                    });
                }
            },
            Some(channel) = resting.next() => node.streams.heal_soon(&channel),
        }
    }
}

/// A channel whose history cannot be read.
#[derive(Debug)]
struct Illness {
    backoff: Backoff,
    /// In a row: the broker answers, and will not.
    refusals: u32,
}

impl Default for Illness {
    fn default() -> Self {
        Self { backoff: Backoff::new(Duration::from_millis(50), Duration::from_secs(2)), refusals: 0 }
    }
}

impl Illness {
    /// How long to wait after this. A broker that does not answer is waited for; nothing can be said on
    /// the channel either until it does.
    fn of(&mut self, error: &BrokerError) -> Duration {
        self.refusals = if matches!(error, BrokerError::Refused(_)) { self.refusals + 1 } else { 0 };
        self.backoff.next_wait()
    }
}

/// A publication that is next in its stream, and the one before it if that is kept.
type Next = (Arc<Retained>, Option<Arc<Retained>>);

fn said((retained, before): &Next) -> Said<'_> {
    Said { publication: retained.publication(), before: before.as_ref().map(|before| before.publication()) }
}

impl Node {
    /// Publications with positions have come, in this order.
    pub(super) fn arrive(&self, channel: &ChannelName, publications: impl IntoIterator<Item = Publication>) -> usize {
        let Some(cursor) = self.streams.get(channel) else {
            // Rules of another node, or a channel that was just given back: delivered as they are.
            return self.say(channel, &publications.into_iter().collect::<Vec<_>>());
        };
        let (mut cursor, now) = (cursor.lock(), self.parts.clock.now());
        let (mut next, mut delivered) = (Vec::new(), 0);
        for publication in publications {
            let Some(retained) = Retained::new(publication).map(Arc::new) else { continue };
            match cursor.arrive(&retained, now) {
                Arrival::Deliver { before } => next.push((retained, before)),
                Arrival::Turn => {
                    delivered += self.go_on(channel, &std::mem::take(&mut next));
                    self.lose(channel);
                    next.push((retained, None));
                }
                Arrival::Late | Arrival::Wait => {}
                Arrival::Heal => self.streams.heal_soon(channel),
            }
        }
        delivered + self.go_on(channel, &next)
    }

    /// Delivers what comes next in a stream, each with the one before it if that is kept; under the cursor's lock.
    fn go_on(&self, channel: &ChannelName, next: &[Next]) -> usize {
        match next {
            [only] => self.parts.hub.deliver_all(channel, &[said(only)]),
            several => self.parts.hub.deliver_all(channel, &several.iter().map(said).collect::<Vec<_>>()),
        }
    }

    /// Tells the channel's subscribers here of publications without a place in a stream, or of such that nobody follows.
    pub(super) fn say(&self, channel: &ChannelName, publications: &[Publication]) -> usize {
        let said = |publication| Said { publication, before: None };
        match publications {
            [only] => self.parts.hub.deliver_all(channel, &[said(only)]),
            several => self.parts.hub.deliver_all(channel, &several.iter().map(said).collect::<Vec<_>>()),
        }
    }

    /// Publications of this channel may be missing.
    pub(super) fn gap(&self, channel: &ChannelName) {
        if let Some(cursor) = self.streams.get(channel)
            && cursor.lock().gap()
        {
            self.streams.heal_soon(channel);
        }
    }

    /// Reads what is missing, page by page, until the channel goes on.
    ///
    /// # Errors
    /// The broker's: the channel is held still.
    pub(super) async fn heal(&self, channel: &ChannelName) -> Result<(), BrokerError> {
        // A cursor that is no longer the channel's is nobody's business.
        while let Some(cursor) = self.streams.get(channel).filter(|cursor| cursor.lock().is_held()) {
            self.heal_once(channel, &cursor).await?;
        }
        Ok(())
    }

    async fn heal_once(&self, channel: &ChannelName, cursor: &Shared) -> Result<(), BrokerError> {
        let _alone = self.streams.reads.lock(channel).await;
        let Some(since) = cursor.lock().begin_read() else { return Ok(()) };
        self.parts.metrics.history_reads.get_or_create(&CauseLabel { cause: Cause::heal }).inc();
        let page = self.read(channel, since, PAGE_MAX, PAGE_BYTES_MAX).await?;
        let mut cursor = cursor.lock();
        let healed = cursor.heal(&page, self.parts.clock.now());
        self.apply(channel, &healed);
        if !healed.again {
            let outcome = if healed.lost { "lost" } else { "healed" };
            self.parts.metrics.heals.get_or_create(&OutcomeLabel { outcome }).inc();
        }
        Ok(())
    }

    /// Carries out what a page has brought; under the cursor's lock.
    pub(super) fn apply(&self, channel: &ChannelName, healed: &Healed) {
        if healed.lost {
            self.lose(channel);
        }
        let mut before = None;
        for retained in &healed.deliver {
            let publication = retained.publication();
            self.parts.hub.deliver(channel, publication, before.replace(publication));
        }
    }

    fn lose(&self, channel: &ChannelName) {
        let expelled = self.parts.hub.expel(channel);
        if expelled > 0 {
            tracing::info!(%channel, expelled, "the stream does not go on where it was; subscribers come back");
        }
    }

    pub(super) async fn read(
        &self,
        channel: &ChannelName,
        since: u64,
        limit: usize,
        size: ByteSize,
    ) -> Result<HistoryPage, BrokerError> {
        let history = self.parts.rules.options(channel).and_then(|options| options.history);
        let meta_ttl = history.map_or(Duration::ZERO, |history| history.meta_ttl);
        let query = HistoryQuery { since: Some(since), limit, size, reverse: false, meta_ttl };
        self.parts.broker.history(channel, query).await
    }

    /// Compares the positions of channels on which nothing has come for a while with their streams', and
    /// lets go of tails that nobody needs any more.
    pub(super) async fn check_positions(&self) {
        let (now, age) = (self.parts.clock.now(), self.parts.history.position_check_interval);
        let mut due: Vec<(ChannelName, Shared, Position)> = Vec::new();
        let all = self.streams.all();
        self.parts.metrics.streams.set(i64::try_from(all.len()).unwrap_or(i64::MAX));
        let mut held = 0;
        for (channel, cursor) in all {
            let mut locked = cursor.lock();
            locked.cool(now);
            held += i64::from(locked.is_held());
            let unproven = locked.unproven(age, now);
            drop(locked);
            if let Some(was) = unproven {
                due.push((channel, cursor, was));
            }
        }
        self.parts.metrics.streams_held.set(held);
        for batch in due.chunks(CHECKS_MAX) {
            let channels: Vec<ChannelName> = batch.iter().map(|(channel, ..)| channel.clone()).collect();
            self.parts.metrics.position_checks.inc_by(batch.len() as u64);
            let Ok(tops) = self.parts.broker.tops(&channels).await else { return };
            for ((channel, cursor, was), top) in batch.iter().zip(tops) {
                if cursor.lock().compare(was, top.as_ref(), self.parts.clock.now()) {
                    self.streams.heal_soon(channel);
                }
            }
        }
    }
}
