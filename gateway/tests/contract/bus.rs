//! Orders between nodes.

use fanfare_gateway::broker::BrokerError;
use fanfare_proto::envelope::{Control, Disconnect, Order, Target};

use crate::redis_kit::{RedisServer, Relay};
use crate::{LIMIT, Node, Seen, World, eventually, on_all_brokers, redis_config};

on_all_brokers!(orders_reach_every_node_in_one_order);

/// Where the log lies.
const LOG: &str = "test:control:log";

/// An order that can be told from others by its sender.
fn order(sender: &str) -> Control {
    let target = Some(Target { user: "42".into(), ..Target::default() });
    let disconnect = Disconnect { target, code: 3503, reason: "banned".into(), whitelist: Vec::new() };
    Control { sender: sender.into(), time_ms: 1, order: Some(Order::Disconnect(disconnect)) }
}

async fn send(node: &Node, senders: &[&str]) {
    for sender in senders {
        node.bus.send(order(sender)).await.unwrap();
    }
}

fn ordered(senders: &[&str]) -> Vec<Seen> {
    senders.iter().map(|sender| Seen::Ordered((*sender).into())).collect()
}

async fn take(node: &mut Node, count: usize) -> Vec<Seen> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(node.next().await);
    }
    all
}

async fn orders_reach_every_node_in_one_order(mut world: World) {
    send(world.first(), &["1", "2"]).await;
    send(world.nodes.last().unwrap(), &["3"]).await;
    send(world.first(), &["end"]).await;
    for node in &mut world.nodes {
        assert_eq!(take(node, 4).await, ordered(&["1", "2", "3", "end"]));
    }
}

#[tokio::test]
async fn a_node_does_not_carry_out_what_was_ordered_before_its_time() {
    let server = RedisServer::start();
    let config = redis_config(server.url(0));
    let old = Node::linked(&config).await;
    send(&old, &["before"]).await;
    // Far enough for clocks of whole milliseconds.
    let last = log_ids(&server).await.pop().unwrap();
    while server_ms(&server).await <= last + 50 {}
    let mut young = Node::linked(&config).await;
    send(&old, &["after"]).await;
    assert_eq!(young.next().await, Seen::Ordered("after".into()));
}

#[tokio::test]
async fn a_node_whose_link_was_down_carries_orders_out_when_it_is_back() {
    let server = RedisServer::start();
    let relay = Relay::start(server.port()).await;
    let near = Node::linked(&redis_config(server.url(0))).await;
    let mut far = Node::linked(&redis_config(relay.url(0))).await;
    send(&near, &["1"]).await;
    assert_eq!(far.next().await, Seen::Ordered("1".into()));

    relay.swallow();
    far.has_lost_both(0).await;
    assert!(far.bus.send(order("refused")).await.is_err(), "no link, no order");
    // More than one page of the log.
    let missed: Vec<String> = (0..1200).map(|n| n.to_string()).collect();
    let missed: Vec<&str> = missed.iter().map(String::as_str).collect();
    send(&near, &missed).await;
    relay.heal();
    far.delivers().await;
    send(&near, &["end"]).await;

    let mut expected = ordered(&missed);
    expected.extend(ordered(&["end"]));
    assert_eq!(take(&mut far, missed.len() + 1).await, expected);
    assert_eq!(far.metrics.control_log_overruns.get(), 0);
}

#[tokio::test]
async fn orders_are_carried_out_once_however_often_the_link_is_cut() {
    let server = RedisServer::start();
    let mut node = Node::linked(&redis_config(server.url(0))).await;
    let senders: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    for (n, sender) in senders.iter().enumerate() {
        if n % 20 == 10 {
            server.kill_subscribers().await;
        }
        send(&node, &[sender]).await;
    }
    let senders: Vec<&str> = senders.iter().map(String::as_str).collect();
    assert_eq!(take(&mut node, senders.len()).await, ordered(&senders));
}

#[tokio::test]
async fn a_log_that_does_not_reach_back_is_noticed() {
    let server = RedisServer::start();
    let relay = Relay::start(server.port()).await;
    let near = Node::linked(&redis_config(server.url(0))).await;
    let mut far = Node::linked(&redis_config(relay.url(0))).await;
    send(&near, &["1"]).await;
    assert_eq!(far.next().await, Seen::Ordered("1".into()));
    relay.swallow();
    far.has_lost_both(0).await;
    send(&near, &["2", "3", "4"]).await;
    let _: i64 = server.run(&["XTRIM", "test:control:log", "MAXLEN", "1"]).await;
    relay.heal();
    assert_eq!(far.next().await, Seen::Ordered("4".into()));
    assert_eq!(far.metrics.control_log_overruns.get(), 1);
    assert_eq!(near.metrics.control_log_overruns.get(), 0);
}

/// Puts the log aside, as a snapshot does.
async fn keep_log(server: &RedisServer) {
    assert!(server.run::<bool>(&["COPY", LOG, "kept"]).await);
}

/// A Redis that comes back with the log it had then.
async fn restore_log(server: &RedisServer) {
    assert!(server.run::<bool>(&["COPY", "kept", LOG, "REPLACE"]).await);
}

