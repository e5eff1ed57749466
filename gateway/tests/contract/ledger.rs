//! Who and what is no longer let in.

use fanfare_gateway::broker::{BrokerError, BrokerEvent, LedgerError};
use fanfare_proto::envelope::{Control, Disconnect, IssuedBefore, Order, Revocation, What};
use fanfare_proto::limits::REVOCATIONS_MAX;

use crate::redis_kit::{RedisServer, Relay};
use crate::{LIMIT, Node, World, on_all_brokers, redis_config};

on_all_brokers!(
    what_is_written_is_read_and_told_to_every_node_in_one_order,
    the_last_word_counts,
    what_has_ended_is_forgotten,
    other_orders_are_not_taken,
);

/// Now, as the tests count.
const NOW: i64 = 4_000_000_000;

fn control(what: What, expire_at: i64) -> Control {
    let order = Some(Order::Revocation(Revocation { what: Some(what), expire_at }));
    Control { sender: "n1".into(), time_ms: 1, order }
}

fn token(id: &str) -> What {
    What::Token(id.into())
}

fn before(user: &str, time: i64) -> What {
    What::IssuedBefore(IssuedBefore { user: user.into(), time })
}

fn block(user: &str) -> What {
    What::Block(user.into())
}

fn unblock(user: &str) -> What {
    What::Unblock(user.into())
}

async fn write(node: &Node, what: What, expire_at: i64) {
    node.ledger.write(control(what, expire_at), NOW).await.unwrap();
}

/// Everything that is written down, in an order of its own.
async fn read(node: &Node, now: i64) -> Vec<(String, i64)> {
    let all = node.ledger.read(now).await.unwrap();
    let mut all: Vec<_> = all.into_iter().map(|each| (format!("{:?}", each.what.unwrap()), each.expire_at)).collect();
    all.sort();
    all
}

fn written(all: &[(What, i64)]) -> Vec<(String, i64)> {
    let mut all: Vec<_> = all.iter().map(|(what, end)| (format!("{what:?}"), *end)).collect();
    all.sort();
    all
}

/// The next order's revocation.
async fn told(node: &mut Node) -> Revocation {
    match tokio::time::timeout(LIMIT, node.events.recv()).await.unwrap() {
        Some(BrokerEvent::Control(control)) => match control.order {
            Some(Order::Revocation(revocation)) => revocation,
            other => panic!("another order: {other:?}"),
        },
        other => panic!("another event: {other:?}"),
    }
}

async fn what_is_written_is_read_and_told_to_every_node_in_one_order(mut world: World) {
    assert_eq!(read(world.first(), NOW).await, []);
    let steps = [
        (token("t 1"), NOW + 10),
        (before("42", NOW - 5), 0),
        (block("{u}:*"), NOW + 20),
        (block("7"), 0),
        (unblock("7"), 0),
        (unblock("nobody"), 0),
    ];
    let last = world.nodes.len() - 1;
    for (at, (what, end)) in steps.iter().enumerate() {
        write(&world.nodes[at.min(last)], what.clone(), *end).await;
    }
    for node in &mut world.nodes {
        assert_eq!(read(node, NOW).await, written(&steps[..3]));
        for (what, expire_at) in &steps {
            assert_eq!(told(node).await, Revocation { what: Some(what.clone()), expire_at: *expire_at });
        }
    }
}

async fn the_last_word_counts(world: World) {
    let node = world.first();
    for end in [NOW + 10, 0, NOW + 5] {
        write(node, block("7"), end).await;
        write(node, token("t1"), end).await;
    }
    // But what was revoked stays so: the later moment, the longer time.
    for (time, end) in [(NOW - 10, NOW + 50), (NOW - 5, NOW + 20), (NOW - 20, NOW + 30)] {
        write(node, before("42", time), end).await;
    }
    let left = [(block("7"), NOW + 5), (token("t1"), NOW + 5), (before("42", NOW - 5), NOW + 50)];
    assert_eq!(read(node, NOW).await, written(&left));
    write(node, before("42", NOW - 7), 0).await;
    assert_eq!(read(node, NOW + 100).await, written(&[(before("42", NOW - 5), 0)]));
}

