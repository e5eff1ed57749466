//! Subscribers that follow a channel's stream: who has seen what already, who can be given a patch, who is
//! told of members, who is sent away.

use fanfare_proto::fossil;

use super::*;
use crate::model::{Change, ClientInfo, Membership, Position};

const JSON: WireKey = WireKey::CentrifugeJson;
const PROTOBUF: WireKey = WireKey::CentrifugeProtobuf;
const DELTA: Wants = Wants { delta: true, join_leave: false, positioned: false };

/// Long enough that a patch to another one is shorter.
fn data(number: u64) -> String {
    format!("number {number:0>20} of a series of messages that are all alike but for this number")
}

fn at(offset: u64) -> Publication {
    let position = Some(Position { offset, epoch: "abcd".into() });
    Publication { data: data(offset).into(), position, delta: true, ..Publication::default() }
}

impl Listener {
    fn join_delta(&self, hub: &Hub, wire: WireKey, base: u64) {
        self.join_wanting(hub, "news", Subscriber { base, ..self.subscriber(wire, DELTA) });
    }

    /// The payloads it got, patches carried out, and how many were patches.
    fn follow(&self, known: &str) -> (Vec<String>, usize) {
        self.outbox.flush();
        let (mut last, mut payloads, mut patches) = (known.to_owned(), Vec::new(), 0);
        for frame in self.tape.frames() {
            last = match &frame {
                Frame::Text(text) => String::from_utf8_lossy(text.strip_prefix(b"whole ").unwrap()).into_owned(),
                Frame::Binary(patch) => {
                    patches += 1;
                    String::from_utf8(fossil::apply(last.as_bytes(), patch, 1000).unwrap()).unwrap()
                }
            };
            payloads.push(last.clone());
        }
        (payloads, patches)
    }
}

/// Publications one after the other, each knowing the one before.
fn deliver_each(hub: &Hub, publications: &[Publication]) -> usize {
    let mut before = None;
    publications.iter().map(|said| hub.deliver(&channel("news"), said, before.replace(said))).sum()
}

/// What is delivered makes no difference by how it is.
const WAYS: [fn(&Hub, &[Publication]) -> usize; 2] = [deliver_each, deliver_all];

#[test]
fn who_is_ahead_waits_until_the_node_has_caught_up() {
    let (hub, ..) = hub();
    let (ahead, new) = (Listener::open(), Listener::open());
    let subscriber = Subscriber { ahead: 3, ..ahead.subscriber(JSON, Wants::default()) };
    ahead.join_wanting(&hub, "news", subscriber);
    new.join(&hub, "news", JSON);
    let delivered: Vec<_> = (2..=4).map(|offset| hub.deliver(&channel("news"), &at(offset), None)).collect();
    assert_eq!(delivered, [1, 1, 2]);
    assert_eq!(ahead.read(), [data(4)]);
    assert_eq!(new.read(), [data(2), data(3), data(4)]);
    // What has no place in the stream cannot have been seen.
    assert_eq!(hub.deliver(&channel("news"), &say("1"), None), 2);
    assert_eq!(hub.deliver(&channel("news"), &at(u64::MAX), None), 2);
}

#[test]
fn who_is_ahead_gets_of_several_what_it_has_not_seen() {
    let (hub, ..) = hub();
    let (ahead, far_ahead, new) = (Listener::open(), Listener::open(), Listener::open());
    for (listener, seen) in [(&ahead, 3), (&far_ahead, 9)] {
        let subscriber = Subscriber { ahead: seen, ..listener.subscriber(JSON, Wants::default()) };
        listener.join_wanting(&hub, "news", subscriber);
    }
    new.join(&hub, "news", JSON);
    assert_eq!(deliver_all(&hub, &[at(2), at(3), at(4), at(5)]), 6);
    assert_eq!(ahead.read(), [data(4), data(5)]);
    assert!(far_ahead.read().is_empty());
    assert_eq!(new.read(), [[data(2), data(3), data(4), data(5)].join("+")]);
}

#[test]
fn patches_follow_the_first_whole_one() {
    WAYS.into_iter().for_each(patches_follow);
}

