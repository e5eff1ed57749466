//! What a broken Redis does to a node, and what it must not do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fanfare_gateway::broker::event::INTAKE_BYTES_MAX;
use fanfare_gateway::broker::{Broker, BrokerError, Health, PublishOptions};
use fanfare_gateway::telemetry::metrics::ReasonLabel;

use crate::redis_kit::{RedisServer, Relay};
use crate::{Node, Seen, channel, eventually, outgoing, redis_config};

/// Publishes 0, 1, 2, ... on "a" one after the other until stopped.
struct Load {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<BTreeSet<u64>>,
}

impl Load {
    fn start(broker: Arc<dyn Broker>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let (mut n, mut taken) = (0, BTreeSet::new());
            while !stopped.load(Ordering::SeqCst) {
                // Else it is known to be down, or the number is lost on the way.
                if broker.publish(&channel("a"), outgoing(&n.to_string()), PublishOptions::default()).await.is_ok() {
                    taken.insert(n);
                }
                n += 1;
                // A pace at which nobody's queue runs over: that has its own tests.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            taken
        });
        Self { stop, task }
    }

    /// The numbers that the broker took.
    async fn stop(self) -> BTreeSet<u64> {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap()
    }
}

/// Order holds, nothing comes twice, and what was taken and is missing lies where a gap was told.
fn check(seen: &[Seen], taken: &BTreeSet<u64>) {
    let (mut last, mut gap) = (None::<u64>, false);
    for seen in seen {
        match seen {
            Seen::Gap(name) => {
                assert_eq!(name, "a");
                gap = true;
            }
            Seen::Said(_, text) => {
                let n: u64 = text.parse().unwrap();
                assert!(last.is_none_or(|last| last < n), "{n} after {last:?}");
                let missing = taken.range(last.map_or(0, |last| last + 1)..n).count();
                assert!(gap || missing == 0, "{missing} are missing before {n} and nobody said so");
                (last, gap) = (Some(n), false);
            }
            Seen::Ordered(_) => panic!("nobody gave orders"),
        }
    }
}

/// Takes events until the next gap and a publication after it: the link works again.
async fn until_beyond_a_gap(node: &mut Node, all: &mut Vec<Seen>) {
    let gap = async {
        loop {
            all.push(node.next().await);
            if matches!(all.last(), Some(Seen::Gap(_))) {
                return;
            }
        }
    };
    tokio::time::timeout(crate::LIMIT, gap).await.expect("a gap is told");
    node.take_until_delivers(all).await;
    all.push(node.next().await);
}

#[tokio::test]
async fn a_server_that_is_killed_and_restarted() {
    let mut server = RedisServer::start();
    let config = redis_config(server.url(0));
    let mut nodes = [Node::linked(&config).await, Node::linked(&config).await];
    for node in &nodes {
        node.subscribe(&["a", "b", "end"]).await;
    }
    let load = Load::start(nodes[0].broker.clone());
    let (mut first, mut second) = (Vec::new(), Vec::new());
    first.push(nodes[0].next().await);
    second.push(nodes[1].next().await);
    server.stop();
    for node in &nodes {
        node.is_silent().await;
    }
    server.restart();
    for node in &nodes {
        node.delivers().await;
    }
    let taken = load.stop().await;
    nodes[0].publish("end", "x").await.unwrap();
    for (node, all) in nodes.iter_mut().zip([&mut first, &mut second]) {
        all.extend(node.until("end", "x").await);
        for name in ["b", "end"] {
            assert_eq!(all.iter().filter(|seen| **seen == Seen::gap(name)).count(), 1, "one gap of {name}");
        }
        assert_eq!(all.iter().filter(|seen| **seen == Seen::gap("a")).count(), 1);
        all.retain(|seen| !matches!(seen, Seen::Gap(name) if name != "a"));
        check(all, &taken);
        assert_eq!(node.gaps(), 3);
        assert!(node.metrics.broker_reconnects.get() >= 2, "both links were lost");
    }
}

#[tokio::test]
async fn subscriptions_that_are_cut_again_and_again() {
    let server = RedisServer::start();
    let config = redis_config(server.url(0));
    let mut node = Node::linked(&config).await;
    let publisher = Node::linked(&config).await;
    node.subscribe(&["a"]).await;
    let load = Load::start(publisher.broker.clone());
    let mut all = vec![node.next().await];
    for _ in 0..5 {
        assert!(server.kill_subscribers().await >= 1);
        until_beyond_a_gap(&mut node, &mut all).await;
    }
    let taken = load.stop().await;
    all.extend(node.drain("a").await);
    check(&all, &taken);
    let gaps = all.iter().filter(|seen| matches!(seen, Seen::Gap(_))).count();
    assert_eq!(gaps as u64, node.gaps());
    assert!(gaps >= 5, "{gaps} gaps for 5 cuts");
}

