//! A crowd in a process of its own, because a process holds at most so many files: what it does, and how it is
//! spoken to. A line that it reads asks for a report, and one line answers; the end of its input ends it, so it
//! never outlives who started it.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::CHANNEL;
use crate::crowd::{Crowd, Plan, marker};
use crate::machine::Tree;
use crate::server::{SECRET, last_line};
use crate::wire;

/// How long a report may take: the process may be asleep for this much, and the machine is full of others.
const ANSWERING: Duration = Duration::from_secs(60);
/// How often a crowd without work looks whether it is asked something.
const LOOKING: Duration = Duration::from_millis(100);

/// `fanfare-bench crowd`: for `million` only.
#[derive(Clone, Debug, Args)]
pub struct MemberArgs {
    /// The gateway
    #[arg(long)]
    pub address: SocketAddr,
    /// How many connections
    #[arg(long)]
    pub members: usize,
    /// The number of the first one
    #[arg(long)]
    pub first: usize,
}

/// What a crowd has seen so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Connections, all of them authenticated and subscribed.
    pub members: u64,
    /// Those of them that have ended since.
    pub ended: u64,
    /// Publications received by all together.
    pub deliveries: u64,
    /// Received again.
    pub duplicated: u64,
    /// Received after a later one.
    pub misordered: u64,
    /// Passed over.
    pub passed_over: u64,
    /// When the last one came, in nanoseconds since 1970; 0 if none has.
    pub last_at: u64,
    /// From publishing to receiving, milliseconds: the middle.
    pub p50_ms: f64,
    /// One in a hundred took longer.
    pub p99_ms: f64,
}

/// The crowd's side: joins, then reports whenever it is asked.
pub fn run(args: &MemberArgs) -> Result<()> {
    let plan = Plan {
        address: args.address,
        wire: wire::by_name("fanfare").context("there is no wire of our own")?,
        channel: CHANNEL.to_owned(),
        secret: SECRET.to_owned(),
        members: args.members,
        first: args.first,
        at_once: 64,
        has: 0,
    };
    let mut crowd = Crowd::connect(plan)?;
    let asked = lines(std::io::stdin());
    let mut last_at = 0;
    tell(&crowd, last_at)?;
    loop {
        match asked.try_recv() {
            Ok(_) => tell(&crowd, last_at)?,
            Err(TryRecvError::Disconnected) => return Ok(()),
            Err(TryRecvError::Empty) => {}
        }
        if crowd.turn(LOOKING)? > 0 {
            last_at = marker::now();
        }
    }
}

fn tell(crowd: &Crowd, last_at: u64) -> Result<()> {
    let tally = crowd.tally();
    let came = tally.deliveries > 0;
    let report = Report {
        members: crowd.len() as u64,
        ended: tally.ended,
        deliveries: tally.deliveries,
        duplicated: tally.duplicated,
        misordered: tally.misordered,
        passed_over: tally.passed_over,
        last_at,
        p50_ms: if came { tally.latency.quantile_ms(0.5) } else { 0.0 },
        p99_ms: if came { tally.latency.quantile_ms(0.99) } else { 0.0 },
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(std::io::stdout().flush()?)
}

/// The other side: a crowd's process. Killed when dropped.
#[derive(Debug)]
pub struct Company {
    child: Child,
    answers: Receiver<String>,
    log: std::path::PathBuf,
}

impl Company {
    /// Starts to join; [`Company::report`] answers when all have joined.
    pub fn start(args: &MemberArgs, logs: &Path) -> Result<Self> {
        let log = logs.join(format!("crowd-{}.log", args.first));
        let mut child = Command::new(std::env::current_exe()?)
            .arg("crowd")
            .args(["--address", &args.address.to_string()])
            .args(["--members", &args.members.to_string()])
            .args(["--first", &args.first.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).with_context(|| format!("cannot write {}", log.display()))?)
            .process_group(0)
            .spawn()
            .context("cannot start a crowd")?;
        let answers = lines(child.stdout.take().context("a crowd without an output")?);
        Ok(Self { child, answers, log })
    }

    /// Asks for a report, to be fetched by [`Company::report`].
    pub fn ask(&mut self) -> Result<()> {
        let input = self.child.stdin.as_mut().context("a crowd without an input")?;
        writeln!(input).with_context(|| self.ended())
    }

    /// The next report, which takes at most so long.
    ///
    /// # Errors
    /// When a connection was refused or has ended, with what the crowd says of it.
    pub fn report(&self, patience: Duration) -> Result<Report> {
        match self.answers.recv_timeout(patience) {
            Ok(line) => serde_json::from_str(&line).with_context(|| format!("a crowd says `{line}`")),
            Err(RecvTimeoutError::Timeout) => bail!("a crowd does not answer within {patience:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!(self.ended()),
        }
    }

    /// Private memory of its process, bytes.
    pub fn memory(&self) -> Result<u64> {
        Tree::new(self.child.id()).memory()
    }

    fn ended(&self) -> String {
        let why = last_line(&self.log).unwrap_or_else(|| "without a word".to_owned());
        format!("a crowd ended: {why}")
    }
}

/// What all crowds have seen, added up; times are the latest.
pub fn reports(companies: &mut [Company]) -> Result<Report> {
    for company in companies.iter_mut() {
        company.ask()?;
    }
    let mut sum = Report::default();
    for company in companies {
        sum.add(&company.report(ANSWERING)?);
    }
    Ok(sum)
}

impl Report {
    fn add(&mut self, other: &Self) {
        self.members += other.members;
        self.ended += other.ended;
        self.deliveries += other.deliveries;
        self.duplicated += other.duplicated;
        self.misordered += other.misordered;
        self.passed_over += other.passed_over;
        self.last_at = self.last_at.max(other.last_at);
        self.p50_ms = self.p50_ms.max(other.p50_ms);
        self.p99_ms = self.p99_ms.max(other.p99_ms);
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines as they come; the channel closes at the end of the input.
fn lines(input: impl std::io::Read + Send + 'static) -> Receiver<String> {
    // A crowd is asked again only after it has answered: one line is never far behind another.
    let (sender, receiver) = mpsc::sync_channel(4);
    thread::spawn(move || {
        for line in BufReader::new(input).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_add_up_and_the_latest_counts() {
        let one = Report { members: 2, deliveries: 2, last_at: 5, p99_ms: 3.0, ..Report::default() };
        let two = Report { members: 3, deliveries: 4, duplicated: 1, last_at: 4, p99_ms: 9.0, ..Report::default() };
        let mut sum = Report::default();
        sum.add(&one);
        sum.add(&two);
        let expected =
            Report { members: 5, deliveries: 6, duplicated: 1, last_at: 5, p99_ms: 9.0, ..Report::default() };
        assert_eq!(sum, expected);
    }

    #[test]
    fn lines_end_with_the_input() {
        let lines = lines(&b"a\nb"[..]);
        assert_eq!(lines.iter().collect::<Vec<_>>(), ["a", "b"]);
    }
}
