//! Whole ways through the house, on real processes: two gateways, one Redis, clients, backends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

#[path = "../support/collector.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod collector;
#[path = "../support/gateway.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod gateway;
#[path = "../support/receiver.rs"]
mod receiver;
#[path = "../support/redis.rs"]
mod redis;
#[path = "../support/token.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod token;
#[path = "../support/ws.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod ws;

mod broken_redis;
mod drain;
mod idle;
mod personal;
mod presence;
mod publish;
mod recover;
mod revocation;
mod traces;
mod webhook;

use gateway::Gateway;
use serde_json::json;
use ws::Socket;

/// A configuration on this Redis, open to every client; `more` are further tables.
fn open_to_all(redis: &str, more: &str) -> String {
    format!(
        "[channel.default]\nallow_subscribe_for_client = true\nallow_publish_for_client = true\n\
         allow_user_limited_channels = true\n\
         [broker]\nurl = \"{redis}\"\nheartbeat_interval = \"200ms\"\nnode_lease = \"2s\"\nunready_after = \"1s\"\n\
         command_timeout = \"5s\"\n{more}"
    )
}

/// A client of this user.
async fn client(gateway: &Gateway, user: &str) -> Socket {
    let mut socket = Socket::open(gateway.listen).await;
    socket.connect(&json!({ "token": token::mint(&json!({ "sub": user })) })).await;
    socket
}

/// The same, subscribed to `news`.
async fn reader(gateway: &Gateway, user: &str) -> Socket {
    let mut socket = client(gateway, user).await;
    socket.subscribe(2, "news").await;
    socket
}
