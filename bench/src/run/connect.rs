//! From SYN to subscribed: what a new client costs.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::meter::Meter;
use super::{Target, at_least_one};
use crate::crowd::Crowd;
use crate::outcome::{Outcome, measure};

/// Connections before anything is counted.
const WARM_UP: usize = 100;

/// Until what is begun is done.
const CALM: Duration = Duration::from_millis(300);

/// Options of `connect`.
#[derive(Clone, Debug, Args)]
pub struct ConnectArgs {
    #[command(flatten)]
    pub target: Target,
    /// Connections, one after the other, `--at-once` under way
    #[arg(long, default_value_t = 5000, value_parser = at_least_one)]
    pub connections: usize,
}

impl AsMut<Target> for ConnectArgs {
    fn as_mut(&mut self) -> &mut Target {
        &mut self.target
    }
}

/// Runs it once.
pub fn run(args: &ConnectArgs) -> Result<Outcome> {
    let mut outcome = args.target.outcome("connect");
    outcome.ask("connections", args.connections as f64);
    outcome.ask("at_once", args.target.at_once as f64);
    let server = args.target.start()?;
    let plan = |members| args.target.plan(&server, members, "bench");
    // The first ones find cold code.
    drop(Crowd::connect(plan(WARM_UP)?)?);
    std::thread::sleep(CALM);
    let meter = Meter::begin(&[&server.tree])?;
    let mut crowd = Crowd::connect(plan(args.connections)?.after(WARM_UP))?;
    let took = meter.end()?;
    // What a server has still to do for those whom it has answered belongs to them.
    crowd.idle(CALM)?;
    let used = meter.end()?;
    let connections = crowd.len() as f64;
    outcome.found(measure::CPU_PER_CONNECT_US, used.servers.as_secs_f64() * 1e6 / connections);
    outcome.found(measure::CONNECTS_PER_S, connections / took.time.as_secs_f64());
    outcome.found(measure::TOOK_S, took.time.as_secs_f64());
    took.note(&mut outcome);
    Ok(outcome)
}
