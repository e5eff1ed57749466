//! The walk: one publication to everybody here who wants it. The hot path; see ARCHITECTURE.md for what
//! may and may not grow with the number of subscribers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use fanfare_proto::fossil;

use super::outbox::SLOT;
use super::writers::List;
use super::{Hub, Outbox, Subscriber, Wants};
use crate::model::event::{Event, Push};
use crate::model::wire::{Encode, Frame, WireKey};
use crate::model::{ChannelName, ConnectionId, Membership, Publication};

/// A subscriber, with what the walk remembers of it.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) outbox: Outbox,
    wire: WireKey,
    pub(super) wants: Wants,
    ahead: u64,
    /// The offset of the publication that it got last, if it wants patches; 0 if none. Read and written by
    /// the channel's one walk at a time, and ordered by what orders the walks: hence relaxed.
    pub(super) base: AtomicU64,
}

impl From<Subscriber> for Listener {
    fn from(Subscriber { outbox, wire, wants, ahead, base }: Subscriber) -> Self {
        Self { outbox, wire, wants, ahead, base: AtomicU64::new(base) }
    }
}

/// A publication as it comes to the hub.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// What is said.
    pub publication: &'a Publication,
    /// The channel's publication before it, if that is known.
    pub before: Option<&'a Publication>,
}

impl Said<'_> {
    /// 0 without a place in a stream.
    fn offset(&self) -> u64 {
        self.publication.position.as_ref().map_or(0, |position| position.offset)
    }

    /// Whether a subscriber gets it: not if it is excluded, nor if it has seen it already.
    fn is_for(&self, connection: ConnectionId, listener: &Listener) -> bool {
        let offset = self.offset();
        self.publication.exclude != Some(connection) && (offset == 0 || offset > listener.ahead)
    }
}

impl Hub {
    /// Puts a publication into the outbox of each of the channel's subscribers but the excluded one and
    /// those that are ahead of it, encoded once for each wire and form in use. Answers how many outboxes
    /// took it. A full outbox closes itself and costs the others nothing.
    ///
    /// `before` is the channel's publication before this one: subscribers with [`Wants::delta`] that have
    /// got it, and nothing since, may get a patch to it.
    pub fn deliver(&self, channel: &ChannelName, publication: &Publication, before: Option<&Publication>) -> usize {
        let shard = self.shard(channel).read();
        let Some(listeners) = shard.get(channel) else { return 0 };
        let mut list = List::new(&self.writers, listeners.len());
        let said = Said { publication, before };
        let (offset, mut frames) = (said.offset(), Frames::new(channel, &said));
        let mut delivered = 0;
        for (connection, listener) in listeners {
            if !said.is_for(*connection, listener) {
                continue;
            }
            let Some(encoder) = &self.encoders[listener.wire.index()] else { continue };
            let frame = frames.get(encoder, listener);
            if list.push(&listener.outbox, frame) {
                delivered += 1;
                if listener.wants.delta {
                    listener.base.store(offset, Ordering::Relaxed);
                }
            }
        }
        drop(shard);
        drop(list);
        self.metrics.deliveries.inc_by(delivered as u64);
        delivered
    }

