//! Settings of the kernel that a million sockets need: raised while they are needed, put back afterwards.
//!
//! What they were is also kept in a file, so that a run that was killed is cleaned up after by the next one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A setting and what it should at least be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// As `sysctl` calls it, e.g. `net.core.somaxconn`.
    pub name: &'static str,
    /// A number, or the ends of a range. Enough is a number that is as high, or a range that is as wide as `enough`.
    pub value: String,
    /// For ranges: how wide the present one must be to stay; 0 for numbers.
    pub enough: u64,
    /// False if the kernel may be without it.
    pub required: bool,
}

/// What so many connections from this machine to itself take, with so many of them to each port.
pub fn wanted(connections: usize, each: usize) -> Vec<Wanted> {
    let number = |name, value: usize, required| Wanted { name, value: value.to_string(), enough: 0, required };
    // Handshakes are under way by the dozen only, whatever the number of connections.
    let mut all = vec![
        number("net.core.somaxconn", 1024, true),
        number("net.ipv4.tcp_max_syn_backlog", 1024, true),
        // Both ends, and room for everything else.
        number("fs.file-max", connections * 2 + 200_000, true),
        // One entry for each connection; those of closed ones stay for minutes.
        number("net.netfilter.nf_conntrack_max", connections + connections / 2 + 100_000, false),
    ];
    // A port for each connection to the same gateway; above those that gateways listen at.
    let enough = (each + each / 5) as u64;
    all.push(Wanted { name: "net.ipv4.ip_local_port_range", value: "20000 65535".to_owned(), enough, required: true });
    all
}

/// Settings that are raised as long as this lives.
#[derive(Debug)]
pub struct Raised {
    root: PathBuf,
    kept: PathBuf,
    before: BTreeMap<String, String>,
}

impl Raised {
    /// Raises what is lower than wanted. `root` is `/proc/sys`; `kept` remembers what was before.
    ///
    /// # Errors
    /// When a required setting cannot be changed: that takes root. Those that were changed are put back.
    pub fn new(root: &Path, kept: &Path, wanted: &[Wanted]) -> Result<Self> {
        let mut raised = Self { root: root.to_owned(), kept: kept.to_owned(), before: BTreeMap::new() };
        if let Ok(text) = fs::read_to_string(kept) {
            raised.before = serde_json::from_str(&text).with_context(|| format!("{} is damaged", kept.display()))?;
            raised.put_back().context("cannot put back what a run that was killed has changed")?;
        }
        for setting in wanted {
            raised.raise(setting)?;
        }
        Ok(raised)
    }

    /// Each setting that was changed, with what it was.
    pub fn changed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.before.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn raise(&mut self, setting: &Wanted) -> Result<()> {
        let path = self.path(setting.name);
        let Ok(before) = fs::read_to_string(&path) else {
            anyhow::ensure!(!setting.required, "this kernel has no {}", setting.name);
            return Ok(());
        };
        if suffices(&before, setting) {
            return Ok(());
        }
        self.before.insert(setting.name.to_owned(), before.trim().to_owned());
        self.keep()?;
        fs::write(&path, &setting.value)
            .with_context(|| format!("cannot set {} to {}: run as root, or set it before", setting.name, setting.value))
    }

    fn keep(&self) -> Result<()> {
        if let Some(folder) = self.kept.parent() {
            fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string(&self.before)?;
        fs::write(&self.kept, text).with_context(|| format!("cannot write {}", self.kept.display()))
    }

    /// Puts all back; what cannot be put back stays in the file.
    fn put_back(&mut self) -> Result<()> {
        while let Some((name, value)) = self.before.first_key_value().map(|(name, value)| (name.clone(), value.clone()))
        {
            fs::write(self.path(&name), &value).with_context(|| format!("cannot set {name} back to {value}"))?;
            self.before.remove(&name);
        }
        match fs::remove_file(&self.kept) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name.replace('.', "/"))
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        if let Err(error) = self.put_back() {
            println!("{error:#}; what the settings were is in {}", self.kept.display());
        }
    }
}

fn suffices(before: &str, wanted: &Wanted) -> bool {
    let numbers = |text: &str| -> Vec<u64> { text.split_whitespace().filter_map(|word| word.parse().ok()).collect() };
    match (&numbers(before)[..], &numbers(&wanted.value)[..]) {
        ([before], [wanted]) => before >= wanted,
        ([low, high], [_, _]) => high.saturating_sub(*low) >= wanted.enough,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Kernel(PathBuf);

    impl Kernel {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("fanfare-bench-sysctl-{name}-{}", std::process::id()));
            for (name, value) in
                [("net/core/somaxconn", "4096\n"), ("net/range", "32768\t60999\n"), ("fs/file-max", "99\n")]
            {
                let path = root.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, value).unwrap();
            }
            Self(root)
        }

        fn values(&self) -> [String; 3] {
            ["net/core/somaxconn", "net/range", "fs/file-max"]
                .map(|name| fs::read_to_string(self.0.join(name)).unwrap().trim().to_owned())
        }

        fn raised(&self) -> Result<Raised> {
            let wanted =
                |name, value: &str, required| Wanted { name, value: value.to_owned(), enough: 30_000, required };
            let wanted = [
                wanted("net.core.somaxconn", "8192", true),
                wanted("net.range", "1024 65535", true),
                wanted("fs.file-max", "50", true),
                wanted("net.netfilter.nf_conntrack_max", "1", false),
            ];
            Raised::new(&self.0, &self.0.join("kept/before.json"), &wanted)
        }
    }

    impl Drop for Kernel {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const BEFORE: [&str; 3] = ["4096", "32768\t60999", "99"];
    const MEANWHILE: [&str; 3] = ["8192", "1024 65535", "99"];

    #[test]
    fn what_is_too_low_is_raised_and_put_back() {
        let kernel = Kernel::new("raised");
        let raised = kernel.raised().unwrap();
        assert_eq!(kernel.values(), MEANWHILE);
        assert_eq!(raised.changed().count(), 2);
        drop(raised);
        assert_eq!(kernel.values(), BEFORE);
        assert!(!kernel.0.join("kept/before.json").exists());
    }

    #[test]
    fn a_range_that_is_wide_enough_stays() {
        let range = |enough| Wanted { name: "net.range", value: "1024 65535".to_owned(), enough, required: true };
        assert!(suffices("32768\t60999\n", &range(22_800)));
        assert!(!suffices("32768\t60999\n", &range(30_000)));
    }

    #[test]
    fn a_run_that_was_killed_is_cleaned_up_after() {
        let kernel = Kernel::new("killed");
        std::mem::forget(kernel.raised().unwrap());
        assert_eq!(kernel.values(), MEANWHILE);
        drop(kernel.raised().unwrap());
        assert_eq!(kernel.values(), BEFORE);
    }

    #[test]
    fn a_failure_changes_nothing() {
        let kernel = Kernel::new("failure");
        let missing = Wanted { name: "no.such", value: "1".to_owned(), enough: 0, required: true };
        let first = Wanted { name: "net.core.somaxconn", value: "8192".to_owned(), enough: 0, required: true };
        assert!(Raised::new(&kernel.0, &kernel.0.join("before.json"), &[first, missing]).is_err());
        assert_eq!(kernel.values(), BEFORE);
    }
}
