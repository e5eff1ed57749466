//! Conversations between clients and the real gateway, written down in `centrifuge/*.txt` and checked by
//! one function, [`check`]. Each file is a test of its own; a file that is not listed below fails.
//!
//! | line | meaning |
//! |---|---|
//! | `# text` | for people |
//! | `% toml` | a line of the gateway's configuration; before anything is said |
//! | `> frame` | the client sends a text frame; its first line opens the connection |
//! | `\| more` | one more line of the same frame |
//! | `< line` | the server says this next |
//! | `* line` | the server says this; neighbouring `*` lines come in any order |
//! | `! code` | the server closes with this code |
//! | `$ method body` | a backend calls the server API |
//! | `= answer` | the API answers this |
//!
//! `bob> ...`, `bob< ...` and so on speak for a second client. `<token:sub=42,channel=news,exp=-5>` in a
//! frame becomes a token with these claims (`exp` and `nbf` count from now). In what the server says,
//! `"<any>"` stands for any value, `"<word>"` for a value that is the same wherever the word stands, also
//! in what clients send later; a key `"..."` allows further keys beside the ones written.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/gateway.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod gateway;
#[path = "../support/token.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod token;
#[path = "../support/ws.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod ws;

mod script;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use gateway::Gateway;
use script::{Step, matches, substitute};
use serde_json::Value;
use ws::Socket;

/// What a conversation has opened and learnt so far.
struct Stage {
    gateway: Gateway,
    clients: HashMap<String, Socket>,
    words: HashMap<String, Value>,
    answer: Option<Value>,
}

/// Plays one file against a gateway of its own.
async fn check(name: &str) {
    let path = folder().join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap();
    let script = script::parse(&text);
    let gateway = Gateway::start(&script.config).await;
    let mut stage = Stage { gateway, clients: HashMap::new(), words: HashMap::new(), answer: None };
    for (number, step) in script.steps {
        let play = stage.play(step);
        if let Err(problem) = play.await {
            panic!("{name}.txt, line {number}: {problem}");
        }
    }
    stage.gateway.assert_running();
}

impl Stage {
    async fn play(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Says { who, frame } => {
                let frame = substitute(&frame, &self.words);
                self.client(&who).await.text(frame).await;
                Ok(())
            }
            Step::Hears { who, lines } => self.hears(&who, lines).await,
            Step::Closed { who, code } => {
                let closed = self.client(&who).await.closed().await;
                if closed.code == Some(code) && !closed.reason.is_empty() {
                    return Ok(());
                }
                Err(format!("expected close code {code} with a reason: {closed:?}"))
            }
            Step::Api { method, body } => {
                let body = serde_json::from_str(&substitute(&body, &self.words)).map_err(|e| e.to_string())?;
                self.answer = Some(self.gateway.api(&method, &body).await);
                Ok(())
            }
            Step::Answer { expected } => {
                let answer = self.answer.take().ok_or("nobody asked")?;
                self.expect(&expected, &answer)
            }
        }
    }

    /// The lines come next, in any order among themselves.
    async fn hears(&mut self, who: &str, mut lines: Vec<Value>) -> Result<(), String> {
        while !lines.is_empty() {
            let heard = self.client(who).await.line().await.ok_or("the connection ended")?;
            let fits = |line: &Value| matches(line, &heard, &mut self.words.clone());
            let Some(found) = lines.iter().position(fits) else {
                let wanted: Vec<_> = lines.iter().map(Value::to_string).collect();
                return Err(format!("\n  expected {}\n  heard    {heard}", wanted.join("\n        or ")));
            };
            self.expect(&lines.remove(found), &heard)?;
        }
        Ok(())
    }

    fn expect(&mut self, expected: &Value, heard: &Value) -> Result<(), String> {
        if matches(expected, heard, &mut self.words) {
            return Ok(());
        }
        Err(format!("\n  expected {expected}\n  heard    {heard}"))
    }

    /// The client of that name; opened when it first says something.
    async fn client(&mut self, who: &str) -> &mut Socket {
        if !self.clients.contains_key(who) {
            let socket = Socket::open(self.gateway.listen).await;
            self.clients.insert(who.to_owned(), socket);
        }
        self.clients.get_mut(who).expect("opened above")
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conversation/centrifuge")
}

macro_rules! conversations {
    ($($name:ident)*) => {
        const LISTED: &[&str] = &[$(stringify!($name)),*];

        $(
            #[tokio::test]
            async fn $name() {
                check(stringify!($name)).await;
            }
        )*
    };
}

conversations! {
    anonymous_allowed
    anonymous_refused
    api_directives
    api_publish
    batch
    capabilities
    capabilities_lesser
    capabilities_override
    connect
    delta
    exclude_publisher
    formats
    history
    history_permissions
    insecure
    join_leave
    later_methods
    names
    overrides
    patterns
    permissions
    personal_channel
    positioning
    presence
    private_channel
    publish
    recovery
    recovery_cache
    recovery_server_side
    refresh
    revocation
    server_side
    sub_refresh
    subscribe
    tokens
    unknown_fields
    unsubscribe
    user_limited
}

#[test]
fn every_file_is_listed() {
    let stem = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()
    };
    let files: BTreeMap<_, _> = std::fs::read_dir(folder()).unwrap().map(|entry| (stem(entry), ())).collect();
    let files: Vec<_> = files.keys().map(String::as_str).collect();
    let mut listed = LISTED.to_vec();
    listed.sort_unstable();
    assert_eq!(files, listed);
}
