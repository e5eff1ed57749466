//! What was used between two moments: by the server, by the crowd, and by whoever else is on the machine.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::machine::{self, Tree};
use crate::outcome::{Outcome, measure};

/// A moment from which things are counted.
#[derive(Debug)]
pub struct Meter {
    servers: Vec<Tree>,
    before: Reading,
}

#[derive(Debug)]
struct Reading {
    at: Instant,
    servers: Duration,
    crowd: Duration,
    machine: Duration,
}

/// What was used since then.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// Time that has passed.
    pub time: Duration,
    /// CPU of the servers.
    pub servers: Duration,
    /// CPU of this process.
    pub crowd: Duration,
    /// CPU of all other processes, and of the kernel where it works for nobody in particular.
    pub others: Duration,
}

impl Meter {
    /// Begins to count, now. The crowd is this process.
    pub fn begin(servers: &[&Tree]) -> Result<Self> {
        let servers: Vec<Tree> = servers.iter().map(|tree| (*tree).clone()).collect();
        Ok(Self { before: Reading::now(&servers)?, servers })
    }

    /// What was used until now.
    pub fn end(&self) -> Result<Used> {
        let (now, before) = (Reading::now(&self.servers)?, &self.before);
        // Threads that have ended take their CPU with them.
        let (servers, crowd) = (now.servers.saturating_sub(before.servers), now.crowd.saturating_sub(before.crowd));
        let machine = now.machine.saturating_sub(before.machine);
        Ok(Used { time: now.at - before.at, servers, crowd, others: machine.saturating_sub(servers + crowd) })
    }
}

impl Reading {
    fn now(servers: &[Tree]) -> Result<Self> {
        let (at, machine) = (Instant::now(), machine::busy()?);
        let servers = servers.iter().map(Tree::cpu).sum::<Result<Duration>>()?;
        Ok(Self { at, servers, crowd: Tree::new(std::process::id()).own_cpu()?, machine })
    }
}

impl Used {
    /// Notes how busy the crowd and others were: a crowd that needs a whole core, or a neighbour who takes one,
    /// has slowed the server down.
    pub fn note(&self, outcome: &mut Outcome) {
        let cores = |cpu: Duration| cpu.as_secs_f64() / self.time.as_secs_f64();
        outcome.found(measure::CROWD_CORES, cores(self.crowd));
        outcome.found(measure::OTHERS_CORES, cores(self.others));
    }
}
