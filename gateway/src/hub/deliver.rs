//! The walk: one publication to everybody here who wants it. The hot path; see ARCHITECTURE.md for what
//! may and may not grow with the number of subscribers.

use super::Hub;
use crate::model::event::{Event, Push};
use crate::model::wire::{Frame, WireKey};
use crate::model::{ChannelName, ConnectionId, Membership, Publication};

impl Hub {
    /// Puts a publication into the outbox of each of the channel's subscribers but the excluded one,
    /// encoded once for each wire and form in use. Answers how many outboxes took it. A full outbox
    /// closes itself and costs the others nothing.
    ///
    /// `before` is the channel's publication before this one: subscribers with [`super::Wants::delta`]
    /// that have got it may get a patch to it.
    pub fn deliver(&self, channel: &ChannelName, publication: &Publication, before: Option<&Publication>) -> usize {
        let _ = before;
        let shard = self.shard(channel).read();
        let Some(listeners) = shard.get(channel) else { return 0 };
        let event = Event::Publication { channel, publication };
        let mut frames: [Option<Frame>; WireKey::COUNT] = Default::default();
        let mut delivered = 0;
        for (connection, subscriber) in listeners {
            if publication.exclude == Some(*connection) {
                continue;
            }
            let wire = subscriber.wire.index();
            let frame = match &frames[wire] {
                Some(frame) => frame.clone(),
                None => {
                    let Some(encoder) = &self.encoders[wire] else { continue };
                    frames[wire].insert(encoder.encode(&event)).clone()
                }
            };
            delivered += usize::from(subscriber.outbox.push(frame).is_ok());
        }
        self.metrics.deliveries.inc_by(delivered as u64);
        delivered
    }

    /// Tells the channel's subscribers that want it who joined or left.
    pub fn tell(&self, channel: &ChannelName, membership: &Membership) {
        let shard = self.shard(channel).read();
        let Some(listeners) = shard.get(channel) else { return };
        let push = Push::Membership(membership.clone());
        let event = Event::Push { channel: Some(channel), push: &push };
        let mut frames: [Option<Frame>; WireKey::COUNT] = Default::default();
        // Who joins is told so when it joins.
        let oneself = ConnectionId::parse(&membership.who.client);
        for (connection, subscriber) in listeners {
            if !subscriber.wants.join_leave || oneself == Some(*connection) {
                continue;
            }
            let wire = subscriber.wire.index();
            let Some(encoder) = &self.encoders[wire] else { continue };
            let frame = frames[wire].get_or_insert_with(|| encoder.encode(&event));
            let _ = subscriber.outbox.push(frame.clone());
        }
    }

    /// Gives one subscriber what the others have had before it joined.
    pub fn deliver_to(&self, channel: &ChannelName, connection: ConnectionId, publication: &Publication) {
        let shard = self.shard(channel).read();
        let subscriber = shard.get(channel).and_then(|listeners| listeners.get(&connection));
        if let Some(subscriber) = subscriber.filter(|_| publication.exclude != Some(connection))
            && let Some(encoder) = &self.encoders[subscriber.wire.index()]
        {
            let event = match subscriber.wants.delta {
                true => Event::Delta { channel, publication, patch: None },
                false => Event::Publication { channel, publication },
            };
            let _ = subscriber.outbox.push(encoder.encode(&event));
        }
    }

    /// Tells one subscriber of a membership, its own.
    pub fn tell_one(&self, channel: &ChannelName, connection: ConnectionId, membership: &Membership) {
        let shard = self.shard(channel).read();
        let subscriber = shard.get(channel).and_then(|listeners| listeners.get(&connection));
        if let Some(subscriber) = subscriber.filter(|subscriber| subscriber.wants.join_leave)
            && let Some(encoder) = &self.encoders[subscriber.wire.index()]
        {
            let push = Push::Membership(membership.clone());
            let _ = subscriber.outbox.push(encoder.encode(&Event::Push { channel: Some(channel), push: &push }));
        }
    }
}
