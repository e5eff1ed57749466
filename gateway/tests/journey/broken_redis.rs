//! What a client, a backend and a balancer see of a Redis that is not there.

use serde_json::json;

use crate::gateway::Gateway;
use crate::redis::RedisServer;
use crate::ws::Socket;
use crate::{client, open_to_all, reader, token};

#[tokio::test]
async fn a_gateway_starts_without_redis_and_heals() {
    let mut redis = RedisServer::stopped();
    let mut gateway = Gateway::start_unready(&open_to_all(&redis.url(0), "")).await;
    let ready = gateway.ready_is(503).await;
    assert_eq!(ready["status"], "unready", "{ready}");
    // Nobody knows yet who is revoked or blocked.
    let mut ann = Socket::open(gateway.listen).await;
    let refused = ann.connect(&json!({ "token": token::mint(&json!({ "sub": "ann" })) })).await;
    assert_eq!((&refused["error"]["code"], &refused["error"]["temporary"]), (&json!(100), &json!(true)), "{refused}");
    let answer = gateway.api("publish", &json!({ "channel": "news", "data": 1 })).await;
    assert_eq!(answer["error"]["code"], 100, "{answer}");

    redis.restart();
    gateway.ready_is(200).await;
    let mut ann = client(&gateway, "ann").await;
    ann.subscribe(6, "news").await;
    gateway.api("publish", &json!({ "channel": "news", "data": 2 })).await;
    assert_eq!(ann.publication().await.1, 2);
}

#[tokio::test]
async fn a_blip_closes_nobody_and_server_side_subscriptions_are_tried_again() {
    let mut redis = RedisServer::start();
    let mut gateway = Gateway::start(&open_to_all(&redis.url(0), "")).await;
    let mut ann = reader(&gateway, "ann").await;
    redis.stop();
    gateway.ready_is(503).await;
    assert_eq!(gateway.metric("fanfare_broker_up", "").await, 0.0);

    // Needs the broker to be let in: a temporary error, then a close after which stock clients come back.
    let mut ben = Socket::open(gateway.listen).await;
    let token = token::mint(&json!({ "sub": "ben", "channels": ["other"] }));
    ben.text(json!({ "id": 1, "connect": { "token": token } }).to_string()).await;
    assert_eq!(ben.error(1).await, 100);
    ben.expect_close(3004).await;

    redis.restart();
    gateway.ready_is(200).await;
    gateway.api("publish", &json!({ "channel": "news", "data": "back" })).await;
    assert_eq!(ann.publication().await.1, "back");
    assert!(gateway.metric("fanfare_broker_gaps_total", "").await >= 1.0, "the gap is counted");
}
