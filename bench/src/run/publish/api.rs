//! Over a server's HTTP API.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::{CHANNEL, Done, PATIENCE, PublishArgs, WARM_UP};
use crate::crowd::marker::{self, Marker};
use crate::crowd::posts::Poster;
use crate::machine::Tree;
use crate::outcome::{Outcome, measure};
use crate::redis::Redis;
use crate::run::patiently;
use crate::wire::Wire;

pub(super) fn run(args: &PublishArgs, outcome: &mut Outcome) -> anyhow::Result<Done> {
    outcome.ask("connections", args.connections as f64);
    outcome.ask("redis", f64::from(u8::from(args.redis)));
    let wire = args.target.wire()?;
    wire.publish_http(CHANNEL, b"{}").with_context(|| format!("{} has no API over HTTP", args.target.server))?;
    let redis = args.redis.then(|| Redis::start(args.target.redis_port())).transpose()?;
    let server = match &redis {
        Some(redis) => args.target.start_on(&redis.url, 0, 1)?,
        None => args.target.start()?,
    };
    // A server may listen before it has found its Redis.
    let mut load = patiently(|| {
        let mut load = Load { poster: Poster::new(server.address, args.connections)?, wire: wire.clone(), sequence: 0 };
        load.run(args, WARM_UP)?;
        Ok(load)
    })?;
    let cpu = || {
        Ok::<_, anyhow::Error>((
            server.tree.cpu()?,
            redis.as_ref().map(|redis| Tree::new(redis.pid).cpu()).transpose()?,
        ))
    };
    load.poster.reset_tally();
    let before = cpu()?;
    let done = load.run(args, Duration::from_secs_f64(args.seconds))?;
    let after = cpu()?;
    outcome.found(measure::CPU_PER_PUBLISH_US, done.each_us(after.0 - before.0));
    if let (Some(before), Some(after)) = (before.1, after.1) {
        outcome.found(measure::REDIS_CPU_PER_PUBLISH_US, done.each_us(after - before));
    }
    // To the answer: nobody receives these.
    outcome.found(measure::LATENCY_P50_MS, load.poster.answering().quantile_ms(0.5));
    outcome.found(measure::LATENCY_P99_MS, load.poster.answering().quantile_ms(0.99));
    Ok(done)
}

/// Connections that have a request under way each.
struct Load {
    poster: Poster,
    wire: Arc<dyn Wire>,
    sequence: u32,
}

impl Load {
    fn run(&mut self, args: &PublishArgs, time: Duration) -> anyhow::Result<Done> {
        let (begin, before) = (Instant::now(), self.poster.answered());
        let mut last = (before, begin);
        while begin.elapsed() < time || self.poster.under_way() > 0 {
            while begin.elapsed() < time && self.poster.under_way() < args.connections as u64 {
                self.sequence += 1;
                let payload = Marker { sequence: self.sequence, at: marker::now() }.payload(args.payload);
                if let Some(request) = self.wire.publish_http(CHANNEL, &payload) {
                    self.poster.post(&request)?;
                }
            }
            self.poster.turn(Duration::from_millis(100))?;
            if self.poster.answered() > last.0 {
                last = (self.poster.answered(), Instant::now());
            }
            ensure!(last.1.elapsed() < PATIENCE, "the server has not answered a publication for {PATIENCE:?}");
        }
        Ok(Done { publications: self.poster.answered() - before, took: begin.elapsed() })
    }
}
