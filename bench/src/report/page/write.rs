//! The text of the page, part by part.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::goals::{self, Goal};
use crate::report::compare::{self, OURS};
use crate::report::figure;
use crate::report::record::{Ended, Record, Run};
use crate::report::section::{GROWTH_WINDOWS, SECTIONS, Section};
use crate::report::table::Table;

/// File names and drawings.
type Plots = Vec<(String, String)>;

const HEAD: &str = "# Performance\n\n<!-- Made of performance/data.json and performance/findings.md by \
                    `fanfare-bench page`: change those. -->\n\n";

/// The page and its plots.
pub(super) fn page(record: &Record, findings: &str) -> (String, Plots) {
    let mut plots = Plots::new();
    let mut text = HEAD.to_owned();
    text.push_str(include_str!("intro.txt"));
    let _ = write!(text, "\nMeasured on {}, revision `{}`, ", day(&record.begun), record.revision);
    let runs = if record.runs_asked == 1 { "one run".to_owned() } else { format!("{} runs", record.runs_asked) };
    let _ = writeln!(text, "{runs} of each server in each setting, unless said otherwise.");
    part(&mut text, "Where we want to be, and where we are", &goals_table(record));
    part(&mut text, "How to read it", include_str!("reading.txt"));
    for section in SECTIONS {
        if let Some(told) = told(record, section, &mut plots) {
            part(&mut text, section.title, &told);
        }
        if section.setting == "fanout-w32-64"
            && let Some(told) = growth(record, &mut plots)
        {
            part(&mut text, "Cost growth", &told);
        }
    }
    let _ = write!(text, "\n{}\n", findings.trim());
    part(&mut text, "Who took part", &who(record));
    if let Some(failed) = failed(record) {
        part(&mut text, "Runs without figures", &failed);
    }
    part(&mut text, "The machine", &machine(record));
    part(&mut text, "Again, on another machine", include_str!("again.txt"));
    (text, plots)
}

fn part(text: &mut String, title: &str, body: &str) {
    let _ = write!(text, "\n## {title}\n\n{}\n", body.trim_end());
}

/// The day of an RFC 3339 date.
fn day(date: &str) -> &str {
    date.split('T').next().unwrap_or(date)
}

fn goals_table(record: &Record) -> String {
    let mut table = Table::new(["what", "floor", "best peer", "Fanfare", "goal", "so far"]);
    for Goal { what, floor, best_peer, ours, claims } in goals::goals(record) {
        let goals: Vec<String> = claims.iter().map(|claim| claim.goal.clone()).collect();
        let answers: Vec<String> = claims.iter().map(super::claim::Claim::markdown).collect();
        table.push([what.to_owned(), floor, best_peer, ours, goals.join("<br>"), answers.join("<br>")]);
    }
    table.markdown_of_texts()
}

fn told(record: &Record, section: &Section, plots: &mut Plots) -> Option<String> {
    let table = emphasised(compare::table(record, section)?);
    let mut text = format!("{}\n\n{}", section.text, table.markdown());
    for remark in remarks(record, section.setting) {
        let _ = write!(text, "\n- {remark}");
    }
    if let Some(meanwhile) = compare::meanwhile(record, section.setting) {
        let _ = write!(text, "\n{meanwhile}\n");
    }
    if let Some(svg) = compare::plot(record, section) {
        let _ = write!(text, "\n{}", image(section.setting, section.title));
        plots.push((format!("{}.svg", section.setting), svg));
    }
    Some(text)
}

fn growth(record: &Record, plots: &mut Plots) -> Option<String> {
    let mut text =
        "CPU per delivery as the channel grows. A bare loop gets dearer, too, as sockets no longer fit into \
                    the caches: the ratio is what should stay.\n"
            .to_owned();
    let per_window = |(window, title): (usize, &str)| {
        let table = compare::growth_table(record, window, figure::CPU_PER_DELIVERY)?;
        Some(format!("\n{}:\n\n{}", capital(title), table.markdown()))
    };
    let tables: Vec<String> = GROWTH_WINDOWS.into_iter().filter_map(per_window).collect();
    if tables.is_empty() {
        return None;
    }
    text.push_str(&tables.concat());
    let windows = GROWTH_WINDOWS.map(|(window, _)| window);
    if let Some(svg) = compare::growth_plot(record, &windows, figure::CPU_PER_DELIVERY) {
        let _ = write!(text, "\n{}", image("growth", "Cost of a delivery by number of subscribers"));
        plots.push(("growth.svg".to_owned(), svg));
    }
    Some(text)
}

/// At the beginning of a sentence.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn image(name: &str, title: &str) -> String {
    format!("![{title}](performance/{name}.svg)\n")
}

/// Our row in bold.
fn emphasised(mut table: Table) -> Table {
    for row in table.rows.iter_mut().filter(|row| row[0] == OURS) {
        row.iter_mut().for_each(|cell| *cell = format!("**{cell}**"));
    }
    table
}

/// What outcomes remark, each once, with those whom it concerns.
fn remarks(record: &Record, setting: &str) -> Vec<String> {
    let mut remarks: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for server in record.servers(setting) {
        for remark in record.outcomes(setting, server).flat_map(|(_, outcome)| &outcome.remarks) {
            let whom = remarks.entry(remark).or_default();
            if !whom.contains(&server) {
                whom.push(server);
            }
        }
    }
    remarks.into_iter().map(|(remark, whom)| format!("{}: {remark}", whom.join(", "))).collect()
}

fn who(record: &Record) -> String {
    let mut versions: BTreeMap<&str, &str> = BTreeMap::new();
    for run in &record.runs {
        if let Ended::Outcome(outcome) = &run.ended {
            let version = versions.entry(&run.server).or_default();
            if version.is_empty() {
                *version = &outcome.version;
            }
        }
    }
    let mut table = Table::new(["server", "version"]);
    for (server, version) in versions {
        table.push([server, if version.is_empty() { "-" } else { version }]);
    }
    let mut text = table.markdown_of_texts();
    if !record.left_out.is_empty() {
        text.push_str("\nLeft out:\n\n");
    }
    for left_out in &record.left_out {
        let setting = left_out.setting.as_ref().map(|setting| format!(" in `{setting}`")).unwrap_or_default();
        let _ = writeln!(text, "- {}{setting}: {}", left_out.server, left_out.why);
    }
    text
}

fn failed(record: &Record) -> Option<String> {
    let line = |(run, why): (&Run, &str)| {
        format!("- {} in `{}`, run {}: {}\n", run.server, run.setting, run.number, why.replace('\n', " "))
    };
    let text: String = record.failures().map(line).collect();
    (!text.is_empty()).then_some(text)
}

fn machine(record: &Record) -> String {
    let mut table = Table::new(["what", "is"]);
    for (name, value) in &record.machine {
        table.push([name, value]);
    }
    table.markdown_of_texts()
}