async fn what_has_ended_is_forgotten(world: World) {
    let node = world.first();
    for what in [block("7"), token("t1"), before("42", NOW)] {
        write(node, what, NOW + 1).await;
    }
    assert_eq!(read(node, NOW).await.len(), 3);
    assert_eq!(read(node, NOW + 1).await, []);
    // And what comes after it begins anew, with nothing of the former.
    node.ledger.write(control(before("42", NOW - 9), NOW + 20), NOW + 1).await.unwrap();
    assert_eq!(read(node, NOW + 1).await, written(&[(before("42", NOW - 9), NOW + 20)]));
}

async fn other_orders_are_not_taken(world: World) {
    let order = Some(Order::Disconnect(Disconnect::default()));
    for order in [None, order, Some(Order::Revocation(Revocation::default()))] {
        let refused = world.first().ledger.write(Control { order, ..Control::default() }, NOW).await;
        assert_eq!(refused, Err(LedgerError::Senseless));
    }
}

#[tokio::test]
async fn there_is_room_for_so_many_and_no_more() {
    let server = RedisServer::start();
    let node = Node::linked(&redis_config(server.url(0))).await;
    let fill = "for n = 1, ARGV[1] do redis.call('ZADD', KEYS[1], ARGV[2], 'u' .. n) end";
    let (count, end) = (REVOCATIONS_MAX.to_string(), (NOW + 10).to_string());
    let _: () = server.run(&["EVAL", fill, "1", "test:blocked:users", &count, &end]).await;
    let refused = node.ledger.write(control(block("new"), NOW + 10), NOW).await;
    assert_eq!(refused, Err(LedgerError::Full));
    // Who is there already may be written again, other kinds have room of their own, and ends make room.
    write(&node, block("u1"), NOW + 20).await;
    write(&node, token("t1"), NOW + 20).await;
    node.ledger.write(control(block("new"), NOW + 20), NOW + 10).await.unwrap();
    assert_eq!(read(&node, NOW + 10).await.len(), 3);
}

#[tokio::test]
async fn every_key_ends_with_the_last_of_what_is_in_it() {
    let server = RedisServer::start();
    let node = Node::linked(&redis_config(server.url(0))).await;
    let keys = ["test:revoked:tokens", "test:blocked:users", "test:revoked:users", "test:revoked:before"];
    for end in [NOW + 100, NOW + 200, NOW + 50] {
        for (name, what) in [("t", token("t")), ("u", block("u")), ("v", before("v", 1))] {
            let what = match what {
                What::Token(_) => token(&format!("{name}{end}")),
                What::Block(_) => block(&format!("{name}{end}")),
                _ => before(&format!("{name}{end}"), 1),
            };
            write(&node, what, end).await;
        }
    }
    for key in keys {
        assert_eq!(server.run::<i64>(&["TTL", key]).await.signum(), 1, "{key}");
        let now: (i64, i64) = server.run(&["TIME"]).await;
        let end = now.0 + server.run::<i64>(&["TTL", key]).await;
        assert!((end - (NOW + 200)).abs() <= 2, "{key}: {end}");
    }
    write(&node, before("ever", 1), 0).await;
    assert_eq!(server.run::<i64>(&["TTL", "test:revoked:before"]).await, -1);
}

#[tokio::test]
async fn without_a_link_nothing_is_revoked_and_a_new_link_is_a_reason_to_read() {
    let server = RedisServer::start();
    let relay = Relay::start(server.port()).await;
    let near = Node::linked(&redis_config(server.url(0))).await;
    let far = Node::linked(&redis_config(relay.url(0))).await;
    relay.swallow();
    far.has_lost_both(0).await;
    let refused = far.ledger.write(control(block("7"), 0), NOW).await;
    assert!(matches!(refused, Err(LedgerError::Broker(BrokerError::Unreachable(_)))), "{refused:?}");
    assert!(far.ledger.read(NOW).await.is_err());
    write(&near, block("8"), 0).await;
    let unsettled = far.ledger.unsettled();
    relay.heal();
    tokio::time::timeout(LIMIT, unsettled).await.expect("a new link is told");
    assert_eq!(read(&far, NOW).await, written(&[(block("8"), 0)]));
}
