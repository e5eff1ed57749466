//! Which channels this node holds at the broker: one subscription for all its listeners, taken with the
//! first and given back some time after the last.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fanfare_proto::code::ErrorCode;
use parking_lot::Mutex;

use super::Node;
use super::cursor::{Bounds, Cursor, Entrance, Join, Wish};
use super::streams::Shared;
use crate::broker::BrokerError;
use crate::config::section::RecoveryMode;
use crate::hub::Subscriber;
use crate::model::command::Since;
use crate::model::event::{Recovery, Standing};
use crate::model::wire::Frame;
use crate::model::{ByteSize, Change, ChannelName, ConnectionId, Membership, Overrides};
use crate::presence::{Departure, Entry, PresenceError};
use crate::task::striped::Striped;
use crate::telemetry::metrics::{Cause, CauseLabel};

/// How many channels may wait for the broker at once without waiting for each other.
const STRIPES: usize = 1024;

/// Channels that may linger without listeners.
const IDLE_MAX: usize = 10_000;

/// How often an entrance is made before it is given up: each time the stream has turned, or the channel
/// was given back, in between.
const ATTEMPTS: usize = 8;

/// How long one waits for what is on its way, and how often.
const BREATH: Duration = Duration::from_millis(1);
const BREATHS: usize = 50;

/// Least bytes that the tail of a stream may have.
const TAIL_MIN: ByteSize = ByteSize::mib(4);

/// What this node holds at the broker.
#[derive(Debug)]
pub(super) struct Holdings {
    /// Keeps subscribe and give-back of one channel apart.
    stripes: Striped,
    /// Confirmed by the broker.
    held: Mutex<HashSet<ChannelName>>,
    /// Perhaps without listeners, since when; the sweep looks. Over [`IDLE_MAX`] nobody's return is waited
    /// for, so that clients who come and go cannot pile up subscriptions at the broker.
    idle: Mutex<HashMap<ChannelName, Duration>>,
}

/// What has been found out so far on behalf of somebody who subscribes.
#[derive(Debug, Default)]
struct Attempt {
    /// The epoch of a page that was read for it: what that has not brought is not there, as long as the
    /// stream has not turned since.
    fresh: Option<Arc<str>>,
    /// How it would join.
    entrance: Option<Entrance>,
}

impl Attempt {
    fn is_fresh(&self, cursor: &Cursor) -> bool {
        self.fresh.is_some() && self.fresh.as_ref() == cursor.at().map(|at| &at.epoch)
    }

    /// An entrance with publications: too large to be written while others wait.
    fn large(&self) -> Option<&Entrance> {
        self.entrance
            .as_ref()
            .filter(|entrance| matches!(&entrance.recovery, Some(Recovery::Recovered(missed)) if !missed.is_empty()))
    }
}

impl Joining<'_> {
    fn rejects(&self, entrance: &Entrance) -> bool {
        self.reject_unrecovered && matches!(entrance.recovery, Some(Recovery::Unrecovered))
    }

    fn standing(&self, entrance: &Entrance) -> Standing {
        let recovery = entrance.recovery.clone().map(|recovery| match recovery {
            Recovery::Recovered(missed) => Recovery::Recovered(
                missed.into_iter().filter(|p| p.publication().exclude != Some(self.connection)).collect(),
            ),
            Recovery::Unrecovered => Recovery::Unrecovered,
        });
        Standing {
            positioned: self.subscriber.wants.positioned,
            recoverable: self.recoverable,
            position: entrance.position.clone(),
            recovery,
        }
    }
}

impl Default for Holdings {
    fn default() -> Self {
        Self { stripes: Striped::new(STRIPES), held: Mutex::default(), idle: Mutex::default() }
    }
}

/// Somebody who subscribes.
#[derive(Debug)]
pub struct Joining<'a> {
    /// To what.
    pub channel: &'a ChannelName,
    /// On which connection.
    pub connection: ConnectionId,
    /// Where the channel's events go, and which.
    pub subscriber: Subscriber,
    /// It may recover later.
    pub recoverable: bool,
    /// What it has seen, if it wants what it has missed since.
    pub recover: Option<Since>,
    /// It would rather not join than with a loss.
    pub reject_unrecovered: bool,
    /// How others see it, on channels with presence.
    pub entry: Option<Entry>,
}

/// Writes what a client is told first, when it is known where its subscription stands.
pub type Opening<'a> = &'a (dyn Fn(Option<&Standing>) -> Vec<Frame> + Send + Sync);

/// Why somebody could not subscribe.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The broker's.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The presence store's.
    #[error(transparent)]
    Presence(#[from] PresenceError),
    /// What it missed cannot be replayed, and it does not want to join without.
    #[error("what was missed can no longer be replayed")]
    Unrecoverable,
}

