//! Everything side by side: each setting on each server that can be started, several times, in turn.
//!
//! What comes of a run is kept at once, so that a suite that is interrupted can go on later. A run that fails is
//! kept with its reason and ends nothing.

mod facts;
mod plan;
mod room;
mod setting;
mod subject;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::interrupt;
use crate::outcome::Outcome;
use crate::report::{self, LeftOut, Record};
use crate::run::Target;
pub use facts::facts;
use plan::{Step, plan};
use setting::Setting;
use subject::{Running, Subject};

/// Ports that a run may use; the next run uses the next ones, because old connections linger.
const PORTS_PER_RUN: u16 = 8;
/// How many times as many ports a suite uses.
const TURNS: usize = 40;

/// `fanfare-bench suite`.
#[derive(Clone, Debug, Args)]
pub struct SuiteArgs {
    /// Runs of each server in each setting
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// How long each fan-out is measured
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Fanfare, the floor and two peers, a few settings, short: under three minutes
    #[arg(long, conflicts_with_all = ["resume", "servers", "settings"])]
    quick: bool,
    /// Go on with a suite that was interrupted
    #[arg(long)]
    resume: bool,
    /// These servers only
    #[arg(long, value_delimiter = ',')]
    servers: Vec<String>,
    /// These settings only, by their keys
    #[arg(long, value_delimiter = ',')]
    settings: Vec<String>,
    /// A server that runs already: NAME=ADDRESS,PID; repeat it for several
    #[arg(long)]
    address: Vec<Running>,
    /// Where runs are kept as they come
    #[arg(long, value_name = "FILE", default_value = "target/bench/suite.json")]
    record: PathBuf,
    /// The first port that servers listen at
    #[arg(long, default_value_t = 7800)]
    port: u16,
}

/// What `--quick` measures.
const QUICK_SETTINGS: [&str; 4] = ["fanout-w1-1000", "fanout-w32-1000", "connect-5000", "idle-5000"];
const QUICK_SERVERS: [&str; 5] = ["fanfare", "floor", "floor32", "node-ws", "nchan"];

impl SuiteArgs {
    /// What `--quick` stands for.
    fn resolved(mut self) -> Self {
        if self.quick {
            self.settings = QUICK_SETTINGS.map(str::to_owned).to_vec();
            self.servers = QUICK_SERVERS.map(str::to_owned).to_vec();
            (self.runs, self.seconds) = (self.runs.min(2), self.seconds.min(1.5));
            self.record = self.record.with_file_name("quick.json");
        }
        self
    }
}

/// Runs the suite and tells what came of it.
///
/// # Errors
/// When nothing can be measured at all, or the record cannot be kept. Runs that fail are no errors.
pub fn run(args: SuiteArgs) -> Result<()> {
    let args = args.resolved();
    let settings = chosen(setting::settings(args.seconds), |setting| &setting.key, &args.settings, "setting")?;
    let subjects = chosen(subject::everybody(&args.address)?, |subject| &subject.server, &args.servers, "server")?;
    let mut record = open(&args)?;
    let subjects = prepare(subjects, &settings, &mut record, &args);
    let parts: Vec<Vec<&Subject>> =
        settings.iter().map(|setting| subjects.iter().filter(|subject| setting.who.has(subject)).collect()).collect();
    let steps = plan(&parts.iter().map(Vec::len).collect::<Vec<_>>(), args.runs);
    ensure!(!steps.is_empty(), "none of these servers takes part in any of these settings");

    let begun = Instant::now();
    let mut made = 0;
    for (at, Step { setting, server, number }) in steps.iter().copied().enumerate() {
        let (setting, subject) = (&settings[setting], parts[setting][server]);
        if record.has(&setting.key, &subject.server, number) {
            continue;
        }
        let left = begun.elapsed().mul_f64((steps.len() - at) as f64 / f64::from(made.max(1)));
        let time = if made > 0 { format!(", {} min left", left.as_secs().div_ceil(60)) } else { String::new() };
        println!("[{}/{}{time}] {}: {}, run {number}", at + 1, steps.len(), setting.key, subject.server);
        let port = args.port + PORTS_PER_RUN * (at % TURNS) as u16;
        let result = measure(setting, subject, port);
        interrupt::check();
        tell(&result);
        record.push(&setting.key, &subject.server, number, result);
        record.save(&args.record)?;
        made += 1;
    }
    println!("\n{}", report::tables(&record));
    println!("kept in {}", args.record.display());
    Ok(())
}

