//! The crate fanfare-worker, straight to Redis, as a backend uses it; in turns with bare PUBLISH commands on
//! the same Redis. A gateway is up, because the worker keeps to the rules that gateways store in Redis, and asks for
//! them again and again while there are none. The channel has no history and nobody on it: the gateway does nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use fanfare_worker::{Message, Options, Publisher};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::raw::Pipe;
use super::{CHANNEL, Done, PublishArgs, SLICE, WARM_UP};
use crate::crowd::marker::{self, Marker};
use crate::machine::Tree;
use crate::outcome::{Outcome, measure};
use crate::redis::Redis;
use crate::run::patiently;

pub(super) fn run(args: &PublishArgs, outcome: &mut Outcome) -> anyhow::Result<Done> {
    outcome.ask("under_way", args.under_way as f64);
    outcome.ask("calls", args.calls as f64);
    let redis = Redis::start(args.target.redis_port())?;
    ensure!(args.target.server == "fanfare", "the worker is fanfare's: leave out --server");
    let _gateway = args.target.start_on(&redis.url, 0, 1)?;
    let worker = Worker::open(&redis, args)?;
    let mut pipe = Pipe::open(redis.address, args)?;
    patiently(|| worker.run(WARM_UP))?;
    pipe.run(WARM_UP)?;
    let (us, it) = (Tree::new(std::process::id()), Tree::new(redis.pid));
    let cpu = || Ok::<_, anyhow::Error>((us.own_cpu()?, it.cpu()?));
    let (mut done, mut raw, mut ours, mut its) = (Done::default(), Done::default(), Duration::ZERO, Duration::ZERO);
    while done.took.as_secs_f64() < args.seconds {
        let before = cpu()?;
        done += worker.run(SLICE)?;
        let after = cpu()?;
        its += after.1 - before.1;
        ours += after.0 - before.0;
        raw += pipe.run(SLICE)?;
    }
    outcome.found(measure::PUBLISHER_CPU_PER_PUBLISH_US, done.each_us(ours));
    outcome.found(measure::REDIS_CPU_PER_PUBLISH_US, done.each_us(its));
    outcome.found(measure::RAW_PUBLISHES_PER_S, raw.per_s());
    outcome.found(measure::RATIO_TO_RAW, done.per_s() / raw.per_s());
    Ok(done)
}

struct Worker {
    publisher: Arc<dyn Publisher>,
    runtime: Runtime,
    calls: usize,
    batch: usize,
    payload: usize,
}

impl Worker {
    fn open(redis: &Redis, args: &PublishArgs) -> anyhow::Result<Self> {
        let publisher = fanfare_worker::open(&redis.url, Options::default())?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (calls, payload) = (args.calls, args.payload);
        Ok(Self { publisher: publisher.into(), runtime, calls, batch: args.under_way / calls, payload })
    }

    /// Publishes for a while: so many calls at a time, a batch each.
    fn run(&self, time: Duration) -> anyhow::Result<Done> {
        let begin = Instant::now();
        let end = begin + time;
        let publications = self.runtime.block_on(async {
            let mut calls = JoinSet::new();
            for _ in 0..self.calls {
                calls.spawn(publish(self.publisher.clone(), self.batch, self.payload, end));
            }
            let mut publications = 0;
            while let Some(call) = calls.join_next().await {
                publications += call??;
            }
            anyhow::Ok(publications)
        })?;
        Ok(Done { publications, took: begin.elapsed() })
    }
}

/// Batches, one after the other.
async fn publish(publisher: Arc<dyn Publisher>, batch: usize, payload: usize, end: Instant) -> anyhow::Result<u64> {
    let (mut publications, mut sequence) = (0, 0);
    while Instant::now() < end {
        let mut message = || {
            sequence += 1;
            Message::new(CHANNEL, Marker { sequence, at: marker::now() }.payload(payload))
        };
        let messages: Vec<_> = std::iter::repeat_with(&mut message).take(batch).collect();
        for answer in publisher.publish_all(messages).await {
            answer.context("the worker could not publish")?;
            publications += 1;
        }
    }
    Ok(publications)
}
