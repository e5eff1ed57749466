//! Publishers over the server API: batches over all nodes, a key on each publication, and tries until
//! there is an answer that says yes or no.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::checker::{Entry, Id, Name, Place};
use crate::dice::Dice;
use crate::gateway::API_KEY;
use crate::recorder::{Names, Recorder, hash, payload};

/// How long one publication is tried for; then its outcome is unknown.
const PATIENCE: Duration = Duration::from_secs(30);

/// For one request.
const ANSWER_LIMIT: Duration = Duration::from_secs(8);

/// What a publisher is like.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// The nodes' own doors.
    pub(crate) nodes: Vec<SocketAddr>,
    pub(crate) channels: Vec<String>,
    /// Publications in one request.
    pub(crate) batch: usize,
    /// Time from one request to the next, if the answers come faster.
    pub(crate) pace: Duration,
    pub(crate) padding: usize,
}

/// What all publishers of a run share.
#[derive(Clone, Debug)]
pub(crate) struct Press {
    pub(crate) recorder: Recorder,
    pub(crate) next_id: Arc<AtomicU64>,
    /// Acknowledged so far.
    pub(crate) acked: Arc<AtomicU64>,
    /// True: nothing new any more; what is under way is tried to its end.
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) http: reqwest::Client,
}

/// A publication that has no answer yet.
#[derive(Clone, Debug)]
struct Pending {
    id: Id,
    channel: String,
    data: String,
    since: Instant,
}

#[derive(Debug, Deserialize)]
struct Replies {
    replies: Vec<Reply>,
}

#[derive(Debug, Deserialize)]
struct Reply {
    publish: Option<Position>,
    error: Option<Refusal>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Position {
    offset: u64,
    epoch: String,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    code: u32,
}

/// Publishes until told to stop.
pub(crate) async fn work(task: Task, press: Press, mut dice: Dice) {
    let mut names = Names::default();
    let channels: Vec<Name> = task.channels.iter().map(|channel| press.recorder.name(channel)).collect();
    let mut pending: Vec<Pending> = Vec::new();
    let mut next = Instant::now();
    loop {
        let stopped = *press.stop.borrow();
        if stopped && pending.is_empty() {
            return;
        }
        while !stopped && pending.len() < task.batch {
            let at = dice.below(channels.len());
            let id = Id(press.next_id.fetch_add(1, Ordering::Relaxed));
            let data = payload(id, task.padding);
            press.recorder.push(Entry::Invoked { id, channel: channels[at], hash: hash(&data) });
            pending.push(Pending { id, channel: task.channels[at].clone(), data, since: Instant::now() });
        }
        let node = *dice.pick(&task.nodes);
        let left = send(&press, node, pending, &mut names).await;
        let failed = !left.is_empty();
        pending = left;
        if failed {
            sleep(dice.time(Duration::from_millis(50), Duration::from_millis(400))).await;
        }
        next = (next + task.pace).max(Instant::now());
        sleep_until(next).await;
    }
}

/// Sends a batch and writes down what is answered; returns what has to be tried again.
async fn send(press: &Press, node: SocketAddr, batch: Vec<Pending>, names: &mut Names) -> Vec<Pending> {
    let replies = ask(press, node, &batch).await;
    let mut again = Vec::new();
    for (at, pending) in batch.into_iter().enumerate() {
        let id = pending.id;
        match replies.as_ref().and_then(|replies| replies.get(at)) {
            Some(Reply { publish: Some(position), .. }) => {
                let epoch = names.get(&press.recorder, &position.epoch);
                let place = (!position.epoch.is_empty()).then_some(Place { epoch, offset: position.offset });
                press.recorder.push(Entry::Acked { id, place });
                press.acked.fetch_add(1, Ordering::Relaxed);
            }
            Some(Reply { error: Some(Refusal { code }), .. }) if *code != 100 => {
                panic!("a publication on {} was refused with {code}", pending.channel);
            }
            _ if pending.since.elapsed() < PATIENCE => again.push(pending),
            _ => press.recorder.push(Entry::Unknown { id }),
        }
    }
    again
}

/// The answers to a batch, in its order; none if there was no answer.
async fn ask(press: &Press, node: SocketAddr, batch: &[Pending]) -> Option<Vec<Reply>> {
    let commands: Vec<String> = batch
        .iter()
        .map(|Pending { id, channel, data, .. }| {
            let key = id.0;
            format!(r#"{{"publish":{{"channel":"{channel}","data":{data},"idempotency_key":"key-{key}"}}}}"#)
        })
        .collect();
    let body = format!(r#"{{"commands":[{}],"parallel":true}}"#, commands.join(","));
    let request = press.http.post(format!("http://{node}/api/batch")).timeout(ANSWER_LIMIT).body(body);
    let request = request.header("X-API-Key", API_KEY).header("Content-Type", "application/json");
    let answer = request.send().await.ok()?;
    let status = answer.status();
    let text = answer.text().await.ok()?;
    // A node that goes down may say so with a status; all others would be mistakes of ours.
    if status.is_server_error() {
        return None;
    }
    assert!(status.is_success(), "a batch was answered with {status}: {text}");
    match serde_json::from_str::<Replies>(&text) {
        Ok(replies) => Some(replies.replies),
        Err(_) => {
            let answer: Value = serde_json::from_str(&text).unwrap_or_default();
            assert_eq!(answer["error"]["code"], 100, "a batch was answered with {text}");
            None
        }
    }
}

/// Publishes one on each channel, tries until each is acknowledged, and answers where they stand.
pub(crate) async fn last_words(press: &Press, nodes: &[SocketAddr], channels: &[String]) -> Vec<(Name, Place)> {
    let mut names = Names::default();
    let mut pending = Vec::new();
    for channel in channels {
        let id = Id(press.next_id.fetch_add(1, Ordering::Relaxed));
        let data = payload(id, 0);
        let name = names.get(&press.recorder, channel);
        press.recorder.push(Entry::Invoked { id, channel: name, hash: hash(&data) });
        pending.push(Pending { id, channel: channel.clone(), data, since: Instant::now() });
    }
    let words: Vec<(Id, Name)> =
        pending.iter().map(|pending| (pending.id, names.get(&press.recorder, &pending.channel))).collect();
    for node in nodes.iter().cycle() {
        pending = send(press, *node, pending, &mut names).await;
        if pending.is_empty() {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    press.recorder.read(|log| {
        let tail = log
            .lines
            .iter()
            .rev()
            .take_while(|line| !matches!(line.entry, Entry::Invoked { id, .. } if id == words[0].0));
        let places: std::collections::HashMap<Id, Place> = tail
            .filter_map(|line| match line.entry {
                Entry::Acked { id, place: Some(place) } => Some((id, place)),
                _ => None,
            })
            .collect();
        words.iter().map(|(id, name)| (*name, *places.get(id).expect("a last word is acknowledged"))).collect()
    })
}
