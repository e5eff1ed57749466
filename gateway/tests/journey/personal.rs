//! A user's own channel: a backend reaches them wherever they are, and nobody else.

use serde_json::json;

use crate::gateway::Gateway;
use crate::redis::RedisServer;
use crate::{client, open_to_all, token, ws::Socket};

#[tokio::test]
async fn a_backend_reaches_a_user_on_any_node() {
    let redis = RedisServer::start();
    let config = open_to_all(&redis.url(0), "[client.subscribe_to_user_personal_channel]\nenabled = true\n");
    let (a, b) = tokio::join!(Gateway::start(&config), Gateway::start(&config));
    let mut ben = Socket::open(b.listen).await;
    let connected = ben.connect(&json!({ "token": token::mint(&json!({ "sub": "ben" })) })).await;
    assert!(connected["connect"]["subs"]["#ben"].is_object(), "{connected}");
    let mut ann = client(&b, "ann").await;

    a.api("publish", &json!({ "channel": "#ben", "data": "for ben" })).await;
    a.api("publish", &json!({ "channel": "#ann", "data": "for ann" })).await;
    assert_eq!(ben.publication().await.1["data"], "for ben");
    assert_eq!(ann.publication().await.1["data"], "for ann");
}

#[tokio::test]
async fn a_backend_subscribes_a_user_who_is_connected() {
    let redis = RedisServer::start();
    let config = open_to_all(&redis.url(0), "");
    let (a, b) = tokio::join!(Gateway::start(&config), Gateway::start(&config));
    let mut ben = client(&b, "ben").await;
    a.api("subscribe", &json!({ "channel": "vip", "user": "ben", "data": { "welcome": true } })).await;
    let push = ben.expect_line().await;
    assert_eq!(push["push"]["channel"], "vip", "{push}");
    assert_eq!(push["push"]["subscribe"]["data"], json!({ "welcome": true }), "{push}");
    a.api("publish", &json!({ "channel": "vip", "data": 1 })).await;
    assert_eq!(ben.publication().await.0, "vip");
    a.api("unsubscribe", &json!({ "channel": "vip", "user": "ben" })).await;
    let push = ben.expect_line().await;
    assert_eq!(push["push"]["unsubscribe"]["code"], 2000, "{push}");
}
