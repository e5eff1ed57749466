//! `fanfare-bench`: how much a realtime server charges for what it does, beside the floor that the kernel
//! charges and beside its peers, all in one run on one machine.
//!
//! A run is: a **server** (ours or a peer's, started by a script in `bench/peers`), a **crowd** of
//! connections that speak its **wire**, and an **experiment** that tells the crowd what to do and takes the
//! server's CPU and memory from /proc before and after. What comes of it is an [`outcome::Outcome`]: JSON for
//! machines, a table for people, and, for whole suites, a page with plots.

#![allow(clippy::print_stdout, reason = "a command line's answers go to standard output")]

mod outcome;
mod report;
mod wire;

use clap::Parser;

#[derive(Debug, Parser)]
enum Cli {
    /// Makes docs/performance.md and its plots of a suite's record.
    Page(report::PageArgs),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse() {
        Cli::Page(args) => report::write_page(&args),
    }
}
