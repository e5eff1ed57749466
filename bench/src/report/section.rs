//! The parts of the page, one for each setting of a suite: what is told about it, in which columns, with
//! which plot.

use super::figure::{self, Measure};

/// One setting as it is presented.
#[derive(Debug)]
pub struct Section {
    /// Key of the setting.
    pub setting: &'static str,
    /// Heading.
    pub title: &'static str,
    /// What was done and what the figures are of, in a paragraph.
    pub text: &'static str,
    /// The first one orders the servers, and is the one that is compared with the floor's.
    pub columns: &'static [Measure],
    /// What is drawn.
    pub drawing: Drawing,
}

/// What is drawn of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// Nothing: too few figures.
    Nothing,
    /// The first column, from 0.
    Bars,
    /// The first column over a logarithm, because the servers lie far apart.
    Dots,
    /// p50, p99 and p99.9 over a logarithm.
    Percentiles,
}

/// Numbers of subscribers at which the growth of costs is measured.
pub const GROWTH: [usize; 4] = [64, 1_000, 9_000, 19_000];

/// Publications outstanding at which it is measured, and how a reader is told.
pub const GROWTH_WINDOWS: [(usize, &str); 2] = [(1, "one publication at a time"), (32, "32 in flight")];

/// Key of a fan-out with this many publications outstanding and this many subscribers.
pub fn fanout_setting(window: usize, subscribers: usize) -> String {
    format!("fanout-w{window}-{subscribers}")
}

const FANOUT: &[Measure] = &[figure::CPU_PER_DELIVERY, figure::DELIVERIES, figure::P50, figure::P99];
const PACED: &[Measure] = &[figure::P50, figure::P99, figure::P999, figure::CPU_PER_DELIVERY];
const IDLE: &[Measure] = &[figure::MEMORY, figure::KERNEL, figure::IDLE_CPU];
const CONNECT: &[Measure] = &[figure::CPU_PER_CONNECT, figure::CONNECTS];
const CROSS: &[Measure] = &[
    figure::P50,
    figure::P99,
    figure::P999,
    figure::RAW_P50,
    figure::RAW_P99,
    figure::CPU_PER_PUBLISH,
    figure::REDIS_CPU,
];
const PUBLISH: &[Measure] = &[figure::CPU_PER_PUBLISH, figure::PUBLISHES, figure::REDIS_CPU, figure::P50, figure::P99];
const NOBODY: &[Measure] = &[figure::CPU_PER_PUBLISH, figure::PUBLISHES, figure::REDIS_CPU];
const STRAIGHT: &[Measure] =
    &[figure::RATIO_TO_RAW, figure::PUBLISHES, figure::RAW_PUBLISHES, figure::PUBLISHER_CPU, figure::REDIS_CPU];
const STORM: &[Measure] = &[
    figure::BACK,
    figure::NOT_RECOVERED,
    figure::CPU_PER_RECOVERY,
    figure::P99_BEFORE,
    figure::P99,
    figure::P99_RATIO,
];
const PONGS: &[Measure] = &[figure::PONG_MAX, figure::PONG_P99, figure::PONG_P50, figure::P50, figure::P99];
const STALLED: &[Measure] = &[figure::STALLED_RATIO, figure::P99, figure::P99_STALLED, figure::PONG_P99];
const MILLION: &[Measure] = &[
    figure::CONNECTIONS,
    figure::BUILT,
    figure::MEMORY,
    figure::KERNEL,
    figure::IDLE_CPU,
    figure::REACHED,
    figure::CPU_PER_DELIVERY,
];

