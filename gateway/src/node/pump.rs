//! From the broker to the hub: the only road by which a publication reaches a client, whichever node it
//! was published on.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::together::{Together, gather};
use super::{Node, Parts};
use crate::broker::{BrokerEvent, Events, Outgoing};
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
        let (writers, most) = (node.parts.hub.writers(), TOGETHER_BYTES_MAX.min(node.parts.page_size.bytes() / 4));
        // A publication that leaves a span is told by itself.
        let traced = |outgoing: &Outgoing| node.parts.tracing.follows(&outgoing.traceparent);
        let mut events = burst.drain(..).peekable();
        while let Some(event) = events.next() {
            let (together, bytes) = gather(event, &mut events, most, traced);
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

fn tell_all(node: &Node, channel: &ChannelName, publications: Vec<Publication>) {
    if publications.first().is_some_and(|first| first.position.is_some()) {
        node.arrive(channel, publications);
    } else {
        node.say(channel, &publications);
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
