//! The short road against a real Redis: batches of which nothing is kept go over connections that only publish.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::time::Duration;

use fanfare_proto::rules::{ChannelRules, Rules};
use fanfare_worker::{Fault, Message, Options, Publisher, RedisPublisher};
use futures_util::future::join_all;
use support::{PATIENCE, Redis};

/// With rules that outlast the test: after the first message nothing but PUBLISH is sent.
async fn publisher(redis: &Redis, url: &str) -> RedisPublisher {
    redis.set_rules(&Rules::new(ChannelRules::default(), [].into())).await;
    let options = Options { deadline: PATIENCE, rules_ttl: 10 * PATIENCE, ..Options::default() };
    RedisPublisher::open(url, options).unwrap()
}

/// How many others are connected.
async fn connections(redis: &Redis) -> usize {
    let list: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut redis.connection().await).await.unwrap();
    list.lines().count() - 1
}

#[tokio::test]
async fn a_refusal_is_of_one_message_only() {
    let redis = Redis::start();
    let mut user = redis::cmd("ACL");
    user.arg("SETUSER").arg("writer").arg("on").arg(">pass word").arg("~fanfare:*").arg("&fanfare:0:ch:{news}");
    redis.tell(user.arg("+get").arg("+publish").arg("+client").arg("+hello")).await;
    let mut subscriber = redis.subscribe("fanfare:0:ch:{news}").await;
    let publisher = publisher(&redis, &format!("redis://writer:pass%20word@127.0.0.1:{}", redis.port)).await;
    for _ in 0..2 {
        let messages =
            [("news", "1"), ("other", "2"), ("news", "3")].map(|(channel, data)| Message::new(channel, data));
        let answers = publisher.publish_all(messages.into()).await;
        let gateways: Vec<_> = answers.iter().map(|answer| answer.as_ref().ok().and_then(|it| it.gateways)).collect();
        assert_eq!(gateways, [Some(1), None, Some(1)]);
        let error = answers[1].as_ref().unwrap_err();
        assert!(
            error.is_rejected() && error.fault() == Fault::Setup && error.to_string().contains("NOPERM"),
            "{error}"
        );
        assert_eq!(subscriber.publication().await.data, "1");
        assert_eq!(subscriber.publication().await.data, "3");
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_not_used() {
    let redis = Redis::start();
    let publisher = publisher(&redis, &redis.url()).await;
    publisher.publish(Message::new("news", "1")).await.unwrap();
    redis.tell(redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal")).await;
    let gone = async {
        while connections(&redis).await > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("all connections are closed");
    publisher.publish(Message::new("news", "2")).await.unwrap();
}

#[tokio::test]
async fn answers_that_nobody_waits_for_are_nobody_elses() {
    let redis = Redis::start();
    let _subscriber = redis.subscribe("fanfare:0:ch:{news}").await;
    let publisher = publisher(&redis, &redis.url()).await;
    publisher.publish(Message::new("news", "1")).await.unwrap();
    redis.tell(redis::cmd("CLIENT").arg("PAUSE").arg(500)).await;
    let dropped = tokio::time::timeout(Duration::from_millis(50), publisher.publish(Message::new("other", "2"))).await;
    assert!(dropped.is_err(), "the server is held up");
    assert_eq!(publisher.publish(Message::new("news", "3")).await.unwrap().gateways, Some(1));
}

#[tokio::test]
async fn large_messages_leave_in_parts_and_in_order() {
    let redis = Redis::start();
    let mut subscriber = redis.subscribe("fanfare:0:ch:{news}").await;
    let publisher = publisher(&redis, &redis.url()).await;
    let data = |n: usize| format!("\"{n}{}\"", "x".repeat([10, 3000, 100_000][n % 3]));
    let answers = publisher.publish_all((0..60).map(|n| Message::new("news", data(n))).collect()).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|receipt| receipt.gateways == Some(1))));
    for n in 0..60 {
        assert_eq!(subscriber.publication().await.data, data(n));
    }
}

#[tokio::test]
async fn calls_share_a_bounded_number_of_connections() {
    let redis = Redis::start();
    let publisher = publisher(&redis, &redis.url()).await;
    let calls = join_all((0..200).map(|n| publisher.publish(Message::new("news", n.to_string())))).await;
    assert!(calls.iter().all(Result::is_ok), "{calls:?}");
    // 16 that only publish; and one, at least, that has read the rules.
    let connections = connections(&redis).await;
    assert!((2..=32).contains(&connections), "{connections}");
}
