//! Publications: what every broker promises.

use std::collections::BTreeMap;
use std::sync::Arc;

use fanfare_gateway::broker::event::INTAKE_BYTES_MAX;
use fanfare_gateway::broker::{Broker, BrokerError, BrokerEvent, Health, Outgoing, PublishOptions};
use fanfare_gateway::config::section::BrokerUrl;
use fanfare_gateway::model::{ClientInfo, ConnectionId, Position, Publication, UserId};

use crate::failing::FailingBroker;
use crate::{LIMIT, Node, Seen, World, channel, config, on_all_brokers, outgoing};

on_all_brokers!(
    what_is_published_after_subscribing_arrives_on_all_nodes,
    only_subscribed_channels_arrive,
    nothing_arrives_after_unsubscribing,
    subscribing_twice_is_once,
    many_channels_at_once,
    every_name_is_a_channel_of_its_own,
    nothing_of_a_publication_is_lost,
    one_order_for_all_and_nothing_twice,
    it_delivers,
);

async fn what_is_published_after_subscribing_arrives_on_all_nodes(mut world: World) {
    for node in &world.nodes {
        node.subscribe(&["news"]).await;
    }
    for text in ["1", "2"] {
        world.first().publish("news", text).await.unwrap();
    }
    for node in &mut world.nodes {
        assert_eq!(node.next().await, Seen::said("news", "1"));
        assert_eq!(node.next().await, Seen::said("news", "2"));
    }
}

async fn only_subscribed_channels_arrive(mut world: World) {
    world.first().subscribe(&["mine", "end"]).await;
    for name in ["other", "min", "mine2", "MINE", "mine"] {
        world.first().publish(name, "x").await.unwrap();
    }
    assert_eq!(world.nodes[0].drain("end").await, [Seen::said("mine", "x")]);
}

async fn nothing_arrives_after_unsubscribing(mut world: World) {
    world.first().subscribe(&["a", "end"]).await;
    world.first().publish("a", "before").await.unwrap();
    // The last word on "end" comes behind everything of "a" that was under way.
    assert_eq!(world.nodes[0].drain("end").await, [Seen::said("a", "before")]);
    world.first().unsubscribe(&["a", "never"]).await;
    world.first().publish("a", "after").await.unwrap();
    assert_eq!(world.nodes[0].drain("end").await, []);
    world.first().subscribe(&["a"]).await;
    world.first().publish("a", "again").await.unwrap();
    assert_eq!(world.nodes[0].drain("end").await, [Seen::said("a", "again")]);
}

async fn subscribing_twice_is_once(mut world: World) {
    world.first().subscribe(&["a", "end"]).await;
    world.first().subscribe(&["a", "a"]).await;
    world.first().publish("a", "x").await.unwrap();
    assert_eq!(world.nodes[0].drain("end").await, [Seen::said("a", "x")]);
    world.first().unsubscribe(&["a"]).await;
    world.first().publish("a", "y").await.unwrap();
    assert_eq!(world.nodes[0].drain("end").await, []);
}

async fn many_channels_at_once(mut world: World) {
    let names: Vec<String> = (0..2000).map(|n| format!("c{n}")).collect();
    let channels: Vec<_> = names.iter().map(|name| channel(name)).collect();
    world.first().subscribe(&["end"]).await;
    // In one call, and in many calls at the same time.
    let (one, many) = channels.split_at(1000);
    let calls = many.chunks(1).map(|chunk| world.first().broker.subscribe(chunk));
    let (in_one, in_many) = tokio::join!(world.first().broker.subscribe(one), futures_util::future::join_all(calls));
    in_one.unwrap();
    in_many.into_iter().for_each(|answer| answer.unwrap());
    for name in &names {
        world.first().publish(name, name).await.unwrap();
    }
    let all: Vec<Seen> = names.iter().map(|name| Seen::said(name, name)).collect();
    assert_eq!(world.nodes[0].drain("end").await, all);
}

async fn every_name_is_a_channel_of_its_own(mut world: World) {
    let names = ["{}", "}x{", "a{b}c", "100%", "%7B", "%257B", "$p:x#1,2", "~!\"'\\;[?]", &"x".repeat(255)];
    world.first().subscribe(&names).await;
    for name in names {
        world.first().publish(name, name).await.unwrap();
    }
    for name in names {
        assert_eq!(world.nodes[0].next().await, Seen::said(name, name));
    }
}

async fn nothing_of_a_publication_is_lost(mut world: World) {
    let full = Outgoing {
        publication: Publication {
            data: (0..=255).collect::<Vec<u8>>().into(),
            info: Some(ClientInfo {
                user: UserId::new("42"),
                client: Arc::from("connection"),
                connection_info: "{}".into(),
                channel_info: "[]".into(),
            }),
            tags: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
            position: Some(Position { offset: 7, epoch: Arc::from("e") }),
            time_ms: 1_700_000_000_000,
            exclude: Some(ConnectionId::random()),
            delta: true,
        },
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
    };
    world.first().subscribe(&["a"]).await;
    world.first().broker.publish(&channel("a"), full.clone(), PublishOptions::default()).await.unwrap();
    match world.nodes[0].events.recv().await {
        Some(BrokerEvent::Published { outgoing, .. }) => assert_eq!(outgoing, full),
        other => panic!("{other:?}"),
    }
}

