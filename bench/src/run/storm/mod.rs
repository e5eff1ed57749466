//! One of two servers is lost, and all its clients come to the other at once: how soon they are back with nothing
//! missing and nothing twice, what it costs, and what those feel who were there before.

mod beside;
mod returning;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::{Target, above_zero, at_least_one, note_losses, patiently};
use crate::crowd::marker::{self, Marker};
use crate::crowd::posts::Poster;
use crate::crowd::tally::Tally;
use crate::crowd::{Crowd, Plan};
use crate::outcome::{Outcome, measure};
use crate::redis::Redis;
use crate::resp;
use crate::server::Server;
use beside::Beside;
use returning::Returning;

/// Of a namespace with history, in bench/peers/parts/fanfare/gateway.toml.
const CHANNEL: &str = "kept:storm";

/// Publications that all clients have before the loss, some that they may have, some that they cannot have, and
/// some when they are back: each kind tells another mistake.
const BEFORE: u32 = 10;
const AMIDST: u32 = 5;
const AFTER: u32 = 10;
const AT_LAST: u32 = 5;

/// How long publications may take.
const SETTLE: Duration = Duration::from_secs(20);

/// How long clients may take beyond the time over which they come.
const BACK: Duration = Duration::from_secs(60);

/// Options of `storm`.
#[derive(Clone, Debug, Args)]
pub struct StormArgs {
    #[command(flatten)]
    pub target: Target,
    /// Clients of the server that is lost
    #[arg(long, default_value_t = 10_000, value_parser = at_least_one)]
    pub clients: usize,
    /// Seconds over which they come back, each at a random moment
    #[arg(long, default_value_t = 5.0, value_parser = above_zero)]
    pub spread: f64,
    /// Subscribers on another channel of the server that stays
    #[arg(long, default_value_t = 64, value_parser = at_least_one)]
    pub beside: usize,
    /// Publications per second on that channel
    #[arg(long, default_value_t = 50.0, value_parser = above_zero)]
    pub rate: f64,
    /// Bytes of a publication's data
    #[arg(long, default_value_t = 128)]
    pub payload: usize,
    /// How long the other channel is watched before the loss
    #[arg(long, default_value_t = 5.0, value_parser = above_zero)]
    pub seconds: f64,
}

impl AsMut<Target> for StormArgs {
    fn as_mut(&mut self) -> &mut Target {
        &mut self.target
    }
}

/// Runs it once.
pub fn run(args: &StormArgs) -> Result<Outcome> {
    ensure!(args.target.server == "fanfare", "only fanfare has a channel here that clients can recover");
    ensure!(args.beside > 0 && args.spread >= 0.0, "--beside must be at least 1, and --spread not below 0");
    let mut outcome = args.target.outcome("storm");
    outcome.ask("clients", args.clients as f64);
    outcome.ask("spread", args.spread);
    outcome.ask("beside", args.beside as f64);
    outcome.ask("rate", args.rate);
    outcome.ask("payload", args.payload as f64);
    let redis = Redis::start(args.target.redis_port())?;
    let mut lost = args.target.start_on(&redis.url, 0, 2)?;
    let stays = args.target.start_on(&redis.url, 1, 2)?;
    let mut storm = Storm::gather(args, &lost, &stays)?;
    let beside = patiently(|| Crowd::connect(args.target.plan(&stays, args.beside, "beside")?.after(args.clients)))?;
    let mut beside = Beside::new(beside, args.payload, args.rate);

    storm.publish(BEFORE)?;
    storm.settle()?;
    let (cpu, begin) = (stays.tree.cpu()?, Instant::now());
    let before = beside.watch(Duration::from_secs_f64(args.seconds))?;
    let usual = (stays.tree.cpu()? - cpu).as_secs_f64() / begin.elapsed().as_secs_f64();

    storm.publish(AMIDST)?;
    let (cpu, scripts) = (stays.tree.cpu()?, resp::scripts_run(redis.address)?);
    let watching = beside.begin();
    lost.kill();
    let killed = Instant::now();
    storm.publish(AFTER)?;
    let told = storm.come_back(killed)?;
    let back = killed.elapsed().as_secs_f64();
    let cpu = (stays.tree.cpu()? - cpu).as_secs_f64() - usual * back;
    let during = watching.end()?;
    let scripts = resp::scripts_run(redis.address)? - scripts - u64::from(AFTER);

    storm.publish(AT_LAST)?;
    storm.settle()?;
    note_losses(&mut outcome, &storm.crowd);
    for (name, earlier) in [(measure::LOST, storm.earlier.passed_over), (measure::DUPLICATED, storm.earlier.duplicated)]
    {
        outcome.found(name, outcome.measured.get(name).unwrap_or(&0.0) + earlier as f64);
    }
    outcome.found(measure::DELIVERIES, storm.crowd.tally().deliveries as f64);
    outcome.found(measure::BACK_S, back);
    outcome.found(measure::RECOVERED, told.recovered as f64);
    outcome.found(measure::NOT_RECOVERED, args.clients as f64 - told.recovered as f64);
    outcome.found(measure::CPU_PER_RECOVERY_US, cpu * 1e6 / args.clients as f64);
    outcome.found(measure::HISTORY_READS, scripts as f64);
    outcome.found(measure::LATENCY_P50_MS, during.latency.quantile_ms(0.5));
    outcome.found(measure::LATENCY_P99_MS, during.latency.quantile_ms(0.99));
    outcome.found(measure::LATENCY_P99_BEFORE_MS, before.latency.quantile_ms(0.99));
    let ratio = during.latency.quantile_ms(0.99) / before.latency.quantile_ms(0.99);
    outcome.found(measure::LATENCY_P99_RATIO, ratio);
    Ok(outcome)
}

