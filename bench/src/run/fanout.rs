//! One channel, many subscribers: what a delivery costs, how many there are, how long they take.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;

use super::meter::Meter;
use super::pace::Pace;
use super::{Target, above_zero, at_least_one, note_latency, note_losses};
use crate::crowd::{Crowd, marker};
use crate::outcome::{Outcome, measure};
use crate::server::Server;
use crate::wire;

/// Until caches are warm and congestion windows open.
const WARM_UP: Duration = Duration::from_secs(1);

/// How long may pass without any of the last publications.
const SETTLE: Duration = Duration::from_secs(5);

/// Channels that a client with many of them has; below the limit that servers have by default.
const CHANNELS_EACH: usize = 100;

/// Options of `fanout`.
#[derive(Clone, Debug, Args)]
pub struct FanoutArgs {
    #[command(flatten)]
    pub target: Target,
    /// Connections that are subscribed to the channel; one of them publishes
    #[arg(long, default_value_t = 1000, value_parser = at_least_one)]
    pub subscribers: usize,
    /// Publications under way at once: published, and not yet received by all
    #[arg(long, default_value_t = 1, conflicts_with = "rate", value_parser = clap::value_parser!(u32).range(1..))]
    pub window: u32,
    /// Publications per second, instead of a window; latency is taken from when each was to be published
    #[arg(long, value_parser = above_zero)]
    pub rate: Option<f64>,
    /// Bytes of a publication's data
    #[arg(long, default_value_t = 128)]
    pub payload: usize,
    /// How long is measured
    #[arg(long, default_value_t = 4.0, value_parser = above_zero)]
    pub seconds: f64,
    /// Publish over HTTP on so many connections, also where clients could publish
    #[arg(long)]
    pub http: Option<usize>,
    /// Other channels with a subscriber each, on servers whose channels a client can choose; a client has many of
    /// them where it can
    #[arg(long, default_value_t = 0)]
    pub others: usize,
    /// The channel
    #[arg(long, default_value = "bench")]
    pub channel: String,
}

impl AsMut<Target> for FanoutArgs {
    fn as_mut(&mut self) -> &mut Target {
        &mut self.target
    }
}

/// Runs it once.
pub fn run(args: &FanoutArgs) -> Result<Outcome> {
    ensure!(args.payload >= marker::PAYLOAD_MIN, "--payload: at least {}, for number and time", marker::PAYLOAD_MIN);
    let mut outcome = args.target.outcome("fanout");
    let server = args.target.start()?;
    args.ask(&mut outcome);
    let _others = args.others(&server)?;
    let mut crowd = Crowd::connect(args.target.plan(&server, args.subscribers, &args.channel)?)?;
    if let Some(connections) = args.http {
        crowd.post_on(connections)?;
    }
    let pace = args.rate.map_or(Pace::Window(args.window), Pace::Rate);
    pace.keep(&mut crowd, args.payload, WARM_UP)?;
    crowd.reset_tally();
    let meter = Meter::begin(&[&server.tree])?;
    pace.keep(&mut crowd, args.payload, Duration::from_secs_f64(args.seconds))?;
    let used = meter.end()?;
    let deliveries = crowd.tally().deliveries as f64;
    ensure!(deliveries > 0.0, "nothing was delivered within {} s", args.seconds);
    outcome.found(measure::DELIVERIES, deliveries);
    outcome.found(measure::DELIVERIES_PER_S, deliveries / used.time.as_secs_f64());
    outcome.found(measure::CPU_PER_DELIVERY_US, used.servers.as_secs_f64() * 1e6 / deliveries);
    outcome.found(measure::TOOK_S, used.time.as_secs_f64());
    used.note(&mut outcome);
    note_latency(&mut outcome, crowd.tally());
    crowd.settle(SETTLE)?;
    note_losses(&mut outcome, &crowd);
    Ok(outcome)
}

impl FanoutArgs {
    fn ask(&self, outcome: &mut Outcome) {
        outcome.ask("subscribers", self.subscribers as f64);
        match self.rate {
            Some(rate) => outcome.ask("rate", rate),
            None => outcome.ask("window", f64::from(self.window)),
        }
        outcome.ask("payload", self.payload as f64);
        outcome.ask("others", self.others as f64);
        if let Some(connections) = self.http {
            outcome.ask("http", connections as f64);
        }
    }

    /// Listeners of other channels, if any are asked for.
    fn others(&self, server: &Server) -> Result<Option<Crowd>> {
        if self.others == 0 {
            return Ok(None);
        }
        let mut plan = self.target.plan(server, self.others, "other-{n}")?.after(self.subscribers);
        if let Some(wire) = wire::many_by_name(&self.target.server, CHANNELS_EACH) {
            plan.wire = wire;
            plan.members = self.others.div_ceil(CHANNELS_EACH);
        }
        Crowd::connect(plan).map(Some)
    }
}
