//! From the hub into outboxes, and from outboxes to where sockets begin.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use fanfare_gateway::codec::centrifuge::Json;
use fanfare_gateway::hub::outbox::Taken;
use fanfare_gateway::hub::{Hub, Outbox, OutboxReader, Subscriber, Wants};
use fanfare_gateway::model::wire::{Encode, Frame, WireKey};
use fanfare_gateway::model::{ByteSize, ChannelName, ConnectionId, Publication};
use fanfare_gateway::telemetry::Metrics;

use crate::measure::measured;
use crate::sink::Sink;

/// Who listens to the channel.
pub(crate) const SUBSCRIBERS: usize = 1000;

/// How often one outbox is filled and emptied.
pub(crate) const ROUNDS: usize = 1000;

/// 128 bytes of JSON.
pub(crate) const PAYLOAD: &[u8] = br#"{"symbol":"FNFR","bid":101.25,"ask":101.5,"volume":48200,"venue":"XETR","note":"payload of one hundred and twenty-eight bytes."}"#;
const _: () = assert!(PAYLOAD.len() == 128);

/// One channel with its subscribers.
struct Room {
    hub: Hub,
    channel: ChannelName,
    outboxes: Vec<Outbox>,
    sink: Sink,
    /// Without a reader an outbox has no way out.
    _readers: Vec<OutboxReader>,
}

impl Room {
    fn new() -> Self {
        let metrics = Arc::new(Metrics::new());
        let encoders: [Arc<dyn Encode>; 1] = [Arc::new(Json)];
        let hub = Hub::new(&encoders, Arc::clone(&metrics));
        let channel = ChannelName::parse("stocks").expect("a good name");
        let sink = Sink::default();
        let ends = || uncorked(&sink, &metrics);
        let (outboxes, readers): (Vec<Outbox>, Vec<OutboxReader>) =
            std::iter::repeat_with(ends).take(SUBSCRIBERS).unzip();
        for outbox in &outboxes {
            hub.add(&channel, ConnectionId::random(), subscriber(outbox), None);
        }
        let room = Self { hub, channel, outboxes, sink, _readers: readers };
        // Nothing of what happens only once is counted.
        room.deliver();
        room.flush();
        room
    }

    fn deliver(&self) {
        let publication = Publication { data: Bytes::from_static(PAYLOAD), ..Publication::default() };
        assert_eq!(self.hub.deliver(&self.channel, &publication, None), SUBSCRIBERS);
    }

    fn flush(&self) {
        self.outboxes.iter().for_each(Outbox::flush);
    }
}

/// A subscriber that wants publications only.
pub(crate) fn subscriber(outbox: &Outbox) -> Subscriber {
    let wire = WireKey::CentrifugeJson;
    Subscriber { outbox: outbox.clone(), wire, wants: Wants::default(), ahead: 0, base: 0 }
}

/// An outbox that has been open for a while.
pub(crate) fn uncorked(sink: &Sink, metrics: &Arc<Metrics>) -> (Outbox, OutboxReader) {
    let (outbox, reader) = Outbox::new(ByteSize::mib(1), Box::new(sink.clone()), Arc::clone(metrics));
    outbox.uncork(Frame::Text(Bytes::from_static(b"{}")));
    outbox.flush();
    (outbox, reader)
}

/// One publication to all subscribers of a channel.
pub(crate) fn deliver() {
    let room = Room::new();
    measured(|| room.deliver());
}

/// What is written when each has got one.
pub(crate) fn write_1() {
    write(1);
}

/// What is written when a burst has gathered.
pub(crate) fn write_32() {
    write(32);
}

fn write(frames: usize) {
    let room = Room::new();
    for _ in 0..frames {
        room.deliver();
    }
    let before = room.sink.frames();
    measured(|| room.flush());
    assert_eq!(room.sink.frames() - before, frames * SUBSCRIBERS);
}

/// One frame in, one frame out, by one thread.
pub(crate) fn outbox() {
    let sink = Sink::default();
    let (outbox, _reader) = uncorked(&sink, &Arc::new(Metrics::new()));
    let frame = Frame::Text(Bytes::from_static(PAYLOAD));
    measured(|| {
        for _ in 0..ROUNDS {
            let taken = outbox.push(black_box(&frame).clone());
            assert_eq!(taken, Ok(Taken::Flush));
            outbox.flush();
        }
    });
    assert_eq!(sink.frames(), 1 + ROUNDS);
}
