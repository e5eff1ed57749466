//! The doors, over the wire and against the real binary: TLS, pages of other origins, proxies.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/gateway.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod gateway;
#[path = "../support/raw.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod raw;
#[path = "../support/token.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod token;
#[path = "../support/ws.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod ws;

mod addresses;
mod certificate;
mod pages;
mod renewal;
mod tls;