fn patches_follow(deliver: fn(&Hub, &[Publication]) -> usize) {
    let (hub, json, protobuf) = hub();
    let mut followers: Vec<_> = (0..6).map(|_| Listener::open()).collect();
    let plain = Listener::open();
    for (i, follower) in followers.iter().enumerate() {
        follower.join_delta(&hub, if i % 2 == 0 { JSON } else { PROTOBUF }, 0);
    }
    plain.join(&hub, "news", JSON);
    assert_eq!(deliver(&hub, &[at(1), at(2), at(3)]), 21);
    for follower in &mut followers {
        assert_eq!(follower.follow(""), (vec![data(1), data(2), data(3)], 2));
    }
    assert_eq!(plain.read().join("+"), [data(1), data(2), data(3)].join("+"));
    // Three publications, each plain and in delta form.
    assert_eq!(json.encoded.load(Ordering::SeqCst), 6, "once for each wire and form");
    assert_eq!(protobuf.encoded.load(Ordering::SeqCst), 3, "once for each wire and form");
}

#[test]
fn a_patch_is_only_for_those_that_have_what_it_is_for() {
    let (hub, json, _) = hub();
    let (recovered, behind, late) = (Listener::open(), Listener::open(), Listener::open());
    recovered.join_delta(&hub, JSON, 5);
    behind.join_delta(&hub, JSON, 4);
    hub.deliver(&channel("news"), &at(6), Some(&at(5)));
    late.join_delta(&hub, JSON, 0);
    hub.deliver(&channel("news"), &at(7), Some(&at(6)));
    assert_eq!(recovered.follow(&data(5)), (vec![data(6), data(7)], 2));
    assert_eq!(behind.follow(&data(4)), (vec![data(6), data(7)], 1));
    assert_eq!(late.follow(""), (vec![data(7)], 0));
    assert_eq!(json.encoded.load(Ordering::SeqCst), 4);
}

#[test]
fn who_is_ahead_gets_a_patch_to_what_it_recovered() {
    for deliver in WAYS {
        let (hub, ..) = hub();
        let ahead = Listener::open();
        let subscriber = Subscriber { ahead: 3, base: 3, ..ahead.subscriber(JSON, DELTA) };
        ahead.join_wanting(&hub, "news", subscriber);
        deliver(&hub, &[at(1), at(2), at(3), at(4)]);
        assert_eq!(ahead.follow(&data(3)), (vec![data(4)], 1));
    }
}

#[test]
fn the_excluded_one_gets_the_next_whole() {
    for deliver in WAYS {
        let (hub, ..) = hub();
        let (a, b) = (Listener::open(), Listener::open());
        a.join_delta(&hub, JSON, 0);
        b.join_delta(&hub, JSON, 0);
        let mine = Publication { exclude: Some(a.connection), ..at(2) };
        deliver(&hub, &[at(1), mine, at(3), at(4)]);
        assert_eq!(a.follow(""), (vec![data(1), data(3), data(4)], 1));
        assert_eq!(b.follow(""), (vec![data(1), data(2), data(3), data(4)], 3));
    }
}

#[test]
fn no_patch_where_none_is_allowed_known_or_shorter() {
    let plain = Publication { delta: false, ..at(2) };
    let tiny = Publication { data: "1".into(), ..at(2) };
    let other_epoch = Publication { position: Some(Position { offset: 1, epoch: "efgh".into() }), ..at(1) };
    for (publication, before) in [
        (plain, Some(at(1))),
        (at(2), None),
        (tiny, Some(at(1))),
        (at(2), Some(other_epoch)),
        (at(2), Some(Publication { position: None, ..at(1) })),
        (Publication { position: None, ..at(2) }, Some(at(1))),
    ] {
        let (hub, ..) = hub();
        let a = Listener::open();
        a.join_delta(&hub, JSON, 1);
        assert_eq!(hub.deliver(&channel("news"), &publication, before.as_ref()), 1);
        assert_eq!(a.follow(&data(1)).1, 0, "{publication:?}");
    }
}

