//! What whoever observes the node is told of this client. What was seen to begin is seen to end, once, and nothing
//! else is: so each place that makes a subscription says so only when it stands.

use std::collections::BTreeMap;

use super::Session;
use super::state::{Live, State};
use crate::model::event::{Recovery, Standing};
use crate::model::{ChannelName, Seen};

impl Session {
    /// The client is in, with the subscriptions that it has so far.
    pub(super) fn begin_seen(&mut self, standings: &BTreeMap<ChannelName, Standing>) {
        let (node, client) = (&self.shared.node, self.connection);
        let State::Live(live) = &mut self.state else { return };
        let Live { user, subscriptions, seen, .. } = &mut **live;
        *seen = true;
        node.saw(Seen::Connected { client, user });
        for (channel, subscription) in subscriptions.iter_mut() {
            subscription.seen = true;
            node.saw_subscribed(channel, client, user);
            if standings.get(channel).is_some_and(has_not_recovered) {
                node.saw_unrecovered(channel);
            }
        }
    }

    /// The client is on a channel.
    pub(super) fn subscribe_seen(&mut self, channel: &ChannelName, standing: Option<&Standing>) {
        let (node, client) = (&self.shared.node, self.connection);
        let State::Live(live) = &mut self.state else { return };
        let Some(subscription) = live.subscriptions.get_mut(channel) else { return };
        subscription.seen = true;
        node.saw_subscribed(channel, client, &live.user);
        if standing.is_some_and(has_not_recovered) {
            node.saw_unrecovered(channel);
        }
    }

    /// The client has left a channel.
    pub(super) fn unsubscribe_seen(&self, channel: &ChannelName) {
        if let State::Live(live) = &self.state {
            self.shared.node.saw_unsubscribed(channel, self.connection, &live.user);
        }
    }

    /// The client is gone, and with it what it had.
    pub(super) fn end_seen(&self, live: &Live) {
        let (node, client) = (&self.shared.node, self.connection);
        for (channel, _) in live.subscriptions.iter().filter(|(_, subscription)| subscription.seen) {
            node.saw_unsubscribed(channel, client, &live.user);
        }
        if live.seen {
            node.saw(Seen::Disconnected { client, user: &live.user });
        }
    }
}

fn has_not_recovered(standing: &Standing) -> bool {
    matches!(standing.recovery, Some(Recovery::Unrecovered))
}
