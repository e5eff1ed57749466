//! One setting, all servers: a table and a plot.

use super::figure::{self, Measure, Unit};
use super::plot::{Bar, Bars, Dots, Line, Lines, Role, Row};
use super::record::Record;
use super::section::{Drawing, GROWTH, Section, fanout_setting};
use super::stats::Spread;
use super::table::Table;
use crate::outcome::measure;

/// Our gateway's name among the servers.
pub const OURS: &str = "fanfare";
/// The floor's.
pub const FLOOR: &str = "floor";

/// What every delivery counts, and nobody should have any of.
pub const FAULTS: [&str; 3] = [measure::LOST, measure::DUPLICATED, measure::MISORDERED];

/// All servers of a setting, the best first; none if nobody was measured.
pub fn table(record: &Record, section: &Section) -> Option<Table> {
    let servers = ordered(record, section);
    if servers.is_empty() {
        return None;
    }
    let columns: Vec<Measure> =
        section.columns.iter().copied().filter(|it| is_measured(record, section, *it)).collect();
    let floor = servers.contains(&FLOOR);
    let faults = servers.iter().any(|server| faults(record, section.setting, server).is_some());

    let mut head = vec!["server".to_owned()];
    for (at, column) in columns.iter().enumerate() {
        head.push(column.head());
        if at == 0 && floor {
            head.push("× floor".to_owned());
        }
    }
    if faults {
        head.push("lost / twice / out of order".to_owned());
    }

    let mut table = Table::new(head);
    for server in servers {
        let mut row = vec![server.to_owned()];
        for (at, column) in columns.iter().enumerate() {
            row.push(shown(record.spread(section.setting, server, *column), column.unit));
            if at == 0 && floor {
                row.push(shown(record.ratio(section.setting, server, FLOOR, *column), Unit::Times));
            }
        }
        if faults {
            row.push(self::faults(record, section.setting, server).unwrap_or_else(|| "-".to_owned()));
        }
        table.push(row);
    }
    Some(table)
}

/// The plot of a setting; none if it has none, or nobody was measured.
pub fn plot(record: &Record, section: &Section) -> Option<String> {
    let servers = ordered(record, section);
    let first = section.columns[0];
    let with = |servers: &[&str], measure: Measure| -> Vec<(String, Spread)> {
        let spread = |server: &&str| Some(((*server).to_owned(), record.spread(section.setting, server, measure)?));
        servers.iter().filter_map(spread).collect()
    };
    let good = if first.less { "less is better" } else { "more is better" };
    let subtitle = |measure: Measure| format!("{}; {good}", of_server(measure));
    match section.drawing {
        Drawing::Nothing => None,
        Drawing::Bars => {
            let note = |server: &str| match record.ratio(section.setting, server, FLOOR, first) {
                Some(ratio) => format!("{} × floor", Unit::Times.number(ratio.median)),
                None => String::new(),
            };
            let bar =
                |(label, spread): (String, Spread)| Bar { role: Role::of(&label), note: note(&label), spread, label };
            let bars: Vec<Bar> = with(&servers, first).into_iter().map(bar).collect();
            let plot = Bars { title: section.title.into(), subtitle: subtitle(first), unit: first.unit, bars };
            (!plot.bars.is_empty()).then(|| plot.svg())
        }
        Drawing::Dots => {
            let row =
                |(label, spread): (String, Spread)| Row { role: Role::of(&label), spreads: vec![Some(spread)], label };
            let rows: Vec<Row> = with(&servers, first).into_iter().map(row).collect();
            let series = vec![first.label.to_owned()];
            dots(section, rows, series, format!("{}, logarithmic", subtitle(first)), first.unit)
        }
        Drawing::Percentiles => {
            let columns = [figure::P50, figure::P99, figure::P999];
            let row = |label: &str, server: &str, columns: &[Measure]| Row {
                label: label.to_owned(),
                role: Role::of(label),
                spreads: columns.iter().map(|column| record.spread(section.setting, server, *column)).collect(),
            };
            let mut rows: Vec<Row> = servers.iter().map(|server| row(server, server, &columns)).collect();
            rows.insert(0, row("floor: Redis", OURS, &[figure::RAW_P50, figure::RAW_P99]));
            rows.retain(|row| row.spreads.iter().any(Option::is_some));
            let series = columns.iter().map(|column| column.label.to_owned()).collect();
            let subtitle = "From publishing to receiving, ms, logarithmic; less is better".to_owned();
            dots(section, rows, series, subtitle, Unit::Milliseconds)
        }
    }
}

