//! How measures are called and written: three digits are all that these measurements carry.

use crate::outcome::measure;

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// µs.
    Microseconds,
    /// ms.
    Milliseconds,
    /// s.
    Seconds,
    /// Bytes.
    Bytes,
    /// Events per second.
    PerSecond,
    /// CPU cores.
    Cores,
    /// A ratio.
    Times,
    /// Hundredths.
    Percent,
    /// A number of things.
    Count,
}

/// How a measure is presented.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// As in [`measure`].
    pub name: &'static str,
    /// The head of a column, without the unit.
    pub label: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// True if less is better.
    pub less: bool,
}

const fn less(name: &'static str, label: &'static str, unit: Unit) -> Measure {
    Measure { name, label, unit, less: true }
}

const fn more(name: &'static str, label: &'static str, unit: Unit) -> Measure {
    Measure { name, label, unit, less: false }
}

/// CPU of the server for each delivery.
pub const CPU_PER_DELIVERY: Measure = less(measure::CPU_PER_DELIVERY_US, "CPU per delivery", Unit::Microseconds);
/// How many deliveries there were in a second.
pub const DELIVERIES: Measure = more(measure::DELIVERIES_PER_S, "deliveries", Unit::PerSecond);
/// The middle latency.
pub const P50: Measure = less(measure::LATENCY_P50_MS, "p50", Unit::Milliseconds);
/// One in a hundred takes longer.
pub const P99: Measure = less(measure::LATENCY_P99_MS, "p99", Unit::Milliseconds);
/// One in a thousand takes longer.
pub const P999: Measure = less(measure::LATENCY_P999_MS, "p99.9", Unit::Milliseconds);
/// The middle latency of Redis alone, in turns with what is measured.
pub const RAW_P50: Measure = less(measure::RAW_LATENCY_P50_MS, "raw Redis p50", Unit::Milliseconds);
/// The same of one in a hundred.
pub const RAW_P99: Measure = less(measure::RAW_LATENCY_P99_MS, "raw Redis p99", Unit::Milliseconds);
/// The server's own memory for a connection.
pub const MEMORY: Measure = less(measure::MEMORY_PER_CONNECTION_B, "memory per connection", Unit::Bytes);
/// The kernel's memory for a connection.
pub const KERNEL: Measure = less(measure::KERNEL_PER_CONNECTION_B, "kernel's, both ends", Unit::Bytes);
/// CPU of the server while nothing happens.
pub const IDLE_CPU: Measure = less(measure::IDLE_CORES, "idle CPU", Unit::Cores);
/// CPU of the server for a connection.
pub const CPU_PER_CONNECT: Measure = less(measure::CPU_PER_CONNECT_US, "CPU per connect", Unit::Microseconds);
/// How many connections were opened in a second.
pub const CONNECTS: Measure = more(measure::CONNECTS_PER_S, "connects", Unit::PerSecond);
/// CPU of the server for a publication.
pub const CPU_PER_PUBLISH: Measure = less(measure::CPU_PER_PUBLISH_US, "CPU per publish", Unit::Microseconds);
/// CPU of Redis for a publication.
pub const REDIS_CPU: Measure = less(measure::REDIS_CPU_PER_PUBLISH_US, "Redis' CPU per publish", Unit::Microseconds);
/// How many publications were taken in a second.
pub const PUBLISHES: Measure = more(measure::PUBLISHES_PER_S, "publications", Unit::PerSecond);
/// PUBLISH commands that Redis alone takes in a second, in turns with what is measured.
pub const RAW_PUBLISHES: Measure = more(measure::RAW_PUBLISHES_PER_S, "raw PUBLISH", Unit::PerSecond);
/// Publications as a share of those.
pub const RATIO_TO_RAW: Measure = more(measure::RATIO_TO_RAW, "× raw PUBLISH", Unit::Times);
/// CPU of who publishes.
pub const PUBLISHER_CPU: Measure =
    less(measure::PUBLISHER_CPU_PER_PUBLISH_US, "publisher's CPU per publish", Unit::Microseconds);
/// How long it took until the last one was back.
pub const BACK: Measure = less(measure::BACK_S, "all back", Unit::Seconds);
/// CPU of the server for one that came back.
pub const CPU_PER_RECOVERY: Measure = less(measure::CPU_PER_RECOVERY_US, "CPU per recovery", Unit::Microseconds);
/// How many were told to load their state anew.
pub const NOT_RECOVERED: Measure = less(measure::NOT_RECOVERED, "not recovered", Unit::Count);
/// p99 of other traffic, as a multiple of what it was before.
pub const P99_RATIO: Measure = less(measure::LATENCY_P99_RATIO, "p99 × before", Unit::Times);
/// p99 of a traffic before it was disturbed.
pub const P99_BEFORE: Measure = less(measure::LATENCY_P99_BEFORE_MS, "p99 before", Unit::Milliseconds);
/// The middle time from a ping to its pong.
pub const PONG_P50: Measure = less(measure::PONG_P50_MS, "pong p50", Unit::Milliseconds);
/// One pong in a hundred takes longer.
pub const PONG_P99: Measure = less(measure::PONG_P99_MS, "pong p99", Unit::Milliseconds);
/// The longest.
pub const PONG_MAX: Measure = less(measure::PONG_MAX_MS, "longest pong", Unit::Milliseconds);
/// p99 of those who read beside those who do not.
pub const P99_STALLED: Measure = less(measure::LATENCY_P99_STALLED_MS, "p99 with stalled", Unit::Milliseconds);
/// The same as a multiple of what it is without them.
pub const STALLED_RATIO: Measure = less(measure::STALLED_RATIO, "× without", Unit::Times);
/// How many connections there were at once.
pub const CONNECTIONS: Measure = more(measure::CONNECTIONS, "connections", Unit::Count);
/// How long it took until all were there.
pub const BUILT: Measure = less(measure::BUILT_S, "built up", Unit::Seconds);
/// How long it took until the last one had a publication.
pub const REACHED: Measure = less(measure::REACHED_S, "all reached", Unit::Seconds);
/// How long the whole took.
pub const TOOK: Measure = less(measure::TOOK_S, "took", Unit::Seconds);

