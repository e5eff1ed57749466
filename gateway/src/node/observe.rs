//! What clients do here, told to whoever observes the node; `app` joins the application's webhook to it. Without an
//! observer a call is one look at an empty cell.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::Node;
use crate::model::{ChannelName, ConnectionId, Place, Seen, UserId};

/// Is told what happens; must neither wait nor panic: it is called where a subscribe or a farewell goes on.
pub type Observer = Arc<dyn Fn(Seen<'_>) + Send + Sync>;

/// Who observes, if anybody does.
#[derive(Default)]
pub(super) struct Observing(OnceLock<Observer>);

impl fmt::Debug for Observing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observing").field(&self.0.get().is_some()).finish()
    }
}

impl Node {
    /// Lets somebody observe the node; to be called once, before there are clients.
    pub fn observed_by(&self, observer: Observer) {
        // A second one would see half of what there is: the first one stays.
        let _ = self.observing.0.set(observer);
    }

    /// A connection has said who it is, or has ended after that.
    pub fn saw(&self, seen: Seen<'_>) {
        if let Some(observer) = self.observing.0.get() {
            observer(seen);
        }
    }

    /// A connection listens to a channel.
    pub fn saw_subscribed(&self, channel: &ChannelName, client: ConnectionId, user: &UserId) {
        if let Some(observer) = self.observing.0.get() {
            observer(Seen::Subscribed(self.place(channel, client, user)));
        }
    }

    /// A connection that was seen subscribed listens no more.
    pub fn saw_unsubscribed(&self, channel: &ChannelName, client: ConnectionId, user: &UserId) {
        if let Some(observer) = self.observing.0.get() {
            observer(Seen::Unsubscribed(self.place(channel, client, user)));
        }
    }

    /// A client wanted what it has missed of a channel, and did not get it; on cache channels, there is nothing.
    pub fn saw_unrecovered(&self, channel: &ChannelName) {
        if let Some(observer) = self.observing.0.get()
            && self.is_cache(channel)
        {
            observer(Seen::CacheEmpty { channel });
        }
    }

    fn place<'a>(&self, channel: &'a ChannelName, client: ConnectionId, user: &'a UserId) -> Place<'a> {
        let has_members = self.parts.rules.options(channel).is_some_and(|options| options.presence);
        Place { channel, client, user, has_members }
    }
}
