//! What only Redis has: addresses, passwords, databases, prefixes, shared keys.

use std::sync::Arc;
use std::time::Duration;

use fanfare_gateway::broker::redis::RedisBroker;
use fanfare_gateway::broker::{BrokerError, BrokerEvent, Health, PublishOptions};
use fanfare_gateway::config::section::BrokerUrl;
use fanfare_gateway::model::NodeId;
use fanfare_gateway::model::time::SystemClock;
use fanfare_gateway::task::Tasks;
use fanfare_gateway::telemetry::Metrics;
use fanfare_proto::envelope::{ClientInfo, Envelope, Publication};
use fanfare_proto::rules::{ChannelRules, DataFormat, Rules};

use crate::redis_kit::RedisServer;
use crate::{LIMIT, Node, Seen, channel, config, eventually, outgoing, redis_config};

#[tokio::test]
async fn databases_do_not_hear_each_other() {
    let server = RedisServer::start();
    let mut zero = Node::linked(&redis_config(server.url(0))).await;
    let mut one = Node::linked(&redis_config(server.url(1))).await;
    for node in [&zero, &one] {
        node.subscribe(&["a"]).await;
    }
    zero.publish("a", "0").await.unwrap();
    one.publish("a", "1").await.unwrap();
    assert_eq!(zero.drain("a").await, [Seen::said("a", "0")]);
    assert_eq!(one.drain("a").await, [Seen::said("a", "1")]);
}

#[tokio::test]
async fn prefixes_do_not_hear_each_other() {
    let server = RedisServer::start();
    let mut config = redis_config(server.url(0));
    let mut test = Node::linked(&config).await;
    config.prefix = "other".into();
    let mut other = Node::linked(&config).await;
    for node in [&test, &other] {
        node.subscribe(&["a"]).await;
    }
    test.publish("a", "t").await.unwrap();
    other.publish("a", "o").await.unwrap();
    assert_eq!(test.drain("a").await, [Seen::said("a", "t")]);
    assert_eq!(other.drain("a").await, [Seen::said("a", "o")]);
}

#[tokio::test]
async fn a_password_opens_all_roads() {
    let server = RedisServer::start_with(&["--requirepass", "p@ss"]);
    let url = |password: &str| format!("redis://{password}127.0.0.1:{}/0", server.port());
    let mut node = Node::linked(&redis_config(url(":p%40ss@"))).await;
    node.subscribe(&["a"]).await;
    assert_eq!(node.drain("a").await, []);
    assert_eq!(node.roster.nodes().await.unwrap(), []);
    // The default user by name.
    Node::linked(&redis_config(url("default:p%40ss@"))).await;

    for wrong in ["", ":wrong@"] {
        let stranger = Node::redis(&redis_config(url(wrong)));
        assert!(!stranger.redis.as_ref().unwrap().wait_until_delivers(Duration::from_millis(300)).await);
        let refusal = stranger.publish("a", "x").await;
        assert!(matches!(refusal, Err(BrokerError::Unreachable(_))), "{refusal:?}");
    }
}

#[tokio::test]
async fn urls_that_cannot_work_stop_the_start() {
    for url in ["rediss://localhost", "redis+unix:///run/redis.sock", "redis://", "nonsense"] {
        let metrics = Arc::new(Metrics::new());
        let tasks = Tasks::new(metrics.clone());
        let config = config(BrokerUrl::Redis(url.into()));
        assert!(RedisBroker::start(&config, NodeId::random(), &tasks, metrics, SystemClock::new()).is_err(), "{url}");
    }
}

#[tokio::test]
async fn rules_are_there_now_and_after_a_restart() {
    let mut server = RedisServer::start();
    let node = Node::linked(&redis_config(server.url(0))).await;
    let rules = Rules::new(ChannelRules::default(), [("chat".to_owned(), ChannelRules::default())].into());
    node.redis.as_ref().unwrap().announce_rules(&rules);
    are_stored(&server, &rules).await;
    server.restart();
    are_stored(&server, &rules).await;
}

async fn are_stored(server: &RedisServer, rules: &Rules) {
    let asking = async {
        loop {
            let stored: Option<Vec<u8>> = server.run(&["GET", "test:rules"]).await;
            if stored.is_some_and(|json| Rules::parse(&json).unwrap() == *rules) {
                return;
            }
        }
    };
    tokio::time::timeout(LIMIT, asking).await.expect("the rules are stored in time");
}

