//! What clients and backends must not be able to do: each row of bad input with its close code, error or
//! status, against the real binary. Every test also has a bystander on the same gateway, who must not
//! notice anything.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/gateway.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod gateway;
#[path = "../support/raw.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod raw;
#[path = "../support/redis.rs"]
mod redis;
#[path = "../support/token.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod token;
#[path = "../support/ws.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod ws;

mod room;

mod api;
mod channels;
mod data;
mod frames;
mod heartbeat;
mod history;
mod known_holes;
mod protobuf;
mod tokens;
mod upgrade;
mod websocket;
