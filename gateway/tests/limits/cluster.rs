//! A user on several nodes.

use serde_json::json;

use crate::gateway::{DEADLINE, Gateway};
use crate::redis::RedisServer;
use crate::ws::Socket;
use crate::{OPEN, TOO_MANY, ask, client};

const BURST: usize = 16;

fn config(redis: &RedisServer, cluster: bool) -> String {
    format!(
        "{OPEN}[broker]\nurl = \"{}\"\nheartbeat_interval = \"200ms\"\nnode_lease = \"2s\"\nunready_after = \"1s\"\n\
         command_timeout = \"1s\"\n[limit.user]\ncommands = \"1/m burst {BURST}\"\ncluster = {cluster}\n",
        redis.url(0)
    )
}

/// Asks each in turn, until each has been refused; answers how often they were not.
async fn served(clients: &mut [Socket]) -> usize {
    let mut served = 0;
    for id in 2..100 {
        let mut refused = 0;
        for client in &mut *clients {
            match ask(client, id, "unsubscribe", json!({ "channel": "none" })).await {
                0 => served += 1,
                TOO_MANY => refused += 1,
                code => panic!("error {code}"),
            }
        }
        if refused == clients.len() {
            return served;
        }
    }
    panic!("nobody is refused");
}

#[tokio::test]
async fn two_nodes_count_together() {
    let redis = RedisServer::start();
    let config = config(&redis, true);
    let (one, two) = (Gateway::start(&config).await, Gateway::start(&config).await);
    let mut both = [client(&one, "42").await, client(&two, "42").await];
    let all = served(&mut both).await;
    // One more may have come in meanwhile.
    assert!((BURST..=BURST + 1).contains(&all), "{all} commands");
    let mut other = [client(&two, "43").await];
    assert!(served(&mut other).await >= BURST, "another user has another bucket");
    let kept: Vec<String> = redis.run(&["KEYS", "fanfare:rate:*"]).await;
    assert_eq!(kept.len(), 2, "{kept:?}");
    for key in kept {
        let ttl_s: i64 = redis.run(&["TTL", &key]).await;
        assert!((1..=60 * 17).contains(&ttl_s), "{key} ends in {ttl_s} s");
    }
}

#[tokio::test]
async fn without_it_each_node_counts_by_itself_and_keeps_nothing_in_redis() {
    let redis = RedisServer::start();
    let config = config(&redis, false);
    let (one, two) = (Gateway::start(&config).await, Gateway::start(&config).await);
    let mut both = [client(&one, "42").await, client(&two, "42").await];
    let all = served(&mut both).await;
    assert!((2 * BURST..=2 * BURST + 2).contains(&all), "{all} commands");
    let kept: Vec<String> = redis.run(&["KEYS", "fanfare:rate:*"]).await;
    assert!(kept.is_empty(), "{kept:?}");
}

#[tokio::test]
async fn without_redis_each_node_counts_by_itself() {
    let mut redis = RedisServer::start();
    let gateway = Gateway::start(&config(&redis, true)).await;
    let mut guest = [client(&gateway, "42").await];
    redis.stop();
    let all = tokio::time::timeout(DEADLINE, served(&mut guest)).await.expect("nobody waits for Redis");
    assert!((BURST..=BURST + 1).contains(&all), "{all} commands");
    assert!(gateway.metric("fanfare_limit_cluster_misses_total", "").await >= 15.0);
}

#[tokio::test]
async fn a_key_that_somebody_else_has_written_is_no_obstacle() {
    let redis = RedisServer::start();
    let gateway = Gateway::start(&config(&redis, true)).await;
    for (user, key) in [("42", "fanfare:rate:commands:{42}"), ("43", "fanfare:rate:commands:{43}")] {
        let _: i64 = match user {
            "42" => redis.run(&["RPUSH", key, "no number"]).await,
            _ => redis.run(&["APPEND", key, "no number"]).await,
        };
        let mut guest = [client(&gateway, user).await];
        let all = served(&mut guest).await;
        assert!((BURST..=BURST + 1).contains(&all), "{all} commands of {user}");
    }
}
