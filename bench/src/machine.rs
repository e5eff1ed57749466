//! What /proc tells of processes and of the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use anyhow::Context;

/// A process and all that it has started.
#[derive(Clone, Debug)]
pub struct Tree {
    root: u32,
}

/// What a tree of processes has used and holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system, all threads that live.
    pub cpu: Duration,
    /// Private memory, bytes.
    pub memory: u64,
}

impl Tree {
    /// The tree of a process that runs.
    pub fn new(root: u32) -> Self {
        Self { root }
    }

    /// CPU so far, by the scheduler's own account: exact to the nanosecond, where `utime` counts ticks.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let mut nanos = 0;
        for pid in self.members() {
            for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
                // A thread may end while we look.
                let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
                nanos += text.split_whitespace().next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0);
            }
        }
        Ok(Duration::from_nanos(nanos))
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

    /// Both.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        Ok(Usage { cpu: self.cpu()?, memory: self.memory()? })
    }

    fn members(&self) -> BTreeSet<u32> {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
            // The name, in parentheses, may hold anything: the parent is the second word behind it.
            let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
            children.entry(parent.unwrap_or(0)).or_default().push(pid);
        }
        let (mut members, mut next) = (BTreeSet::new(), vec![self.root]);
        while let Some(pid) = next.pop() {
            if members.insert(pid) {
                next.extend(children.get(&pid).into_iter().flatten());
            }
        }
        members
    }
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
        let mut child = std::process::Command::new("sleep").arg("10").spawn().unwrap();
        let tree = Tree::new(std::process::id());
        assert!(tree.members().contains(&child.id()));
        let before = tree.usage().unwrap();
        assert!(before.memory > 10_000);
        while tree.cpu().unwrap() < before.cpu + Duration::from_millis(1) {}
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(slab().unwrap() > 0 && available().unwrap() > 0);
    }
}
