//! The hub by itself: no transport, no broker.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use fanfare_proto::code::CloseCode;

use super::outbox::Taken;
use super::*;
use crate::model::event::{Event, Push};
use crate::model::{ByteSize, Directive, Fingerprint, Publication, SessionId, UserId};

#[path = "tests/outbox.rs"]
mod outboxes;
mod stream;
pub(crate) mod tape;

use tape::Tape;

/// Writes the payload as it is and counts how often it was asked to. Says of what agreed to patches whether
/// it is one.
#[derive(Debug)]
struct Plain {
    key: WireKey,
    encoded: AtomicUsize,
}

impl Encode for Plain {
    fn key(&self) -> WireKey {
        self.key
    }

    fn encode(&self, event: &Event<'_>) -> Frame {
        self.encoded.fetch_add(1, Ordering::SeqCst);
        match event {
            Event::Publication { publication, .. } => Frame::Text(publication.data.clone()),
            Event::Delta { publication, patch: None, .. } => {
                Frame::Text(format!("whole {}", String::from_utf8_lossy(&publication.data)).into())
            }
            Event::Delta { patch: Some(patch), .. } => Frame::Binary((*patch).clone()),
            Event::Push { push: Push::Membership(membership), .. } => {
                Frame::Text(format!("{:?} {}", membership.change, membership.who.user).into())
            }
            other => panic!("not the hub's to write: {other:?}"),
        }
    }

    /// One of the two wires has messages of several events.
    fn join(&self, frames: &[Frame]) -> Option<Frame> {
        let texts: Vec<_> = frames.iter().map(|frame| String::from_utf8_lossy(frame.bytes())).collect();
        (self.key == WireKey::CentrifugeJson).then(|| Frame::Text(texts.join("+").into()))
    }
}

/// Two frames of some bytes.
const SLOTS_OF_TWO: usize = 2 * (size_of::<Frame>() + 8);

fn hub() -> (Hub, Arc<Plain>, Arc<Plain>) {
    let plain = |key| Arc::new(Plain { key, encoded: AtomicUsize::new(0) });
    let (json, protobuf) = (plain(WireKey::CentrifugeJson), plain(WireKey::CentrifugeProtobuf));
    let hub = Hub::new(&[json.clone(), protobuf.clone()], Arc::new(Metrics::new()));
    (hub, json, protobuf)
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).unwrap()
}

fn say(text: &'static str) -> Publication {
    Publication { data: Bytes::from_static(text.as_bytes()), ..Publication::default() }
}

fn frame(text: &'static str) -> Frame {
    Frame::Text(Bytes::from_static(text.as_bytes()))
}

/// All in one step, each knowing the one before.
fn deliver_all(hub: &Hub, publications: &[Publication]) -> usize {
    let before = std::iter::once(None).chain(publications.iter().map(Some));
    let said = publications.iter().zip(before).map(|(publication, before)| Said { publication, before });
    hub.deliver_all(&channel("news"), &said.collect::<Vec<_>>())
}

struct Listener {
    connection: ConnectionId,
    outbox: Outbox,
    reader: OutboxReader,
    tape: Tape,
}

impl Listener {
    fn with_limit(limit: usize) -> Self {
        let tape = Tape::new(usize::MAX);
        let (outbox, reader) = Outbox::new(ByteSize(limit), Box::new(tape.clone()), Arc::new(Metrics::new()));
        Self { connection: ConnectionId::random(), outbox, reader, tape }
    }

    fn open() -> Self {
        let listener = Self::with_limit(1 << 20);
        listener.outbox.uncork(frame("hello"));
        assert_eq!(listener.read(), ["hello"]);
        listener
    }

    fn subscriber(&self, wire: WireKey, wants: Wants) -> Subscriber {
        Subscriber { outbox: self.outbox.clone(), wire, wants, ahead: 0, base: 0 }
    }

    fn join(&self, hub: &Hub, name: &str, wire: WireKey) {
        self.join_wanting(hub, name, self.subscriber(wire, Wants::default()));
    }

    fn join_wanting(&self, hub: &Hub, name: &str, subscriber: Subscriber) {
        hub.add(&channel(name), self.connection, subscriber, None);
    }

    fn poll(&mut self) -> Poll<Signal> {
        self.reader.poll(&mut Context::from_waker(Waker::noop()), false)
    }

    fn read(&self) -> Vec<String> {
        self.outbox.flush();
        let text = |frame: &Frame| String::from_utf8(frame.bytes().to_vec()).unwrap();
        self.tape.frames().iter().map(text).collect()
    }
}