/// The clients, and who publishes to them at the server that stays. The channel is new, and nobody else publishes
/// there: a publication's number is its offset.
struct Storm<'a> {
    args: &'a StormArgs,
    crowd: Crowd,
    wire: Arc<Returning>,
    /// What they received before the loss.
    earlier: Tally,
    /// Where they come back to.
    plan: Plan,
    poster: Poster,
    published: u32,
}

impl<'a> Storm<'a> {
    fn gather(args: &'a StormArgs, lost: &Server, stays: &Server) -> Result<Self> {
        let wire = Arc::new(Returning::first(args.target.wire()?));
        let mut plan = args.target.plan(lost, args.clients, CHANNEL)?;
        plan.wire = wire.clone();
        let crowd = patiently(|| Crowd::connect(plan.clone()))?;
        plan.address = stays.address;
        let (poster, earlier) = (Poster::new(stays.address, 1)?, Tally::default());
        Ok(Self { args, crowd, wire, earlier, plan, poster, published: 0 })
    }

    /// Publishes so many, each when the one before is answered.
    fn publish(&mut self, count: u32) -> Result<()> {
        for _ in 0..count {
            self.published += 1;
            let payload = Marker { sequence: self.published, at: marker::now() }.payload(self.args.payload);
            let request = self.plan.wire.publish_http(CHANNEL, &payload).context("there is no API over HTTP")?;
            self.poster.post(&request)?;
            let end = Instant::now() + SETTLE;
            while self.poster.under_way() > 0 {
                ensure!(Instant::now() < end, "the server has not answered a publication for {SETTLE:?}");
                self.poster.turn(Duration::from_millis(100))?;
            }
        }
        Ok(())
    }

    /// Waits until all clients have all publications; what does not come is lost.
    fn settle(&mut self) -> Result<()> {
        self.crowd.expect(self.published);
        self.crowd.settle(SETTLE).map(|_| ())
    }

    /// All clients notice that their server is gone, and come to the other.
    fn come_back(&mut self, killed: Instant) -> Result<returning::Told> {
        let spread = Duration::from_secs_f64(self.args.spread);
        let end = killed + spread + BACK;
        let nobody = Crowd::nobody(self.plan.clone())?;
        let (positions, earlier) = std::mem::replace(&mut self.crowd, nobody).survive()?;
        self.earlier = earlier;
        let epoch = self.wire.told().epoch;
        self.wire = Arc::new(Returning::back(self.args.target.wire()?, positions.clone(), epoch));
        self.plan.wire = self.wire.clone();
        self.crowd = Crowd::nobody(self.plan.clone())?;
        let mut coming = moments(self.args.clients, spread).into_iter().zip(positions).peekable();
        while self.crowd.ready() < self.args.clients {
            ensure!(Instant::now() < end, "only {} clients are back after {:?}", self.crowd.ready(), killed.elapsed());
            while let Some((_, position)) = coming.next_if(|(moment, _)| *moment <= killed.elapsed()) {
                self.crowd.admit(position)?;
            }
            let next = coming.peek().map_or(Duration::from_millis(20), |(moment, _)| *moment);
            self.crowd.turn(next.saturating_sub(killed.elapsed()).min(Duration::from_millis(20)))?;
        }
        Ok(self.wire.told())
    }
}

/// Random moments within a time, in their order; the same in every run.
fn moments(count: usize, within: Duration) -> Vec<Duration> {
    let mut state = 0_u64;
    let mut moments: Vec<Duration> = (0..count)
        .map(|_| {
            // SplitMix64: enough for moments.
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut bits = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            within.mul_f64(((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64)
        })
        .collect();
    moments.sort_unstable();
    moments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_spread_evenly() {
        let within = Duration::from_secs(5);
        let moments = moments(10_000, within);
        assert!(moments.is_sorted() && moments[9_999] < within);
        for tenth in 0..10 {
            let in_it = moments.iter().filter(|moment| moment.as_millis() / 500 == tenth).count();
            assert!((900..1100).contains(&in_it), "{in_it} in tenth {tenth}");
        }
    }
}
