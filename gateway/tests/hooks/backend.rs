//! The application's backend of these tests: a real small one in Python, `backend.py`. Ended on drop.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::gateway::DEADLINE;

/// A running backend.
#[derive(Debug)]
pub struct Backend {
    child: Child,
    ports: Value,
    client: reqwest::Client,
}

/// A question that the backend was asked.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `connect`, `rpc` and so on.
    pub kind: String,
    /// Its body; over gRPC the message as JSON.
    pub body: Value,
    headers: Vec<(String, String)>,
}

impl Seen {
    /// All values of a header, in the order in which they came.
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }
}

impl Backend {
    /// Starts one and waits until it listens.
    pub fn start() -> Self {
        let gateway = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new(python())
            .arg(gateway.join("tests/hooks/backend.py"))
            .arg(gateway.join("../proto/schema"))
            .arg(gateway.join("tests/certificates"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ports: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        let client = reqwest::Client::builder().timeout(DEADLINE).build().unwrap();
        Self { child, ports, client }
    }

    /// Where it is asked over HTTP.
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port("http"))
    }

    /// Where it is asked over gRPC.
    pub fn grpc(&self) -> String {
        format!("grpc://127.0.0.1:{}", self.port("grpc"))
    }

    /// Where it is asked over HTTP in TLS, by one of its names or addresses.
    pub fn https(&self, host: &str) -> String {
        format!("https://{host}:{}/hook", self.port("https"))
    }

    /// The same over gRPC.
    pub fn grpcs(&self, host: &str) -> String {
        format!("grpcs://{host}:{}", self.port("grpcs"))
    }

    fn port(&self, road: &str) -> u64 {
        self.ports[road].as_u64().unwrap()
    }

    /// Sets how it answers a kind of question; the plans are explained in `backend.py`.
    pub async fn plan(&self, kind: &str, plan: Value) {
        let url = format!("http://127.0.0.1:{}/plan", self.port("http"));
        let body = json!({ kind: plan }).to_string();
        assert!(self.client.post(url).body(body).send().await.unwrap().status().is_success());
    }

    /// What it was asked since it was looked at last.
    pub async fn seen(&self) -> Vec<Seen> {
        let url = format!("http://127.0.0.1:{}/seen", self.port("http"));
        let text = self.client.get(url).send().await.unwrap().text().await.unwrap();
        let seen: Vec<Value> = serde_json::from_str(&text).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let headers = |value: &Value| {
            let pairs = value.as_array().unwrap().iter();
            pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
        };
        let read = |one: &Value| Seen {
            kind: text(&one["kind"]),
            body: one["body"].clone(),
            headers: headers(&one["headers"]),
        };
        seen.iter().map(read).collect()
    }

    /// The only question since it was looked at last.
    pub async fn asked(&self) -> Seen {
        let mut seen = self.seen().await;
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Python with the packages of this folder's `requirements.txt`; installed by the first who asks.
fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let made = Command::new(tests.join("support/venv")).arg(tests.join("hooks")).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    })
}