#[test]
fn what_is_said_together_is_one_message_where_the_wire_has_such() {
    let (hub, json, protobuf) = hub();
    let here: Vec<_> = (0..6).map(|_| Listener::open()).collect();
    let wants_patches = Wants { delta: true, ..Wants::default() };
    for (i, listener) in here.iter().enumerate() {
        let (wire, wants) = match i % 3 {
            0 => (WireKey::CentrifugeJson, Wants::default()),
            1 => (WireKey::CentrifugeProtobuf, Wants::default()),
            _ => (WireKey::CentrifugeJson, wants_patches),
        };
        listener.join_wanting(&hub, "news", listener.subscriber(wire, wants));
    }
    assert_eq!(deliver_all(&hub, &[say("a"), say("b"), say("c")]), 18);
    for (i, listener) in here.iter().enumerate() {
        let expected: &[&str] = match i % 3 {
            0 => &["a+b+c"],
            1 => &["a", "b", "c"],
            _ => &["whole a", "whole b", "whole c"],
        };
        assert_eq!(listener.read(), expected);
    }
    // Written once for all who get it so.
    assert_eq!((json.encoded.load(Ordering::SeqCst), protobuf.encoded.load(Ordering::SeqCst)), (6, 3));
    assert_eq!(hub.metrics.deliveries.get(), 18);
}

#[test]
fn who_is_excluded_from_one_of_several_gets_the_others() {
    let (hub, ..) = hub();
    let (author, other) = (Listener::open(), Listener::open());
    author.join(&hub, "news", WireKey::CentrifugeJson);
    other.join(&hub, "news", WireKey::CentrifugeJson);
    let mine = Publication { exclude: Some(author.connection), ..say("b") };
    assert_eq!(deliver_all(&hub, &[say("a"), mine, say("c")]), 5);
    assert_eq!(author.read(), ["a", "c"]);
    assert_eq!(other.read(), ["a+b+c"]);
}

#[test]
fn nothing_is_no_message() {
    let (hub, ..) = hub();
    let listener = Listener::open();
    listener.join(&hub, "news", WireKey::CentrifugeJson);
    assert_eq!(deliver_all(&hub, &[]), 0);
    assert!(listener.read().is_empty());
}

#[test]
fn what_is_said_together_fills_an_outbox_as_it_does_one_by_one() {
    let (hub, ..) = hub();
    for wire in [WireKey::CentrifugeJson, WireKey::CentrifugeProtobuf] {
        let mut slow = Listener::with_limit(SLOTS_OF_TWO);
        slow.outbox.uncork(frame("h"));
        slow.join(&hub, "news", wire);
        let said = ["1234567890", "1234567890", "1234567890", "1234567890"].map(say);
        deliver_all(&hub, &said);
        assert_eq!(slow.poll(), Poll::Ready(Signal::Close(CloseCode::Slow.into())));
    }
}

#[test]
fn everybody_on_the_channel_gets_it_once_and_nobody_else() {
    let (hub, json, protobuf) = hub();
    let mut here: Vec<_> = (0..10).map(|_| Listener::open()).collect();
    let elsewhere = Listener::open();
    for (i, listener) in here.iter().enumerate() {
        listener.join(&hub, "news", if i % 2 == 0 { WireKey::CentrifugeJson } else { WireKey::CentrifugeProtobuf });
    }
    elsewhere.join(&hub, "other", WireKey::CentrifugeJson);
    assert_eq!(hub.deliver(&channel("news"), &say("1"), None), 10);
    assert!(here.iter_mut().all(|listener| listener.read() == ["1"]));
    assert!(elsewhere.read().is_empty());
    assert_eq!(json.encoded.load(Ordering::SeqCst), 1, "once for each wire");
    assert_eq!(protobuf.encoded.load(Ordering::SeqCst), 1, "once for each wire");
}

#[test]
fn the_excluded_connection_is_left_out() {
    let (hub, ..) = hub();
    let (a, b) = (Listener::open(), Listener::open());
    a.join(&hub, "news", WireKey::CentrifugeJson);
    b.join(&hub, "news", WireKey::CentrifugeJson);
    let publication = Publication { exclude: Some(a.connection), ..say("1") };
    assert_eq!(hub.deliver(&channel("news"), &publication, None), 1);
    assert!(a.read().is_empty());
    assert_eq!(b.read(), ["1"]);
}

#[test]
fn the_last_one_to_leave_empties_the_channel() {
    let (hub, ..) = hub();
    let (a, b) = (Listener::open(), Listener::open());
    a.join(&hub, "news", WireKey::CentrifugeJson);
    b.join(&hub, "news", WireKey::CentrifugeJson);
    assert!(!hub.remove(&channel("news"), a.connection));
    assert!(hub.has(&channel("news")));
    assert!(hub.remove(&channel("news"), b.connection));
    assert!(!hub.has(&channel("news")));
    assert_eq!(hub.metrics.channels.get(), 0);
    assert_eq!(hub.metrics.subscriptions.get(), 0);
}

#[test]
fn the_opening_comes_before_the_channel_and_the_cork_before_all() {
    let (hub, ..) = hub();
    let a = Listener::with_limit(1 << 20);
    let subscriber = a.subscriber(WireKey::CentrifugeJson, Wants::default());
    hub.add(&channel("news"), a.connection, subscriber, Some(frame("subscribed")));
    hub.deliver(&channel("news"), &say("1"), None);
    assert!(a.read().is_empty(), "corked");
    a.outbox.uncork(frame("connected"));
    assert_eq!(a.read(), ["connected", "subscribed", "1"]);
}

