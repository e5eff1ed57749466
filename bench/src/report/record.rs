//! All that a suite has measured, as it came: one file, one run a line, so that a suite that was ended can go
//! on and a page can be made again.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::figure::Measure;
use super::stats::{ByRun, Spread};
use crate::outcome::Outcome;

/// The runs of a suite and where they were made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When the suite began: RFC 3339, UTC.
    pub begun: String,
    /// What git says of the sources: a commit, and `-dirty` if files differ from it.
    pub revision: String,
    /// What the machine says of itself, by what it is called.
    pub machine: BTreeMap<String, String>,
    /// How many runs were asked for.
    pub runs_asked: u32,
    /// Who took no part, and why.
    pub left_out: Vec<LeftOut>,
    /// In the order in which they were made.
    pub runs: Vec<Run>,
}

/// A server that took no part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its name.
    pub server: String,
    /// In which setting; none: in all of them.
    pub setting: Option<String>,
    /// As one tells a reader.
    pub why: String,
}

/// One server once in one setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Key of the setting, e.g. `fanout-w1-1000`.
    pub setting: String,
    /// The server's name.
    pub server: String,
    /// Counts from 1; the same number of two servers means: soon after each other.
    pub number: u32,
    /// What came of it.
    #[serde(flatten)]
    pub ended: Ended,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Figures.
    Outcome(Outcome),
    /// None, because of this.
    Failed(String),
}

/// Five digits: more would be the noise's.
const DIGITS: i32 = 5;

impl Record {
    /// Reads what [`Record::save`] has written.
    pub fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is no record of a suite", path.display()))
    }

    /// Replaces the file in one step: whoever reads it meanwhile, or after a crash, finds a whole one.
    pub fn save(&self, path: &Path) -> Result<()> {
        let folder = path.parent().context("a record needs a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let new = path.with_extension("json.new");
        let write = || -> Result<()> {
            let mut file = fs::File::create(&new)?;
            file.write_all(self.text()?.as_bytes())?;
            file.sync_all()?;
            Ok(fs::rename(&new, path)?)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// JSON with a run a line: differences between two suites can be read.
    pub fn text(&self) -> Result<String> {
        let head = serde_json::to_string_pretty(&Self { runs: Vec::new(), ..self.clone() })?;
        let head = head.strip_suffix("[]\n}").context("runs are the last field")?;
        let runs: Vec<String> = self.runs.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        Ok(match runs.is_empty() {
            true => format!("{head}[]\n}}\n"),
            false => format!("{head}[\n{}\n  ]\n}}\n", runs.join(",\n")),
        })
    }

    /// Notes a run, its figures rounded.
    pub fn push(&mut self, setting: &str, server: &str, number: u32, result: Result<Outcome>) {
        let ended = match result {
            Ok(outcome) => Ended::Outcome(rounded(outcome)),
            Err(error) => Ended::Failed(format!("{error:#}")),
        };
        self.runs.push(Run { setting: setting.to_owned(), server: server.to_owned(), number, ended });
    }

    /// Whether this run was made, and came to figures.
    pub fn has(&self, setting: &str, server: &str, number: u32) -> bool {
        self.outcomes(setting, server).any(|(run, _)| run == number)
    }

    /// The outcomes of a server in a setting, by run.
    pub fn outcomes<'a, 'b>(
        &'a self,
        setting: &'b str,
        server: &'b str,
    ) -> impl Iterator<Item = (u32, &'a Outcome)> + use<'a, 'b> {
        self.of_setting(setting).filter(move |run| run.server == server).filter_map(|run| match &run.ended {
            Ended::Outcome(outcome) => Some((run.number, outcome)),
            Ended::Failed(_) => None,
        })
    }

    /// One measure of a server in a setting, by run.
    pub fn values(&self, setting: &str, server: &str, measure: &str) -> ByRun {
        self.outcomes(setting, server)
            .filter_map(|(run, outcome)| Some((run, *outcome.measured.get(measure)?)))
            .collect()
    }

    /// The same over all runs.
    pub fn spread(&self, setting: &str, server: &str, measure: Measure) -> Option<Spread> {
        Spread::of_runs(&self.values(setting, server, measure.name))
    }

    /// `ours` to `theirs` in a measure, run by run.
    pub fn ratio(&self, setting: &str, ours: &str, theirs: &str, measure: Measure) -> Option<Spread> {
        Spread::ratio(&self.values(setting, ours, measure.name), &self.values(setting, theirs, measure.name))
    }

    /// Who has outcomes in a setting, in the order of their first ones.
    pub fn servers(&self, setting: &str) -> Vec<&str> {
        let mut servers: Vec<&str> = Vec::new();
        for run in self.of_setting(setting).filter(|run| matches!(run.ended, Ended::Outcome(_))) {
            if !servers.contains(&run.server.as_str()) {
                servers.push(&run.server);
            }
        }
        servers
    }

    /// Runs that came to nothing, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&Run, &str)> {
        self.runs.iter().filter_map(|run| match &run.ended {
            Ended::Failed(why) => Some((run, why.as_str())),
            Ended::Outcome(_) => None,
        })
    }

    /// The same as if those runs had not been tried.
    pub fn without_failures(mut self) -> Self {
        self.runs.retain(|run| matches!(run.ended, Ended::Outcome(_)));
        self
    }

    /// Takes over the settings that `other` has measured, in place of its own runs of them.
    pub fn replace_settings(&mut self, other: Self) {
        self.runs.retain(|run| other.runs.iter().all(|theirs| theirs.setting != run.setting));
        self.left_out.extend(other.left_out.into_iter().filter(|left_out| left_out.setting.is_some()));
        self.runs.extend(other.runs);
    }

    fn of_setting<'a, 'b>(&'a self, setting: &'b str) -> impl Iterator<Item = &'a Run> + use<'a, 'b> {
        self.runs.iter().filter(move |run| run.setting == setting)
    }
}

