//! From the broker to the hub: the only road by which a publication reaches a client, whichever node it
//! was published on.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Node, Parts};
use crate::broker::{BrokerEvent, Events};

/// Events handled before other tasks of the thread get their turn.
const BURST: usize = 64;

pub(super) async fn run(node: Arc<Node>, mut events: Events, stop: CancellationToken) {
    let mut burst = Vec::with_capacity(BURST);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            count = events.recv_many(&mut burst, BURST) => if count == 0 { return },
        }
        let writers = node.parts.hub.writers();
        for event in burst.drain(..) {
            // Else a burst would fill the outboxes of those who would have read it in time.
            tokio::select! {
                biased;
                () = writers.keep_up(node.parts.page_size, size(&event)) => {}
                // Writers end, too: there may be nobody left to wait for.
                () = stop.cancelled() => return,
            }
            writers.hold();
            handle(&node, event);
        }
        writers.release();
        // Writers and others get their turn.
        tokio::task::yield_now().await;
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
                Some(_) => node.arrive(&channel, outgoing.publication),
                None => node.parts.hub.deliver(&channel, &outgoing.publication, None),
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