/// Publishers on all nodes at once: all nodes see one order, each publisher's own order is kept, and
/// everything comes exactly once.
async fn one_order_for_all_and_nothing_twice(mut world: World) {
    const PUBLISHERS: usize = 8;
    const EACH: usize = 150;
    for node in &world.nodes {
        node.subscribe(&["a"]).await;
    }
    let publishers = (0..PUBLISHERS).map(|publisher| {
        let broker = world.nodes[publisher % world.nodes.len()].broker.clone();
        tokio::spawn(async move {
            for n in 0..EACH {
                broker
                    .publish(&channel("a"), outgoing(&format!("{publisher} {n}")), PublishOptions::default())
                    .await
                    .unwrap();
            }
        })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.unwrap();
    }
    let mut orders = Vec::new();
    for node in &mut world.nodes {
        let mut order = Vec::new();
        for _ in 0..PUBLISHERS * EACH {
            order.push(node.next().await);
        }
        orders.push(order);
    }
    for order in &orders {
        assert!(order == &orders[0], "nodes see different orders");
        for publisher in 0..PUBLISHERS {
            let own = order.iter().filter_map(|seen| match seen {
                Seen::Said(_, text) => text.strip_prefix(&format!("{publisher} ")),
                Seen::Gap(_) | Seen::Ordered(_) => None,
            });
            let expected: Vec<String> = (0..EACH).map(|n| n.to_string()).collect();
            assert_eq!(own.collect::<Vec<_>>(), expected);
        }
    }
    world.first().publish("a", "last word").await.unwrap();
    for node in &mut world.nodes {
        assert_eq!(node.until("a", "last word").await, [], "something comes twice");
    }
}

async fn it_delivers(world: World) {
    assert_eq!(world.first().broker.health(), Health::Delivers);
    assert_eq!(world.first().metrics.broker_up.get(), 1);
}

#[tokio::test]
async fn memory_slows_publishers_down_and_then_refuses() {
    let mut small = config(BrokerUrl::Memory);
    small.intake_max = 2;
    small.command_timeout = std::time::Duration::from_millis(50);
    let mut node = Node::memory(&small);
    node.subscribe(&["a"]).await;
    node.publish("a", "1").await.unwrap();
    node.publish("a", "2").await.unwrap();
    assert_eq!(node.publish("a", "3").await, Err(BrokerError::Timeout));
    assert_eq!(node.metrics.broker_intake.get(), 2);

    let waiting = node.broker.clone();
    let waiting =
        tokio::spawn(async move { waiting.publish(&channel("a"), outgoing("4"), PublishOptions::default()).await });
    assert_eq!(node.next().await, Seen::said("a", "1"));
    let fourth = tokio::time::timeout(LIMIT, waiting).await.unwrap().unwrap();
    // Whoever got in arrives, in order; nothing is dropped in silence.
    assert_eq!(node.next().await, Seen::said("a", "2"));
    if fourth.is_ok() {
        assert_eq!(node.next().await, Seen::said("a", "4"));
    }
}

/// Few and large: the number of events alone would let them take all of the memory.
#[tokio::test]
async fn memory_bounds_what_waits_in_bytes() {
    let mut config = config(BrokerUrl::Memory);
    config.command_timeout = std::time::Duration::from_millis(50);
    let mut node = Node::memory(&config);
    node.subscribe(&["a"]).await;
    let large = outgoing(&"x".repeat(INTAKE_BYTES_MAX / 4));
    for _ in 0..4 {
        node.broker.publish(&channel("a"), large.clone(), PublishOptions::default()).await.unwrap();
    }
    assert_eq!(node.publish("a", "no room").await, Err(BrokerError::Timeout));
    drop(node.next().await);
    node.publish("a", "room").await.unwrap();
    // What is larger than all the room takes all of it, and still gets through.
    for _ in 0..4 {
        drop(node.next().await);
    }
    let huge = outgoing(&"x".repeat(INTAKE_BYTES_MAX + 1));
    node.broker.publish(&channel("a"), huge, PublishOptions::default()).await.unwrap();
    assert_eq!(node.publish("a", "no room").await, Err(BrokerError::Timeout));
}

#[tokio::test]
async fn the_failing_double_fails() {
    let broker = FailingBroker::unreachable();
    assert!(broker.subscribe(&[channel("a")]).await.is_err());
    assert!(broker.publish(&channel("a"), outgoing("x"), PublishOptions::default()).await.is_err());
    assert_ne!(broker.health(), Health::Delivers);
}
