//! From SYN to subscribed: what a new client costs.

use std::time::Instant;

use clap::Args;

use super::Target;
use crate::crowd::Crowd;
use crate::outcome::{Outcome, measure};

/// Options of `connect`.
#[derive(Clone, Debug, Args)]
pub struct ConnectArgs {
    #[command(flatten)]
    pub target: Target,
    /// Connections, one after the other, `--at-once` under way
    #[arg(long, default_value_t = 5000)]
    pub connections: usize,
}

/// Runs it once.
pub fn run(args: &ConnectArgs) -> anyhow::Result<Outcome> {
    let mut outcome = args.target.outcome("connect");
    outcome.ask("connections", args.connections as f64);
    outcome.ask("at_once", args.target.at_once as f64);
    let server = args.target.start()?;
    drop(Crowd::connect(args.target.plan(&server, 1, "warm-up")?)?);
    let (cpu, begin) = (server.tree.cpu()?, Instant::now());
    let crowd = Crowd::connect(args.target.plan(&server, args.connections, "bench")?)?;
    let (cpu, took) = (server.tree.cpu()? - cpu, begin.elapsed());
    let connections = crowd.len() as f64;
    outcome.found(measure::CPU_PER_CONNECT_US, cpu.as_secs_f64() * 1e6 / connections);
    outcome.found(measure::CONNECTS_PER_S, connections / took.as_secs_f64());
    outcome.found(measure::TOOK_S, took.as_secs_f64());
    Ok(outcome)
}
