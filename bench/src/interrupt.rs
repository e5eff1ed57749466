//! Ctrl-C, SIGTERM and a terminal that closes: whatever was started ends with us. Servers are in process groups of their own, so that their
//! CPU can be told from ours; a terminal does not reach them there.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

/// How long children may take to go after SIGTERM, before SIGKILL.
const GOING: Duration = Duration::from_secs(3);
/// What shells expect of a program that SIGINT has ended.
const INTERRUPTED: i32 = 130;

type Cleanup = Box<dyn FnOnce() + Send>;

static PENDING: AtomicBool = AtomicBool::new(false);
static CLEANUP: Mutex<Vec<Cleanup>> = Mutex::new(Vec::new());

/// From now on a signal ends all children, cleans up and exits.
pub fn watch() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate, mut hang_up) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?)
    };
    let wait = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
        });
        PENDING.store(true, Ordering::SeqCst);
        // Not to standard output, where outcomes are; the terminal may be gone.
        let _ = writeln!(std::io::stderr(), "interrupted: ending what was started");
        end_children();
        for cleanup in CLEANUP.lock().map(|mut all| std::mem::take(&mut *all)).unwrap_or_default() {
            cleanup();
        }
        std::process::exit(INTERRUPTED);
    };
    thread::Builder::new().name("interrupt".to_owned()).spawn(wait).context("cannot start a thread")?;
    Ok(())
}

/// Goes on unless a signal ends us: then nothing is measured rightly any more, and this waits for the end.
pub fn check() {
    while PENDING.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(100));
    }
}

/// Done when a signal ends us, after the children are gone; nothing runs it on a regular end.
pub fn on_interrupt(cleanup: impl FnOnce() + Send + 'static) {
    if let Ok(mut all) = CLEANUP.lock() {
        all.push(Box::new(cleanup));
    }
}

/// Ends the process groups of all children; what does not go in time is killed.
fn end_children() {
    let begun = Instant::now();
    signal_groups("TERM");
    while !children().is_empty() && begun.elapsed() < GOING {
        thread::sleep(Duration::from_millis(20));
    }
    signal_groups("KILL");
}

fn signal_groups(name: &str) {
    for child in children() {
        let group = format!("-{child}");
        let _ = Command::new("kill").args(["-s", name, "--", &group]).stderr(Stdio::null()).status();
    }
}

/// Children that run and lead a process group.
fn children() -> Vec<u32> {
    let own = std::process::id();
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers
        .filter(|process| {
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            is_leading_child(&stat, *process, own)
        })
        .collect()
}

/// By /proc/<pid>/stat: state, parent and group follow the name, which may hold brackets.
fn is_leading_child(stat: &str, process: u32, parent: u32) -> bool {
    let Some((_, rest)) = stat.rsplit_once(") ") else { return false };
    let fields: Vec<&str> = rest.split(' ').take(3).collect();
    let [state, its_parent, group] = fields[..] else { return false };
    state != "Z" && its_parent.parse() == Ok(parent) && group.parse() == Ok(process)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;

    #[test]
    fn only_living_leaders_are_ended() {
        assert!(is_leading_child("7 (a) b) S 3 7 7 0", 7, 3));
        assert!(!is_leading_child("7 (a) Z 3 7 7 0", 7, 3), "it is gone already");
        assert!(!is_leading_child("7 (a) S 3 3 3 0", 7, 3), "its group is ours");
        assert!(!is_leading_child("7 (a) S 4 7 7 0", 7, 3), "somebody else's");
        assert!(!is_leading_child("", 7, 3));
    }

    #[test]
    fn a_child_is_found_while_it_runs() {
        let mut child = Command::new("sleep").arg("20").process_group(0).spawn().unwrap();
        assert!(children().contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!children().contains(&child.id()));
    }
}
