//! The promise of history and recovery put to the proof: real processes, faults by seed, and a judge of
//! what came of it.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on fails there")]

#[path = "../support/checker/mod.rs"]
mod checker;
#[path = "../support/dice.rs"]
mod dice;
#[path = "../support/proxy.rs"]
mod proxy;