impl SubscribeError {
    /// What the client is told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Broker(error) => error.code(),
            Self::Presence(error) => error.code(),
            Self::Unrecoverable => ErrorCode::UnrecoverablePosition,
        }
    }
}

impl Node {
    /// Makes a connection a listener of a channel, here and, if it is the first, at the broker. What it
    /// missed, if it wants that, comes with the answer; everything after that comes live, nothing twice.
    /// `opening` writes the answer, which goes out before anything of the channel.
    ///
    /// # Errors
    /// See [`SubscribeError`]; nothing has changed then.
    ///
    /// # Cancel safety
    /// Dropped half way, the channel may be held without listeners until the next sweep; a member may be
    /// noted, so the connection must leave by [`Node::unsubscribe`].
    pub async fn subscribe(
        &self,
        joining: Joining<'_>,
        opening: Option<Opening<'_>>,
    ) -> Result<Option<Standing>, SubscribeError> {
        // Others may be waiting for the broker with the same stripe, each for its whole deadline.
        let joined = tokio::time::timeout(self.parts.patience, self.join(&joining, opening)).await;
        let joined = joined.unwrap_or(Err(BrokerError::Timeout.into()));
        if joined.is_err() && joining.entry.is_some() {
            self.parts.presence.leave(joining.channel, joining.connection, Departure::Final);
        }
        joined
    }

    async fn join(
        &self,
        joining: &Joining<'_>,
        opening: Option<Opening<'_>>,
    ) -> Result<Option<Standing>, SubscribeError> {
        let mut entered = false;
        for _ in 0..ATTEMPTS {
            let mut attempt = Attempt::default();
            let cursor = {
                let _stripe = self.holdings.stripes.lock(joining.channel).await;
                self.hold(joining.channel, joining.recover.as_ref(), &mut attempt).await?
            };
            if let Some(cursor) = &cursor
                && !self.prepare(joining, cursor, &mut attempt).await?
            {
                continue;
            }
            if let Some(entry) = joining.entry.as_ref().filter(|_| !entered) {
                self.parts.presence.enter(joining.channel, entry.clone()).await?;
                entered = true;
            }
            // Written here, while nobody waits for it, if it is large.
            let written = attempt.large().zip(opening).map(|(entrance, opening)| {
                let standing = joining.standing(entrance);
                (opening(Some(&standing)), standing)
            });
            // Nobody gives the channel back meanwhile.
            let _stripe = self.holdings.stripes.lock(joining.channel).await;
            if !self.holdings.held.lock().contains(joining.channel) || !self.is_current(joining.channel, &cursor) {
                continue;
            }
            match cursor {
                None => {
                    let frames = opening.map(|opening| opening(None)).unwrap_or_default();
                    self.add(joining, joining.subscriber.clone(), frames);
                    return Ok(None);
                }
                Some(cursor) => {
                    if let Some(standing) = self.enter_at(joining, &cursor, &attempt, opening, written) {
                        return Ok(Some(standing));
                    }
                }
            }
        }
        // The stream turns faster than it can be joined.
        Err(BrokerError::Timeout.into())
    }

    /// Whether this is the cursor that the channel has now. It may have been given back and held anew since:
    /// an old one stands still, and who joins by it would miss what the new one has seen.
    fn is_current(&self, channel: &ChannelName, cursor: &Option<Shared>) -> bool {
        cursor.as_ref().is_none_or(|cursor| self.streams.get(channel).is_some_and(|now| Arc::ptr_eq(&now, cursor)))
    }

    /// Makes an entrance that needs nothing more from the broker; false if the channel has to be held
    /// anew.
    async fn prepare(
        &self,
        joining: &Joining<'_>,
        cursor: &Shared,
        attempt: &mut Attempt,
    ) -> Result<bool, SubscribeError> {
        let bounds = self.bounds(joining.channel);
        if joining.recover.is_some() {
            self.catch_breath(cursor).await;
        }
        loop {
            let join = {
                let mut cursor = cursor.lock();
                let fresh = attempt.is_fresh(&cursor);
                cursor.join(self.wish(joining), bounds, fresh, self.parts.clock.now())
            };
            match join {
                Join::NotOpen => return Ok(false),
                Join::At(entrance) => {
                    if joining.rejects(&entrance) {
                        return Err(SubscribeError::Unrecoverable);
                    }
                    attempt.entrance = Some(entrance);
                    return Ok(true);
                }
                Join::Read { .. } => {
                    if !self.learn(joining, cursor, bounds, attempt).await? {
                        // The stream has turned, and this node has yet to hear of it.
                        self.gap(joining.channel);
                        self.heal(joining.channel).await?;
                    }
                }
            }
        }
    }

    /// Waits a moment for what was published on this node and is on its way back: who publishes and then
    /// recovers should find what it said. Nothing depends on it: what comes later comes live.
    async fn catch_breath(&self, cursor: &Shared) {
        for _ in 0..BREATHS {
            if !cursor.lock().is_behind() {
                return;
            }
            tokio::time::sleep(BREATH).await;
        }
    }