#[tokio::test]
async fn a_link_that_swallows_everything() {
    let server = RedisServer::start();
    let relay = Relay::start(server.port()).await;
    let near = Node::linked(&redis_config(server.url(0))).await;
    let mut far = Node::linked(&redis_config(relay.url(0))).await;
    far.subscribe(&["a"]).await;
    let load = Load::start(near.broker.clone());
    let mut all = vec![far.next().await];
    relay.swallow();
    far.is_silent().await;
    far.has_lost_both(0).await;
    assert!(far.publish("a", "x").await.is_err());
    relay.heal();
    until_beyond_a_gap(&mut far, &mut all).await;
    let taken = load.stop().await;
    all.extend(far.drain("a").await);
    check(&all, &taken);
    assert_eq!(far.gaps(), 1);
    assert_eq!(near.broker.health(), Health::Delivers);
}

#[tokio::test]
async fn a_node_starts_without_redis_and_heals() {
    let mut server = RedisServer::stopped();
    let mut node = Node::redis(&redis_config(server.url(0)));
    assert!(matches!(node.broker.health(), Health::Silent(_)));
    let refusal = node.broker.subscribe(&[channel("a")]).await;
    assert!(matches!(refusal, Err(BrokerError::Unreachable(_))), "{refusal:?}");
    assert_eq!(node.broker.unsubscribe(&[channel("a")]).await, Ok(()));
    assert_eq!(node.metrics.broker_up.get(), 0);

    server.restart();
    node.delivers().await;
    assert_eq!(node.broker.health(), Health::Delivers);
    node.subscribe(&["a"]).await;
    assert_eq!(node.drain("a").await, [], "nothing was subscribed before, so there is no gap");
    assert_eq!(node.metrics.broker_up.get(), 1);
}

/// The command timeout is longer than the test may take: whoever waited for it would be seen.
#[tokio::test]
async fn nobody_waits_for_a_link_that_is_known_to_be_down() {
    let mut server = RedisServer::start();
    let mut config = redis_config(server.url(0));
    config.command_timeout = crate::LIMIT * 2;
    let node = Node::linked(&config).await;
    server.stop();
    node.is_silent().await;
    let calls = async {
        eventually("publications fail", || node.broker.health() != Health::Delivers).await;
        for n in 0..100 {
            assert!(node.publish("a", &n.to_string()).await.is_err());
        }
        assert!(node.broker.subscribe(&[channel("a")]).await.is_err());
        assert!(node.broker.unsubscribe(&[channel("a")]).await.is_ok());
        assert!(node.bus.send(fanfare_proto::envelope::Control::default()).await.is_err());
        assert!(node.roster.nodes().await.is_err());
        assert!(node.roster.channels("").await.is_err());
    };
    tokio::time::timeout(crate::LIMIT, calls).await.expect("all calls fail at once");
}

#[tokio::test]
async fn calls_under_way_end_with_the_link() {
    let server = RedisServer::start();
    let relay = Relay::start(server.port()).await;
    let mut config = redis_config(relay.url(0));
    config.command_timeout = Duration::from_millis(500);
    let node = Node::linked(&config).await;
    relay.swallow();
    let calls = (0..50).map(|n| {
        let broker = node.broker.clone();
        async move { broker.publish(&channel("a"), outgoing(&n.to_string()), PublishOptions::default()).await }
    });
    let subscribing = [channel("b")];
    let (published, subscribed) =
        tokio::join!(futures_util::future::join_all(calls), node.broker.subscribe(&subscribing));
    assert!(published.iter().all(Result::is_err), "{published:?}");
    assert!(subscribed.is_err());
    // A subscription that failed is not made up for later.
    relay.heal();
    node.delivers().await;
    let gone = async {
        // What was swallowed reaches the server all the same, on a connection that ends with it.
        while !server.run::<Vec<String>>(&["PUBSUB", "CHANNELS", "test:0:ch:*"]).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::LIMIT, gone).await.expect("nobody is subscribed");
}

#[tokio::test]
async fn a_replica_refuses_and_a_primary_is_taken_again() {
    let server = RedisServer::start();
    let nobody = RedisServer::stopped();
    let mut node = Node::linked(&redis_config(server.url(0))).await;
    node.subscribe(&["a"]).await;
    let _: () = server.run(&["REPLICAOF", "127.0.0.1", &nobody.port().to_string()]).await;
    node.is_silent().await;
    let refused = async {
        loop {
            // Between the two states the link is down for a moment.
            match node.publish("a", "x").await {
                Err(BrokerError::Refused(_)) => return,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                Ok(()) => panic!("a replica took a publication after it had been found out"),
            }
        }
    };
    tokio::time::timeout(crate::LIMIT, refused).await.expect("it refuses");
    let _: () = server.run(&["REPLICAOF", "NO", "ONE"]).await;
    node.delivers().await;
    let last = node.drain("a").await;
    assert!(last.iter().all(|seen| *seen == Seen::gap("a")), "{last:?}");
}

