//! What a cluster costs while nobody says anything.

use std::time::Duration;

use crate::client;
use crate::gateway::Gateway;
use crate::redis::RedisServer;

/// Commands that Redis has carried out so far.
async fn commands(redis: &RedisServer) -> u64 {
    let stats: String = redis.run(&["INFO", "stats"]).await;
    let line = stats.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
    line.unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn nodes_at_rest_ask_little_of_redis() {
    let redis = RedisServer::start();
    // All that has to do with Redis is on, at the pace that ships.
    let more = "[channel.default]\nallow_subscribe_for_client = true\n[limit.user]\ncommands = \"10/s\"\ncluster = true\n\
        [webhook]\nurl = \"http://127.0.0.1:1/\"\nsecret = \"a secret that is long enough for a seal\"\n";
    let config = format!("{more}[broker]\nurl = \"{}\"\n", redis.url(0));
    let (a, b) = tokio::join!(Gateway::start(&config), Gateway::start(&config));
    let mut readers = (client(&a, "ann").await, client(&b, "ben").await);
    readers.0.subscribe(2, "news").await;
    readers.1.subscribe(2, "news").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = commands(&redis).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let (asked, seconds) = (commands(&redis).await - before, 4);
    // Heartbeats, leases and looks for what is due, those inside of scripts included: some dozens a second of each node.
    assert!(asked < 400 * seconds, "{asked} commands in {seconds} s");
}