    /// Reads what somebody needs who joins, unless another has just done so; false if the stream is not the
    /// one that the cursor follows.
    async fn learn(
        &self,
        joining: &Joining<'_>,
        cursor: &Shared,
        bounds: Bounds,
        attempt: &mut Attempt,
    ) -> Result<bool, BrokerError> {
        let _alone = self.streams.reads.lock(joining.channel).await;
        let (since, at) = {
            let mut cursor = cursor.lock();
            let join = cursor.join(self.wish(joining), bounds, false, self.parts.clock.now());
            let Join::Read { since } = join else { return Ok(true) };
            (since, cursor.at().map_or(0, |at| at.offset))
        };
        let limit = usize::try_from(at.saturating_sub(since)).unwrap_or(usize::MAX).min(bounds.count);
        self.parts.metrics.history_reads.get_or_create(&CauseLabel { cause: Cause::recover }).inc();
        let page = self.read(joining.channel, since, limit, bounds.size).await?;
        let mut cursor = cursor.lock();
        // Of an empty page nothing can be said but where the stream stood.
        let learned = cursor.learn(&page, if limit == 0 { u64::MAX } else { since });
        attempt.fresh = learned.then(|| Arc::clone(&page.stream.top.epoch));
        Ok(learned)
    }

    /// Adds the subscriber where its entrance says, or, if that was long ago, with what has come since.
    /// None if the entrance must be made anew.
    fn enter_at(
        &self,
        joining: &Joining<'_>,
        cursor: &Shared,
        attempt: &Attempt,
        opening: Option<Opening<'_>>,
        written: Option<(Vec<Frame>, Standing)>,
    ) -> Option<Standing> {
        // From here to the end nothing is delivered on the channel.
        let mut cursor = cursor.lock();
        let fresh = attempt.is_fresh(&cursor);
        let mut since = Vec::new();
        let entrance = match attempt.large() {
            Some(entrance) => {
                since = cursor.catch_up(&entrance.at)?;
                entrance.clone()
            }
            None => {
                match cursor.join(self.wish(joining), self.bounds(joining.channel), fresh, self.parts.clock.now()) {
                    Join::At(entrance) if !joining.rejects(&entrance) => entrance,
                    Join::At(_) | Join::NotOpen | Join::Read { .. } => return None,
                }
            }
        };
        let (frames, standing) = written.unwrap_or_else(|| {
            let standing = joining.standing(&entrance);
            (opening.map(|opening| opening(Some(&standing))).unwrap_or_default(), standing)
        });
        let base = match &standing.recovery {
            Some(Recovery::Recovered(publications)) => publications.last().map_or(0, |last| last.position().offset),
            _ => 0,
        };
        let subscriber = Subscriber { ahead: entrance.ahead, base, ..joining.subscriber.clone() };
        self.add(joining, subscriber, frames);
        for publication in since {
            self.parts.hub.deliver_to(joining.channel, joining.connection, publication.publication());
        }
        Some(standing)
    }

    /// Puts a subscriber into the hub. One that is told who joins is told that it has.
    fn add(&self, joining: &Joining<'_>, subscriber: Subscriber, mut opening: Vec<Frame>) {
        let last = opening.pop();
        for frame in opening {
            // A refusal has closed the outbox: its connection is about to end and to leave.
            let _ = subscriber.outbox.reply(frame);
        }
        self.parts.hub.add(joining.channel, joining.connection, subscriber, last);
        if let Some(entry) = joining.entry.as_ref().filter(|entry| entry.told) {
            let membership = Membership { change: Change::Joined, who: entry.info.clone() };
            self.parts.hub.tell_one(joining.channel, joining.connection, &membership);
        }
    }

    fn wish<'a>(&self, joining: &'a Joining<'_>) -> Wish<'a> {
        match &joining.recover {
            None => Wish::Nothing,
            Some(since) if self.is_cache(joining.channel) => Wish::Latest(since),
            Some(since) => Wish::Everything(since),
        }
    }

    /// Whether who comes back to the channel gets the latest publication only.
    pub(super) fn is_cache(&self, channel: &ChannelName) -> bool {
        let options = self.parts.rules.options(channel);
        options.is_some_and(|options| options.force_recovery_mode == RecoveryMode::Cache)
    }

    fn bounds(&self, channel: &ChannelName) -> Bounds {
        let history = self.parts.rules.options(channel).and_then(|options| options.history);
        Bounds { count: history.map_or(0, |history| self.page_max(history)), size: self.parts.page_size }
    }