#[tokio::test]
async fn a_node_that_takes_too_slowly_is_told_of_the_gap() {
    let server = RedisServer::start();
    let mut config = redis_config(server.url(0));
    let publisher = Node::linked(&config).await;
    config.intake_max = 8;
    config.command_timeout = Duration::from_millis(300);
    let mut slow = Node::linked(&config).await;
    slow.subscribe(&["a", "b"]).await;
    for n in 0..100 {
        publisher.publish("a", &n.to_string()).await.unwrap();
    }
    let dropped = ReasonLabel { reason: "intake_full" };
    let dropped = || slow.metrics.broker_dropped.get_or_create(&dropped).get();
    eventually("the link is given up", || dropped() == 1).await;
    slow.is_silent().await;

    // It takes again: first what was there, then the gaps, then what is new.
    let mut all = Vec::new();
    for _ in 0..8 {
        all.push(slow.next().await);
    }
    let expected: Vec<Seen> = (0..8).map(|n| Seen::said("a", &n.to_string())).collect();
    assert_eq!(all, expected);
    let gaps = [slow.next().await, slow.next().await];
    assert!(gaps.contains(&Seen::gap("a")) && gaps.contains(&Seen::gap("b")), "{gaps:?}");
    slow.delivers().await;
    assert_eq!(slow.drain("a").await, []);
    assert_eq!(slow.gaps(), 2);
}

/// As before, but few and large: bytes are bounded, too.
#[tokio::test]
async fn a_node_that_takes_large_ones_too_slowly_is_told_of_the_gap() {
    const LARGE: usize = 1024 * 1024;
    let server = RedisServer::start_with(&["--client-output-buffer-limit", "pubsub 0 0 0"]);
    let mut config = redis_config(server.url(0));
    let publisher = Node::linked(&config).await;
    config.command_timeout = Duration::from_millis(300);
    let mut slow = Node::linked(&config).await;
    slow.subscribe(&["a"]).await;
    let large = "x".repeat(LARGE);
    for _ in 0..INTAKE_BYTES_MAX / LARGE + 8 {
        publisher.publish("a", &large).await.unwrap();
    }
    let dropped = ReasonLabel { reason: "intake_full" };
    let dropped = || slow.metrics.broker_dropped.get_or_create(&dropped).get();
    eventually("the link is given up", || dropped() == 1).await;

    let mut taken = 0;
    while slow.next().await != Seen::gap("a") {
        taken += 1;
    }
    assert!((INTAKE_BYTES_MAX / LARGE - 1..=INTAKE_BYTES_MAX / LARGE).contains(&taken), "{taken}");
    slow.delivers().await;
    assert_eq!(slow.drain("a").await, []);
}

/// More than the server lets wait for a subscriber: it cuts the node, which is told of the gap.
#[tokio::test]
async fn a_subscriber_that_the_server_cuts_for_slowness() {
    let server = RedisServer::start_with(&["--client-output-buffer-limit", "pubsub 256kb 128kb 1"]);
    let mut config = redis_config(server.url(0));
    let publisher = Node::linked(&config).await;
    config.intake_max = 8;
    let mut slow = Node::linked(&config).await;
    slow.subscribe(&["a"]).await;
    let large = "x".repeat(64 * 1024);
    // Fills the intake, the sockets' buffers, and then the server's.
    for n in 0..400 {
        publisher.publish("a", &format!("{n} {large}")).await.unwrap();
    }
    let mut last = None::<u64>;
    loop {
        match slow.next().await {
            Seen::Said(_, text) => {
                let n = text.split_once(' ').unwrap().0.parse().unwrap();
                assert!(last.is_none_or(|last| last < n));
                last = Some(n);
            }
            seen => {
                assert_eq!(seen, Seen::gap("a"));
                break;
            }
        }
    }
    assert!(last.is_some_and(|last| last < 399), "{last:?}");
    slow.delivers().await;
    assert_eq!(slow.drain("a").await, []);
}

#[tokio::test]
async fn many_channels_come_back() {
    let server = RedisServer::start();
    let mut node = Node::linked(&redis_config(server.url(0))).await;
    let channels: Vec<_> = (0..3000).map(|n| channel(&format!("c{n}"))).collect();
    node.broker.subscribe(&channels).await.unwrap();
    server.kill_subscribers().await;
    let mut gaps = BTreeSet::new();
    while gaps.len() < channels.len() {
        match node.next().await {
            Seen::Gap(name) => assert!(gaps.insert(name), "a gap is told once"),
            seen => panic!("{seen:?}"),
        }
    }
    node.delivers().await;
    for name in ["c0", "c2999"] {
        node.publish(name, "x").await.unwrap();
        assert_eq!(node.next().await, Seen::said(name, "x"));
    }
    let names: Vec<String> = server.run(&["PUBSUB", "CHANNELS", "test:0:ch:*"]).await;
    assert_eq!(names.len(), channels.len());
}
