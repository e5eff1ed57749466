//! As many connections as the machine holds: gateways of as many as a process may have files, all on one Redis,
//! and crowds in processes of their own. When all are authenticated and subscribed to one channel, a few
//! publications go through the API of one gateway, and everybody is to get each of them, once.
//!
//! Growing ends, and says so, before the machine's memory does. Settings of the kernel are raised meanwhile.

mod field;
mod member;
mod publish;
mod sysctl;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, bail, ensure};
use clap::Args;

use crate::outcome::{Outcome, measure};
use crate::redis::Redis;
use crate::report::{self, Record};
use crate::server;
use crate::{interrupt, suite};
use field::Field;
pub use member::{MemberArgs, run as run_member};
use sysctl::{Raised, wanted};

/// What everybody subscribes to.
const CHANNEL: &str = "million";
/// Files of a process that are no client connections.
const OTHER_FILES: usize = 500;
/// Where the gateways' share of idle CPU is watched.
const WATCHING: Duration = Duration::from_secs(10);
/// How long the kernel remembers closed connections, at most.
const FORGETTING: Duration = Duration::from_secs(150);

/// `fanfare-bench million`.
#[derive(Clone, Debug, Args)]
pub struct MillionArgs {
    /// How many in all
    #[arg(long, default_value_t = 1_000_000)]
    connections: usize,
    /// How many a gateway takes
    #[arg(long, default_value_t = 19_000)]
    each: usize,
    /// How many publications everybody is to get
    #[arg(long, default_value_t = 3)]
    publications: u32,
    /// How often gateways ping silent connections, e.g. 2m; as they ship unless set
    #[arg(long)]
    ping_interval: Option<String>,
    /// The port of Redis; those of the gateways follow it, two for each
    #[arg(long, default_value_t = 7800)]
    port: u16,
    /// Where the outcome is kept, for the page
    #[arg(long, value_name = "FILE", default_value = "target/bench/million.json")]
    record: PathBuf,
}

/// Builds up, publishes, counts, takes down.
///
/// # Errors
/// When the kernel's settings cannot be changed, a process cannot be started or a connection ends. Too little memory
/// for all is no error: the outcome says how many there were.
pub fn run(args: &MillionArgs) -> Result<()> {
    check_files(args.each)?;
    let kept = args.record.with_file_name("sysctl.json");
    let raised = Raised::new(Path::new("/proc/sys"), &kept, &wanted(args.connections, args.each))?;
    for (name, value) in raised.changed() {
        println!("raised {name}, which was {value}");
    }
    let tracked = raised.changed().any(|(name, _)| name.ends_with("nf_conntrack_max"));
    let raised = Arc::new(Mutex::new(Some(raised)));
    let on_signal = Arc::clone(&raised);
    interrupt::on_interrupt(move || drop(on_signal.lock().map(|mut raised| raised.take())));

    // A mistake of ours must not leave the kernel's settings as they are now.
    let outcome = catch_unwind(AssertUnwindSafe(|| measure_all(args)));
    let outcome = outcome.unwrap_or_else(|_| bail!("the experiment panicked: see above"));
    interrupt::check();
    if tracked {
        wait_until_forgotten(args.connections / 10);
    }
    if let Ok(mut raised) = raised.lock() {
        raised.take();
    }
    let outcome = outcome?;
    println!("{}", report::in_short(&outcome));
    outcome.remarks.iter().for_each(|remark| println!("    {remark}"));
    let mut record = Record {
        begun: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        revision: suite::revision(),
        machine: suite::facts(),
        runs_asked: 1,
        ..Record::default()
    };
    record.push("million", "fanfare", 1, Ok(outcome));
    record.save(&args.record)?;
    println!("kept in {}", args.record.display());
    Ok(())
}

/// Everything between raising the kernel's settings and putting them back.
fn measure_all(args: &MillionArgs) -> Result<Outcome> {
    let mut outcome = Outcome {
        experiment: "million".to_owned(),
        server: "fanfare".to_owned(),
        version: server::version("fanfare"),
        ..Outcome::default()
    };
    outcome.ask("connections", args.connections as f64);
    outcome.ask("each", args.each as f64);
    outcome.ask("publications", f64::from(args.publications));
    if let Some(interval) = &args.ping_interval {
        outcome.remarks.push(format!("Silent connections are pinged every {interval}."));
    }

    let redis = Redis::start(args.port)?;
    let mut field = Field::new(args.record.parent().unwrap_or(Path::new(".")))?;
    field.grow(args, &redis, &mut outcome)?;

    let (cpu, begun) = (field.cpu()?, Instant::now());
    thread::sleep(WATCHING);
    outcome.found(measure::IDLE_CORES, (field.cpu()? - cpu).as_secs_f64() / begun.elapsed().as_secs_f64());
    field.memory(&mut outcome)?;
    let seen = field.reports()?;
    outcome.found(measure::CONNECTIONS, (seen.members - seen.ended) as f64);
    if seen.ended > 0 {
        outcome.remarks.push(format!("{} connections ended by themselves.", seen.ended));
    }

    publish::to_everybody(&mut field, args.publications, &mut outcome)?;
    field.end();
    Ok(outcome)
}

/// Each gateway and each crowd needs a file for each of its connections.
fn check_files(each: usize) -> Result<()> {
    let (_, most) = rlimit::getrlimit(rlimit::Resource::NOFILE)?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    ensure!(
        each + OTHER_FILES <= most,
        "a process may have {most} files here: give --each {} or less",
        most.saturating_sub(OTHER_FILES)
    );
    Ok(())
}

/// A lower limit than there are entries would keep everybody else from connecting.
fn wait_until_forgotten(enough: usize) {
    let count = || -> Option<usize> {
        std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count").ok()?.trim().parse().ok()
    };
    let begun = Instant::now();
    println!("waiting until the kernel has forgotten the connections");
    while count().is_some_and(|count| count > enough) && begun.elapsed() < FORGETTING {
        thread::sleep(Duration::from_secs(1));
    }
}