    /// Sees to it that the broker delivers the channel here, and that the position of its stream is known
    /// if it has one. The stripe is taken.
    async fn hold(
        &self,
        channel: &ChannelName,
        recover: Option<&Since>,
        attempt: &mut Attempt,
    ) -> Result<Option<Shared>, BrokerError> {
        let held = self.holdings.held.lock().contains(channel);
        let options = self.parts.rules.options(channel).filter(|options| options.history.is_some());
        let cursor = options.map(|options| match self.streams.get(channel).filter(|_| held) {
            Some(cursor) => cursor,
            None => {
                let latest = options.allowed_delta.is_some() || options.force_recovery_mode == RecoveryMode::Cache;
                // Before the broker is asked: what it sends from now on is gathered.
                self.streams.insert(channel, Cursor::new(latest, self.parts.page_size.max(TAIL_MIN)))
            }
        });
        if !held && let Err(error) = self.hold_at_broker(channel).await {
            self.streams.remove(channel);
            return Err(error);
        }
        if let Some(cursor) = &cursor
            && cursor.lock().at().is_none()
        {
            self.open(channel, cursor, recover, attempt).await?;
        }
        Ok(cursor)
    }

    /// Reads where the stream stands, and, on the way, what the first subscriber has missed.
    async fn open(
        &self,
        channel: &ChannelName,
        cursor: &Shared,
        recover: Option<&Since>,
        attempt: &mut Attempt,
    ) -> Result<(), BrokerError> {
        let bounds = self.bounds(channel);
        // Who only wants the latest asks for that when it is known where the latest is.
        let recover = recover.filter(|_| !self.is_cache(channel));
        let (since, limit) = recover.map_or((u64::MAX, 0), |since| (since.offset, bounds.count));
        self.parts.metrics.history_reads.get_or_create(&CauseLabel { cause: Cause::open }).inc();
        let page = self.read(channel, since, limit, bounds.size).await?;
        let mut locked = cursor.lock();
        let healed = locked.open(&page, since, self.parts.clock.now());
        attempt.fresh = recover.map(|_| Arc::clone(&page.stream.top.epoch));
        self.apply(channel, &healed);
        drop(locked);
        if healed.again {
            self.streams.heal_soon(channel);
        }
        Ok(())
    }

    async fn hold_at_broker(&self, channel: &ChannelName) -> Result<(), BrokerError> {
        // Noted first: if this future is dropped or times out while the broker says yes, the sweep gives
        // the channel back.
        self.note_idle(channel);
        let subscribed = self.parts.broker.subscribe(std::slice::from_ref(channel)).await;
        match &subscribed {
            Ok(()) => {
                self.holdings.held.lock().insert(channel.clone());
            }
            Err(BrokerError::Timeout) => {}
            Err(BrokerError::Unreachable(_) | BrokerError::Refused(_) | BrokerError::NotReplicated { .. }) => {
                self.holdings.idle.lock().remove(channel);
            }
        }
        subscribed
    }

    /// Ends what [`Node::subscribe`] began, with the overrides that it began with; the broker's
    /// subscription stays a moment in case somebody comes back.
    pub fn unsubscribe(
        &self,
        channel: &ChannelName,
        connection: ConnectionId,
        departure: Departure,
        overrides: Overrides,
    ) {
        if self.parts.hub.remove(channel, connection) {
            self.note_idle(channel);
        }
        let usual = || self.parts.rules.options(channel).is_some_and(|options| options.presence);
        if overrides.presence.unwrap_or_else(usual) {
            self.parts.presence.leave(channel, connection, departure);
        }
    }

    fn note_idle(&self, channel: &ChannelName) {
        self.holdings.idle.lock().insert(channel.clone(), self.parts.clock.now());
    }

    /// Channels that have been noted at least `age` ago; they are noted no more.
    pub(super) fn take_idle(&self, age: Duration) -> Vec<ChannelName> {
        let now = self.parts.clock.now();
        let mut taken = Vec::new();
        let mut idle = self.holdings.idle.lock();
        let age = if idle.len() > IDLE_MAX { Duration::ZERO } else { age };
        idle.retain(|channel, since| {
            let old = now.saturating_sub(*since) >= age;
            if old {
                taken.push(channel.clone());
            }
            !old
        });
        taken
    }

    /// Gives a channel back to the broker, unless somebody listens after all.
    pub(super) async fn give_back(&self, channel: &ChannelName) {
        let _stripe = self.holdings.stripes.lock(channel).await;
        if self.parts.hub.has(channel) {
            return;
        }
        // Forgotten before the broker is asked: should it fail half way, the next listener subscribes anew.
        self.holdings.held.lock().remove(channel);
        self.streams.remove(channel);
        if let Err(error) = self.parts.broker.unsubscribe(std::slice::from_ref(channel)).await {
            tracing::debug!(%error, "could not give a channel back to the broker; trying again");
            self.note_idle(channel);
        }
    }
}

#[cfg(test)]
mod tests;
