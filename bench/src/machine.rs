//! What /proc tells of processes and of the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};

/// The unit of /proc/stat: USER_HZ is 100 wherever Linux runs.
const TICK: Duration = Duration::from_millis(10);

/// A process and all that it has started.
#[derive(Clone, Debug)]
pub struct Tree {
    root: u32,
}

impl Tree {
    /// The tree of a process that runs.
    pub fn new(root: u32) -> Self {
        Self { root }
    }

    /// CPU so far of all threads that live, by the scheduler's own account: exact to the nanosecond.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        ensure!(Path::new(&format!("/proc/{}", self.root)).exists(), "process {} has ended", self.root);
        Ok(self.members().into_iter().map(cpu_of).sum())
    }

    /// The same without the processes that it has started.
    pub fn own_cpu(&self) -> anyhow::Result<Duration> {
        ensure!(Path::new(&format!("/proc/{}", self.root)).exists(), "process {} has ended", self.root);
        Ok(cpu_of(self.root))
    }

    /// Private memory now, bytes: what would be free if the tree ended.
    pub fn memory(&self) -> anyhow::Result<u64> {
        let mut kib = 0;
        for pid in self.members() {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
                .with_context(|| format!("process {pid} has ended, or is somebody else's"))?;
            kib += rollup.lines().filter(|line| line.starts_with("Private_")).filter_map(number).sum::<u64>();
        }
        Ok(kib * 1024)
    }

    /// The process, its descendants, and its process group: daemons leave their parents, but not their group.
    fn members(&self) -> BTreeSet<u32> {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let mut next = vec![self.root];
        for pid in numbers("/proc") {
            let Some(stat) = Stat::of(pid) else { continue };
            children.entry(stat.parent).or_default().push(pid);
            if stat.group == self.root {
                next.push(pid);
            }
        }
        let mut members = BTreeSet::new();
        while let Some(pid) = next.pop() {
            if members.insert(pid) {
                next.extend(children.get(&pid).into_iter().flatten());
            }
        }
        members
    }
}

/// CPU of a process' threads that live; nothing if it has ended.
fn cpu_of(pid: u32) -> Duration {
    let threads = numbers(&format!("/proc/{pid}/task"));
    let account = |thread: &u32| fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat")).ok();
    let nanos = threads.iter().filter_map(account).filter_map(|text| text.split(' ').next()?.parse::<u64>().ok());
    match nanos.sum() {
        // A kernel that keeps no such account counts ticks.
        0 => Stat::of(pid).map_or(Duration::ZERO, |stat| TICK * u32::try_from(stat.ticks).unwrap_or(u32::MAX)),
        nanos => Duration::from_nanos(nanos),
    }
}

/// What we need of /proc/<pid>/stat.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    group: u32,
    /// User and system.
    ticks: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::read(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn read(text: &str) -> Option<Self> {
        // The name, in parentheses, may hold anything: words are counted behind it.
        let words: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |word: usize| words.get(word)?.parse::<u64>().ok();
        let id = |word: usize| words.get(word)?.parse::<u32>().ok();
        Some(Self { parent: id(1)?, group: id(2)?, ticks: number(11)? + number(12)? })
    }
}

/// CPU that anybody has used on this machine so far, the kernel's own included; counted in ticks.
pub fn busy() -> anyhow::Result<Duration> {
    let text = fs::read_to_string("/proc/stat")?;
    busy_ticks(&text).map(|ticks| TICK * ticks).context("/proc/stat has no line of all processors")
}

fn busy_ticks(text: &str) -> Option<u32> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u32> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    // user, nice, system; not idle and iowait; irq, softirq.
    Some(ticks.get(..3)?.iter().sum::<u32>() + ticks.get(5..7)?.iter().sum::<u32>())
}

/// The entries of a directory that are numbers.
fn numbers(directory: &str) -> Vec<u32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Kernel memory in slabs now, bytes: sockets, files and what belongs to them.
pub fn slab() -> anyhow::Result<u64> {
    meminfo("Slab")
}

/// Memory that could be had now, bytes.
pub fn available() -> anyhow::Result<u64> {
    meminfo("MemAvailable")
}

fn meminfo(key: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')));
    let kib = line.and_then(number).with_context(|| format!("/proc/meminfo has no {key}"))?;
    Ok(kib * 1024)
}

fn number(line: &str) -> Option<u64> {
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_uses_cpu_and_memory_with_its_children() {
        // Not this process: other tests have children that come and go.
        let mut child =
            std::process::Command::new("sh").args(["-c", "sleep 10 & while :; do :; done"]).spawn().unwrap();
        let tree = Tree::new(child.id());
        while tree.members().len() < 2 {}
        assert!(tree.memory().unwrap() > 10_000);
        let before = tree.cpu().unwrap();
        while tree.cpu().unwrap() < before + Duration::from_millis(1) {}
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(slab().unwrap() > 0 && available().unwrap() > 0);
        assert!(busy().unwrap() > Duration::ZERO);
        let nobody = Tree::new(u32::MAX);
        assert_eq!(nobody.cpu().unwrap_err().to_string(), "process 4294967295 has ended");
    }

    #[test]
    fn words_are_found_behind_any_name() {
        let text = "7 (a ) b) S 3 5 5 0 -1 4194560 1 2 3 4 60 40 0 0 20 0 1 0 9 9 9";
        assert_eq!(Stat::read(text), Some(Stat { parent: 3, group: 5, ticks: 100 }));
        assert_eq!(Stat::read("nothing"), None);
        assert_eq!(busy_ticks("cpu  1 2 4 1000 2000 8 16 0 0 0\ncpu0 1 1 1 1"), Some(31));
    }
}
