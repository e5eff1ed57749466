//! Where Fanfare wants to be, row by row, and where it is.

use super::claim::Claim;
use crate::outcome::measure;
use crate::report::compare::{FLOOR, OURS};
use crate::report::figure::{self, Measure, Unit};
use crate::report::plot::Role;
use crate::report::record::Record;
use crate::report::section::{GROWTH, fanout_setting};
use crate::report::stats::Spread;

/// One row of the table of goals.
#[derive(Clone, Debug)]
pub struct Goal {
    /// What was done and what is counted.
    pub what: &'static str,
    /// The floor's figure.
    pub floor: String,
    /// Name and figure of the best peer.
    pub best_peer: String,
    /// Ours.
    pub ours: String,
    /// What shall be true of it.
    pub claims: Vec<Claim>,
}

const W1: &str = "fanout-w1-1000";
const W32: &str = "fanout-w32-1000";

/// All rows.
pub fn goals(record: &Record) -> Vec<Goal> {
    vec![
        one_at_a_time(record),
        in_flight(record),
        growth(record),
        nobody(record),
        idle(record),
        connect(record),
        cross(record),
        worker(record),
        over_http(record),
        million(record),
        storm(record),
        fairness(record),
    ]
}

fn one_at_a_time(record: &Record) -> Goal {
    let ratio = record.ratio(W1, OURS, FLOOR, figure::CPU_PER_DELIVERY);
    Goal {
        claims: vec![
            Claim::at_most("≤ 0.75 × floor", ratio, 0.75, Unit::Times),
            below_every_peer(record, W1, figure::CPU_PER_DELIVERY),
            Claim::at_most("then 0.62 × floor", ratio, 0.62, Unit::Times),
        ],
        ..row(
            record,
            "fan-out, one publication at a time, 1,000 subscribers: CPU per delivery",
            W1,
            figure::CPU_PER_DELIVERY,
        )
    }
}

fn in_flight(record: &Record) -> Goal {
    let ratio = record.ratio(W32, OURS, FLOOR, figure::CPU_PER_DELIVERY);
    let rate = record.spread(W32, OURS, figure::DELIVERIES);
    Goal {
        claims: vec![
            Claim::at_most("≤ 0.09 × floor", ratio, 0.09, Unit::Times),
            below_every_peer(record, W32, figure::CPU_PER_DELIVERY),
            Claim::at_least("≥ 1.5 M deliveries/s", rate, 1.5e6, Unit::PerSecond),
        ],
        ..row(record, "fan-out, 32 in flight, 1,000 subscribers: CPU per delivery", W32, figure::CPU_PER_DELIVERY)
    }
}

/// How far the ratios to the floor at different numbers of subscribers lie from their common middle.
fn growth(record: &Record) -> Goal {
    let ratios = |window: usize| -> Vec<f64> {
        let ratio = |subscribers: &usize| {
            record.ratio(&fanout_setting(window, *subscribers), OURS, FLOOR, figure::CPU_PER_DELIVERY)
        };
        GROWTH.iter().filter_map(ratio).map(|ratio| ratio.median).collect()
    };
    let claim = |window: usize| {
        let whole = Spread::of(ratios(window)).filter(|spread| spread.runs == GROWTH.len());
        let off = whole.and_then(|spread| Spread::of([100.0 * (spread.max - spread.min) / (spread.max + spread.min)]));
        Claim::at_most(format!("ratio to the floor flat, ± 20 %, {window} in flight"), off, 20.0, Unit::Percent)
    };
    let shown = |window: usize| {
        let list: Vec<String> = ratios(window).into_iter().map(|ratio| Unit::Times.number(ratio)).collect();
        format!("{window} in flight: {} ×", list.join(", "))
    };
    let ours = if ratios(1).is_empty() { none() } else { format!("{}<br>{}", shown(1), shown(32)) };
    let per_delivery =
        |subscribers: &usize| record.spread(&fanout_setting(1, *subscribers), FLOOR, figure::CPU_PER_DELIVERY);
    let floor: Vec<String> =
        GROWTH.iter().filter_map(per_delivery).map(|spread| Unit::Microseconds.number(spread.median)).collect();
    Goal {
        what: "cost growth: CPU per delivery at 64, 1,000, 9,000, 19,000 subscribers",
        floor: if floor.is_empty() { none() } else { format!("{} µs", floor.join(", ")) },
        best_peer: none(),
        ours,
        claims: vec![claim(1), claim(32)],
    }
}

