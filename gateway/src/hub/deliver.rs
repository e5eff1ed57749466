//! The walk: one publication to everybody here who wants it. The hot path; see ARCHITECTURE.md for what
//! may and may not grow with the number of subscribers.

use super::Hub;
use crate::model::event::{Event, Push};
use crate::model::wire::{Frame, WireKey};
use crate::model::{ChannelName, Publication};

impl Hub {
    /// Puts a publication into the outbox of each of the channel's subscribers but the excluded one,
    /// encoded once for each wire in use. Answers how many outboxes took it. A full outbox closes
    /// itself and costs the others nothing.
    pub fn deliver(&self, channel: &ChannelName, publication: Publication) -> usize {
        let shard = self.shard(channel).read();
        let Some(listeners) = shard.get(channel) else { return 0 };
        let exclude = publication.exclude;
        let push = Push::Publication(publication);
        let event = Event::Push { channel: Some(channel), push: &push };
        let mut frames: [Option<Frame>; WireKey::COUNT] = Default::default();
        let mut delivered = 0;
        for (connection, subscriber) in listeners {
            if exclude == Some(*connection) {
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
}