    /// The same for several, one after the other, all with a place in the channel's stream or all without. Who gets
    /// all of them gets them as one message, where the wire has such: they take one turn in an outbox. Answers how
    /// often an outbox took one.
    pub fn deliver_all(&self, channel: &ChannelName, said: &[Said<'_>]) -> usize {
        match *said {
            [] => return 0,
            [Said { publication, before }] => return self.deliver(channel, publication, before),
            _ => {}
        }
        let shard = self.shard(channel).read();
        let Some(listeners) = shard.get(channel) else { return 0 };
        let mut list = List::new(&self.writers, listeners.len());
        let mut frames: Vec<_> = said.iter().map(|said| Frames::new(channel, said)).collect();
        let mut joined: [Option<Option<Frame>>; WireKey::COUNT] = Default::default();
        let excluded: Vec<_> = said.iter().filter_map(|said| said.publication.exclude).collect();
        let first = said.first().map_or(0, Said::offset);
        let mut delivered = 0;
        for (connection, listener) in listeners {
            let wire = listener.wire.index();
            let Some(encoder) = &self.encoders[wire] else { continue };
            let gets_all = (first == 0 || first > listener.ahead) && !excluded.contains(connection);
            if gets_all && !listener.wants.delta {
                let join = || {
                    let all: Vec<_> = frames.iter_mut().map(|frames| frames.get(encoder, listener)).collect();
                    encoder.join(&all)
                };
                if let Some(message) = joined[wire].get_or_insert_with(join) {
                    delivered += if list.push(&listener.outbox, message.clone()) { said.len() } else { 0 };
                    continue;
                }
            }
            let mut bytes = 0;
            for (said, frames) in said.iter().zip(&mut frames).filter(|(said, _)| said.is_for(*connection, listener)) {
                let frame = frames.get(encoder, listener);
                bytes += frame.len() + SLOT;
                if list.push(&listener.outbox, frame) {
                    delivered += 1;
                    if listener.wants.delta {
                        listener.base.store(said.offset(), Ordering::Relaxed);
                    }
                }
            }
            list.note(bytes);
        }
        drop(shard);
        drop(list);
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
        let mut list = List::new(&self.writers, listeners.len());
        for (connection, listener) in listeners {
            if !listener.wants.join_leave || oneself == Some(*connection) {
                continue;
            }
            let wire = listener.wire.index();
            let Some(encoder) = &self.encoders[wire] else { continue };
            let frame = frames[wire].get_or_insert_with(|| encoder.encode(&event));
            list.push(&listener.outbox, frame.clone());
        }
        drop(shard);
    }

    /// Gives one subscriber what the others have had before it joined.
    pub fn deliver_to(&self, channel: &ChannelName, connection: ConnectionId, publication: &Publication) {
        let shard = self.shard(channel).read();
        let listener = shard.get(channel).and_then(|listeners| listeners.get(&connection));
        let Some(listener) = listener.filter(|_| publication.exclude != Some(connection)) else { return };
        let Some(encoder) = &self.encoders[listener.wire.index()] else { return };
        let mut list = List::new(&self.writers, 1);
        let frame = Frames::new(channel, &Said { publication, before: None }).get(encoder, listener);
        if list.push(&listener.outbox, frame) && listener.wants.delta {
            let offset = publication.position.as_ref().map_or(0, |position| position.offset);
            listener.base.store(offset, Ordering::Relaxed);
        }
    }

    /// Tells one subscriber of a membership, its own.
    pub fn tell_one(&self, channel: &ChannelName, connection: ConnectionId, membership: &Membership) {
        let shard = self.shard(channel).read();
        let listener = shard.get(channel).and_then(|listeners| listeners.get(&connection));
        if let Some(listener) = listener.filter(|listener| listener.wants.join_leave)
            && let Some(encoder) = &self.encoders[listener.wire.index()]
        {
            let push = Push::Membership(membership.clone());
            let mut list = List::new(&self.writers, 1);
            list.push(&listener.outbox, encoder.encode(&Event::Push { channel: Some(channel), push: &push }));
        }
    }
}

/// How a publication is told to a subscriber.
#[derive(Clone, Copy)]
enum Told {
    /// Without any agreement.
    Plainly,
    /// In the form that a patch may follow.
    Whole,
    /// As a patch to the publication before.
    AsPatch,
}

/// One publication's frames, made when the first subscriber needs them.
struct Frames<'a> {
    channel: &'a ChannelName,
    publication: &'a Publication,
    /// What a patch may be made to, and its offset.
    before: Option<(u64, &'a Publication)>,
    /// The patch, once it has been tried; none if it is no shorter than the whole.
    patch: Option<Option<Bytes>>,
    /// By wire and by the way of telling.
    frames: [[Option<Frame>; 3]; WireKey::COUNT],
}

impl<'a> Frames<'a> {
    fn new(channel: &'a ChannelName, said: &Said<'a>) -> Self {
        let Said { publication, before } = *said;
        // Only those that got it are known to have it, and only an offset says that they did.
        let patchable = |before: &&Publication| publication.delta && comparable(before, publication);
        let before = before.filter(patchable).and_then(|before| Some((before.position.as_ref()?.offset, before)));
        Self { channel, publication, before, patch: None, frames: Default::default() }
    }

    fn get(&mut self, encoder: &Arc<dyn Encode>, listener: &Listener) -> Frame {
        let told = self.told_to(listener);
        let Self { channel, publication, .. } = *self;
        let patch = self.patch.as_ref().and_then(Option::as_ref);
        let frame = &mut self.frames[listener.wire.index()][told as usize];
        let encode = || {
            encoder.encode(&match told {
                Told::Plainly => Event::Publication { channel, publication },
                Told::Whole => Event::Delta { channel, publication, patch: None },
                Told::AsPatch => Event::Delta { channel, publication, patch },
            })
        };
        frame.get_or_insert_with(encode).clone()
    }

    fn told_to(&mut self, listener: &Listener) -> Told {
        if !listener.wants.delta {
            return Told::Plainly;
        }
        let Some((offset, before)) = self.before else { return Told::Whole };
        if listener.base.load(Ordering::Relaxed) != offset {
            return Told::Whole;
        }
        let data = &self.publication.data;
        let patch = self.patch.get_or_insert_with(|| {
            let patch = fossil::create(&before.data, data);
            (patch.len() < data.len()).then(|| patch.into())
        });
        if patch.is_some() { Told::AsPatch } else { Told::Whole }
    }
}

/// Whether both are of one life of the stream: else equal offsets need not name the same publication.
fn comparable(before: &Publication, publication: &Publication) -> bool {
    match (&before.position, &publication.position) {
        (Some(before), Some(position)) => before.offset > 0 && before.epoch == position.epoch,
        _ => false,
    }
}
