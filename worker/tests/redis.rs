//! The direct road against a real Redis: the bytes, the rules, the order, and what happens when the
//! broker is not there.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::time::Duration;

use fanfare_proto::rules::{ChannelRules, DataFormat, Rules};
use fanfare_worker::{Fault, Message, Options, Publisher, RedisPublisher};
use support::{PATIENCE, Redis, free_port};

fn publisher(redis: &Redis) -> RedisPublisher {
    RedisPublisher::open(&redis.url(), Options { deadline: PATIENCE, ..Options::default() }).unwrap()
}

/// A field of the Protobuf wire format: its number, wire type 2, length and bytes (all below 128 here).
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[tokio::test]
async fn the_bytes_are_those_of_the_layout() {
    let redis = Redis::start();
    let mut subscriber = redis.subscribe("loud:3:ch:{chat:a%7Bb%7D}").await;
    let options = Options { prefix: "loud".to_owned(), ..Options::default() };
    let publisher = RedisPublisher::open(&format!("{}/3", redis.url()), options).unwrap();

    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut message = Message::new("chat:a{b}", r#"{"text":"hi"}"#).tag("lang", "en");
    message.exclude_client = Some("c1".to_owned());
    message.traceparent = Some(traceparent.to_owned());
    let before = now_ms();
    let receipt = publisher.publish(message).await.unwrap();
    assert_eq!(receipt.gateways, Some(1));

    let bytes = subscriber.bytes().await;
    let tag = [field(1, b"lang"), field(2, b"en")].concat();
    let head = [vec![1, b'p'], field(1, br#"{"text":"hi"}"#), field(3, &tag), vec![4 << 3]].concat();
    let tail = [field(5, b"c1"), field(6, traceparent.as_bytes())].concat();
    assert_eq!(&bytes[..head.len()], head, "version, kind, data, tags");
    assert_eq!(&bytes[bytes.len() - tail.len()..], tail, "exclude_client, traceparent");
    let time = &bytes[head.len()..bytes.len() - tail.len()];
    assert!((before..=now_ms()).any(|ms| varint(ms) == time), "{time:?} is not the time");
}

#[allow(clippy::disallowed_methods, reason = "compared with what the other side reads from the same clock")]
fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

#[tokio::test]
async fn a_refused_message_does_not_hold_up_the_others() {
    let redis = Redis::start();
    let mut subscriber = redis.subscribe("fanfare:0:ch:{news}").await;
    let publisher = publisher(&redis);
    let answers = publisher
        .publish_all(vec![
            Message::new("news", "1"),
            Message::new("news", "{not json"),
            Message::new("no spaces", "2"),
            Message::new("news", "NaN"),
            Message::new("news", vec![b' '; 2 * 1024 * 1024]),
            Message::new("news", "{\"a\":\r\n3}"),
        ])
        .await;
    let rejected: Vec<bool> = answers.iter().map(|answer| answer.as_ref().is_err_and(|e| e.is_rejected())).collect();
    assert_eq!(rejected, [false, true, true, true, true, false]);
    assert!(answers.iter().filter_map(|answer| answer.as_ref().err()).all(|error| error.fault() == Fault::Message));
    // Newlines within JSON would split the frames that clients get.
    assert_eq!(subscriber.publication().await.data, "1");
    assert_eq!(subscriber.publication().await.data, r#"{"a":3}"#);
}

#[tokio::test]
async fn a_batch_of_nothing_but_refused_messages_is_no_failure_of_the_broker() {
    let redis = Redis::start();
    let answers = publisher(&redis).publish_all(vec![Message::new("", "1"), Message::new("news", "")]).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|error| error.is_rejected())), "{answers:?}");
    assert!(publisher(&redis).publish_all(Vec::new()).await.is_empty());
}

#[tokio::test]
async fn batches_longer_than_a_pipeline_keep_their_order() {
    let redis = Redis::start();
    let mut subscriber = redis.subscribe("fanfare:0:ch:{news}").await;
    let messages = (0..1500).map(|n| Message::new("news", n.to_string())).collect();
    let answers = publisher(&redis).publish_all(messages).await;
    assert_eq!(answers.len(), 1500);
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|receipt| receipt.gateways == Some(1))));
    for n in 0..1500 {
        assert_eq!(subscriber.publication().await.data, n.to_string());
    }
}

#[tokio::test]
async fn rules_that_cannot_be_read_stop_publishing_until_they_can() {
    let redis = Redis::start();
    let mut connection = redis.connection().await;
    let options = Options { rules_ttl: Duration::ZERO, ..Options::default() };
    let publisher = RedisPublisher::open(&redis.url(), options).unwrap();
    assert!(publisher.publish(Message::new("news", "1")).await.is_ok(), "without rules the defaults hold");

    let () = redis::cmd("SET").arg("fanfare:rules").arg("from the future").query_async(&mut connection).await.unwrap();
    let error = publisher.publish(Message::new("news", "2")).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Setup, "{error}");
    assert!(!error.is_retryable());
    assert!(error.to_string().contains("fanfare:rules"), "{error}");

    let () = redis::cmd("DEL").arg("fanfare:rules").query_async(&mut connection).await.unwrap();
    assert!(publisher.publish(Message::new("news", "3")).await.is_ok());
}