fn nobody(record: &Record) -> Goal {
    let cpu = figure::CPU_PER_PUBLISH;
    let delivery = |setting| record.values(setting, OURS, figure::CPU_PER_DELIVERY.name);
    let lone = delivery(W1);
    let off = Spread::paired(&delivery("others-100000"), &delivery("others-0"), |with, without| {
        100.0 * (with / without - 1.0)
    });
    let share = Spread::paired(&record.values("nobody", OURS, cpu.name), &lone, |publish, delivery| publish / delivery);
    Goal {
        claims: vec![
            Claim::at_most("less than one delivery (~ 0 beside a fan-out)", share, 1.0, Unit::Times),
            Claim::at_most("a fan-out unaffected by 100,000 other channels (≤ 10 % more)", off, 10.0, Unit::Percent),
        ],
        ..row(record, "a publication to a channel without local subscribers: CPU", "nobody", cpu)
    }
}

fn idle(record: &Record) -> Goal {
    let memory = record.spread("idle-19000", OURS, figure::MEMORY);
    Goal {
        claims: vec![
            Claim::at_most("≤ 4,000 B", memory, 4_000.0, Unit::Bytes),
            Claim::at_most("then 2,500 B", memory, 2_500.0, Unit::Bytes),
        ],
        ..row(
            record,
            "idle connection, authenticated, one subscription, at 19,000: private memory",
            "idle-19000",
            figure::MEMORY,
        )
    }
}

fn connect(record: &Record) -> Goal {
    let spread = |measure| record.spread("connect-19000", OURS, measure);
    Goal {
        claims: vec![
            Claim::at_most("≤ 100 µs", spread(figure::CPU_PER_CONNECT), 100.0, Unit::Microseconds),
            Claim::at_least("≥ 8,000/s", spread(figure::CONNECTS), 8_000.0, Unit::PerSecond),
        ],
        ..row(
            record,
            "connect, HS256 and subscribe, 19,000: CPU of the server",
            "connect-19000",
            figure::CPU_PER_CONNECT,
        )
    }
}

fn cross(record: &Record) -> Goal {
    let values = |measure: Measure| record.values("cross", OURS, measure.name);
    let more = Spread::paired(&values(figure::P50), &values(figure::RAW_P50), |our, raw| our - raw);
    let ratio = Spread::ratio(&values(figure::P99), &values(figure::RAW_P99));
    Goal {
        floor: raw(record, "cross", figure::RAW_P50),
        claims: vec![
            Claim::at_most("p50 ≤ raw Redis + 0.15 ms", more, 0.15, Unit::Milliseconds),
            Claim::at_most("p99 ≤ 2 × raw Redis", ratio, 2.0, Unit::Times),
        ],
        ..row(record, "from node to node, 200/s: p50", "cross", figure::P50)
    }
}

fn worker(record: &Record) -> Goal {
    let ratio = record.spread("publish-worker", OURS, figure::RATIO_TO_RAW);
    Goal {
        floor: raw(record, "publish-worker", figure::RAW_PUBLISHES),
        claims: vec![Claim::at_least("≥ 0.90 × raw pipelined PUBLISH", ratio, 0.9, Unit::Times)],
        ..row(record, "worker straight to Redis: publications a second", "publish-worker", figure::PUBLISHES)
    }
}

fn over_http(record: &Record) -> Goal {
    let cpu = record.ratio("publish-http-memory", OURS, "nchan", figure::CPU_PER_PUBLISH);
    let rate = record.ratio("publish-http-redis", OURS, "nchan", figure::PUBLISHES);
    let what = "HTTP API, one publication a request: CPU of the server, in memory";
    Goal {
        claims: vec![
            Claim::at_most("in memory: CPU below nchan's", cpu, 1.0, Unit::Times),
            Claim::at_least("through Redis: ≥ 4 × nchan's rate", rate, 4.0, Unit::Times),
        ],
        ..row(record, what, "publish-http-memory", figure::CPU_PER_PUBLISH)
    }
}

