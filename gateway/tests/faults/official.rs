//! The official JavaScript clients in a run: a child process that says what they see, and a reader that
//! writes it down like everybody else.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use serde::Deserialize;

use crate::checker::{Entry, Name, Place, Told};
use crate::gateway::HMAC_SECRET;
use crate::nemesis::left_out;
use crate::recorder::{Names, Recorder, hash, id_in};

/// Some clients in one process. Ended by [`Officials::leave`], or killed when dropped.
#[derive(Debug)]
pub(crate) struct Officials {
    child: Child,
    reader: Option<JoinHandle<()>>,
    pub(crate) names: Vec<String>,
    pub(crate) channels: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event {
    client: String,
    channel: String,
    event: String,
    recovered: bool,
    was_recovering: bool,
    epoch: String,
    offset: u64,
    data: String,
    code: u32,
    reason: String,
}

impl Officials {
    /// Starts so many, each on all these channels; none if their packages are not installed.
    pub(crate) fn start(recorder: &Recorder, endpoint: &str, count: usize, channels: &[String]) -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        if !folder.join("compat/node_modules/centrifuge").is_dir() {
            left_out("official clients: gateway/tests/compat has no node_modules (npm ci there)");
            return None;
        }
        let script: PathBuf = folder.join("faults/official.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .args([endpoint, &count.to_string(), &serde_json::to_string(channels).unwrap(), HMAC_SECRET])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is installed");
        let output = BufReader::new(child.stdout.take().unwrap());
        let recorder = recorder.clone();
        let reader = std::thread::spawn(move || {
            let mut scribe = Scribe { recorder, seats: HashMap::new(), names: Names::default() };
            for line in output.lines().map_while(Result::ok) {
                scribe.write(&serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")));
            }
        });
        let names = (0..count).map(|i| format!("official{i}")).collect();
        Some(Self { child, reader: Some(reader), names, channels: channels.to_vec() })
    }

    /// Sends them home.
    pub(crate) fn leave(mut self) {
        drop(self.child.stdin.take());
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "the official clients ended with {ended}");
        self.reader.take().unwrap().join().expect("what they said could be read");
    }
}

impl Drop for Officials {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Turns what they say into entries.
struct Scribe {
    recorder: Recorder,
    /// Where each is on each channel, and whether it is subscribed.
    seats: HashMap<(Name, Name), (Option<Place>, bool)>,
    names: Names,
}

impl Scribe {
    fn write(&mut self, event: &Event) {
        let client = self.names.get(&self.recorder, &event.client);
        let channel = self.names.get(&self.recorder, &event.channel);
        let seat = self.seats.entry((client, channel)).or_default();
        match event.event.as_str() {
            "subscribed" => {
                let epoch = self.names.get(&self.recorder, &event.epoch);
                let place = (!event.epoch.is_empty()).then_some(Place { epoch, offset: event.offset });
                // It always asks to go on from where it was.
                let asked = seat.0;
                let (recovered, was_recovering) = (event.recovered, event.was_recovering);
                self.recorder.push(Entry::Subscribed { client, channel, asked, place, recovered, was_recovering });
                seat.0 = match (recovered, asked, place) {
                    (true, Some(asked), Some(place)) => Some(Place { epoch: place.epoch, offset: asked.offset }),
                    _ => place,
                };
                seat.1 = true;
            }
            "publication" => {
                if let Some(place) = &mut seat.0 {
                    place.offset = event.offset;
                }
                let (place, id, hash) = (seat.0, id_in(&event.data), hash(&event.data));
                self.recorder.push(Entry::Delivered { client, channel, place, id, hash });
            }
            "subscribing" if seat.1 => {
                seat.1 = false;
                if event.code >= 2500 {
                    let reason = self.recorder.name(&event.reason);
                    self.recorder.push(Entry::Told { client, channel, what: Told::Unsubscribed, reason });
                }
                self.recorder.push(Entry::Ended { client, channel });
            }
            "unsubscribed" | "disconnected" if event.code > 0 => {
                panic!("{} was sent away for good: {} {}", event.client, event.code, event.reason);
            }
            _ => {}
        }
    }
}
