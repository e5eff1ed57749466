//! The application's end of a webhook: takes batches over real HTTP, checks their signatures, and answers as it is told.
//!
//! For `#[path = "../support/receiver.rs"] mod receiver;` in integration tests.

#![allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
#![allow(clippy::disallowed_methods, reason = "tests spawn plain tasks")]

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What batches are signed with.
pub const SECRET: &str = "a-webhook-secret-that-is-long-enough-for-anybody";

/// For every wait that must end.
const DEADLINE: Duration = Duration::from_secs(20);

/// A batch as it came.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What it was answered.
    pub status: u16,
    /// As it was posted.
    pub body: String,
}

#[derive(Clone, Debug)]
struct Desk {
    batches: mpsc::Sender<Batch>,
    /// What the next ones are answered; then 200.
    statuses: Arc<Mutex<VecDeque<u16>>>,
}

/// A receiver.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    desk: Desk,
    batches: mpsc::Receiver<Batch>,
    /// Events of batches that were taken and not asked for yet.
    events: VecDeque<Value>,
    serving: Option<JoinHandle<()>>,
    /// Leaves events out that it has had before, as receivers should. Off: a repeat shows.
    pub skips_repeats: bool,
    ids: HashSet<String>,
}

impl Receiver {
    /// Starts one.
    pub async fn start() -> Self {
        let (sender, batches) = mpsc::channel(4096);
        let desk = Desk { batches: sender, statuses: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut receiver = Self {
            address,
            desk,
            batches,
            events: VecDeque::new(),
            serving: None,
            skips_repeats: false,
            ids: HashSet::new(),
        };
        receiver.serve(listener);
        receiver
    }

    fn serve(&mut self, listener: TcpListener) {
        let router = Router::new().route("/events", post(take)).with_state(self.desk.clone());
        self.serving = Some(tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }));
    }

    /// Nobody is there any more.
    pub fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }

    /// Somebody is there again, at the same address.
    pub async fn restart(&mut self) {
        self.stop();
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        self.serve(listener);
    }

    /// What the next batches are answered.
    pub fn answers(&self, statuses: &[u16]) {
        self.desk.statuses.lock().unwrap().extend(statuses);
    }

    /// Its section of a gateway's configuration; `more` are further keys.
    pub fn config(&self, more: &str) -> String {
        format!(
            "[webhook]\nurl = \"http://{}/events\"\nsecret = \"{SECRET}\"\nbatch_delay = \"50ms\"\n{more}\n",
            self.address
        )
    }

    /// The next batch, whatever it was answered.
    pub async fn batch(&mut self) -> Batch {
        let batch = tokio::time::timeout(DEADLINE, self.batches.recv()).await;
        batch.expect("a batch comes in time").expect("the receiver holds a sender")
    }

    /// The next event of a batch that was taken.
    pub async fn event(&mut self) -> Value {
        loop {
            while let Some(event) = self.events.pop_front() {
                let is_new = self.ids.insert(event["id"].as_str().unwrap().to_owned());
                if is_new || !self.skips_repeats {
                    return event;
                }
            }
            let batch = self.batch().await;
            if batch.status == 200 {
                let body: Value = serde_json::from_str(&batch.body).unwrap();
                self.events.extend(body["events"].as_array().unwrap().iter().cloned());
            }
        }
    }

    /// All events up to one of this name about this channel, as `NAME CHANNEL USER`, with it.
    pub async fn until(&mut self, name: &str, channel: &str) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let event = self.event().await;
            let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            all.push(format!("{} {} {}", text("name"), text("channel"), text("user")).trim_end().to_owned());
            if event["name"] == name && event["channel"] == channel {
                return all;
            }
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn take(State(desk): State<Desk>, headers: HeaderMap, body: String) -> StatusCode {
    let header = headers["x-fanfare-signature"].to_str().unwrap();
    if !is_signed(header, &body) {
        return StatusCode::UNAUTHORIZED;
    }
    let status = desk.statuses.lock().unwrap().pop_front().unwrap_or(200);
    let _ = desk.batches.send(Batch { status, body }).await;
    StatusCode::from_u16(status).unwrap()
}

/// As the manual says, and nothing of the gateway's own.
fn is_signed(header: &str, body: &str) -> bool {
    let Some((time, mac)) = header.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")) else { return false };
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let expected = hmac::sign(&key, format!("{time}.{body}").as_bytes());
    let expected: String = expected.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    mac == expected
}
