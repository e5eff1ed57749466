//! Tokens, good and bad: as an application makes them, and as an attacker would. [`table`] has a row for
//! each way to be wrong, told to the real gateway; the other parts hold the verifier itself against the
//! clock, several issuers and files with keys.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/gateway.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod gateway;
#[path = "../support/token.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod token;
#[path = "../support/ws.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod ws;

mod draft;
mod table;

mod issuers;
mod key_files;
mod verifier;
mod wire;
