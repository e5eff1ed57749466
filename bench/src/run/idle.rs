//! Connections at rest: what each holds.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::meter::Meter;
use super::{Target, at_least_one};
use crate::crowd::Crowd;
use crate::machine;
use crate::outcome::{Outcome, measure};

/// Until what a handshake needed for a moment is free again.
const CALM: Duration = Duration::from_secs(3);

/// How long the server's CPU at rest is watched.
const WATCH: Duration = Duration::from_secs(5);

/// Options of `idle`.
#[derive(Clone, Debug, Args)]
pub struct IdleArgs {
    #[command(flatten)]
    pub target: Target,
    /// Connections, subscribed to one channel
    #[arg(long, default_value_t = 5000, value_parser = at_least_one)]
    pub connections: usize,
}

impl AsMut<Target> for IdleArgs {
    fn as_mut(&mut self) -> &mut Target {
        &mut self.target
    }
}

/// Runs it once.
pub fn run(args: &IdleArgs) -> Result<Outcome> {
    let mut outcome = args.target.outcome("idle");
    outcome.ask("connections", args.connections as f64);
    let server = args.target.start()?;
    // One connection has come and gone: what the first one sets up is not counted to all.
    drop(Crowd::connect(args.target.plan(&server, 1, "warm-up")?)?);
    std::thread::sleep(Duration::from_millis(500));
    let (memory, slab) = (server.tree.memory()?, machine::slab()?);
    let mut crowd = Crowd::connect(args.target.plan(&server, args.connections, "bench")?)?;
    crowd.idle(CALM)?;
    let each = |after: u64, before: u64| after.saturating_sub(before) as f64 / args.connections as f64;
    outcome.found(measure::MEMORY_PER_CONNECTION_B, each(server.tree.memory()?, memory));
    outcome.found(measure::KERNEL_PER_CONNECTION_B, each(machine::slab()?, slab));
    let meter = Meter::begin(&[&server.tree])?;
    crowd.idle(WATCH)?;
    let used = meter.end()?;
    outcome.found(measure::IDLE_CORES, used.servers.as_secs_f64() / used.time.as_secs_f64());
    if let Some(how) = &crowd.tally().ended_how {
        outcome.remarks.push(format!("{} connections ended, the first of them: {how}", crowd.tally().ended));
    }
    Ok(outcome)
}
