//! A thousand connections a second that are nothing but junk, while others are served.
//!
//! Times are noisy where other programs run, and the junk itself takes half of a small machine, whomever it is
//! sent to. So each round measures three times: in quiet, with the junk sent to another gateway that stands
//! idle next to the one that is measured, and with the junk sent to that one. Neither of the former two has
//! junk in the gateway, and noise only makes them slower; the slower one is what the last is compared with. A
//! round that came out badly is repeated; the counts must be right in every round.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::gateway::{DEADLINE, Gateway};
use crate::ws::Socket;
use crate::{client, from};

const PER_SECOND: u64 = 1_000;
const WAVE: Duration = Duration::from_secs(4);
const LISTENERS: usize = 5;
const PUBLISH_EVERY: Duration = Duration::from_millis(5);
const ROUNDS: usize = 3;
/// How much later publications may come, at the median and at the 99th percentile.
const RATIO_MAX: f64 = 2.0;
/// Below it nobody notices, and schedulers decide.
const FLOOR: Duration = Duration::from_millis(1);
/// What one socket full of junk may cost: a request's head as far as it is taken, and what it is kept in.
const SOCKET_BYTES: u64 = 32 * 1024;
/// What the process may grow by beside that.
const SLACK_BYTES: u64 = 16 * 1024 * 1024;

/// A stream of junk, from many addresses.
struct Junk {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    thread: std::thread::JoinHandle<()>,
}

impl Junk {
    /// Begins. On a thread of its own, so that those who measure have theirs.
    fn send(to: SocketAddr) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(flood(to, stopped, counted));
        });
        Self { stop, sent, thread }
    }

    /// Hangs everything up; answers how many connections there were.
    async fn end(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        tokio::task::spawn_blocking(move || self.thread.join().unwrap()).await.unwrap();
        self.sent.load(Ordering::SeqCst)
    }
}

async fn flood(to: SocketAddr, stop: Arc<AtomicBool>, sent: Arc<AtomicUsize>) {
    let begun = Instant::now();
    let mut pace = tokio::time::interval(Duration::from_millis(5));
    let (mut number, mut junk) = (0, JoinSet::new());
    while !stop.load(Ordering::SeqCst) && begun.elapsed() < 3 * WAVE {
        pace.tick().await;
        while number < u64::try_from(begun.elapsed().as_millis()).unwrap() * PER_SECOND / 1_000 {
            junk.spawn(one(to, number, Arc::clone(&sent)));
            number += 1;
        }
        while junk.try_join_next().is_some() {}
    }
    // Drops what is still open.
    junk.shutdown().await;
}

/// One connection that is good for nothing, held for as long as the other end bears it.
async fn one(to: SocketAddr, number: u64, sent: Arc<AtomicUsize>) {
    let ip = [127, 0, 1, u8::try_from(number % 250).unwrap() + 1];
    let Ok(mut stream) = from(ip, to).await else { return };
    // So that no port is kept when it ends.
    let _ = stream.set_zero_linger();
    sent.fetch_add(1, Ordering::SeqCst);
    let path = "GET /connection/websocket HTTP/1.1\r\nHost: x\r\n";
    let begun = match number % 4 {
        0 => stream.write_all(&noise(number)).await,
        1 => stream.write_all(format!("{path}X-Slow: ").as_bytes()).await,
        2 => stream.write_all(format!("{path}X-Long: {}\r\n\r\n", "x".repeat(64 * 1024)).as_bytes()).await,
        _ => {
            let silent = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
            stream.write_all(format!("{path}{silent}").as_bytes()).await
        }
    };
    let mut answer = [0; 512];
    while begun.is_ok() {
        match tokio::time::timeout(Duration::from_secs(1), stream.read(&mut answer)).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) => return,
            // A byte now and then.
            Err(_) if number % 4 == 1 && stream.write_all(b"x").await.is_ok() => {}
            Err(_) if number % 4 == 1 => return,
            Err(_) => {}
        }
    }
}

/// Bytes that follow no rule and are the same in every run.
fn noise(seed: u64) -> Vec<u8> {
    let step = |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    std::iter::successors(Some(seed + 1), step).take(512).map(|state| state.to_be_bytes()[0]).collect()
}

/// Those who are served: one who speaks, and some who listen.
struct Hall {
    speaker: Socket,
    said: u64,
    heard: mpsc::Receiver<(u64, Instant)>,
    listeners: JoinSet<()>,
}

impl Hall {
    async fn open(gateway: &Gateway) -> Self {
        let (sender, heard) = mpsc::channel(64 * 1024);
        let mut listeners = JoinSet::new();
        for n in 0..LISTENERS {
            let mut listener = client(gateway, &format!("listener-{n}")).await;
            listener.subscribe(2, "hall").await;
            let (sender, next) = (sender.clone(), AtomicU64::new(0));
            listeners.spawn(async move {
                loop {
                    let (_, data) = listener.publication().await;
                    let number = data.as_u64().unwrap();
                    let expected = next.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(number, expected, "a listener gets everything in order");
                    if sender.send((number, Instant::now())).await.is_err() {
                        return;
                    }
                }
            });
        }
        Self { speaker: client(gateway, "speaker").await, said: 0, heard, listeners }
    }

