//! Which channels this node holds at the broker: one subscription for all its listeners, taken with the
//! first and given back some time after the last.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use parking_lot::Mutex;

use super::Node;
use crate::broker::BrokerError;
use crate::hub::Subscriber;
use crate::model::wire::Frame;
use crate::model::{ChannelName, ConnectionId};
use crate::task::striped::Striped;

/// How many channels may wait for the broker at once without waiting for each other.
const STRIPES: usize = 1024;

/// Channels that may linger without listeners.
const IDLE_MAX: usize = 10_000;

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

impl Default for Holdings {
    fn default() -> Self {
        Self { stripes: Striped::new(STRIPES), held: Mutex::default(), idle: Mutex::default() }
    }
}

impl Node {
    /// Makes a connection a listener of a channel, here and, if it is the first, at the broker.
    /// `opening` goes out before anything of the channel.
    ///
    /// # Errors
    /// The broker's; nothing has changed then.
    ///
    /// # Cancel safety
    /// Dropped half way, the channel may be held without listeners until the next sweep.
    pub async fn subscribe(
        &self,
        channel: &ChannelName,
        connection: ConnectionId,
        subscriber: Subscriber,
        opening: Option<Frame>,
    ) -> Result<(), BrokerError> {
        let subscribe = async {
            let _stripe = self.holdings.stripes.lock(channel).await;
            self.hold(channel).await?;
            self.parts.hub.add(channel, connection, subscriber, opening);
            Ok(())
        };
        // Others may be waiting for the broker with the same stripe, each for its whole deadline.
        tokio::time::timeout(self.parts.patience, subscribe).await.unwrap_or(Err(BrokerError::Timeout))
    }

    /// Sees to it that the broker delivers the channel here. The stripe is taken.
    async fn hold(&self, channel: &ChannelName) -> Result<(), BrokerError> {
        if self.holdings.held.lock().contains(channel) {
            return Ok(());
        }
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

    /// Ends what [`Node::subscribe`] began; the broker's subscription stays a moment in case somebody
    /// comes back.
    pub fn unsubscribe(&self, channel: &ChannelName, connection: ConnectionId) {
        if self.parts.hub.remove(channel, connection) {
            self.note_idle(channel);
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
        if let Err(error) = self.parts.broker.unsubscribe(std::slice::from_ref(channel)).await {
            tracing::debug!(%error, "could not give a channel back to the broker; trying again");
            self.note_idle(channel);
        }
    }
}
