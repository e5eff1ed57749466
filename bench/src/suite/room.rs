//! Room in the kernel's table of connections, where one is kept: entries of closed connections stay for two
//! minutes, and a full table drops packets, which would be measured as slowness of whoever is next.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

const COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
const MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

/// Longer than entries stay.
const PATIENCE: Duration = Duration::from_secs(150);

/// Waits until so many more connections find room.
///
/// # Errors
/// When there is none after two and a half minutes.
pub fn wait(connections: usize) -> Result<()> {
    let begun = Instant::now();
    while !has_room(number(COUNT), number(MAX), connections) {
        ensure!(
            begun.elapsed() < PATIENCE,
            "the kernel's table of connections stays full: raise net.netfilter.nf_conntrack_max"
        );
        if begun.elapsed() < Duration::from_millis(10) {
            println!("    waiting for room in the kernel's table of connections");
        }
        thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

/// With a tenth to spare for everybody else; true where there is no table.
fn has_room(count: Option<usize>, max: Option<usize>, connections: usize) -> bool {
    match (count, max) {
        (Some(count), Some(max)) => count + connections < max - max / 10,
        _ => true,
    }
}

fn number(path: &str) -> Option<usize> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_not_filled_to_the_brim() {
        assert!(has_room(None, None, 1_000_000));
        assert!(has_room(Some(10_000), Some(262_144), 19_000));
        assert!(!has_room(Some(230_000), Some(262_144), 19_000));
    }
}
