//! Two servers on one Redis: published at one, received at the other. In turns with it, on the same Redis
//! and at the same pace, the floor: PUBLISH and SUBSCRIBE without any server.

mod raw;
mod served;

use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;

use super::{Target, above_zero, at_least_one, note_latency};
use crate::crowd::marker;
use crate::crowd::tally::Tally;
use crate::machine::Tree;
use crate::outcome::{Outcome, measure};
use crate::redis::Redis;
use raw::Raw;
use served::Served;

/// Until caches are warm.
const WARM_UP: usize = 100;

/// How long the last publications may take.
const SETTLE: Duration = Duration::from_secs(5);

/// Options of `cross`.
#[derive(Clone, Debug, Args)]
pub struct CrossArgs {
    #[command(flatten)]
    pub target: Target,
    /// Publications per second
    #[arg(long, default_value_t = 200.0, value_parser = above_zero)]
    pub rate: f64,
    /// Publications, and as many by Redis alone
    #[arg(long, default_value_t = 1200, value_parser = at_least_one)]
    pub count: usize,
    /// Publications before it is the other one's turn
    #[arg(long, default_value_t = 200, value_parser = at_least_one)]
    pub slice: usize,
    /// Bytes of a publication's data
    #[arg(long, default_value_t = 128)]
    pub payload: usize,
}

/// A way from a publisher to a subscriber. Publishing and receiving have a loop each: nothing wakes the
/// subscriber but what it subscribes to.
trait Road {
    /// Publishes the next payload, stamped with this moment.
    fn publish(&mut self, size: usize) -> anyhow::Result<()>;

    /// Receives what has come, waiting for it at most so long.
    fn turn(&mut self, wait: Duration) -> anyhow::Result<()>;

    /// What has been received.
    fn tally(&self) -> &Tally;

    /// Forgets it.
    fn reset_tally(&mut self);
}

/// Runs it once.
pub fn run(args: &CrossArgs) -> anyhow::Result<Outcome> {
    ensure!(args.rate > 0.0 && args.slice > 0, "--rate and --slice must be above 0");
    let mut outcome = args.target.outcome("cross");
    outcome.ask("rate", args.rate);
    outcome.ask("count", args.count as f64);
    outcome.ask("payload", args.payload as f64);
    let redis = Redis::start(args.target.redis_port())?;
    let a = args.target.start_on(&redis.url, 0, 2)?;
    let b = args.target.start_on(&redis.url, 1, 2)?;
    let mut served = Served::connect(&args.target, &a, &b)?;
    let mut raw = Raw::connect(redis.address)?;
    outcome.remarks.extend(served.remark());
    for road in [&mut served as &mut dyn Road, &mut raw] {
        args.slice(road, WARM_UP)?;
        road.reset_tally();
    }
    let cpu = || Ok::<_, anyhow::Error>((a.tree.cpu()? + b.tree.cpu()?, Tree::new(redis.pid).cpu()?));
    let (mut servers, mut redis_cpu) = (Duration::ZERO, Duration::ZERO);
    let mut rest = args.count;
    while rest > 0 {
        let count = rest.min(args.slice);
        rest -= count;
        let before = cpu()?;
        args.slice(&mut served, count)?;
        let after = cpu()?;
        (servers, redis_cpu) = (servers + (after.0 - before.0), redis_cpu + (after.1 - before.1));
        args.slice(&mut raw, count)?;
    }
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / args.count as f64;
    outcome.found(measure::CPU_PER_PUBLISH_US, each(servers));
    outcome.found(measure::REDIS_CPU_PER_PUBLISH_US, each(redis_cpu));
    args.note(&mut outcome, served.tally(), raw.tally());
    Ok(outcome)
}

impl CrossArgs {
    /// Publishes so many, and waits for the last of them.
    fn slice(&self, road: &mut dyn Road, count: usize) -> anyhow::Result<()> {
        let step = Duration::from_secs_f64(1.0 / self.rate);
        let before = road.tally().deliveries;
        let mut due = Instant::now();
        for _ in 0..count {
            while let Some(wait) = due.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero()) {
                road.turn(wait)?;
            }
            road.publish(self.payload)?;
            due += step;
        }
        let end = Instant::now() + SETTLE;
        while road.tally().deliveries - before < count as u64 && Instant::now() < end {
            road.turn(Duration::from_millis(20))?;
        }
        Ok(())
    }

    fn note(&self, outcome: &mut Outcome, served: &Tally, raw: &Tally) {
        note_latency(outcome, served);
        outcome.found(measure::RAW_LATENCY_P50_MS, raw.latency.quantile_ms(0.5));
        outcome.found(measure::RAW_LATENCY_P99_MS, raw.latency.quantile_ms(0.99));
        outcome.found(measure::DELIVERIES, served.deliveries as f64);
        let received = served.deliveries - served.duplicated;
        outcome.found(measure::LOST, (self.count as u64).saturating_sub(received) as f64);
        outcome.found(measure::DUPLICATED, served.duplicated as f64);
        outcome.found(measure::MISORDERED, served.misordered as f64);
    }
}

/// The next marker, of this moment.
fn next(sequence: &mut u32) -> marker::Marker {
    *sequence += 1;
    marker::Marker { sequence: *sequence, at: marker::now() }
}

impl AsMut<Target> for CrossArgs {
    fn as_mut(&mut self) -> &mut Target {
        &mut self.target
    }
}
