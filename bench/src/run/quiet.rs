//! A channel that nobody on a node listens to: what its publications cost that node, while others of its channels
//! have listeners.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::crowd::{Crowd, marker};
use crate::machine::Tree;
use crate::outcome::{Outcome, measure};
use crate::server::{Server, Setup};
use crate::suite::Given;

/// Connections at the node that is watched, on a channel of their own.
const LISTENERS: usize = 1_000;
/// Publications under way at once, at the other node.
const WINDOW: u32 = 32;

/// Runs it once: two nodes on one Redis; one publishes to a listener of its own, the other is watched.
pub fn run(given: &Given<'_>, seconds: f64) -> Result<Outcome> {
    let target = given.target();
    let mut outcome = target.outcome("quiet");
    outcome.ask("listeners", LISTENERS as f64);
    outcome.ask("window", f64::from(WINDOW));
    let node = |port| {
        let setup = Setup { port, redis_url: given.redis()?.url.clone(), nodes: 2, workers: 0 };
        Server::start(&target.server, &setup)
    };
    let (busy, watched) = (node(given.port)?, node(given.port + 2)?);
    let mut listeners = Crowd::connect(target.plan(&watched, LISTENERS, "elsewhere")?.after(1))?;
    let mut publisher = Crowd::connect(target.plan(&busy, 1, "bench")?)?;
    listeners.idle(Duration::from_secs(1))?;

    let redis = Tree::new(given.redis()?.pid);
    let (cpu, redis_cpu, begin) = (watched.tree.cpu()?, redis.cpu()?, Instant::now());
    while begin.elapsed().as_secs_f64() < seconds {
        while u64::from(publisher.published()) < publisher.tally().deliveries + u64::from(WINDOW) {
            publisher.publish(128, marker::now())?;
        }
        publisher.turn(Duration::from_millis(100))?;
    }
    let (cpu, redis_cpu) = (watched.tree.cpu()? - cpu, redis.cpu()? - redis_cpu);
    let took = begin.elapsed().as_secs_f64();
    let publications = publisher.tally().deliveries as f64;
    ensure!(publications > 0.0, "nothing was published within {seconds} s");
    ensure!(listeners.tally().deliveries == 0, "a publication reached a channel that it was not for");
    outcome.found(measure::CPU_PER_PUBLISH_US, cpu.as_secs_f64() * 1e6 / publications);
    outcome.found(measure::REDIS_CPU_PER_PUBLISH_US, redis_cpu.as_secs_f64() * 1e6 / publications);
    outcome.found(measure::PUBLISHES_PER_S, publications / took);
    Ok(outcome)
}
