//! `fanfare-bench`: how much a realtime server charges for what it does, beside the floor that the kernel
//! charges and beside its peers, all in one run on one machine.
//!
//! A run is: a **server** (ours or a peer's, started by a script in `bench/peers`), a **crowd** of
//! connections that speak its **wire**, and an **experiment** that tells the crowd what to do and takes the
//! server's CPU and memory from /proc before and after. What comes of it is an [`outcome::Outcome`]: JSON for
//! machines, a table for people, and, for whole suites, a page with plots.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line's answers go there")]
#![allow(unreachable_pub, reason = "nothing is reached from outside of a program: pub says what a module offers")]

mod cli;
mod crowd;
mod floor;
mod interrupt;
mod machine;
mod million;
mod outcome;
mod redis;
mod report;
mod resp;
mod run;
mod server;
mod suite;
mod wire;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // As many files as may be: connections are files.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let cli = cli::Cli::parse();
    match interrupt::watch().and_then(|()| cli::run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