/// Those that were named; all if none were.
fn chosen<T>(all: Vec<T>, name: impl Fn(&T) -> &str, wanted: &[String], what: &str) -> Result<Vec<T>> {
    let names: Vec<String> = all.iter().map(|one| name(one).to_owned()).collect();
    if let Some(unknown) = wanted.iter().find(|wanted| !names.contains(wanted)) {
        bail!("there is no {what} `{unknown}`; there are {}", names.join(", "));
    }
    Ok(all.into_iter().filter(|one| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name(one))).collect())
}

/// The record that goes on, or a new one. An old one that does not go on is kept under its date.
fn open(args: &SuiteArgs) -> Result<Record> {
    if args.resume {
        let record = Record::load(&args.record)?;
        let now = revision();
        if record.revision != now {
            println!("resuming a suite of revision {}; this is {now}", record.revision);
        }
        return Ok(Record { runs_asked: args.runs, ..record }.without_failures());
    }
    if let Ok(old) = Record::load(&args.record)
        && !args.quick
    {
        let kept = args.record.with_extension(format!("{}.json", old.begun.replace(':', "")));
        std::fs::rename(&args.record, &kept).with_context(|| format!("cannot rename to {}", kept.display()))?;
    }
    Ok(Record {
        begun: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        revision: revision(),
        machine: facts(),
        runs_asked: args.runs,
        ..Record::default()
    })
}

/// Installs whatever the settings need; who cannot be installed is left out and named.
fn prepare(subjects: Vec<Subject>, settings: &[Setting], record: &mut Record, args: &SuiteArgs) -> Vec<Subject> {
    record.left_out.clear();
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let logs = args.record.parent().unwrap_or(Path::new("."));
    let mut ready = Vec::new();
    for subject in subjects {
        if !settings.iter().any(|setting| setting.who.has(&subject)) {
            continue;
        }
        if subject.running.is_none() && !subject.server.starts_with("floor") {
            println!("installing {}, if it is not there", subject.server);
            if let Err(why) = subject::install(&subject.server, &peers, logs) {
                println!("    left out: {why:#}");
                record.left_out.push(LeftOut { server: subject.server, setting: None, why: format!("{why:#}") });
                continue;
            }
        }
        record.left_out.extend(settings.iter().filter(|setting| setting.misses(&subject)).map(|setting| LeftOut {
            server: subject.server.clone(),
            setting: Some(setting.key.clone()),
            why: "it runs already, and this setting starts its nodes itself".to_owned(),
        }));
        ready.push(subject);
    }
    ready
}

fn measure(setting: &Setting, subject: &Subject, port: u16) -> Result<Outcome> {
    room::wait(setting.connections)?;
    let mut target = Target::named(&subject.server, port);
    (target.address, target.pid) = subject.running.unzip();
    // A mistake of ours in one experiment is no reason to lose the others.
    let outcome = catch_unwind(AssertUnwindSafe(|| (setting.measure)(target)));
    outcome.unwrap_or_else(|_| bail!("the experiment panicked: see above"))
}

fn tell(result: &Result<Outcome>) {
    match result {
        Ok(outcome) => {
            println!("    {}", report::in_short(outcome));
            outcome.remarks.iter().for_each(|remark| println!("    {remark}"));
        }
        Err(error) => println!("    failed: {error:#}"),
    }
}

/// What git says of the sources that this was built of.
pub fn revision() -> String {
    let git = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty", "--abbrev=10"])
        .output();
    match git {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}
