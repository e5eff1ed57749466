//! The book of nodes and channels.

use std::collections::BTreeMap;
use std::time::Duration;

use fanfare_gateway::broker::roster::{Announcement, NodeRecord};

use crate::redis_kit::RedisServer;
use crate::{Node, World, channel, on_all_brokers, redis_config};

on_all_brokers!(what_is_announced_can_be_asked, an_announcement_replaces_the_one_before, who_leaves_is_gone_at_once);

fn announcement(id: &str, channels: &[(&str, u64)]) -> Announcement {
    Announcement {
        node: NodeRecord {
            id: id.into(),
            name: format!("name of {id}"),
            version: "1.2.3".into(),
            connections: 4,
            users: 3,
            subscriptions: 2,
            channels: channels.len() as u64,
            uptime_s: 5,
        },
        lease: Duration::from_secs(60),
        channels: channels.iter().map(|(name, count)| (channel(name), *count)).collect(),
    }
}

fn counts(expected: &[(&str, u64)]) -> BTreeMap<String, u64> {
    expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

async fn channels(node: &Node, pattern: &str) -> BTreeMap<String, u64> {
    node.roster.channels(pattern).await.unwrap()
}

async fn what_is_announced_can_be_asked(world: World) {
    let node = world.first();
    assert_eq!(node.roster.nodes().await.unwrap(), []);
    assert_eq!(channels(node, "").await, counts(&[]));
    let announced = announcement("n1", &[("a", 1), ("chat:1", 2), ("chat:2", 3)]);
    node.roster.announce(announced.clone()).await.unwrap();
    for node in &world.nodes {
        assert_eq!(node.roster.nodes().await.unwrap(), std::slice::from_ref(&announced.node));
        assert_eq!(channels(node, "").await, counts(&[("a", 1), ("chat:1", 2), ("chat:2", 3)]));
        assert_eq!(channels(node, "chat:*").await, counts(&[("chat:1", 2), ("chat:2", 3)]));
        assert_eq!(channels(node, "chat:?").await, counts(&[("chat:1", 2), ("chat:2", 3)]));
        assert_eq!(channels(node, "chat").await, counts(&[]));
    }
}

async fn an_announcement_replaces_the_one_before(world: World) {
    let node = world.first();
    node.roster.announce(announcement("n1", &[("a", 1), ("b", 1)])).await.unwrap();
    node.roster.announce(announcement("n1", &[("b", 2), ("c", 1)])).await.unwrap();
    assert_eq!(channels(node, "*").await, counts(&[("b", 2), ("c", 1)]));
    node.roster.announce(announcement("n1", &[])).await.unwrap();
    assert_eq!(channels(node, "*").await, counts(&[]));
    assert_eq!(node.roster.nodes().await.unwrap().len(), 1);
}

async fn who_leaves_is_gone_at_once(world: World) {
    let node = world.first();
    node.roster.announce(announcement("n1", &[("a", 1)])).await.unwrap();
    node.roster.leave("another").await.unwrap();
    assert_eq!(node.roster.nodes().await.unwrap().len(), 1);
    node.roster.leave("n1").await.unwrap();
    assert_eq!(node.roster.nodes().await.unwrap(), []);
    assert_eq!(channels(node, "*").await, counts(&[]));
}

#[tokio::test]
async fn memory_forgets_when_the_lease_ends() {
    let world = World::memory();
    let mut short = announcement("n1", &[("a", 1)]);
    short.lease = Duration::ZERO;
    world.first().roster.announce(short).await.unwrap();
    assert_eq!(world.first().roster.nodes().await.unwrap(), []);
    assert_eq!(channels(world.first(), "*").await, counts(&[]));
}

#[tokio::test]
async fn channels_are_summed_over_nodes() {
    let world = World::redis().await;
    world.nodes[0].roster.announce(announcement("n1", &[("a", 1), ("b", 1)])).await.unwrap();
    world.nodes[1].roster.announce(announcement("n2", &[("b", 2), ("c", 3)])).await.unwrap();
    assert_eq!(channels(world.first(), "*").await, counts(&[("a", 1), ("b", 3), ("c", 3)]));
    let ids: Vec<String> = world.first().roster.nodes().await.unwrap().into_iter().map(|node| node.id).collect();
    assert_eq!(ids, ["n1", "n2"]);
}

#[tokio::test]
async fn many_channels_are_written_whole() {
    let world = World::redis().await;
    let names: Vec<String> = (0..20_000).map(|n| format!("c{n}")).collect();
    let many: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    world.first().roster.announce(announcement("n1", &many)).await.unwrap();
    assert_eq!(channels(world.first(), "").await.len(), 20_000);
}

#[tokio::test]
async fn everything_of_a_node_has_a_lease_and_dead_nodes_are_struck_out() {
    let server = RedisServer::start();
    let node = Node::linked(&redis_config(server.url(0))).await;
    let mut short = announcement("dead", &[("a", 1)]);
    short.lease = Duration::from_millis(1);
    node.roster.announce(short).await.unwrap();
    let key = |rest: &str| format!("test:node:dead{rest}");
    // Redis answers -2 once the key has expired.
    for key in [key(""), key(":channels"), key(":channels:next")] {
        while server.run::<i64>(&["PTTL", &key]).await != -2 {}
    }
    assert_eq!(node.roster.nodes().await.unwrap(), []);
    node.roster.announce(announcement("live", &[("b", 1)])).await.unwrap();
    assert_eq!(server.run::<Vec<String>>(&["ZRANGE", "test:nodes", "0", "-1"]).await, ["live"]);
    let ttl: i64 = server.run(&["PTTL", "test:node:live:channels"]).await;
    assert!((1..=60_000).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn channels_are_written_only_when_they_changed_or_are_gone() {
    let server = RedisServer::start();
    let node = Node::linked(&redis_config(server.url(0))).await;
    let same = announcement("n1", &[("a", 1)]);
    node.roster.announce(same.clone()).await.unwrap();
    // Something that only a rewrite would undo.
    let _: i64 = server.run(&["HSET", "test:node:n1:channels", "mark", "9"]).await;
    node.roster.announce(same.clone()).await.unwrap();
    assert_eq!(channels(&node, "*").await, counts(&[("a", 1), ("mark", 9)]));
    let _: () = server.run(&["FLUSHALL"]).await;
    node.roster.announce(same).await.unwrap();
    assert_eq!(channels(&node, "*").await, counts(&[("a", 1)]));
    assert_eq!(node.roster.nodes().await.unwrap().len(), 1);
}
