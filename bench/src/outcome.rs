//! What an experiment found: plain values, the same in JSON, in tables and on the page.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One run of one experiment on one server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// `idle`, `fanout`, `cross`, `connect`, `storm` or `publish`.
    pub experiment: String,
    /// The peer's name as its script is called, `fanfare`, or `floor`.
    pub server: String,
    /// What the server says of its version; empty if it does not.
    pub version: String,
    /// What was asked for, by the option's name: `subscribers`, `window`, `payload`, ...
    pub asked: BTreeMap<String, f64>,
    /// What was measured, by the names in [`measure`]; what could not be measured is not there.
    pub measured: BTreeMap<String, f64>,
    /// What a reader must know to read the figures rightly; empty mostly.
    pub remarks: Vec<String>,
}

impl Outcome {
    /// Notes what was asked for.
    pub fn ask(&mut self, name: &str, value: f64) {
        self.asked.insert(name.to_owned(), value);
    }

    /// Notes what was measured.
    pub fn found(&mut self, name: &str, value: f64) {
        self.measured.insert(name.to_owned(), value);
    }
}

/// Names and units of all that is measured.
pub mod measure {
    /// Publications that did not reach somebody who should have got them.
    pub const LOST: &str = "lost";
    /// Publications that reached somebody again.
    pub const DUPLICATED: &str = "duplicated";
    /// Publications that came after a later one.
    pub const MISORDERED: &str = "misordered";
    /// Publications received by all members together.
    pub const DELIVERIES: &str = "deliveries";
    /// The same per second.
    pub const DELIVERIES_PER_S: &str = "deliveries_per_s";
    /// CPU of the server, all threads and processes, user and system, in microseconds per delivery.
    pub const CPU_PER_DELIVERY_US: &str = "cpu_per_delivery_us";
    /// From publishing to receiving, milliseconds.
    pub const LATENCY_P50_MS: &str = "latency_p50_ms";
    /// As above, of one in a hundred.
    pub const LATENCY_P99_MS: &str = "latency_p99_ms";
    /// As above, of one in a thousand.
    pub const LATENCY_P999_MS: &str = "latency_p999_ms";
    /// The same from Redis' PUBLISH to its subscriber, without any server, in turns with what is measured.
    pub const RAW_LATENCY_P50_MS: &str = "raw_latency_p50_ms";
    /// As above, of one in a hundred.
    pub const RAW_LATENCY_P99_MS: &str = "raw_latency_p99_ms";
    /// The server's private memory for each idle connection, bytes: what it has more than before them.
    pub const MEMORY_PER_CONNECTION_B: &str = "memory_per_connection_b";
    /// The kernel's memory (slab) for each connection, both of its ends, bytes.
    pub const KERNEL_PER_CONNECTION_B: &str = "kernel_per_connection_b";
    /// CPU of the server for a connection from SYN to subscribed, microseconds.
    pub const CPU_PER_CONNECT_US: &str = "cpu_per_connect_us";
    /// Connections opened and subscribed per second.
    pub const CONNECTS_PER_S: &str = "connects_per_s";
    /// CPU of the server, per publication, microseconds.
    pub const CPU_PER_PUBLISH_US: &str = "cpu_per_publish_us";
    /// CPU of Redis, per publication, microseconds.
    pub const REDIS_CPU_PER_PUBLISH_US: &str = "redis_cpu_per_publish_us";
    /// Publications taken per second.
    pub const PUBLISHES_PER_S: &str = "publishes_per_s";
    /// PUBLISH commands taken per second by Redis alone, pipelined, in turns with what is measured.
    pub const RAW_PUBLISHES_PER_S: &str = "raw_publishes_per_s";
    /// Publications per second as a share of what Redis alone takes.
    pub const RATIO_TO_RAW: &str = "ratio_to_raw";
    /// CPU of who publishes, per publication, microseconds.
    pub const PUBLISHER_CPU_PER_PUBLISH_US: &str = "publisher_cpu_per_publish_us";
    /// Clients that came back and were told that they have missed nothing for good.
    pub const RECOVERED: &str = "recovered";
    /// Clients that came back and were told to load their state anew.
    pub const NOT_RECOVERED: &str = "not_recovered";
    /// From the loss of a server to the last client's being subscribed again, seconds.
    pub const BACK_S: &str = "back_s";
    /// CPU of the server that clients come back to, for each, beyond its other traffic, microseconds.
    pub const CPU_PER_RECOVERY_US: &str = "cpu_per_recovery_us";
    /// Scripts that Redis ran while they came back: histories and positions read.
    pub const HISTORY_READS: &str = "history_reads";
    /// CPU of the server while nothing happens, in cores.
    pub const IDLE_CORES: &str = "idle_cores";
    /// p99 of the same traffic before something disturbed it, milliseconds.
    pub const LATENCY_P99_BEFORE_MS: &str = "latency_p99_before_ms";
    /// p99 while it was disturbed, as a multiple of that.
    pub const LATENCY_P99_RATIO: &str = "latency_p99_ratio";
    /// Connections that were open, authenticated and subscribed at once.
    pub const CONNECTIONS: &str = "connections";
    /// From the first connection to the last one's being subscribed, seconds.
    pub const BUILT_S: &str = "built_s";
    /// From publishing until the last one has it, seconds, the slowest of several publications.
    pub const REACHED_S: &str = "reached_s";
    /// CPU of the crowd that measured, in cores: near 1, the crowd has held the server up.
    pub const CROWD_CORES: &str = "crowd_cores";
    /// CPU of everything else on the machine, in cores: far from 0, neighbours have disturbed the run.
    pub const OTHERS_CORES: &str = "others_cores";
    /// How long the thing took as a whole, seconds.
    pub const TOOK_S: &str = "took_s";
    /// From a ping to its pong on a connection that has nothing to do with the load, milliseconds.
    pub const PONG_P50_MS: &str = "pong_p50_ms";
    /// As above, of one in a hundred.
    pub const PONG_P99_MS: &str = "pong_p99_ms";
    /// As above, the longest.
    pub const PONG_MAX_MS: &str = "pong_max_ms";
    /// Latency of those who read, of one in a hundred, beside those who do not; milliseconds.
    pub const LATENCY_P99_STALLED_MS: &str = "latency_p99_stalled_ms";
    /// The same as a multiple of what it is without them.
    pub const STALLED_RATIO: &str = "stalled_ratio";
}