/// All of them, in the order of the page.
pub const SECTIONS: &[Section] = &[
    Section {
        setting: "fanout-w1-1000",
        title: "Fan-out, one publication at a time",
        text: "1,000 subscribers of one channel, 128 bytes, and the next publication only when everybody has the last \
               one: nothing can be gathered, each delivery is a write of its own. The floor is a bare loop that does \
               nothing but write the ready frame to each socket.",
        columns: FANOUT,
        drawing: Drawing::Bars,
    },
    Section {
        setting: "fanout-w32-1000",
        title: "Fan-out, 32 publications in flight",
        text: "The same with 32 publications outstanding. Who gathers what waits for a socket writes it in one go and \
               gets far below the floor, which still does one write for each frame.",
        columns: FANOUT,
        drawing: Drawing::Bars,
    },
    Section {
        setting: "fanout-w32-64",
        title: "Fan-out to a small room",
        text: "32 publications in flight to 64 subscribers: what it costs to take a publication weighs more, as fewer \
               share it.",
        columns: FANOUT,
        drawing: Drawing::Bars,
    },
    Section {
        setting: "paced-1000-10",
        title: "Latency, 1,000 subscribers, 10 publications a second",
        text: "From publishing to receiving, over all subscribers. Half of the median is the time that one round of \
               1,000 writes takes, with the crowd's reading of them on the same cores.",
        columns: PACED,
        drawing: Drawing::Percentiles,
    },
    Section {
        setting: "paced-64-100",
        title: "Latency, 64 subscribers, 100 publications a second",
        text: "The same in a smaller room at a higher pace.",
        columns: PACED,
        drawing: Drawing::Percentiles,
    },
    Section {
        setting: "nobody",
        title: "A channel without listeners",
        text: "Two nodes on one Redis: one publishes to a listener of its own, and what the other pays for each of these \
               publications is measured, while 1,000 clients of it listen to another channel.",
        columns: NOBODY,
        drawing: Drawing::Nothing,
    },
    Section {
        setting: "others-0",
        title: "No other channels",
        text: "The first fan-out again, to compare the next one with: one is measured right after the other.",
        columns: FANOUT,
        drawing: Drawing::Nothing,
    },
    Section {
        setting: "others-100000",
        title: "100,000 other channels",
        text: "The same, while 100,000 other channels have a subscriber each on the same node.",
        columns: FANOUT,
        drawing: Drawing::Nothing,
    },
    Section {
        setting: "idle-19000",
        title: "Memory, 19,000 idle connections",
        text: "What the server's private memory grows by for each connection that is authenticated, where the server \
               knows that, and subscribed. The kernel's memory stands apart: it is that of both ends.",
        columns: IDLE,
        drawing: Drawing::Dots,
    },
    Section {
        setting: "idle-5000",
        title: "Memory, 5,000 idle connections",
        text: "The same with fewer, so that what a server takes once and what it takes each time can be told apart.",
        columns: IDLE,
        drawing: Drawing::Nothing,
    },
    Section {
        setting: "connect-19000",
        title: "Connecting, 19,000",
        text: "From the first packet to being subscribed: TCP, the WebSocket handshake, a signed token where the server \
               checks one, and the subscription.",
        columns: CONNECT,
        drawing: Drawing::Bars,
    },
    Section {
        setting: "connect-5000",
        title: "Connecting, 5,000",
        text: "The same with fewer.",
        columns: CONNECT,
        drawing: Drawing::Nothing,
    },
    Section {
        setting: "cross",
        title: "From node to node",
        text: "Published through the API of one node, received by a client of another, 200 times a second. Raw \
               Redis, in turns with it on the same Redis, is a PUBLISH received by a bare SUBSCRIBE.",
        columns: CROSS,
        drawing: Drawing::Percentiles,
    },
    Section {
        setting: "publish-http-memory",
        title: "Publishing over HTTP, in memory",
        text: "One publication a request on connections that are kept alive, to a channel without subscribers, on a \
               single node. Latency is from the request to its answer.",
        columns: PUBLISH,
        drawing: Drawing::Bars,
    },
    Section {
        setting: "publish-http-redis",
        title: "Publishing over HTTP, through Redis",
        text: "The same on a node that shares its channels with others through Redis.",
        columns: PUBLISH,
        drawing: Drawing::Bars,
    },
    Section {
        setting: "publish-worker",
        title: "Publishing straight into Redis",
        text: "The worker's library, and in turns with it on the same Redis raw pipelined PUBLISH commands.",
        columns: STRAIGHT,
        drawing: Drawing::Nothing,
    },
    Section {
        setting: "fair-19000",
        title: "A ping beside a busy channel",
        text: "A connection that has nothing to do with it sends pings while a channel with 19,000 subscribers gets a \
               publication a second: a round of 19,000 writes must not keep it waiting.",
        columns: PONGS,
        drawing: Drawing::Nothing,
    },
    Section {
        setting: "fair-stalled",
        title: "Readers that do not read",
        text: "10,000 subscribers who read, without and with 1,000 others who do not, at 5 publications of 1 KiB a \
               second: who does not read must cost the others nothing.",
        columns: STALLED,
        drawing: Drawing::Nothing,
    },
    Section {
        setting: "storm",
        title: "Reconnect storm",
        text: "One of two nodes is lost. Its 10,000 clients come to the other within 5 seconds, each at a random \
               moment, and recover what they have missed, while others go on listening there.",
        columns: STORM,
        drawing: Drawing::Nothing,
    },
    Section {
        setting: "million",
        title: "Many processes, one machine",
        text: "As many authenticated and subscribed connections as the machine holds, on gateways of 19,000 each that \
               share one Redis; then three publications through the API of one of them, which everybody gets once.",
        columns: MILLION,
        drawing: Drawing::Nothing,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_one_section() {
        for (at, section) in SECTIONS.iter().enumerate() {
            assert!(SECTIONS[..at].iter().all(|other| other.setting != section.setting), "{}", section.setting);
            assert!(!section.columns.is_empty());
        }
        assert!(SECTIONS.iter().any(|section| section.setting == fanout_setting(32, 64)));
    }
}
