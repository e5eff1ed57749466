//! One channel, many subscribers: what a delivery costs, how many there are, how long they take.

use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;

use super::Target;
use crate::crowd::{Crowd, marker};
use crate::outcome::{Outcome, measure};
use crate::server::Server;
use crate::wire;

/// Until caches are warm and congestion windows open.
const WARM_UP: Duration = Duration::from_secs(1);

/// How long the last publications may take.
const SETTLE: Duration = Duration::from_secs(10);

/// Channels that a client with many of them has; below the limit that servers have by default.
const CHANNELS_EACH: usize = 100;

/// Options of `fanout`.
#[derive(Clone, Debug, Args)]
pub struct FanoutArgs {
    #[command(flatten)]
    pub target: Target,
    /// Connections that are subscribed to the channel; one of them publishes
    #[arg(long, default_value_t = 1000)]
    pub subscribers: usize,
    /// Publications under way at once: published, and not yet received by all
    #[arg(long, default_value_t = 1)]
    pub window: u32,
    /// Publications per second, instead of a window; latency is taken from when each was to be published
    #[arg(long)]
    pub rate: Option<f64>,
    /// Bytes of a publication's data
    #[arg(long, default_value_t = 128)]
    pub payload: usize,
    /// How long is measured
    #[arg(long, default_value_t = 4.0)]
    pub seconds: f64,
    /// Other channels with a subscriber each, on servers whose channels a client can choose; a client has many of
    /// them where it can
    #[arg(long, default_value_t = 0)]
    pub others: usize,
    /// The channel
    #[arg(long, default_value = "bench")]
    pub channel: String,
}

/// Runs it once.
pub fn run(args: &FanoutArgs) -> anyhow::Result<Outcome> {
    let mut outcome = args.target.outcome("fanout");
    let server = args.target.start()?;
    outcome.ask("subscribers", args.subscribers as f64);
    match args.rate {
        Some(rate) => outcome.ask("rate", rate),
        None => outcome.ask("window", f64::from(args.window)),
    }
    outcome.ask("payload", args.payload as f64);
    outcome.ask("others", args.others as f64);
    let _others = others(args, &server)?;
    let mut crowd = Crowd::connect(args.target.plan(&server, args.subscribers, &args.channel)?)?;
    let mut pace = Pace::new(args);
    pace.run(&mut crowd, WARM_UP)?;
    crowd.reset_tally();
    let (cpu, begin) = (server.tree.cpu()?, Instant::now());
    pace.run(&mut crowd, Duration::from_secs_f64(args.seconds))?;
    let (cpu, took) = (server.tree.cpu()? - cpu, begin.elapsed());
    let tally = crowd.tally().clone();
    ensure!(tally.deliveries > 0, "nothing was delivered within {} s", args.seconds);
    let deliveries = tally.deliveries as f64;
    outcome.found(measure::DELIVERIES, deliveries);
    outcome.found(measure::DELIVERIES_PER_S, deliveries / took.as_secs_f64());
    outcome.found(measure::CPU_PER_DELIVERY_US, cpu.as_secs_f64() * 1e6 / deliveries);
    outcome.found(measure::LATENCY_P50_MS, tally.latency.quantile_ms(0.5));
    outcome.found(measure::LATENCY_P99_MS, tally.latency.quantile_ms(0.99));
    outcome.found(measure::LATENCY_P999_MS, tally.latency.quantile_ms(0.999));
    outcome.found(measure::TOOK_S, took.as_secs_f64());
    if args.target.server != "floor32" {
        // The floor that gathers keeps back what does not fill a write.
        crowd.settle(SETTLE)?;
        outcome.found(measure::LOST, (crowd.tally().passed_over + crowd.missing()) as f64);
    }
    outcome.found(measure::DUPLICATED, crowd.tally().duplicated as f64);
    outcome.found(measure::MISORDERED, crowd.tally().misordered as f64);
    Ok(outcome)
}

/// Listeners of other channels, if any are asked for.
fn others(args: &FanoutArgs, server: &Server) -> anyhow::Result<Option<Crowd>> {
    if args.others == 0 {
        return Ok(None);
    }
    let mut plan = args.target.plan(server, args.others, "other-{n}")?.after(args.subscribers);
    if let Some(wire) = wire::many_by_name(&args.target.server, CHANNELS_EACH) {
        plan.wire = wire;
        plan.members = args.others.div_ceil(CHANNELS_EACH);
    }
    Crowd::connect(plan).map(Some)
}

/// When the next publication is due.
struct Pace {
    window: u32,
    rate: Option<f64>,
    payload: usize,
    /// With a rate: when the next one was to be published.
    next: u64,
    /// Deliveries of all runs before this one.
    before: u64,
}

impl Pace {
    fn new(args: &FanoutArgs) -> Self {
        Self { window: args.window, rate: args.rate, payload: args.payload, next: 0, before: 0 }
    }

    fn run(&mut self, crowd: &mut Crowd, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        let mut last = Instant::now();
        self.next = marker::now();
        while Instant::now() < end {
            let wait = self.publish(crowd)?;
            if crowd.turn(wait)? > 0 {
                last = Instant::now();
            }
            ensure!(last.elapsed() < SETTLE, "nothing has been delivered for {SETTLE:?}");
        }
        self.before += crowd.tally().deliveries;
        Ok(())
    }

    /// Publishes what is due; answers how long may be waited until more is.
    fn publish(&mut self, crowd: &mut Crowd) -> anyhow::Result<Duration> {
        if let Some(rate) = self.rate {
            let step = (1e9 / rate) as u64;
            while marker::now() >= self.next {
                crowd.publish(self.payload, self.next)?;
                self.next += step;
            }
            return Ok(Duration::from_nanos(self.next.saturating_sub(marker::now())));
        }
        // By the number of all deliveries: exact while nothing is lost, and losses are told.
        let received = (self.before + crowd.tally().deliveries) / crowd.len() as u64;
        while u64::from(crowd.published()) < received + u64::from(self.window) {
            crowd.publish(self.payload, marker::now())?;
        }
        Ok(Duration::from_millis(100))
    }
}