    /// Speaks for a while; answers how long each word took to each listener, sorted.
    async fn speak(&mut self, time: Duration) -> Vec<Duration> {
        let (first, begun) = (self.said, Instant::now());
        let (mut spoken, mut pace) = (Vec::new(), tokio::time::interval(PUBLISH_EVERY));
        while begun.elapsed() < time {
            pace.tick().await;
            let command = json!({ "id": self.said + 2, "publish": { "channel": "hall", "data": self.said } });
            spoken.push(Instant::now());
            self.speaker.text(command.to_string()).await;
            let answer = self.speaker.error(self.said + 2).await;
            assert_eq!(answer, 0, "every publication is taken");
            self.said += 1;
        }
        let mut took = Vec::new();
        while took.len() < spoken.len() * LISTENERS {
            let heard = tokio::time::timeout(DEADLINE, self.heard.recv()).await;
            let (number, at) = heard.expect("every listener hears everything").expect("all listeners are there");
            let place = usize::try_from(number - first).unwrap();
            took.push(at - spoken[place]);
        }
        took.sort();
        took
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100].max(Duration::from_micros(1))
}

/// How much longer `with` took than the slower of those without, at a percentile; nothing below the floor counts.
fn ratio(without: [&[Duration]; 2], with: &[Duration], percent: usize) -> f64 {
    let without = without.map(|took| percentile(took, percent)).into_iter().max().unwrap();
    let with = percentile(with, percent);
    if with <= FLOOR { 1.0 } else { with.as_secs_f64() / without.as_secs_f64() }
}

/// Speaks while junk is sent to a gateway; answers how long words took, and how large the measured gateway
/// became meanwhile.
async fn wave(hall: &mut Hall, measured: &Gateway, to: &Gateway) -> Wave {
    let junk = Junk::send(to.listen);
    // The first ones are hardly there yet.
    hall.speak(WAVE / 4).await;
    let took = hall.speak(WAVE - WAVE / 4).await;
    let peak = measured.resident_memory();
    Wave { took, peak, sent: junk.end().await }
}

/// What came of a wave.
struct Wave {
    took: Vec<Duration>,
    peak: u64,
    /// Junk connections that were made.
    sent: usize,
}

async fn junk_is_gone(gateway: &Gateway) {
    let gone = async {
        while gateway.metric("fanfare_sockets", "").await > LISTENERS as f64 + 1.5 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(DEADLINE, gone).await.expect("sockets that were hung up are gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stdout, reason = "what was measured is worth a look with --nocapture")]
async fn a_thousand_junk_connections_a_second_disturb_nobody() {
    let open = "[channel.default]\nallow_subscribe_for_client = true\nallow_publish_for_client = true\n";
    let (mut measured, decoy) = (Gateway::start(open).await, Gateway::start(open).await);
    let mut hall = Hall::open(&measured).await;
    hall.speak(WAVE / 4).await;
    let baseline = measured.resident_memory();
    let bound = WAVE.as_secs() * PER_SECOND * SOCKET_BYTES + SLACK_BYTES;

    let (mut ratios, mut peaks) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let quiet = hall.speak(WAVE / 4).await;
        let Wave { took: beside, .. } = wave(&mut hall, &measured, &decoy).await;
        let Wave { took: inside, peak, sent } = wave(&mut hall, &measured, &measured).await;
        peaks.push(peak.saturating_sub(baseline));
        assert!(peak.saturating_sub(baseline) <= bound, "{peak} bytes from {baseline}; {bound} more are allowed");
        junk_is_gone(&measured).await;
        let connections = measured.metric("fanfare_connections", "").await;
        assert!((connections - LISTENERS as f64 - 1.0).abs() < 0.5, "{connections} are connected");
        let planned = usize::try_from(WAVE.as_secs() * PER_SECOND).unwrap();
        // Half of the junk says nothing: this machine was too busy to tell.
        let tells = sent >= planned / 2;
        ratios.push([50, 99].map(|percent| if tells { ratio([&quiet, &beside], &inside, percent) } else { f64::NAN }));
        println!(
            "p50 and p99: quiet {:?} {:?}, junk beside {:?} {:?}, junk inside {:?} {:?}; {} KiB more",
            percentile(&quiet, 50),
            percentile(&quiet, 99),
            percentile(&beside, 50),
            percentile(&beside, 99),
            percentile(&inside, 50),
            percentile(&inside, 99),
            peaks.last().unwrap() / 1024,
        );
        if ratios.last().unwrap().iter().all(|ratio| *ratio <= RATIO_MAX) {
            break;
        }
    }
    let good = ratios.last().unwrap().iter().all(|ratio| *ratio <= RATIO_MAX);
    assert!(
        good,
        "publications come later by {ratios:?} (NaN: too little junk) at the median and the 99th percentile, in every round"
    );
    hall.listeners.shutdown().await;
    measured.assert_running();
    assert!(measured.metric("fanfare_task_panics_total", "").await < 0.5);
}
