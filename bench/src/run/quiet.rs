//! A channel that nobody on a node listens to: what its publications cost that node, while others of its channels
//! have listeners.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;

use super::meter::Meter;
use super::pace::Pace;
use super::{Target, above_zero, patiently};
use crate::crowd::Crowd;
use crate::machine::Tree;
use crate::outcome::{Outcome, measure};
use crate::redis::Redis;

/// Connections at the node that is watched, on a channel of their own.
const LISTENERS: usize = 1_000;
/// Publications under way at once, at the other node.
const WINDOW: u32 = 32;
/// Bytes of a publication's data.
const PAYLOAD: usize = 128;
/// Until what is begun is done.
const CALM: Duration = Duration::from_secs(1);

/// Options of `quiet`.
#[derive(Clone, Debug, Args)]
pub struct QuietArgs {
    #[command(flatten)]
    pub target: Target,
    /// How long is measured
    #[arg(long, default_value_t = 4.0, value_parser = above_zero)]
    pub seconds: f64,
}

/// Runs it once: two nodes on one Redis; one publishes to a listener of its own, the other is watched.
pub fn run(args: &QuietArgs) -> Result<Outcome> {
    let target = &args.target;
    let mut outcome = target.outcome("quiet");
    outcome.ask("listeners", LISTENERS as f64);
    outcome.ask("window", f64::from(WINDOW));
    let redis = Redis::start(target.redis_port())?;
    let (busy, watched) = (target.start_on(&redis.url, 0, 2)?, target.start_on(&redis.url, 1, 2)?);
    let join = |server, members, channel| patiently(|| Crowd::connect(target.plan(server, members, channel)?));
    let mut listeners = join(&watched, LISTENERS, "elsewhere")?;
    let mut publisher = join(&busy, 1, "bench")?;
    listeners.idle(CALM)?;

    let its = Tree::new(redis.pid);
    let (meter, redis_before) = (Meter::begin(&[&watched.tree])?, its.cpu()?);
    Pace::Window(WINDOW).keep(&mut publisher, PAYLOAD, Duration::from_secs_f64(args.seconds))?;
    let (used, redis_used) = (meter.end()?, its.cpu()?.saturating_sub(redis_before));
    listeners.idle(CALM)?;
    let publications = publisher.tally().deliveries as f64;
    ensure!(publications > 0.0, "nothing was published within {} s", args.seconds);
    ensure!(listeners.tally().deliveries == 0, "a publication reached a channel that it was not for");
    outcome.found(measure::CPU_PER_PUBLISH_US, used.servers.as_secs_f64() * 1e6 / publications);
    outcome.found(measure::REDIS_CPU_PER_PUBLISH_US, redis_used.as_secs_f64() * 1e6 / publications);
    outcome.found(measure::PUBLISHES_PER_S, publications / used.time.as_secs_f64());
    Ok(outcome)
}

impl AsMut<Target> for QuietArgs {
    fn as_mut(&mut self) -> &mut Target {
        &mut self.target
    }
}
