//! What a suite tells in the terminal: a line for a run, tables for all.

use std::fmt::Write;

use super::compare;
use super::figure::{self, ALL};
use super::record::Record;
use super::section::{Drawing, GROWTH_WINDOWS, SECTIONS, Section};
use crate::outcome::Outcome;

/// How many figures fit into a line.
const FIGURES: usize = 5;

/// The foremost figures of an outcome, and whatever went wrong.
pub fn in_short(outcome: &Outcome) -> String {
    let told = |measure: &figure::Measure| {
        let value = outcome.measured.get(measure.name)?;
        Some(format!("{} {}", measure.label, measure.unit.quantity(*value)))
    };
    let mut figures: Vec<String> = ALL.iter().filter_map(told).take(FIGURES).collect();
    for name in compare::FAULTS {
        if let Some(count) = outcome.measured.get(name).filter(|count| **count > 0.0) {
            figures.push(format!("{name} {count}"));
        }
    }
    figures.join(", ")
}

/// Key of the setting of runs that are no suite's.
pub const ROUNDS: &str = "rounds";

/// One experiment on several servers, or several times: all that was measured, in a table.
pub fn rounds(record: &Record) -> String {
    let section = Section { setting: ROUNDS, title: "", text: "", columns: &ALL, drawing: Drawing::Nothing };
    compare::table(record, &section).map(|table| table.plain()).unwrap_or_default()
}

/// All settings, one table each, then what is missing and why.
pub fn tables(record: &Record) -> String {
    let mut text = String::new();
    for section in SECTIONS {
        if let Some(table) = compare::table(record, section) {
            let _ = writeln!(text, "{} ({})\n\n{}", section.title, section.setting, table.plain());
        }
    }
    for (window, title) in GROWTH_WINDOWS {
        if let Some(table) = compare::growth_table(record, window, figure::CPU_PER_DELIVERY) {
            let _ = writeln!(text, "Cost growth: {title}\n\n{}", table.plain());
        }
    }
    for left_out in &record.left_out {
        let _ = writeln!(text, "left out: {}: {}", left_out.server, left_out.why);
    }
    for (run, why) in record.failures() {
        let _ = writeln!(text, "failed: {} in {}, run {}: {why}", run.server, run.setting, run.number);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::measure;
    use crate::report::record::LeftOut;
    use crate::report::record::tests::outcome;

    #[test]
    fn a_run_is_told_in_a_line() {
        let measured = [
            (measure::CPU_PER_DELIVERY_US, 8.7),
            (measure::DELIVERIES_PER_S, 118_000.0),
            (measure::LOST, 3.0),
            (measure::DUPLICATED, 0.0),
        ];
        let told = in_short(&outcome("floor", &measured));
        assert_eq!(told, "CPU per delivery 8.70 µs, deliveries 118 k/s, lost 3");
    }

    #[test]
    fn rounds_are_told_beside_the_floor() {
        let mut record = Record::default();
        for (number, ours, floor) in [(1, 5.0, 10.0), (2, 4.0, 8.0)] {
            record.push(ROUNDS, "floor", number, Ok(outcome("floor", &[(measure::CPU_PER_CONNECT_US, floor)])));
            record.push(ROUNDS, "fanfare", number, Ok(outcome("fanfare", &[(measure::CPU_PER_CONNECT_US, ours)])));
        }
        let told = rounds(&record);
        assert!(told.contains("CPU per connect") && told.contains("× floor") && told.contains("0.50"), "{told}");
        assert!(!told.contains("CPU per delivery"), "{told}");
        assert_eq!(rounds(&Record::default()), "");
    }

    #[test]
    fn nobody_is_passed_over_in_silence() {
        let mut record = Record::default();
        record.push("fanout-w1-1000", "floor", 1, Ok(outcome("floor", &[(measure::CPU_PER_DELIVERY_US, 8.7)])));
        record.push("fanout-w1-1000", "nchan", 1, Err(anyhow::anyhow!("why not")));
        record.left_out.push(LeftOut { server: "nats".into(), setting: None, why: "no package".into() });
        let told = tables(&record);
        for part in ["floor", "8.70", "left out: nats: no package", "failed: nchan in fanout-w1-1000, run 1: why not"] {
            assert!(told.contains(part), "{part} in\n{told}");
        }
    }
}
