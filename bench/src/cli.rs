//! The command line.

use clap::{Args, Parser, Subcommand};

use crate::floor::{self, FloorArgs};
use crate::outcome::Outcome;
use crate::report;
use crate::run::{connect, cross, fair, fanout, idle, publish, storm};
use crate::suite;

/// Measures realtime servers side by side.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publish to many subscribers: CPU per delivery, deliveries per second, latency, losses
    Fanout(Often<fanout::FanoutArgs>),
    /// Hold connections at rest: memory for each, the server's and the kernel's
    Idle(Often<idle::IdleArgs>),
    /// Publish at one server and receive at another, on one Redis: latency beside that of Redis alone
    Cross(Often<cross::CrossArgs>),
    /// Publish to nobody: CPU and rate of each way in
    Publish(Often<publish::PublishArgs>),
    /// Load one channel, stall some of its readers, and see what others feel of it
    Fair(Often<fair::FairArgs>),
    /// Lose one of two servers: how its clients come back to the other, and what others feel of it
    Storm(Often<storm::StormArgs>),
    /// Open connections and subscribe: CPU for each
    Connect(Often<connect::ConnectArgs>),
    /// All settings on all servers that can be started, in turn, several times
    Suite(suite::SuiteArgs),
    /// Make docs/performance.md and its plots of a suite's record
    Page(report::PageArgs),
    #[command(hide = true)]
    FloorServer(FloorArgs),
}

/// An experiment, several times.
#[derive(Debug, Args)]
struct Often<A: Args> {
    #[command(flatten)]
    args: A,
    /// How often it is run
    #[arg(long, default_value_t = 1)]
    runs: usize,
}

/// Does what was asked for.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Fanout(often) => often.run(fanout::run),
        Command::Fair(often) => often.run(fair::run),
        Command::Idle(often) => often.run(idle::run),
        Command::Cross(often) => often.run(cross::run),
        Command::Publish(often) => often.run(publish::run),
        Command::Storm(often) => often.run(storm::run),
        Command::Connect(often) => often.run(connect::run),
        Command::Suite(args) => suite::run(args),
        Command::Page(args) => report::write_page(&args),
        Command::FloorServer(args) => floor::serve(&args),
    }
}

impl<A: Args> Often<A> {
    fn run(&self, experiment: fn(&A) -> anyhow::Result<Outcome>) -> anyhow::Result<()> {
        for _ in 0..self.runs {
            let outcome = experiment(&self.args)?;
            println!("{}", serde_json::to_string(&outcome)?);
        }
        Ok(())
    }
}
