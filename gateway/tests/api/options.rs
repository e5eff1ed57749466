//! What publishers may ask for besides delivery, and how it reaches the broker.

use std::time::Duration;

use fanfare_gateway::broker::{Ack, BrokerError, IdempotencyKey, PublishOptions, Retention, Version};
use serde_json::{Value, json};

use crate::kit::{House, KEPT_MAX, WINDOW};

const RETENTION: Retention =
    Retention { size: KEPT_MAX, ttl: Duration::from_secs(60), meta_ttl: Duration::from_secs(600) };

/// The broker's options for one publication with these options of the API.
async fn options_of(channel: &str, asked: Value) -> PublishOptions {
    let house = House::new();
    let mut body = json!({"channel": channel, "data": 1});
    body.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
    house.ok("publish", &body.to_string()).await;
    house.book.options.lock()[0].clone()
}

fn key(text: &str) -> Option<IdempotencyKey> {
    Some(IdempotencyKey { text: text.to_owned(), window: WINDOW })
}

#[tokio::test]
async fn everything_asked_for_reaches_the_broker() {
    let asked =
        json!({"idempotency_key": "order 42/paid", "version": u64::MAX, "version_epoch": "é", "ack": "replicated"});
    let version = Some(Version { number: u64::MAX, epoch: "é".into() });
    let ack = Ack::Replicated { replicas: 2, timeout: Duration::from_secs(1) };
    let expected = PublishOptions { retention: Some(RETENTION), key: key("order 42/paid"), version, ack };
    assert_eq!(options_of("kept:1", asked).await, expected);
}

#[tokio::test]
async fn what_says_nothing_asks_for_nothing() {
    for asked in [
        json!({}),
        json!({"idempotency_key": "", "delta": false, "version": 0, "version_epoch": "", "skip_history": false, "ack": ""}),
        json!({"idempotency_key": null, "delta": null, "version": null, "version_epoch": null, "ack": null}),
        json!({"ack": "stored"}),
    ] {
        let kept = PublishOptions { retention: Some(RETENTION), ..PublishOptions::default() };
        assert_eq!(options_of("kept:1", asked.clone()).await, kept, "{asked}");
        assert_eq!(options_of("news", asked.clone()).await, PublishOptions::default(), "{asked}");
    }
}

#[tokio::test]
async fn keys_and_epochs_at_their_limits() {
    let longest = "~".repeat(128);
    for channel in ["kept:1", "news"] {
        for text in [" ", "a", &longest] {
            assert_eq!(options_of(channel, json!({"idempotency_key": text})).await.key, key(text), "{channel}");
        }
    }
    let options = options_of("kept:1", json!({"version": 1, "version_epoch": longest})).await;
    assert_eq!(options.version, Some(Version { number: 1, epoch: longest }));
    let options = options_of("kept:1", json!({"version": 1})).await;
    assert_eq!(options.version, Some(Version { number: 1, epoch: String::new() }));
}

#[tokio::test]
async fn what_is_not_kept_may_still_be_sent_once() {
    let options = options_of("kept:1", json!({"skip_history": true, "idempotency_key": "k"})).await;
    assert_eq!(options, PublishOptions { key: key("k"), ..PublishOptions::default() });
}

#[tokio::test]
async fn delta_is_a_property_of_the_publication() {
    for delta in [false, true] {
        let house = House::new();
        house.ok("publish", &json!({"channel": "news", "data": 1, "delta": delta}).to_string()).await;
        assert_eq!(house.book.published.lock()[0].1.publication.delta, delta);
    }
}

#[tokio::test]
async fn a_broadcast_asks_for_each_channel_and_only_some_can() {
    let house = House::new();
    let body = json!({"channels": ["kept:1", "news", "kept:2"], "data": 1, "idempotency_key": "k", "version": 3});
    let responses = house.ok("broadcast", &body.to_string()).await["responses"].clone();
    assert_eq!(responses[0]["result"], json!({"offset": 1, "epoch": "e1"}));
    assert_eq!(responses[1]["error"]["code"], 108, "{responses}");
    assert_eq!(responses[2]["result"], json!({"offset": 1, "epoch": "e1"}));
    let options = house.book.options.lock();
    assert_eq!(options.len(), 2, "what was refused was not sent");
    for options in options.iter() {
        assert_eq!((&options.key, options.version.as_ref().unwrap().number), (&key("k"), 3));
    }
}

#[tokio::test]
async fn too_few_replicas_is_a_temporary_error_that_says_so() {
    let house = House::new();
    *house.book.down.lock() = Some(BrokerError::NotReplicated { confirmed: 1, wanted: 2 });
    let seen = house.call("publish", r#"{"channel":"kept:1","data":1,"ack":"replicated"}"#).await;
    assert_eq!((seen.status.as_u16(), &seen.body["error"]["code"]), (200, &json!(100)), "{seen:?}");
    let message = seen.body["error"]["message"].as_str().unwrap();
    assert!(message.contains("1 of 2") && message.contains("idempotency_key"), "{message}");
}
