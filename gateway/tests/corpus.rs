//! The inputs that are kept in fuzz/corpus, those that once broke something among them, without a fuzzer.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fanfare_gateway::fuzz::TARGETS;

#[test]
fn kept_inputs_break_nothing() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let folders = fs::read_dir(&corpus).expect("the corpus is there");
    let folders: BTreeSet<String> =
        folders.map(|folder| folder.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(folders, names, "each kind of input has a folder, and each folder a kind");
    for target in TARGETS {
        let files = fs::read_dir(corpus.join(target.name)).expect("readable");
        let mut count = 0;
        for file in files {
            let path = file.expect("readable").path();
            let bytes = fs::read(&path).expect("readable");
            let outcome = std::panic::catch_unwind(|| (target.run)(&bytes));
            assert!(outcome.is_ok(), "{}", path.display());
            count += 1;
        }
        assert!(count >= 5, "{}: {count} inputs are hardly any", target.name);
    }
}
