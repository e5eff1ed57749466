//! The experiments: each makes a server and a crowd, measures, and answers an [`Outcome`](crate::outcome::Outcome).

pub mod connect;
pub mod fair;
pub mod fanout;
pub mod idle;
pub mod meter;
pub mod pace;
pub mod quiet;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use clap::Args;

use crate::crowd::tally::Tally;
use crate::crowd::{Crowd, Plan};
use crate::outcome::{Outcome, measure};
use crate::server::{self, SECRET, Server, Setup};
use crate::{floor, wire};

/// What is measured, by all experiments.
#[derive(Clone, Debug, Args)]
pub struct Target {
    /// A script in bench/peers, `floor`, or `floor32` (32 frames in each send); several with commas between
    #[arg(long, default_value = "fanfare")]
    pub server: String,
    /// A server that runs already, instead of starting one: where it listens
    #[arg(long, requires = "pid")]
    pub address: Option<SocketAddr>,
    /// Its process: CPU and memory are those of it and its children
    #[arg(long, requires = "address")]
    pub pid: Option<u32>,
    /// Where it listens if it is started here
    #[arg(long, default_value_t = 7800)]
    pub port: u16,
    /// Threads or processes of the server; 0 for its own choice
    #[arg(long, default_value_t = 0)]
    pub workers: usize,
    /// Handshakes under way at once
    #[arg(long, default_value_t = 64)]
    pub at_once: usize,
}

impl Target {
    /// A server of this name with defaults for all else.
    pub fn named(server: &str, port: u16) -> Self {
        Self { server: server.to_owned(), address: None, pid: None, port, workers: 0, at_once: 64 }
    }

    /// Starts the server, or finds the one that runs.
    pub fn start(&self) -> anyhow::Result<Server> {
        match (self.address, self.pid) {
            (Some(address), Some(pid)) => Ok(Server::running(&self.server, address, pid)),
            (None, None) => match self.server.as_str() {
                "floor" => self.start_floor(1),
                "floor32" => self.start_floor(floor::GATHERED),
                name => Server::start(name, &Setup::alone(self.port, self.workers)),
            },
            _ => bail!("--address and --pid go together"),
        }
    }

    fn start_floor(&self, frames: u32) -> anyhow::Result<Server> {
        let mut command = Command::new(std::env::current_exe().unwrap_or_else(|_| Path::new("fanfare-bench").into()));
        command.args(["floor-server", "--port", &self.port.to_string(), "--frames-per-send", &frames.to_string()]);
        Server::spawn(&self.server, &mut command, self.port)
    }

    /// A crowd for the server.
    pub fn plan(&self, server: &Server, members: usize, channel: &str) -> anyhow::Result<Plan> {
        let wire = wire::by_name(&self.server).with_context(|| format!("nobody here speaks to {}", self.server))?;
        Ok(Plan {
            address: server.address,
            wire,
            channel: channel.to_owned(),
            secret: SECRET.to_owned(),
            members,
            first: 0,
            at_once: self.at_once,
            has: 0,
        })
    }

    /// An outcome to be filled in.
    pub fn outcome(&self, experiment: &str) -> Outcome {
        let version = if self.server.starts_with("floor") { String::new() } else { server::version(&self.server) };
        Outcome { experiment: experiment.to_owned(), server: self.server.clone(), version, ..Outcome::default() }
    }
}

/// Notes how long publications took.
pub fn note_latency(outcome: &mut Outcome, tally: &Tally) {
    for (name, share) in
        [(measure::LATENCY_P50_MS, 0.5), (measure::LATENCY_P99_MS, 0.99), (measure::LATENCY_P999_MS, 0.999)]
    {
        outcome.found(name, tally.latency.quantile_ms(share));
    }
}

/// Notes what did not come as it was published, when no more is to come.
pub fn note_losses(outcome: &mut Outcome, crowd: &Crowd) {
    let tally = crowd.tally();
    outcome.found(measure::LOST, (tally.passed_over + crowd.missing()) as f64);
    outcome.found(measure::DUPLICATED, tally.duplicated as f64);
    if crowd.publishes_in_order() {
        outcome.found(measure::MISORDERED, tally.misordered as f64);
    } else {
        outcome.remarks.push("published over several HTTP connections, which have no order among them".to_owned());
    }
    if let Some(how) = &tally.ended_how {
        outcome.remarks.push(format!("{} connections ended, the first of them: {how}", tally.ended));
    }
}
