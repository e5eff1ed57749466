//! A node goes down: first it says so, then it sends its clients away, then it ends.

use fanfare_gateway::model::NodeId;
use serde_json::json;

use crate::gateway::Gateway;
use crate::redis::RedisServer;
use crate::ws::Socket;
use crate::{open_to_all, reader};

#[tokio::test]
async fn not_ready_then_3001_then_the_end() {
    let redis = RedisServer::start();
    let more = "[shutdown]\nready_delay = \"3s\"\ndrain = \"500ms\"\ntimeout = \"8s\"\n";
    let mut gateway = Gateway::start(&open_to_all(&redis.url(0), more)).await;
    let mut readers = Vec::new();
    for user in ["ann", "ben", "cleo"] {
        readers.push(reader(&gateway, user).await);
    }
    let mut silent = Socket::open(gateway.listen).await;
    gateway.terminate();
    assert_eq!(gateway.ready_is(503).await["status"], "draining");
    // Still served: the balancer has not noticed yet.
    gateway.api("publish", &json!({ "channel": "news", "data": "last words" })).await;
    for reader in &mut readers {
        assert_eq!(reader.publication().await.1, "last words");
        reader.expect_close(3001).await;
    }
    silent.expect_close(3001).await;
    assert_eq!(gateway.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_clean_exit_strikes_the_node_out_of_info_at_once() {
    let redis = RedisServer::start();
    let config = open_to_all(&redis.url(0), "[shutdown]\nready_delay = \"0s\"\ndrain = \"0s\"\n");
    let (a, mut b) = tokio::join!(Gateway::start(&config), Gateway::start(&config));
    let nodes = async || a.api("info", &json!({})).await["result"]["nodes"].as_array().unwrap().clone();
    while nodes().await.len() != 2 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let uid = nodes().await[0]["uid"].as_str().unwrap().to_owned();
    assert!(NodeId::parse(&uid).is_some(), "{uid}");
    b.terminate();
    assert_eq!(b.exit_code().await, Some(0));
    assert_eq!(nodes().await.len(), 1);
}