/// What Redis alone did in turns with us.
fn raw(record: &Record, setting: &str, measure: Measure) -> String {
    let spread = record.spread(setting, OURS, measure);
    spread.map_or_else(none, |spread| format!("raw Redis: {}", spread.tell(measure.unit)))
}

fn million(record: &Record) -> Goal {
    let held = record.spread("million", OURS, figure::CONNECTIONS);
    let faults = [measure::LOST, measure::DUPLICATED]
        .iter()
        .flat_map(|name| record.values("million", OURS, name))
        .map(|(_, value)| value);
    let faults: Vec<f64> = faults.collect();
    let wrong = (!faults.is_empty()).then(|| faults.iter().sum()).and_then(|sum: f64| Spread::of([sum]));
    Goal {
        claims: vec![
            Claim::at_least("one million", held, 1e6, Unit::Count),
            Claim::at_most("one publication reaches everybody, once", wrong, 0.0, Unit::Count),
            Claim::at_least("then two million", held, 2e6, Unit::Count),
        ],
        ..row(record, "many processes: connections on this machine", "million", figure::CONNECTIONS)
    }
}

fn storm(record: &Record) -> Goal {
    let spread = |measure| record.spread("storm", OURS, measure);
    Goal {
        claims: vec![
            Claim::never_above("all back within 30 s", spread(figure::BACK), 30.0, Unit::Seconds),
            Claim::never_above("all recovered", spread(figure::NOT_RECOVERED), 0.0, Unit::Count),
            Claim::at_most("p99 of other traffic ≤ 2 × before", spread(figure::P99_RATIO), 2.0, Unit::Times),
        ],
        ..row(record, "reconnect storm: 10,000 clients recover", "storm", figure::BACK)
    }
}

fn fairness(record: &Record) -> Goal {
    let longest = record.spread("fair-19000", OURS, figure::PONG_MAX);
    let ratio = record.spread("fair-stalled", OURS, figure::STALLED_RATIO);
    Goal {
        claims: vec![
            Claim::never_above("no pong later than 50 ms", longest, 50.0, Unit::Milliseconds),
            Claim::at_most("1,000 stalled among 10,000: p99 of the others ≤ 1.1 × without", ratio, 1.1, Unit::Times),
        ],
        ..row(record, "fairness: a ping beside a channel of 19,000 subscribers", "fair-19000", figure::PONG_MAX)
    }
}

/// Floor, best peer and ours in one measure; claims are the caller's.
fn row(record: &Record, what: &'static str, setting: &str, measure: Measure) -> Goal {
    let tell = |server: &str| record.spread(setting, server, measure).map(|spread| spread.tell(measure.unit));
    let best = peers(record, setting).filter_map(|peer| Some((peer, record.spread(setting, peer, measure)?))).min_by(
        |(_, a), (_, b)| if measure.less { a.median.total_cmp(&b.median) } else { b.median.total_cmp(&a.median) },
    );
    Goal {
        what,
        floor: tell(FLOOR).unwrap_or_else(none),
        best_peer: best.map_or_else(none, |(peer, spread)| format!("{peer}: {}", spread.tell(measure.unit))),
        ours: tell(OURS).unwrap_or_else(none),
        claims: Vec::new(),
    }
}

/// Our ratio to the peer that it is worst to: below 1, we are below all of them.
fn below_every_peer(record: &Record, setting: &str, measure: Measure) -> Claim {
    let ratios = peers(record, setting).filter_map(|peer| Some((peer, record.ratio(setting, OURS, peer, measure)?)));
    match ratios.max_by(|(_, a), (_, b)| a.median.total_cmp(&b.median)) {
        Some((peer, ratio)) => {
            Claim::at_most(format!("below every peer (nearest: {peer})"), Some(ratio), 1.0, Unit::Times)
        }
        None => Claim::at_most("below every peer", None, 1.0, Unit::Times),
    }
}

fn peers<'a>(record: &'a Record, setting: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    record.servers(setting).into_iter().filter(|server| Role::of(server) == Role::Peer)
}

fn none() -> String {
    "-".to_owned()
}
