//! The experiments: each makes a server and a crowd, measures, and answers an [`Outcome`](crate::outcome::Outcome).

pub mod connect;
pub mod cross;
pub mod fair;
pub mod fanout;
pub mod idle;
pub mod meter;
pub mod pace;
pub mod publish;
pub mod quiet;
pub mod storm;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Args;

use crate::crowd::tally::Tally;
use crate::crowd::{Crowd, Plan};
use crate::floor;
use crate::outcome::{Outcome, measure};
use crate::server::{self, SECRET, Server, Setup};
use crate::wire::{self, Wire};

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

/// How long a server may take until it serves.
const START: Duration = Duration::from_secs(10);

/// What works at last: a server may listen before it has found its Redis.
fn patiently<T>(attempt: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let end = Instant::now() + START;
    loop {
        match attempt() {
            Err(_) if Instant::now() < end => std::thread::sleep(Duration::from_millis(200)),
            done => return done,
        }
    }
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

    /// Starts one of `nodes` servers on one Redis; each has ports of its own.
    pub fn start_on(&self, redis_url: &str, node: u16, nodes: usize) -> anyhow::Result<Server> {
        ensure!(self.pid.is_none(), "servers on a Redis are started here: leave out --address and --pid");
        ensure!(!self.server.starts_with("floor"), "the floor knows no Redis: give another --server");
        let (redis_url, port) = (redis_url.to_owned(), self.port + 2 * node);
        Server::start(&self.server, &Setup { port, redis_url, nodes, workers: self.workers })
    }

    /// Where a Redis of our own listens, beside the servers.
    pub fn redis_port(&self) -> u16 {
        self.port + 6
    }

    /// How the server is spoken to.
    pub fn wire(&self) -> anyhow::Result<Arc<dyn Wire>> {
        wire::by_name(&self.server).with_context(|| format!("nobody here speaks to {}", self.server))
    }

    fn start_floor(&self, frames: u32) -> anyhow::Result<Server> {
        let mut command = Command::new(std::env::current_exe().unwrap_or_else(|_| Path::new("fanfare-bench").into()));
        command.args(["floor-server", "--port", &self.port.to_string(), "--frames-per-send", &frames.to_string()]);
        Server::spawn(&self.server, &mut command, self.port)
    }

    /// A crowd for the server.
    pub fn plan(&self, server: &Server, members: usize, channel: &str) -> anyhow::Result<Plan> {
        Ok(Plan {
            address: server.address,
            wire: self.wire()?,
            channel: channel.to_owned(),
            secret: SECRET.to_owned(),
            members,
            first: 0,
            at_once: self.at_once,
        })
    }

    /// An outcome to be filled in.
    pub fn outcome(&self, experiment: &str) -> Outcome {
        let version = if self.server.starts_with("floor") { String::new() } else { server::version(&self.server) };
        Outcome { experiment: experiment.to_owned(), server: self.server.clone(), version, ..Outcome::default() }
    }
}

/// A number of seconds, or of things per second, from the command line.
pub fn above_zero(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 1e9 => Ok(number),
        _ => Err("must be a number above 0".to_owned()),
    }
}

/// A number of things from the command line of which none would measure nothing.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("must be a whole number above 0".to_owned()),
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