/// All of them, the foremost first.
pub const ALL: [Measure; 32] = [
    CPU_PER_DELIVERY,
    DELIVERIES,
    MEMORY,
    CPU_PER_CONNECT,
    CPU_PER_PUBLISH,
    CONNECTIONS,
    CONNECTS,
    PUBLISHES,
    RATIO_TO_RAW,
    RAW_PUBLISHES,
    PUBLISHER_CPU,
    BACK,
    CPU_PER_RECOVERY,
    NOT_RECOVERED,
    P50,
    P99,
    P999,
    RAW_P50,
    RAW_P99,
    P99_RATIO,
    P99_BEFORE,
    P99_STALLED,
    STALLED_RATIO,
    PONG_P50,
    PONG_P99,
    PONG_MAX,
    KERNEL,
    IDLE_CPU,
    REDIS_CPU,
    BUILT,
    REACHED,
    TOOK,
];

impl Measure {
    /// With the unit, as the head of a column.
    pub fn head(&self) -> String {
        match self.unit {
            Unit::PerSecond => format!("{}/s", self.label),
            Unit::Times | Unit::Count => self.label.to_owned(),
            unit => format!("{}, {}", self.label, unit.symbol()),
        }
    }
}

impl Unit {
    /// What stands behind a number.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Bytes => "B",
            Self::PerSecond => "/s",
            Self::Cores => "cores",
            Self::Times => "×",
            Self::Percent => "%",
            Self::Count => "",
        }
    }

    /// Three digits, large rates in thousands and millions: `8.70`, `2,925`, `118 k`, `1.35 M`.
    pub fn number(self, value: f64) -> String {
        match self {
            Self::PerSecond if value >= 999_500.0 => format!("{} M", three_digits(value / 1e6)),
            Self::PerSecond if value >= 9_995.0 => format!("{} k", three_digits(value / 1e3)),
            Self::Count => grouped(value),
            _ => three_digits(value),
        }
    }

    /// A number and its unit: `8.70 µs`, `118 k/s`.
    pub fn quantity(self, value: f64) -> String {
        let (number, symbol) = (self.number(value), self.symbol());
        match self {
            Self::PerSecond | Self::Count => format!("{number}{symbol}"),
            _ => format!("{number} {symbol}"),
        }
    }
}

/// The figure at a tick of an axis, which is round: 0, 0.5, 20, 1,000.
pub fn tick(value: f64) -> String {
    if value == 0.0 || value >= 100.0 {
        return grouped(value);
    }
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn three_digits(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => grouped(value),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.0995 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A whole number with commas between thousands.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = if value < 0.0 && digits != "0" { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_no_more() {
        let cases = [
            (0.0, "0.00"),
            (0.0004, "0.000"),
            (0.0823, "0.082"),
            (0.62, "0.62"),
            (8.7, "8.70"),
            (9.999, "10.0"),
            (17.34, "17.3"),
            (99.96, "100"),
            (152_518.4, "152,518"),
            (1_007_000.0, "1,007,000"),
            (-1234.0, "-1,234"),
        ];
        for (value, text) in cases {
            assert_eq!(Unit::Microseconds.number(value), text);
        }
    }

    #[test]
    fn ticks_are_as_short_as_they_can_be() {
        assert_eq!([0.0, 0.05, 0.2 * 3.0, 1.0, 20.0, 1_000.0].map(tick), ["0", "0.05", "0.6", "1", "20", "1,000"]);
    }

    #[test]
    fn rates_are_short() {
        assert_eq!(Unit::PerSecond.quantity(8_123.0), "8,123/s");
        assert_eq!(Unit::PerSecond.quantity(118_400.0), "118 k/s");
        assert_eq!(Unit::PerSecond.quantity(999_900.0), "1.00 M/s");
        assert_eq!(Unit::PerSecond.quantity(1_349_000.0), "1.35 M/s");
    }

    #[test]
    fn heads_name_the_unit() {
        assert_eq!(CPU_PER_DELIVERY.head(), "CPU per delivery, µs");
        assert_eq!(DELIVERIES.head(), "deliveries/s");
    }
}
