//! What the defaults need to know of the machine. Read once, by the command line; tests make their own.

use std::fs;

/// Facts of the machine that defaults depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its name in the network.
    pub host_name: String,
    /// How many files and sockets this process may have open; `None` if it cannot be told.
    pub open_files_max: Option<usize>,
}

impl Machine {
    /// This machine, as this process sees it.
    #[must_use]
    pub fn read() -> Self {
        let host_name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        let open_files_max = fs::read_to_string("/proc/self/limits").ok().and_then(|text| open_files_max(&text));
        Self { host_name: if host_name.is_empty() { "gateway".into() } else { host_name }, open_files_max }
    }
}

/// The soft limit, the first of the two numbers in its line.
fn open_files_max(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(usize::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             7823                 7823                 processes \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(open_files_max(limits), Some(1024));
        assert_eq!(open_files_max("Max open files   unlimited   unlimited   files"), Some(usize::MAX));
        assert_eq!(open_files_max(""), None);
    }
}