#[tokio::test]
async fn gateways_agree_on_secrets() {
    let server = RedisServer::start();
    let (a, b) = (Node::linked(&redis_config(server.url(0))).await, Node::linked(&redis_config(server.url(0))).await);
    let ask = |node: &Node, proposal: &'static str| {
        let broker = node.redis.clone().unwrap();
        async move { broker.shared_secrets(proposal, Duration::from_secs(60)).await.unwrap() }
    };
    let (first, second) = tokio::join!(ask(&a, "one"), ask(&b, "two"));
    assert_eq!(first, second);
    assert!(["one", "two"].contains(&first.as_str()));
    assert_eq!(ask(&a, "three").await, first);
    let ttl: i64 = server.run(&["TTL", "test:dev:secrets"]).await;
    assert!((1..=60).contains(&ttl), "{ttl}");
    // They hold on for whoever asked last.
    assert_eq!(a.redis.as_ref().unwrap().shared_secrets("four", Duration::from_secs(600)).await.unwrap(), first);
    let ttl: i64 = server.run(&["TTL", "test:dev:secrets"]).await;
    assert!((61..=600).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn bytes_that_are_no_envelope_are_counted_and_cost_nobody_anything() {
    let server = RedisServer::start();
    let mut node = Node::linked(&redis_config(server.url(0))).await;
    node.subscribe(&["a"]).await;
    let good = Envelope::Publication(Publication { data: "x".into(), ..Publication::default() }).encode();
    for bytes in [&b""[..], b"\x01", b"\x02p", b"\x01z", b"\x01c", b"\x01p\xff", &good] {
        assert_eq!(server.publish("test:0:ch:{a}", bytes).await, 1);
    }
    assert_eq!(node.drain("a").await, [Seen::said("a", "x")]);
    assert_eq!(dropped(&node), 6);
}

fn dropped(node: &Node) -> u64 {
    let label = fanfare_gateway::telemetry::metrics::ReasonLabel { reason: "unreadable" };
    node.metrics.broker_dropped.get_or_create(&label).get()
}

/// Whoever can write to Redis could otherwise write frames to clients.
#[tokio::test]
async fn what_is_no_json_stays_out_of_channels_that_carry_json() {
    let server = RedisServer::start();
    let mut node = Node::linked(&redis_config(server.url(0))).await;
    let binary = ChannelRules { data_format: DataFormat::Binary, ..ChannelRules::default() };
    let rules = Rules::new(ChannelRules::default(), [("files".to_owned(), binary)].into());
    node.redis.as_ref().unwrap().announce_rules(&rules);
    node.subscribe(&["a", "files:a", "nowhere:a"]).await;
    let say = async |name: &str, data: &'static [u8]| {
        let publication = Publication { data: data.into(), ..Publication::default() };
        let name = format!("test:0:ch:{{{name}}}");
        assert_eq!(server.publish(&name, &Envelope::Publication(publication).encode()).await, 1);
    };
    say("a", b"oops}}\n{\"x").await;
    say("nowhere:a", b"oops}}").await;
    say("a", b"").await;
    say("files:a", b"oops}}\n{\"x").await;
    say("a", b" {\"a\":\n1} ").await;
    assert_eq!(node.next().await, Seen::said("files:a", "oops}}\n{\"x"));
    assert_eq!(node.next().await, Seen::said("a", "{\"a\":1}"));
    assert_eq!(dropped(&node), 3);
}

#[tokio::test]
async fn what_is_no_json_is_not_told_about_publishers() {
    let server = RedisServer::start();
    let mut node = Node::linked(&redis_config(server.url(0))).await;
    node.subscribe(&["a"]).await;
    let (connection_info, channel_info) = ("}\n{".into(), " {\"a\":\r\n1}".into());
    let info = ClientInfo { user: "42".into(), connection_info, channel_info, ..ClientInfo::default() };
    let publication = Publication { data: "1".into(), info: Some(info), ..Publication::default() };
    server.publish("test:0:ch:{a}", &Envelope::Publication(publication).encode()).await;
    let Some(BrokerEvent::Published { outgoing, .. }) = node.events.recv().await else { panic!("nothing said") };
    let info = outgoing.publication.info.unwrap();
    assert_eq!(info.user.as_str(), "42");
    assert_eq!((&info.connection_info[..], &info.channel_info[..]), (&b""[..], &b"{\"a\":1}"[..]));
    assert_eq!(dropped(&node), 0, "the publication is delivered");
}

#[tokio::test]
async fn after_the_end_of_its_tasks_a_broker_refuses() {
    let server = RedisServer::start();
    let mut node = Node::linked(&redis_config(server.url(0))).await;
    node.subscribe(&["a"]).await;
    assert_eq!(node.tasks.shutdown(LIMIT).await, Ok(()));
    eventually("it no longer delivers", || node.broker.health() != Health::Delivers).await;
    assert!(node.broker.publish(&channel("a"), outgoing("x"), PublishOptions::default()).await.is_err());
    assert!(node.broker.subscribe(&[channel("b")]).await.is_err());
    assert!(node.events.recv().await.is_none(), "the stream ends");
}
