//! One log for all: whoever sees something writes it down here, in the order in which it was seen.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use crate::checker::{Entry, Id, Limits, Log, Name, Place, Report, check};

/// Shared by everybody in a run.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    book: Arc<Mutex<Book>>,
    begin: Instant,
}

#[derive(Debug, Default)]
struct Book {
    log: Log,
    /// Where everybody is, by client and channel.
    seen: HashMap<(Name, Name), Seen>,
}

/// What is known of a client on a channel.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) live: bool,
    pub(crate) place: Option<Place>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self { book: Arc::default(), begin: Instant::now() }
    }

    pub(crate) fn name(&self, text: &str) -> Name {
        self.book.lock().unwrap().log.name(text)
    }

    pub(crate) fn push(&self, entry: Entry) {
        let mut book = self.book.lock().unwrap();
        match entry {
            Entry::Subscribed { client, channel, asked, place, recovered, .. } => {
                let seen = book.seen.entry((client, channel)).or_default();
                let from = asked.filter(|_| recovered).map_or(place.map_or(0, |p| p.offset), |asked| asked.offset);
                *seen = Seen { live: true, place: place.map(|place| Place { offset: from, ..place }) };
            }
            Entry::Delivered { client, channel, place, .. } => {
                book.seen.entry((client, channel)).or_default().place = place;
            }
            Entry::Ended { client, channel } => book.seen.entry((client, channel)).or_default().live = false,
            _ => {}
        }
        let at_ms = self.now_ms();
        book.log.push(at_ms, entry);
    }

    /// Where a client is on a channel.
    pub(crate) fn seen(&self, seat: (Name, Name)) -> Seen {
        self.book.lock().unwrap().seen.get(&seat).copied().unwrap_or_default()
    }

    /// Milliseconds since the run began, as in the log.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap()
    }

    /// What a question to the log answers.
    pub(crate) fn read<T>(&self, question: impl FnOnce(&Log) -> T) -> T {
        question(&self.book.lock().unwrap().log)
    }

    /// Judges the run. A violation leaves the whole log in a file and ends the test.
    pub(crate) fn judge(&self, run: &str, limits: Limits) -> Report {
        let log = &self.book.lock().unwrap().log;
        let report = check(log, limits);
        println!(
            "{run}: {} acknowledged, {} unknown, {} failed, {} deliveries, {} claims, {} recovered, {} not, {} told, {} excused",
            report.acked,
            report.unknown,
            report.failed,
            report.deliveries,
            report.claims,
            report.recovered,
            report.unrecovered,
            report.told,
            report.excused
        );
        if !report.is_clean() {
            let lines: Vec<_> = (0..log.lines.len()).map(|at| log.line(at)).collect();
            let path = keep(&format!("{run}.log"), &lines.join("\n"));
            let described: Vec<_> = report
                .violations
                .iter()
                .map(|v| format!("{:?} at {}: {}", v.invariant, log.line(v.at), v.what))
                .collect();
            let (broken, all) = (&report.broken, described.join("\n"));
            panic!("{run}: {broken:?}; the log is {}\n{all}", path.display());
        }
        report
    }
}

/// Leaves a text where it can be read when the run is over.
pub(crate) fn keep(name: &str, text: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("faults");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// The payload of a publication: its number, and something to carry.
pub(crate) fn payload(id: Id, padding: usize) -> String {
    format!(r#"{{"id":{},"pad":"{}"}}"#, id.0, "x".repeat(padding))
}

/// The number in a payload; of one that is not ours, a number that nobody has published.
pub(crate) fn id_in(payload: &str) -> Id {
    let number = payload.strip_prefix(r#"{"id":"#).and_then(|rest| rest.split(',').next());
    Id(number.and_then(|number| number.parse().ok()).unwrap_or(u64::MAX))
}

/// FNV-1a: short, and good enough to see that bytes have changed.
pub(crate) fn hash(payload: &str) -> u64 {
    payload.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// Names that are asked for again and again.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: HashMap<String, Name>,
}

impl Names {
    pub(crate) fn get(&mut self, recorder: &Recorder, text: &str) -> Name {
        if let Some(name) = self.known.get(text) {
            return *name;
        }
        let name = recorder.name(text);
        self.known.insert(text.to_owned(), name);
        name
    }
}
