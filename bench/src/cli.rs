//! The command line.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::floor::{self, FloorArgs};
use crate::million;
use crate::outcome::Outcome;
use crate::report::{self, Record};
use crate::run::{Target, connect, cross, fair, fanout, idle, publish, quiet, storm};
use crate::suite;

/// Measures realtime servers side by side: what a delivery, a connection and a connect cost
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  fanfare-bench fanout --floor                         Fanfare and a bare loop, 1,000 subscribers
  fanfare-bench fanout --floor --window 32 --runs 5    with 32 publications in flight; medians of five
  fanfare-bench idle --server fanfare,node-ws,nchan --connections 19000
  fanfare-bench connect --at-once 16 --json connect.jsonl

Servers are started by the scripts in bench/peers, whose README.md tells what they are.";

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
    /// Publish at one server where another has nobody who listens: what that other one pays
    Quiet(Often<quiet::QuietArgs>),
    /// Load one channel, stall some of its readers, and see what others feel of it
    Fair(Often<fair::FairArgs>),
    /// Lose one of two servers: how its clients come back to the other, and what others feel of it
    Storm(Often<storm::StormArgs>),
    /// Open connections and subscribe: CPU for each
    Connect(Often<connect::ConnectArgs>),
    /// All settings on all servers that can be started, in turn, several times
    Suite(suite::SuiteArgs),
    /// As many connections as the machine holds, on many gateways: one publication reaches all of them, once
    Million(million::MillionArgs),
    /// Make docs/performance.md and its plots of a suite's record
    Page(report::PageArgs),
    #[command(hide = true)]
    FloorServer(FloorArgs),
    #[command(hide = true)]
    Crowd(million::MemberArgs),
}

/// An experiment, several times, on several servers.
#[derive(Debug, Args)]
struct Often<A: Args> {
    #[command(flatten)]
    args: A,
    /// How often each server is measured; they take turns, so that what disturbs the machine disturbs all alike
    #[arg(long, default_value_t = 1)]
    runs: u32,
    /// The floor, too: a bare loop that does nothing but write; under fan-out, idle and connect
    #[arg(long)]
    floor: bool,
    /// Append outcomes to this file instead of writing them to standard output: JSON, a line each
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Does what was asked for.
pub fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Fanout(often) => {
            let gathers = often.args.window >= floor::GATHERED;
            often.run(if gathers { &["floor", "floor32"] } else { &["floor"] }, fanout::run)
        }
        Command::Quiet(often) => often.run(&[], quiet::run),
        Command::Fair(often) => often.run(&[], fair::run),
        Command::Cross(often) => often.run(&[], cross::run),
        Command::Publish(often) => often.run(&[], publish::run),
        Command::Storm(often) => often.run(&[], storm::run),
        Command::Idle(often) => often.run(&["floor"], idle::run),
        Command::Connect(often) => often.run(&["floor"], connect::run),
        Command::Suite(args) => suite::run(args),
        Command::Million(args) => million::run(&args),
        Command::Page(args) => report::write_page(&args),
        Command::FloorServer(args) => floor::serve(&args),
        Command::Crowd(args) => million::run_member(&args),
    }
}

impl<A: Args + AsMut<Target>> Often<A> {
    /// Runs it on each server in turn, and so on. A run that fails ends nothing but itself.
    fn run(mut self, floors: &[&str], experiment: fn(&A) -> Result<Outcome>) -> Result<()> {
        anyhow::ensure!(!self.floor || !floors.is_empty(), "--floor: there is no floor under this experiment");
        let named = std::mem::take(&mut self.args.as_mut().server);
        let floors = floors.iter().copied().filter(|_| self.floor);
        let servers: Vec<&str> = floors.chain(named.split(',').map(str::trim)).collect();
        let mut file = self.json.as_ref().map(appended).transpose()?;
        let (mut record, mut failed) = (Record::default(), 0);
        for number in 1..=self.runs {
            for server in &servers {
                self.args.as_mut().server = (*server).to_owned();
                let result = experiment(&self.args).with_context(|| (*server).to_owned());
                match &result {
                    Ok(outcome) => {
                        eprintln!("{server}: {}", report::in_short(outcome));
                        outcome.remarks.iter().for_each(|remark| eprintln!("    {remark}"));
                        let line = serde_json::to_string(outcome)?;
                        match &mut file {
                            Some(file) => writeln!(file, "{line}")?,
                            None => println!("{line}"),
                        }
                    }
                    Err(error) => {
                        eprintln!("{error:#}");
                        failed += 1;
                    }
                }
                record.push(report::ROUNDS, server, number, result);
            }
        }
        if servers.len() > 1 || self.runs > 1 {
            eprintln!("\n{}", report::rounds(&record));
        }
        anyhow::ensure!(failed == 0, "{failed} of {} runs failed", self.runs as usize * servers.len());
        Ok(())
    }
}

fn appended(path: &PathBuf) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("--json: cannot write to {}", path.display()))
}