#[tokio::test]
async fn an_older_log_is_not_carried_out_again() {
    let server = RedisServer::start();
    let config = redis_config(server.url(0));
    let old = Node::linked(&config).await;
    send(&old, &["before its time"]).await;
    let last = log_ids(&server).await.pop().unwrap();
    while server_ms(&server).await <= last + 50 {}
    let mut node = Node::linked(&config).await;
    send(&old, &["1", "2"]).await;
    keep_log(&server).await;
    send(&old, &["3"]).await;
    assert_eq!(take(&mut node, 3).await, ordered(&["1", "2", "3"]));

    restore_log(&server).await;
    server.kill_subscribers().await;
    eventually("the older log is noticed", || node.metrics.control_log_overruns.get() == 1).await;
    node.delivers().await;
    send(&node, &["end"]).await;
    assert_eq!(node.next().await, Seen::Ordered("end".into()));
}

/// A failover to a replica that lacked the last order and whose clock is behind: what it was told then
/// stands below the node's last order in the log.
#[tokio::test]
async fn what_another_log_has_below_the_last_order_is_carried_out() {
    let server = RedisServer::start();
    let relay = Relay::start(server.port()).await;
    let near = Node::linked(&redis_config(server.url(0))).await;
    let mut far = Node::linked(&redis_config(relay.url(0))).await;
    send(&near, &["1"]).await;
    keep_log(&server).await;
    let first = log_ids(&server).await.pop().unwrap();
    while server_ms(&server).await <= first {}
    send(&near, &["2"]).await;
    assert_eq!(take(&mut far, 2).await, ordered(&["1", "2"]));

    relay.swallow();
    far.has_lost_both(0).await;
    restore_log(&server).await;
    let envelope = fanfare_proto::envelope::Envelope::Control(order("below")).encode();
    let mut add = ::redis::cmd("XADD");
    add.arg(LOG).arg(format!("{first}-7")).arg("p").arg(format!("{first}-0")).arg("e").arg(&envelope[..]);
    let _: String = add.query_async(&mut server.connect().await).await.unwrap();
    send(&near, &["end"]).await;
    relay.heal();
    assert_eq!(take(&mut far, 2).await, ordered(&["below", "end"]));
    assert_eq!(far.metrics.control_log_overruns.get(), 1);
}

/// More announcements than may wait for a node that takes nothing: the log has them.
#[tokio::test]
async fn a_node_that_takes_too_slowly_loses_no_order() {
    let server = RedisServer::start();
    let mut config = redis_config(server.url(0));
    config.intake_max = 1;
    let mut node = Node::linked(&config).await;
    let senders: Vec<String> = (0..600).map(|n| n.to_string()).collect();
    let senders: Vec<&str> = senders.iter().map(String::as_str).collect();
    send(&node, &senders).await;
    assert_eq!(take(&mut node, senders.len()).await, ordered(&senders));
}

#[tokio::test]
async fn a_server_that_forgets_scripts_does_not_matter() {
    let server = RedisServer::start();
    let mut node = Node::linked(&redis_config(server.url(0))).await;
    for sender in ["1", "2"] {
        let _: () = server.run(&["SCRIPT", "FLUSH", "SYNC"]).await;
        send(&node, &[sender]).await;
    }
    assert_eq!(take(&mut node, 2).await, ordered(&["1", "2"]));
}

#[tokio::test]
async fn the_log_is_bounded_in_number_and_in_time() {
    let server = RedisServer::start();
    let node = Node::linked(&redis_config(server.url(0))).await;
    // An entry from long ago, before enough others that a whole block of them can be dropped.
    for n in 0..300 {
        let _: String = server.run(&["XADD", "test:control:log", &format!("{}-0", n + 1), "e", "x"]).await;
    }
    send(&node, &["1"]).await;
    let left = log_ids(&server).await;
    assert!(left.len() < 300, "{} are left", left.len());
    let ttl: i64 = server.run(&["PTTL", "test:control:log"]).await;
    assert!((1..=3_600_000).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn an_order_that_no_version_knows_is_counted_and_skipped() {
    let server = RedisServer::start();
    let mut node = Node::linked(&redis_config(server.url(0))).await;
    let mut bad = fanfare_proto::script::announce_control("9999999999999-0".parse().unwrap(), b"\x09c").to_vec();
    server.publish("test:0:control", &bad).await;
    bad.truncate(3);
    server.publish("test:0:control", &bad).await;
    eventually("both are counted", || {
        let label = fanfare_gateway::telemetry::metrics::ReasonLabel { reason: "unreadable" };
        node.metrics.broker_dropped.get_or_create(&label).get() == 2
    })
    .await;
    node.subscribe(&["a"]).await;
    assert_eq!(node.drain("a").await, []);
}

#[tokio::test]
async fn a_replica_refuses_orders() {
    let server = RedisServer::start();
    let mut config = redis_config(server.url(0));
    // The script finds it out by itself, before the next heartbeat does.
    config.heartbeat_interval = LIMIT;
    let node = Node::linked(&config).await;
    let nobody = RedisServer::stopped();
    let _: () = server.run(&["REPLICAOF", "127.0.0.1", &nobody.port().to_string()]).await;
    let refusal = node.bus.send(order("1")).await;
    assert!(matches!(refusal, Err(BrokerError::Refused(_))), "{refusal:?}");
}

async fn log_ids(server: &RedisServer) -> Vec<u64> {
    type Fields = Vec<(String, Vec<u8>)>;
    let entries: Vec<(String, Fields)> = server.run(&["XRANGE", "test:control:log", "-", "+"]).await;
    entries.into_iter().map(|(id, _)| id.split_once('-').unwrap().0.parse().unwrap()).collect()
}

async fn server_ms(server: &RedisServer) -> u64 {
    let (seconds, micros): (u64, u64) = server.run(&["TIME"]).await;
    seconds * 1000 + micros / 1000
}