#[test]
fn a_full_outbox_closes_as_slow_and_costs_others_nothing() {
    let (hub, ..) = hub();
    let mut slow = Listener::with_limit(3 * (1 + size_of::<Frame>()));
    slow.outbox.uncork(frame("x"));
    slow.read();
    slow.tape.give_room(0);
    let quick = Listener::open();
    slow.join(&hub, "news", WireKey::CentrifugeJson);
    quick.join(&hub, "news", WireKey::CentrifugeJson);
    for text in ["1", "2", "3"] {
        assert_eq!(hub.deliver(&channel("news"), &say(text), None), 2);
    }
    assert_eq!(hub.deliver(&channel("news"), &say("4"), None), 1);
    assert_eq!(quick.read(), ["1", "2", "3", "4"]);
    assert_eq!(slow.poll(), Poll::Ready(Signal::Close(CloseCode::Slow.into())));
    slow.tape.give_room(usize::MAX);
    assert!(slow.read().is_empty());
    assert_eq!(slow.outbox.waiting(), ByteSize(0));
    assert_eq!(slow.outbox.push(frame("5")), Err(Refused));
}

#[test]
fn one_large_frame_or_reply_fits_always() {
    let a = Listener::with_limit(8);
    a.outbox.uncork(frame("x"));
    a.read();
    assert_eq!(a.outbox.push(frame("much longer than eight bytes")), Ok(Taken::Flush));
    a.read();
    assert_eq!(a.outbox.reply(frame("an answer that is long, too")), Ok(()));
    assert_eq!(a.outbox.push(frame("y")), Err(Refused), "but then it is full");
}

#[test]
fn closing_lets_out_what_waits() {
    let mut a = Listener::open();
    assert_eq!(a.outbox.push(frame("last words")), Ok(Taken::Flush));
    a.outbox.close(CloseCode::Shutdown.into());
    assert_eq!(a.outbox.push(frame("too late")), Err(Refused));
    let close = CloseCode::Shutdown.into();
    assert_eq!(a.poll(), Poll::Ready(Signal::Close(CloseCode::Shutdown.into())));
    a.reader.finish(&close);
    assert_eq!(a.read(), ["last words"]);
}

#[test]
fn orders_reach_a_users_connections_and_pile_up_only_so_far() {
    let (hub, ..) = hub();
    let mut mine: Vec<_> = (0..2).map(|_| Listener::open()).collect();
    let other = Listener::open();
    for (listener, user) in [(&mine[0], "42"), (&mine[1], "42"), (&other, "43")] {
        hub.people().enter(Member {
            connection: listener.connection,
            session: SessionId::random(),
            user: UserId::new(user),
            outbox: listener.outbox.clone(),
            mark: Arc::new(Mark::new(Fingerprint::UNKNOWN)),
        });
    }
    assert_eq!((hub.people().count(), hub.people().users()), (3, 2));
    let order = Directive::Refresh { ttl: None };
    let mut target =
        Target { user: UserId::new("42"), connection: None, session: None, except: vec![mine[0].connection] };
    assert_eq!(hub.people().direct(&target, &order), 1);
    assert_eq!(mine[0].poll(), Poll::Pending);
    assert_eq!(mine[1].poll(), Poll::Ready(Signal::Directive(order.clone())));
    target.except.clear();
    for _ in 0..outbox::DIRECTIVES_MAX {
        assert_eq!(hub.people().direct(&target, &order), 2);
    }
    assert_eq!(hub.people().direct(&target, &order), 0);
    let close = CloseCode::ForceDisconnect.into();
    target.except = vec![mine[0].connection];
    assert_eq!(hub.people().close(&target, &close), 1);
    hub.people().leave(mine[0].connection);
    hub.people().leave(mine[1].connection);
    assert_eq!((hub.people().count(), hub.people().users()), (1, 1));
}

#[test]
fn an_alarm_is_seen_once() {
    let mut a = Listener::open();
    let alarm = a.outbox.alarm();
    alarm.ring();
    alarm.ring();
    assert_eq!(a.poll(), Poll::Ready(Signal::Tick));
    assert_eq!(a.poll(), Poll::Pending);
}

#[test]
fn an_end_is_heard_while_the_session_is_at_work_and_an_order_is_not() {
    let mut a = Listener::open();
    let mut cx = Context::from_waker(Waker::noop());
    a.outbox.direct(Directive::Refresh { ttl: None }).unwrap();
    assert_eq!(a.reader.poll(&mut cx, true), Poll::Pending);
    a.outbox.close(CloseCode::ForceDisconnect.into());
    let close = Signal::Close(CloseCode::ForceDisconnect.into());
    assert_eq!(a.reader.poll(&mut cx, true), Poll::Ready(close));
}

#[test]
fn nothing_goes_out_behind_a_cork_that_was_never_drawn() {
    let mut a = Listener::with_limit(1 << 20);
    assert_eq!(a.outbox.push(frame("1")), Ok(Taken::Waits), "corked");
    let close = CloseCode::Shutdown.into();
    a.outbox.close(CloseCode::Shutdown.into());
    a.reader.finish(&close);
    assert!(a.read().is_empty());
}
