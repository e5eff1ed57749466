//! Users that are kept out, on every node, whatever happens to nodes and Redis meanwhile.

use serde_json::json;

use crate::gateway::Gateway;
use crate::redis::RedisServer;
use crate::ws::Socket;
use crate::{client, open_to_all, token};

/// Tries to connect as this user; answers the close code.
async fn refused(gateway: &Gateway, user: &str) -> Option<u16> {
    let mut socket = Socket::open(gateway.listen).await;
    socket.text(json!({ "id": 1, "connect": { "token": token::mint(&json!({ "sub": user })) } }).to_string()).await;
    socket.closed().await.code
}

#[tokio::test]
async fn a_block_holds_on_all_nodes_and_on_those_that_come_later() {
    let redis = RedisServer::start();
    let config = open_to_all(&redis.url(0), "");
    let (a, b) = tokio::join!(Gateway::start(&config), Gateway::start(&config));
    let (mut near, mut far) = (client(&a, "ben").await, client(&b, "ben").await);
    let mut ann = client(&b, "ann").await;
    let answer = a.api("block_user", &json!({ "user": "ben" })).await;
    assert_eq!(answer, json!({ "result": {} }));
    near.expect_close(3503).await;
    far.expect_close(3503).await;

    let late = Gateway::start(&config).await;
    for gateway in [&a, &b, &late] {
        assert_eq!(refused(gateway, "ben").await, Some(3503));
    }
    assert!(late.metric("fanfare_revocations", "").await >= 1.0);
    ann.subscribe(2, "news").await;
    late.api("unblock_user", &json!({ "user": "ben" })).await;
    // The one that answered may be ahead of the others: its own order comes to it as to them.
    let deadline = tokio::time::Instant::now() + crate::gateway::DEADLINE;
    loop {
        let mut ben = Socket::open(a.listen).await;
        ben.text(json!({ "id": 1, "connect": { "token": token::mint(&json!({ "sub": "ben" })) } }).to_string()).await;
        if ben.line().await.is_some() {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the block does not end");
    }
}

#[tokio::test]
async fn what_was_revoked_while_a_node_had_no_redis_holds_there_when_it_is_back() {
    let mut redis = RedisServer::start();
    let config = open_to_all(&redis.url(0), "");
    let mut gateway = Gateway::start(&config).await;
    let mut ben = client(&gateway, "ben").await;
    redis.stop();
    gateway.ready_is(503).await;
    // Nothing can be revoked now, and what is known still holds.
    let answer = gateway.api("block_user", &json!({ "user": "ben" })).await;
    assert_eq!(answer["error"]["code"], 100, "{answer}");
    let _ = client(&gateway, "ann").await;
    redis.restart();
    // Past every node's ears, as a restored snapshot would bring it.
    let _: i64 = redis.run(&["ZADD", "fanfare:blocked:users", "+inf", "ben"]).await;
    let _: i64 = redis.run(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    ben.expect_close(3503).await;
    assert_eq!(refused(&gateway, "ben").await, Some(3503));
}
