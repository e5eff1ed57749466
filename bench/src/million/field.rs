//! The gateways and crowds of a large run: how they grow, what they hold, how they end.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::MillionArgs;
use super::member::{Company, MemberArgs, Report, reports};
use crate::machine;
use crate::outcome::{Outcome, measure};
use crate::redis::Redis;
use crate::server::{Server, Setup};

/// What must stay free on the machine, bytes.
const RESERVE: u64 = 1536 * 1024 * 1024;
/// What a connection may take before it is known, bytes: both ends, user and kernel.
const GUESS: u64 = 16 * 1024;
/// Gateways that are filled at once: one for each core would do, and some are always waiting.
const AT_ONCE: usize = 2;
/// How long the connections of one gateway may take.
const FILLING: Duration = Duration::from_secs(300);

/// All that was started.
#[derive(Debug)]
pub struct Field {
    pub(super) gateways: Vec<Server>,
    companies: Vec<Company>,
    connections: usize,
    logs: PathBuf,
    /// Private memory of the gateways before they had connections, bytes.
    empty: u64,
    /// The kernel's slabs before, bytes.
    slab: u64,
    /// What was free before, bytes.
    available: u64,
}

impl Field {
    /// An empty one; crowds complain in files below `logs`.
    pub fn new(logs: &Path) -> Result<Self> {
        let logs = logs.join("logs");
        std::fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
        let (slab, available) = (machine::slab()?, machine::available()?);
        Ok(Self { gateways: Vec::new(), companies: Vec::new(), connections: 0, logs, empty: 0, slab, available })
    }

    /// Starts gateways and fills them, until there are as many connections as asked for or memory is short.
    pub fn grow(&mut self, args: &MillionArgs, redis: &Redis, outcome: &mut Outcome) -> Result<()> {
        let begun = Instant::now();
        while self.connections < args.connections {
            let next = (args.connections - self.connections).min(AT_ONCE * args.each);
            if let Err(short) = self.has_room(next) {
                println!("    {short:#}");
                outcome.remarks.push(format!("{short:#}"));
                break;
            }
            self.fill(args, redis, next)?;
            let free = machine::available()? as f64 / GIB;
            println!(
                "    {} connections after {:.0} s, {free:.1} GiB free",
                self.connections,
                begun.elapsed().as_secs_f64()
            );
        }
        ensure!(self.connections > 0, "there is too little memory for a single gateway full of connections");
        outcome.ask("gateways", self.gateways.len() as f64);
        outcome.found(measure::BUILT_S, begun.elapsed().as_secs_f64());
        Ok(())
    }

    /// So many more, on new gateways.
    fn fill(&mut self, args: &MillionArgs, redis: &Redis, count: usize) -> Result<()> {
        let first_new = self.companies.len();
        let mut left = count;
        while left > 0 {
            let members = left.min(args.each);
            let gateway = self.start(args, redis)?;
            let members_args = MemberArgs { address: gateway.address, members, first: self.connections };
            self.gateways.push(gateway);
            self.companies.push(Company::start(&members_args, &self.logs)?);
            self.connections += members;
            left -= members;
        }
        for company in &mut self.companies[first_new..] {
            company.report(FILLING)?;
        }
        Ok(())
    }

    fn start(&mut self, args: &MillionArgs, redis: &Redis) -> Result<Server> {
        let offset = u16::try_from(1 + 2 * self.gateways.len()).ok();
        let port = offset.and_then(|offset| args.port.checked_add(offset));
        let port = port.context("there are not so many ports: give a lower --port")?;
        let setup = Setup { port, redis_url: redis.url.clone(), nodes: 2, workers: 0 };
        let mut command = Server::command("fanfare", &setup)?;
        if let Some(interval) = &args.ping_interval {
            command.env("FANFARE_CLIENT__PING_INTERVAL", interval);
        }
        let gateway = Server::spawn("fanfare", &mut command, port)?;
        self.empty += gateway.tree.memory()?;
        Ok(gateway)
    }

    /// Whether so many more leave the machine its reserve.
    fn has_room(&self, more: usize) -> Result<()> {
        let free = machine::available()?;
        let each = each(self.available.saturating_sub(free), self.connections);
        ensure!(
            free >= RESERVE + each * more as u64,
            "Growing ended at {} connections: {:.1} GiB are free, {:.1} are to stay, and the next {more} would take {:.1}.",
            self.connections,
            free as f64 / GIB,
            RESERVE as f64 / GIB,
            (each * more as u64) as f64 / GIB
        );
        Ok(())
    }

    /// How many there are.
    pub fn connections(&self) -> usize {
        self.connections
    }

    /// CPU of all gateways so far.
    pub fn cpu(&self) -> Result<Duration> {
        self.gateways.iter().map(|gateway| gateway.tree.cpu()).sum()
    }

    /// What all crowds have seen.
    pub fn reports(&mut self) -> Result<Report> {
        reports(&mut self.companies)
    }

    /// Notes what a connection takes.
    pub fn memory(&self, outcome: &mut Outcome) -> Result<()> {
        let now: u64 = self.gateways.iter().map(|gateway| gateway.tree.memory()).sum::<Result<_>>()?;
        let each = |bytes: u64| bytes as f64 / self.connections as f64;
        outcome.found(measure::MEMORY_PER_CONNECTION_B, each(now.saturating_sub(self.empty)));
        outcome.found(measure::KERNEL_PER_CONNECTION_B, each(machine::slab()?.saturating_sub(self.slab)));
        let crowds: u64 = self.companies.iter().map(Company::memory).sum::<Result<_>>()?;
        outcome.remarks.push(format!(
            "{} gateways, {:.1} GiB free before the first connection and {:.1} GiB with the last; the crowds' processes \
             take {:.0} B a connection.",
            self.gateways.len(),
            self.available as f64 / GIB,
            machine::available()? as f64 / GIB,
            each(crowds)
        ));
        Ok(())
    }

    /// Ends all at once: nobody needs to be told.
    pub fn end(&mut self) {
        self.companies.clear();
        for gateway in &mut self.gateways {
            gateway.kill();
        }
    }
}

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// What a connection takes of the machine's memory, as far as is known: never less than half of what is expected,
/// because others give memory back meanwhile.
fn each(taken: u64, connections: usize) -> u64 {
    taken.checked_div(connections as u64).map_or(GUESS, |each| each.max(GUESS / 2))
}

impl Drop for Field {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_takes_is_guessed_until_it_is_known() {
        assert_eq!(each(0, 0), GUESS);
        assert_eq!(each(20_000_000, 1_000), 20_000);
        assert_eq!(each(0, 1_000), GUESS / 2);
    }

    #[test]
    fn growing_ends_before_the_memory_does() {
        let field =
            Field::new(&std::env::temp_dir().join(format!("fanfare-bench-field-{}", std::process::id()))).unwrap();
        let short = field.has_room(1_000_000_000).unwrap_err().to_string();
        assert!(short.starts_with("Growing ended at 0 connections: "), "{short}");
        std::fs::remove_dir_all(field.logs.parent().unwrap()).unwrap();
    }
}
