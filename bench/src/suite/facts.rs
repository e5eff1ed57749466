//! What a reader must know of the machine.

use std::collections::BTreeMap;
use std::fs;

/// By what they are called; what the machine does not tell is not there.
pub fn facts() -> BTreeMap<String, String> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (cpuinfo, meminfo, limits) = (read("/proc/cpuinfo"), read("/proc/meminfo"), read("/proc/self/limits"));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let facts = [
        ("processor", field(&cpuinfo, "model name").map(|name| format!("{cores} cores of {name}"))),
        ("memory", field(&meminfo, "MemTotal").and_then(|total| gibibytes(&total))),
        ("kernel", Some(format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()))),
        ("system", field_by(&read("/etc/os-release"), "PRETTY_NAME", '=')),
        ("open files of a process", most_files(&limits).map(|most| format!("at most {most}"))),
        ("connection tracking", Some(tracking().to_owned())),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn field(text: &str, name: &str) -> Option<String> {
    field_by(text, name, ':')
}

fn field_by(text: &str, name: &str, separator: char) -> Option<String> {
    let values = text.lines().filter_map(|line| line.split_once(separator));
    let mut values = values.filter(|(found, _)| found.trim() == name);
    values.next().map(|(_, value)| value.trim().trim_matches('"').to_owned())
}

/// From `16384000 kB`.
fn gibibytes(text: &str) -> Option<String> {
    let kibibytes: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(format!("{:.1} GiB", kibibytes / 1024.0 / 1024.0))
}

fn most_files(limits: &str) -> Option<&str> {
    limits.lines().find(|line| line.starts_with("Max open files"))?.split_whitespace().nth(4)
}

/// It costs a little for each packet, and memory for each connection.
fn tracking() -> &'static str {
    if fs::exists("/proc/sys/net/netfilter/nf_conntrack_max").unwrap_or(false) { "on" } else { "off" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name() {
        assert_eq!(field("a\t: 1\nmodel name\t: X 9\n", "model name").as_deref(), Some("X 9"));
        assert_eq!(field_by("PRETTY_NAME=\"Debian 12\"\n", "PRETTY_NAME", '=').as_deref(), Some("Debian 12"));
        assert_eq!(gibibytes("25165824 kB").as_deref(), Some("24.0 GiB"));
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 20000  files\n";
        assert_eq!(most_files(limits), Some("20000"));
    }

    #[test]
    fn this_machine_has_a_kernel_and_memory() {
        let facts = facts();
        assert!(facts.contains_key("kernel") && facts["memory"].ends_with("GiB"), "{facts:?}");
    }
}
