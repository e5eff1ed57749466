//! Each row of the protocol pages names a test. Here is seen to it that these tests exist, and that no
//! row goes without.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The cells of a table's rows; headings and lines left out.
fn rows(page: &str) -> impl Iterator<Item = Vec<&str>> {
    page.lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---") && !line.starts_with("| |"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
}

/// What is wrong with a page: rows without a test, tests that do not exist.
fn complaints(page: &str) -> Vec<String> {
    let status = |row: &[&str]| matches!(row.first(), Some(&("supported" | "different" | "not done")));
    let files: BTreeMap<_, _> =
        rows(page).filter(|row| !status(row) && row.len() == 2).map(|row| (row[0], row[1])).collect();
    let mut complaints = Vec::new();
    for row in rows(page).filter(|row| status(row)) {
        let named: Vec<_> = row[row.len() - 1].split('`').filter_map(|part| part.split_once(": ")).collect();
        if named.is_empty() {
            complaints.push(format!("no test: {row:?}"));
        }
        for (name, test) in named {
            let source = files.get(name).and_then(|file| fs::read_to_string(root().join(file)).ok());
            if !source.is_some_and(|source| source.contains(&format!("fn {test}("))) {
                complaints.push(format!("no such test: {name}: {test}"));
            }
        }
    }
    complaints
}

#[test]
fn every_row_of_the_centrifuge_page_has_its_test() {
    let page = fs::read_to_string(root().join("docs/protocol/centrifuge.md")).unwrap();
    assert!(rows(&page).count() > 40);
    assert_eq!(complaints(&page), Vec::<String>::new());
}

#[test]
fn every_promise_about_recovery_has_its_test() {
    let page = fs::read_to_string(root().join("docs/operations/recovery.md")).unwrap();
    assert!(rows(&page).count() > 25);
    assert_eq!(complaints(&page), Vec::<String>::new());
}

#[test]
fn a_row_without_a_test_is_noticed() {
    let page = "\
| name | file |
| --- | --- |
| here | proto/tests/documented.rs |

| | what | test |
| --- | --- | --- |
| supported | good | `here: a_row_without_a_test_is_noticed` |
| supported | bad | `here: gone` |
| different | bad | `nowhere: gone` |
| not done | bad | none |
";
    assert_eq!(complaints(page).len(), 3, "{:?}", complaints(page));
}