fn dots(section: &Section, rows: Vec<Row>, series: Vec<String>, subtitle: String, unit: Unit) -> Option<String> {
    let plot = Dots { title: section.title.into(), subtitle, unit, series, rows };
    (!plot.rows.is_empty()).then(|| plot.svg())
}

/// What a measure is of, as a plot's second line says it.
fn of_server(measure: Measure) -> String {
    let label = measure.label;
    let label = label.replacen("CPU", "Server's CPU", usize::from(label.starts_with("CPU")));
    let label = label.replacen("memory", "Server's private memory", usize::from(label.starts_with("memory")));
    match measure.unit {
        Unit::PerSecond => format!("{label} per second"),
        unit => format!("{label}, {}", unit.symbol()),
    }
}

/// Growth of the cost per delivery with the number of subscribers: a row for each number.
pub fn growth_table(record: &Record, window: usize, measure: Measure) -> Option<Table> {
    let mut table = Table::new(["subscribers", "Fanfare, µs", "floor, µs", "× floor"]);
    for subscribers in GROWTH {
        let setting = fanout_setting(window, subscribers);
        let spread = |server| record.spread(&setting, server, measure);
        let ratio = record.ratio(&setting, OURS, FLOOR, measure);
        if spread(OURS).is_some() || spread(FLOOR).is_some() {
            table.push([
                Unit::Count.number(subscribers as f64),
                shown(spread(OURS), measure.unit),
                shown(spread(FLOOR), measure.unit),
                shown(ratio, Unit::Times),
            ]);
        }
    }
    (table.rows.len() > 1).then_some(table)
}

/// The same as lines, for several windows.
pub fn growth_plot(record: &Record, windows: &[usize], measure: Measure) -> Option<String> {
    let mut lines = Vec::new();
    for (server, roles) in [(FLOOR, [Role::Floor, Role::FloorToo]), (OURS, [Role::Ours, Role::OursToo])] {
        for (window, role) in windows.iter().zip(roles) {
            let point = |subscribers: usize| {
                let setting = fanout_setting(*window, subscribers);
                Some((subscribers as f64, record.spread(&setting, server, measure)?))
            };
            let points: Vec<(f64, Spread)> = GROWTH.into_iter().filter_map(point).collect();
            let name = if server == OURS { "Fanfare" } else { server };
            if points.len() > 1 {
                lines.push(Line { label: format!("{name}, {window} in flight"), role, points });
            }
        }
    }
    let plot = Lines {
        title: "Cost of a delivery by number of subscribers".into(),
        subtitle: format!("{}; less is better, and flat is good", of_server(measure)),
        x_label: "subscribers of the channel, logarithmic".into(),
        lines,
    };
    (!plot.lines.is_empty()).then(|| plot.svg())
}

/// The servers of a setting, the best in the first column first, those without it last.
pub fn ordered<'a>(record: &'a Record, section: &Section) -> Vec<&'a str> {
    let first = section.columns[0];
    let mut servers = record.servers(section.setting);
    let rank = |server: &str| match record.spread(section.setting, server, first) {
        Some(spread) if first.less => spread.median,
        Some(spread) => -spread.median,
        None => f64::INFINITY,
    };
    servers.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
    servers
}

/// How busy the machine was beside the servers; none if it was not watched.
pub fn meanwhile(record: &Record, setting: &str) -> Option<String> {
    let cores = |name: &str| {
        let servers = record.servers(setting);
        Spread::of(servers.iter().flat_map(|server| record.values(setting, server, name)).map(|(_, cores)| cores))
    };
    let (crowd, others) = (cores(measure::CROWD_CORES)?, cores(measure::OTHERS_CORES)?);
    Some(format!(
        "Meanwhile the crowd took {} of one core, and everything else on the machine {}.",
        crowd.show(Unit::Times),
        others.show(Unit::Times)
    ))
}

fn is_measured(record: &Record, section: &Section, column: Measure) -> bool {
    let servers = record.servers(section.setting);
    servers.into_iter().any(|server| record.spread(section.setting, server, column).is_some())
}

fn shown(spread: Option<Spread>, unit: Unit) -> String {
    spread.map_or_else(|| "-".to_owned(), |spread| spread.show(unit))
}

/// Sums over all runs; none if it was not counted.
fn faults(record: &Record, setting: &str, server: &str) -> Option<String> {
    let sum = |name: &str| -> Option<f64> {
        let values = record.values(setting, server, name);
        (!values.is_empty()).then(|| values.iter().map(|(_, value)| value).sum())
    };
    FAULTS.iter().any(|name| sum(name).is_some()).then(|| {
        let sums = FAULTS.map(|name| sum(name).map_or_else(|| "-".to_owned(), |sum| Unit::Count.number(sum)));
        sums.join(" / ")
    })
}
