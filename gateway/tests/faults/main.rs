//! The promise of history and recovery put to the proof: real processes, faults by seed, and a judge of
//! what came of it. Tests whose names begin with `fault_run_` take a minute or so each, one after another; the
//! rest tests the kit itself. Each run prints its seed and how it is repeated.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on fails there"
)]
#![allow(clippy::disallowed_methods, reason = "tests spawn plain tasks")]

#[path = "../support/checker/mod.rs"]
mod checker;
#[path = "../support/dice.rs"]
mod dice;
#[path = "../support/gateway.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod gateway;
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/redis.rs"]
mod redis;
#[path = "../support/token.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod token;

mod client;
mod directed;
mod mix;
mod nemesis;
mod official;
mod prober;
mod publisher;
mod recorder;
mod wire;
mod world;

/// Runs wait for each other: each wants the whole machine.
async fn turn() -> tokio::sync::MutexGuard<'static, ()> {
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    TURN.lock().await
}
