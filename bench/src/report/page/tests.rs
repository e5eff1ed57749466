use super::*;
use crate::outcome::{Outcome, measure};
use crate::report::record::tests::outcome;
use crate::report::record::{LeftOut, Record};
use crate::report::section::{GROWTH, fanout_setting};

/// A record with round figures: the floor takes 10 µs, we take `ours`, a peer takes 12.
fn record(ours: f64) -> Record {
    let mut record = Record {
        begun: "2026-01-02T03:04:05Z".into(),
        revision: "abc1234".into(),
        machine: [("cores".to_owned(), "2".to_owned())].into(),
        runs_asked: 3,
        left_out: vec![LeftOut { server: "nats".into(), setting: None, why: "no package".into() }],
        runs: Vec::new(),
    };
    for number in 1..=3 {
        // The second run was disturbed: everything took twice as long.
        let factor = if number == 2 { 2.0 } else { 1.0 };
        for subscribers in GROWTH {
            let setting = fanout_setting(1, subscribers);
            record.push(&setting, "floor", number, Ok(fanout("floor", 10.0 * factor)));
            record.push(&setting, "fanfare", number, Ok(fanout("fanfare", ours * factor)));
        }
        record.push("fanout-w1-1000", "nchan", number, Ok(fanout("nchan", 12.0 * factor)));
        record.push(
            "idle-19000",
            "nchan",
            number,
            Ok(outcome("nchan", &[(measure::MEMORY_PER_CONNECTION_B, 10_400.0)])),
        );
        record.push(
            "idle-19000",
            "fanfare",
            number,
            Ok(outcome("fanfare", &[(measure::MEMORY_PER_CONNECTION_B, 3_000.0)])),
        );
    }
    record.push("fanout-w1-1000", "sockudo", 1, Err(anyhow::anyhow!("did not\nstart")));
    record
}

fn fanout(server: &str, cpu: f64) -> Outcome {
    let mut outcome = outcome(server, &[(measure::CPU_PER_DELIVERY_US, cpu), (measure::LOST, 0.0)]);
    if server == "nchan" {
        outcome.version = "1.3.6".into();
        outcome.remarks = vec!["does one thing | and another".into()];
    }
    outcome
}

fn text_of(record: &Record) -> String {
    let page = Page::of(record, "## What was found\n\nThis.\n").unwrap();
    page.files[0].1.clone()
}

#[test]
fn goals_are_held_against_the_medians_of_ratios() {
    let reached = text_of(&record(6.0));
    assert!(reached.contains("**reached**: 0.60 × [0.60..0.60]<br>**reached**: 0.50 × [0.50..0.50]"), "{reached}");
    assert!(reached.contains("below every peer (nearest: nchan)"));
    let missed = text_of(&record(13.0));
    assert!(
        missed.contains("**missed**, 73 % above: 1.30 × [1.30..1.30]<br>**missed**, 8 % above: 1.08 ×"),
        "{missed}"
    );
}

#[test]
fn goals_without_figures_are_not_reached() {
    let text = text_of(&record(6.0));
    let storm = text.lines().find(|line| line.starts_with("| reconnect storm")).unwrap();
    assert!(storm.ends_with("| not measured<br>not measured<br>not measured |"), "{storm}");
    let nothing = text_of(&Record::default());
    assert!(!nothing.contains("**reached**"), "{nothing}");
}

#[test]
fn everybody_is_named() {
    let text = text_of(&record(6.0));
    for part in [
        "| **fanfare** | **6.00 [6.00..12.0]** | **0.60 [0.60..0.60]** | **0 / - / -** |",
        "| nchan | 12.0 [12.0..24.0] | 1.20 [1.20..1.20] | 0 / - / - |",
        "- nchan: does one thing | and another",
        "| nchan | 1.3.6 |",
        "- nats: no package",
        "- sockudo in `fanout-w1-1000`, run 1: did not start",
        "## What was found\n\nThis.\n",
        "| cores | 2 |",
        "| 19,000 | 6.00 [6.00..12.0] | 10.0 [10.0..20.0] | 0.60 [0.60..0.60] |",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn each_plot_is_shown_and_each_shown_one_is_there() {
    let page = Page::of(&record(6.0), "").unwrap();
    let text = &page.files[0].1;
    let plots: Vec<String> = page.files[2..].iter().map(|(path, _)| path.display().to_string()).collect();
    assert_eq!(plots, ["performance/fanout-w1-1000.svg", "performance/growth.svg", "performance/idle-19000.svg"]);
    assert_eq!(text.matches(".svg)").count(), plots.len());
    assert!(plots.iter().all(|plot| text.contains(&format!("({plot})"))));
}

/// The page in the repository is what its data and its findings make.
#[test]
fn the_page_is_fresh() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let (data, page) = (docs.join(DATA), docs.join(PAGE));
    assert_eq!(data.exists(), page.exists(), "the page and its data come together");
    let findings = findings(&docs).unwrap();
    if !data.exists() {
        return;
    }
    let page = Page::of(&Record::load(&data).unwrap(), &findings).unwrap();
    for (path, text) in &page.files {
        let found = fs::read_to_string(docs.join(path)).unwrap_or_default();
        assert!(found == *text, "docs/{} is stale: run `fanfare-bench page`", path.display());
    }
    let plots = fs::read_dir(docs.join(FOLDER)).unwrap().map(|file| file.unwrap().path());
    let plots = plots.filter(|path| path.extension().is_some_and(|extension| extension == "svg")).count();
    assert_eq!(plots, page.files.len() - 2, "docs/{FOLDER} has plots that no data made");
}
