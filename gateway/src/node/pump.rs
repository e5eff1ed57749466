//! From the broker to the hub: the only road by which a publication reaches a client, whichever node it
//! was published on.

use std::iter::Peekable;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Node, Parts};
use crate::broker::event::Room;
use crate::broker::{BrokerEvent, Events};
use crate::model::{ChannelName, Publication};

/// Events handled before other tasks of the thread get their turn.
const BURST: usize = 64;

/// Publications to one channel that come one after the other are told in one message, up to so many bytes: as much as a
/// socket is written at once.
const TOGETHER_BYTES_MAX: usize = 16 * 1024;

pub(super) async fn run(node: Arc<Node>, mut events: Events, stop: CancellationToken) {
    let mut burst = Vec::with_capacity(BURST);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            count = events.recv_many(&mut burst, BURST) => if count == 0 { return },
        }
        let writers = node.parts.hub.writers();
        let mut events = burst.drain(..).peekable();
        while let Some(event) = events.next() {
            let (together, bytes) = gather(&node, event, &mut events);
            // Else a burst would fill the outboxes of those who would have read it in time.
            tokio::select! {
                biased;
                () = writers.keep_up(node.parts.page_size, bytes) => {}
                // Writers end, too: there may be nobody left to wait for.
                () = stop.cancelled() => return,
            }
            writers.hold();
            match together {
                Together::One(event) => handle(&node, event),
                Together::Several(channel, publications, _rooms) => tell_all(&node, &channel, publications),
            }
        }
        writers.release();
        // Writers and others get their turn.
        tokio::task::yield_now().await;
    }
}

/// What is handled in one step.
#[expect(clippy::large_enum_variant, reason = "the large one is the common one, and is moved, not kept")]
enum Together {
    One(BrokerEvent),
    Several(ChannelName, Vec<Publication>, Vec<Option<Room>>),
}

/// Takes the events that follow and are handled together with this one; answers about how many bytes all of them will put
/// into an outbox.
fn gather(
    node: &Node,
    event: BrokerEvent,
    events: &mut Peekable<impl Iterator<Item = BrokerEvent>>,
) -> (Together, usize) {
    let mut bytes = size(&event);
    let Some((channel, placed)) = untraced(node, &event) else { return (Together::One(event), bytes) };
    let channel = channel.clone();
    let mut followed = Vec::new();
    while let Some(next) = events
        .next_if(|next| untraced(node, next) == Some((&channel, placed)) && bytes + size(next) <= TOGETHER_BYTES_MAX)
    {
        bytes += size(&next);
        followed.push(next);
    }
    if followed.is_empty() {
        return (Together::One(event), bytes);
    }
    let all = std::iter::once(event).chain(followed).filter_map(|event| match event {
        BrokerEvent::Published { outgoing, room, .. } => Some((outgoing.publication, room)),
        BrokerEvent::Member { .. } | BrokerEvent::Control(_) | BrokerEvent::Gap { .. } => None,
    });
    let (publications, rooms) = all.unzip();
    (Together::Several(channel, publications, rooms), bytes)
}

/// The channel of a publication, and whether it has a place in the channel's stream; none for everything else, and for
/// publications whose way is traced one by one.
fn untraced<'a>(node: &Node, event: &'a BrokerEvent) -> Option<(&'a ChannelName, bool)> {
    let BrokerEvent::Published { channel, outgoing, .. } = event else { return None };
    let traced = node.parts.tracing.enabled() && !outgoing.traceparent.is_empty();
    (!traced).then_some((channel, outgoing.publication.position.is_some()))
}

fn tell_all(node: &Node, channel: &ChannelName, publications: Vec<Publication>) {
    if publications.first().is_some_and(|first| first.position.is_some()) {
        node.arrive(channel, publications);
    } else {
        node.say(channel, &publications);
    }
}

/// About how much the event will put into an outbox, in bytes.
fn size(event: &BrokerEvent) -> usize {
    match event {
        BrokerEvent::Published { outgoing, .. } => outgoing.publication.data.len(),
        BrokerEvent::Member { .. } | BrokerEvent::Control(_) | BrokerEvent::Gap { .. } => 0,
    }
}

fn handle(node: &Node, event: BrokerEvent) {
    match event {
        BrokerEvent::Published { channel, outgoing, room: _room } => {
            let Parts { tracing, rules, .. } = &node.parts;
            // The label is looked up only where a span may come of it.
            let fanout = || tracing.fanout_span(&outgoing.traceparent, rules.namespace_label(&channel));
            let span = if tracing.enabled() { fanout() } else { None };
            let delivered = match outgoing.publication.position {
                Some(_) => node.arrive(&channel, [outgoing.publication]),
                None => node.say(&channel, &[outgoing.publication]),
            };
            if let Some(span) = span {
                span.record("fanfare.subscribers", delivered);
            }
        }
        BrokerEvent::Member { channel, membership, room: _room } => node.parts.hub.tell(&channel, &membership),
        BrokerEvent::Control(control) => node.obey(*control),
        // Counted where it is found, by the broker; plain channels promise nothing across it.
        BrokerEvent::Gap { channel } => node.gap(&channel),
    }
}
