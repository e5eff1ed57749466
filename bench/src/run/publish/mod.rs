//! Publishing to a channel that nobody listens to: over HTTP, by the worker crate straight to Redis, or by
//! bare PUBLISH commands, which is the floor.

mod api;
mod raw;
mod worker;

use std::time::Duration;

use anyhow::ensure;
use clap::{Args, ValueEnum};

use super::{Target, above_zero, at_least_one};
use crate::outcome::{Outcome, measure};

const CHANNEL: &str = "nobody";

/// Until caches are warm and connections open.
const WARM_UP: Duration = Duration::from_millis(500);

/// Before it is the other one's turn.
const SLICE: Duration = Duration::from_secs(1);

/// How long may pass without an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Options of `publish`.
#[derive(Clone, Debug, Args)]
pub struct PublishArgs {
    #[command(flatten)]
    pub target: Target,
    /// Which way publications go
    #[arg(long, value_enum, default_value_t = Way::Http)]
    pub road: Way,
    /// Over HTTP: to a server on a Redis, instead of one that is alone
    #[arg(long)]
    pub redis: bool,
    /// Over HTTP: connections, with one request under way on each
    #[arg(long, default_value_t = 16, value_parser = at_least_one)]
    pub connections: usize,
    /// Straight to Redis: publications under way at once
    #[arg(long, default_value_t = 64, value_parser = at_least_one)]
    pub under_way: usize,
    /// Of the worker: calls among which these are divided
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    pub calls: usize,
    /// Bytes of a publication's data
    #[arg(long, default_value_t = 128)]
    pub payload: usize,
    /// How long is measured
    #[arg(long, default_value_t = 4.0, value_parser = above_zero)]
    pub seconds: f64,
}

/// Which way publications go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// A server's API, one publication a request
    Http,
    /// The crate fanfare-worker, straight to Redis; in turns with `raw`
    Worker,
    /// Pipelined PUBLISH on one connection
    Raw,
}

/// Publications and how long they took.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    publications: u64,
    took: Duration,
}

impl Done {
    fn per_s(self) -> f64 {
        self.publications as f64 / self.took.as_secs_f64()
    }

    /// A cost of all, as microseconds of each.
    fn each_us(self, cost: Duration) -> f64 {
        cost.as_secs_f64() * 1e6 / self.publications.max(1) as f64
    }
}

impl std::ops::AddAssign for Done {
    fn add_assign(&mut self, more: Self) {
        self.publications += more.publications;
        self.took += more.took;
    }
}

/// Runs it once.
pub fn run(args: &PublishArgs) -> anyhow::Result<Outcome> {
    ensure!(args.calls > 0 && args.under_way >= args.calls, "--under-way and --calls: at least one for each call");
    ensure!(args.connections > 0, "--connections must be at least 1");
    let mut outcome = match args.road {
        Way::Http => args.target.outcome("publish"),
        Way::Worker => Outcome { server: "worker".to_owned(), ..Outcome::default() },
        Way::Raw => Outcome { server: "redis".to_owned(), ..Outcome::default() },
    };
    outcome.experiment = "publish".to_owned();
    outcome.ask("payload", args.payload as f64);
    let done = match args.road {
        Way::Http => api::run(args, &mut outcome)?,
        Way::Worker => worker::run(args, &mut outcome)?,
        Way::Raw => raw::run(args, &mut outcome)?,
    };
    ensure!(done.publications > 0, "nothing was published within {} s", args.seconds);
    outcome.found(measure::PUBLISHES_PER_S, done.per_s());
    outcome.found(measure::TOOK_S, done.took.as_secs_f64());
    Ok(outcome)
}

impl AsMut<Target> for PublishArgs {
    fn as_mut(&mut self) -> &mut Target {
        &mut self.target
    }
}