#[test]
fn nothing_follows_what_has_no_place_in_the_stream() {
    let (hub, ..) = hub();
    let a = Listener::open();
    a.join_delta(&hub, JSON, 1);
    let aside = Publication { position: None, data: "aside".into(), ..at(1) };
    hub.deliver(&channel("news"), &aside, None);
    // The client's last payload is the one aside, not number 1.
    hub.deliver(&channel("news"), &at(2), Some(&at(1)));
    assert_eq!(a.follow(&data(1)), (vec!["aside".into(), data(2)], 0));
}

#[test]
fn members_are_told_to_those_that_want_to_know() {
    let (hub, json, protobuf) = hub();
    let wants = Wants { join_leave: true, ..Wants::default() };
    let mut curious: Vec<_> = (0..4).map(|_| Listener::open()).collect();
    let other = Listener::open();
    for (i, listener) in curious.iter().enumerate() {
        let wire = if i % 2 == 0 { JSON } else { PROTOBUF };
        listener.join_wanting(&hub, "news", listener.subscriber(wire, wants));
    }
    other.join(&hub, "news", JSON);
    let who = ClientInfo {
        user: UserId::new("42"),
        client: "c".into(),
        connection_info: Bytes::new(),
        channel_info: Bytes::new(),
    };
    for change in [Change::Joined, Change::Left] {
        hub.tell(&channel("news"), &Membership { change, who: who.clone() });
        hub.tell(&channel("elsewhere"), &Membership { change, who: who.clone() });
    }
    assert!(curious.iter_mut().all(|listener| listener.read() == ["Joined 42", "Left 42"]));
    assert!(other.read().is_empty());
    assert_eq!((json.encoded.load(Ordering::SeqCst), protobuf.encoded.load(Ordering::SeqCst)), (2, 2));
    assert_eq!(hub.metrics.deliveries.get(), 0, "publications only");
}

#[test]
fn who_claims_continuity_is_sent_away_at_once_and_others_stay() {
    let (hub, ..) = hub();
    let wants = Wants { positioned: true, ..Wants::default() };
    let mut positioned: Vec<_> = (0..3).map(|_| Listener::open()).collect();
    let other = Listener::open();
    positioned.iter().for_each(|listener| listener.join_wanting(&hub, "news", listener.subscriber(JSON, wants)));
    positioned[0].join_wanting(&hub, "other", positioned[0].subscriber(JSON, wants));
    other.join(&hub, "news", JSON);
    assert_eq!(hub.expel(&channel("news")), 3);
    assert_eq!(hub.deliver(&channel("news"), &at(1), None), 1, "from now on nothing reaches them");
    assert_eq!(other.read(), [data(1)]);
    let order = Directive::Unsubscribe { channel: channel("news"), code: 2500, reason: unsubscribe::reason(2500) };
    for listener in &mut positioned {
        assert_eq!(listener.poll(), Poll::Ready(Signal::Directive(order.clone())));
        assert_eq!(listener.poll(), Poll::Pending);
    }
    assert_eq!((hub.metrics.subscriptions.get(), hub.metrics.channels.get()), (2, 2));
    assert_eq!(hub.expel(&channel("news")), 0);
    assert_eq!(hub.expel(&channel("other")), 1);
    assert!(!hub.has(&channel("other")), "nobody is left");
    assert_eq!(hub.expel(&channel("nowhere")), 0);
    assert_eq!((hub.metrics.subscriptions.get(), hub.metrics.channels.get()), (1, 1));
    // The session's own leaving comes after: it changes nothing.
    assert!(!hub.remove(&channel("news"), positioned[0].connection));
    assert_eq!(hub.metrics.subscriptions.get(), 1);
}

#[test]
fn a_refused_push_changes_no_base() {
    let (hub, ..) = hub();
    let a = Listener::open();
    a.join_delta(&hub, JSON, 0);
    assert_eq!(hub.deliver(&channel("news"), &at(1), None), 1);
    a.outbox.close(CloseCode::Shutdown.into());
    assert_eq!(hub.deliver(&channel("news"), &at(2), Some(&at(1))), 0);
    let shard = hub.shard(&channel("news")).read();
    let listener = &shard[&channel("news")][&a.connection];
    assert_eq!(listener.base.load(Ordering::SeqCst), 1);
}
