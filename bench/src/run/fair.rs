//! What a busy channel and readers that do not read cost others: the pongs of a connection that has nothing
//! to do with them, and the latency of those who read.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::pace::Pace;
use super::{Target, above_zero, at_least_one};
use crate::crowd::Crowd;
use crate::crowd::pinger::Pinger;
use crate::outcome::{Outcome, measure};

/// Until caches are warm and congestion windows open.
const WARM_UP: Duration = Duration::from_secs(1);

/// Options of `fair`.
#[derive(Clone, Debug, Args)]
pub struct FairArgs {
    #[command(flatten)]
    pub target: Target,
    /// Connections that are subscribed to one channel, and read
    #[arg(long, default_value_t = 10_000, value_parser = at_least_one)]
    pub subscribers: usize,
    /// Connections that are subscribed to it, too, and never read
    #[arg(long, default_value_t = 1000)]
    pub stalled: usize,
    /// Publications per second
    #[arg(long, default_value_t = 5.0, value_parser = above_zero)]
    pub rate: f64,
    /// Bytes of a publication's data
    #[arg(long, default_value_t = 1024)]
    pub payload: usize,
    /// How long is measured, without and with those that stall
    #[arg(long, default_value_t = 5.0, value_parser = above_zero)]
    pub seconds: f64,
}

impl AsMut<Target> for FairArgs {
    fn as_mut(&mut self) -> &mut Target {
        &mut self.target
    }
}

/// Runs it once.
pub fn run(args: &FairArgs) -> Result<Outcome> {
    let mut outcome = args.target.outcome("fair");
    outcome.ask("subscribers", args.subscribers as f64);
    outcome.ask("stalled", args.stalled as f64);
    outcome.ask("rate", args.rate);
    outcome.ask("payload", args.payload as f64);
    let server = args.target.start()?;
    let mut crowd = Crowd::connect(args.target.plan(&server, args.subscribers, "bench")?)?;
    let beside = args.target.plan(&server, 1, "beside")?.after(args.subscribers + args.stalled);
    let pace = Pace::Rate(args.rate);
    let time = Duration::from_secs_f64(args.seconds);
    pace.keep(&mut crowd, args.payload, WARM_UP)?;

    let pinger = Pinger::start(beside.clone())?;
    crowd.reset_tally();
    pace.keep(&mut crowd, args.payload, time)?;
    let alone = crowd.tally().latency.clone();
    let pongs = pinger.stop()?;
    outcome.found(measure::PONG_P50_MS, pongs.quantile_ms(0.5));
    outcome.found(measure::PONG_P99_MS, pongs.quantile_ms(0.99));
    outcome.found(measure::PONG_MAX_MS, pongs.quantile_ms(1.0));
    outcome.found(measure::LATENCY_P50_MS, alone.quantile_ms(0.5));
    outcome.found(measure::LATENCY_P99_MS, alone.quantile_ms(0.99));

    if args.stalled > 0 {
        // Connected, and never given a turn again.
        let _stalled = Crowd::connect(args.target.plan(&server, args.stalled, "bench")?.after(args.subscribers))?;
        crowd.reset_tally();
        pace.keep(&mut crowd, args.payload, time)?;
        let beside = crowd.tally().latency.quantile_ms(0.99);
        outcome.found(measure::LATENCY_P99_STALLED_MS, beside);
        outcome.found(measure::STALLED_RATIO, beside / alone.quantile_ms(0.99));
    }
    Ok(outcome)
}