#[tokio::test]
async fn the_gateways_rules_hold_here_too() {
    let redis = Redis::start();
    let mut subscriber = redis.subscribe("fanfare:0:ch:{files:x}").await;
    let small = ChannelRules { publication_size_limit: 4, ..ChannelRules::default() };
    let binary = ChannelRules { data_format: DataFormat::Binary, publication_size_limit: 100, ..small };
    let rules = Rules::new(small, [("files".to_owned(), binary)].into()).print();
    let mut connection = redis.connection().await;
    let () = redis::cmd("SET").arg("fanfare:rules").arg(rules).query_async(&mut connection).await.unwrap();

    let publisher = publisher(&redis);
    for message in [Message::new("news", "12345"), Message::new("other:x", "1"), Message::new("news", "x")] {
        let error = publisher.publish(message).await.unwrap_err();
        assert!(error.is_rejected() && error.fault() == Fault::Message, "{error}");
    }
    publisher.publish(Message::new("files:x", &b"\x00\n\xff"[..])).await.unwrap();
    assert_eq!(subscriber.publication().await.data, &b"\x00\n\xff"[..]);
}

#[tokio::test]
async fn without_rules_a_namespace_is_taken_to_exist() {
    let redis = Redis::start();
    publisher(&redis).publish(Message::new("chat:x", "1")).await.unwrap();
    assert!(publisher(&redis).publish(Message::new(":x", "1")).await.unwrap_err().is_rejected());
}

#[tokio::test]
async fn rules_are_read_once_while_they_are_fresh() {
    let redis = Redis::start();
    redis.set_rules(&Rules::new(ChannelRules::default(), [].into())).await;
    let mut connection = redis.connection().await;
    let publisher = publisher(&redis);
    publisher.publish(Message::new("news", "1")).await.unwrap();
    let () = redis::cmd("SET").arg("fanfare:rules").arg("from the future").query_async(&mut connection).await.unwrap();
    publisher.publish(Message::new("news", "2")).await.unwrap();
}

#[tokio::test]
async fn a_broker_that_is_down_is_worth_another_try() {
    let redis = Redis::start();
    let port = redis.port;
    let publisher = publisher(&redis);
    publisher.publish(Message::new("news", "1")).await.unwrap();
    drop(redis);
    let error = publisher.publish(Message::new("news", "2")).await.unwrap_err();
    assert!(error.is_retryable() && !error.is_rejected(), "{error}");
    assert_eq!(error.fault(), Fault::Broker);

    let redis = Redis::start_on(port);
    let mut subscriber = redis.subscribe("fanfare:0:ch:{news}").await;
    publisher.publish(Message::new("news", "3")).await.unwrap();
    assert_eq!(subscriber.publication().await.data, "3");
}

#[tokio::test]
async fn nobody_waits_for_a_broker_that_does_not_answer() {
    // It accepts, by its backlog, and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let options = Options { deadline: Duration::from_millis(300), ..Options::default() };
    let publisher = RedisPublisher::open(&url, options).unwrap();
    let answer = tokio::time::timeout(PATIENCE, publisher.publish(Message::new("news", "1"))).await;
    let error = answer.expect("an answer within the deadline").unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(error.fault(), Fault::Broker);
}

#[tokio::test]
async fn a_wrong_password_is_a_matter_of_settings() {
    let redis = Redis::start_with(&["--requirepass", "right"]);
    for url in [redis.url(), format!("redis://:wrong@127.0.0.1:{}", redis.port)] {
        let publisher = RedisPublisher::open(&url, Options::default()).unwrap();
        let error = publisher.publish(Message::new("news", "1")).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Setup, "{error}");
        assert!(!error.is_retryable(), "{error}");
        assert!(!error.to_string().contains("wrong@"), "{error}");
    }
    let publisher =
        RedisPublisher::open(&format!("redis://:right@127.0.0.1:{}", redis.port), Options::default()).unwrap();
    publisher.publish(Message::new("news", "1")).await.unwrap();
}

#[tokio::test]
async fn a_port_where_nobody_is_says_so_at_once() {
    let publisher = RedisPublisher::open(&format!("redis://127.0.0.1:{}", free_port()), Options::default()).unwrap();
    let error = publisher.publish(Message::new("news", "1")).await.unwrap_err();
    assert!(error.is_retryable());
    assert!(error.to_string().contains("refused"), "{error}");
}