fn rounded(mut outcome: Outcome) -> Outcome {
    outcome.measured.retain(|_, value| value.is_finite());
    for value in outcome.measured.values_mut() {
        *value = to_digits(*value);
    }
    outcome
}

/// Counts stay as they are.
fn to_digits(value: f64) -> f64 {
    if value == 0.0 || value.fract() == 0.0 {
        return value;
    }
    let text = format!("{value:.*e}", DIGITS as usize - 1);
    text.parse().expect("what a float was written as is one")
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::outcome::measure;
    use crate::report::figure;

    /// An outcome with these figures.
    pub fn outcome(server: &str, measured: &[(&str, f64)]) -> Outcome {
        Outcome {
            experiment: "fanout".into(),
            server: server.into(),
            measured: measured.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            ..Outcome::default()
        }
    }

    fn record() -> Record {
        let mut record = Record { begun: "2026-01-02T03:04:05Z".into(), ..Record::default() };
        record.push("a", "floor", 1, Ok(outcome("floor", &[(measure::CPU_PER_DELIVERY_US, 8.123_456_789)])));
        record.push("a", "fanfare", 1, Ok(outcome("fanfare", &[(measure::CPU_PER_DELIVERY_US, 4.0)])));
        record.push("a", "fanfare", 2, Err(anyhow::anyhow!("inner").context("outer")));
        record.left_out.push(LeftOut { server: "x".into(), setting: None, why: "not here".into() });
        record
    }

    #[test]
    fn what_is_saved_is_read_again() {
        let folder = std::env::temp_dir().join(format!("fanfare-bench-record-{}", std::process::id()));
        let path = folder.join("deep").join("suite.json");
        for record in [record(), Record::default()] {
            record.save(&path).unwrap();
            assert_eq!(Record::load(&path).unwrap(), record);
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn one_run_is_one_line() {
        let text = record().text().unwrap();
        let line = r#"{"setting":"a","server":"fanfare","number":2,"failed":"outer: inner"}"#;
        assert!(text.lines().any(|found| found == line), "{text}");
    }

    #[test]
    fn figures_are_rounded_and_counts_are_not() {
        assert_eq!(to_digits(8.123_456_789), 8.1235);
        assert_eq!(to_digits(0.000_123_456_7), 0.000_123_46);
        assert_eq!(to_digits(123_456_789.0), 123_456_789.0);
        let mut record = Record::default();
        record.push("a", "x", 1, Ok(outcome("x", &[("nan", f64::NAN), ("one", 1.0)])));
        assert_eq!(record.values("a", "x", "nan"), vec![]);
        assert_eq!(record.values("a", "x", "one"), vec![(1, 1.0)]);
    }

    #[test]
    fn settings_that_were_measured_again_take_the_place_of_the_old() {
        let mut old = record();
        old.push("b", "fanfare", 1, Ok(outcome("fanfare", &[("x", 1.0)])));
        let mut new = Record::default();
        new.push("b", "fanfare", 1, Ok(outcome("fanfare", &[("x", 2.0)])));
        new.push("c", "fanfare", 1, Ok(outcome("fanfare", &[("x", 3.0)])));
        old.replace_settings(new);
        assert_eq!(old.values("b", "fanfare", "x"), [(1, 2.0)]);
        assert_eq!(old.values("c", "fanfare", "x"), [(1, 3.0)]);
        assert_eq!(old.servers("a"), ["floor", "fanfare"]);
        assert_eq!(old.clone().without_failures().failures().count(), 0);
        assert_eq!(old.failures().count(), 1);
    }

    #[test]
    fn failed_runs_are_told_apart() {
        let record = record();
        assert!(record.has("a", "fanfare", 1));
        assert!(!record.has("a", "fanfare", 2));
        assert_eq!(record.servers("a"), ["floor", "fanfare"]);
        assert_eq!(record.failures().map(|(run, why)| (run.number, why)).collect::<Vec<_>>(), [(2, "outer: inner")]);
        let ratio = record.ratio("a", "fanfare", "floor", figure::CPU_PER_DELIVERY).unwrap();
        assert!((ratio.median - 4.0 / 8.1235).abs() < 1e-9);
        assert_eq!(ratio.runs, 1);
    }
}
