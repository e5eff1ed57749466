//! A run's world: nodes, a Redis, proxies between all of them, clients, publishers, watchers. Brought up,
//! let go at the end, measured and judged.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::checker::{Entry, Limits, Name, Place, Report};
use crate::client::{self, Character, Orders, Surroundings};
use crate::dice::Dice;
use crate::gateway::Gateway;
use crate::official::Officials;
use crate::prober::{self, Watched};
use crate::proxy::Proxy;
use crate::publisher::{self, Press, Task};
use crate::recorder::{Recorder, Seen, keep};
use crate::redis::RedisServer;

/// Within which everybody must be back and have everything, after all faults are over.
const REST_LIMIT: Duration = Duration::from_secs(60);

/// How old a canary may be when a node says that it is ready: `unready_after` and what the watchers and a
/// busy machine add.
const CANARY_MS: u64 = 6_000;

/// What a node may keep after everybody has gone.
pub(crate) const LIMITS: Limits = Limits { canary_ms: CANARY_MS, files: 16, memory: 256 << 20 };

/// What a world consists of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) nodes: usize,
    /// Redis writes a file, each command before its answer: what it has acknowledged survives its death.
    pub(crate) durable: bool,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) run: String,
    pub(crate) dice: Dice,
    pub(crate) recorder: Recorder,
    pub(crate) redis: RedisServer,
    /// Where a durable Redis writes.
    pub(crate) disk: TempDir,
    /// From each node to Redis.
    pub(crate) links: Vec<Proxy>,
    pub(crate) nodes: Vec<Gateway>,
    /// From clients to each node.
    pub(crate) doors: Vec<Proxy>,
    balancer: Proxy,
    pub(crate) orders: watch::Sender<Orders>,
    stop_press: watch::Sender<bool>,
    stop_watch: watch::Sender<bool>,
    pub(crate) press: Press,
    next_id: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
    publishers: Vec<JoinHandle<()>>,
    watchers: Vec<JoinHandle<()>>,
    officials: Vec<Officials>,
    /// Who shall be on what.
    seats: Vec<(Name, Name)>,
    channels: Vec<String>,
    baselines: Vec<(u64, u64)>,
}

/// The seed of this run: given, or a new one.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("FANFARE_FAULTS_SEED").ok();
    match given {
        Some(seed) => seed.parse().expect("FANFARE_FAULTS_SEED is a number"),
        #[allow(clippy::disallowed_methods, reason = "a seed that nobody has had before")]
        None => std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(),
    }
}

/// So many channels of a namespace.
pub(crate) fn channels(namespace: &str, count: usize) -> Vec<String> {
    (0..count).map(|i| format!("{namespace}:{i}")).collect()
}

fn config(redis: &str) -> String {
    let namespace = |name: &str, more: &str| {
        format!(
            "[[channel.namespace]]\nname = \"{name}\"\nallow_subscribe_for_client = true\n\
             allow_publish_for_client = true\n{more}"
        )
    };
    let history = |size: usize| {
        format!("history_size = {size}\nhistory_ttl = \"10m\"\nhistory_meta_ttl = \"1h\"\nforce_recovery = true\n")
    };
    let (stream, window, canary) =
        (namespace("stream", &history(5_000)), namespace("window", &history(30)), namespace("canary", ""));
    format!(
        "[broker]\nurl = \"{redis}\"\nheartbeat_interval = \"500ms\"\nnode_lease = \"3s\"\nunready_after = \"2s\"\n\
         connect_timeout = \"1s\"\ncommand_timeout = \"2s\"\n\
         [client]\nping_interval = \"4s\"\npong_timeout = \"3s\"\n\
         [history]\nposition_check_interval = \"1s\"\n{stream}{window}{canary}"
    )
}

impl World {
    /// Brings up Redis and the nodes. Says with which seed.
    pub(crate) async fn start(run: &str, seed: u64, plan: Plan) -> Self {
        println!("{run}: to repeat it: FANFARE_FAULTS_SEED={seed} cargo test --test faults -- --nocapture {run}");
        let _ = rlimit::increase_nofile_limit(19_000);
        let mut dice = Dice::new(seed);
        let disk = tempfile::tempdir().unwrap();
        let redis = redis(&plan, &disk);
        let mut links = Vec::new();
        for _ in 0..plan.nodes {
            links.push(Proxy::start(redis.port(), dice.next()).await);
        }
        let configs: Vec<String> = links.iter().map(|link| config(&link.url(0))).collect();
        let nodes = futures_util::future::join_all(configs.iter().map(|config| Gateway::start(config))).await;
        let mut doors = Vec::new();
        for node in &nodes {
            doors.push(Proxy::start(node.listen.port(), dice.next()).await);
        }
        let ports: Vec<u16> = doors.iter().map(|door| door.address().port()).collect();
        let balancer = Proxy::start_to_any(&ports, dice.next()).await;
        let (recorder, next_id) = (Recorder::new(), Arc::new(AtomicU64::new(1)));
        let (stop_press, stop) = watch::channel(false);
        let http = reqwest::Client::new();
        let press = Press { recorder: recorder.clone(), next_id: next_id.clone(), acked: Arc::default(), stop, http };
        let mut world = Self {
            run: run.to_owned(),
            dice,
            recorder,
            redis,
            disk,
            links,
            nodes,
            doors,
            balancer,
            orders: watch::Sender::new(Orders::default()),
            stop_press,
            stop_watch: watch::Sender::new(false),
            press,
            next_id,
            clients: Vec::new(),
            publishers: Vec::new(),
            watchers: Vec::new(),
            officials: Vec::new(),
            seats: Vec::new(),
            channels: Vec::new(),
            baselines: Vec::new(),
        };
        for node in 0..plan.nodes {
            world.baselines.push((world.nodes[node].open_files(), world.nodes[node].resident_memory()));
            world.started(node);
        }
        world
    }

    pub(crate) fn node_name(&self, node: usize) -> String {
        format!("node{node}")
    }

    /// A node's process has begun: what it needs without clients is what it was at first.
    pub(crate) fn started(&self, node: usize) {
        let name = self.recorder.name(&self.node_name(node));
        let (files, memory) = self.baselines[node];
        self.recorder.push(Entry::Started { node: name });
        self.recorder.push(Entry::Baseline { node: name, files, memory });
    }

    /// The nodes' own doors.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.listen).collect()
    }

    /// The doors behind proxies.
    pub(crate) fn doors(&self) -> Vec<SocketAddr> {
        self.doors.iter().map(Proxy::address).collect()
    }

    /// Adds a client.
    pub(crate) fn client(&mut self, character: Character) {
        let me = self.recorder.name(&character.name);
        for channel in &character.channels {
            self.seats.push((me, self.recorder.name(channel)));
            self.uses(channel);
        }
        let (recorder, orders) = (self.recorder.clone(), self.orders.subscribe());
        let around = Surroundings { recorder, orders, next_id: self.next_id.clone() };
        self.clients.push(tokio::spawn(client::live(character, around, self.dice.fork())));
    }

    /// Adds official clients, on all these channels.
    pub(crate) fn officials(&mut self, count: usize, channels: &[String]) {
        let endpoint = format!("ws://{}/connection/websocket", self.balancer.address());
        let Some(officials) = Officials::start(&self.recorder, &endpoint, count, channels) else { return };
        for name in &officials.names {
            for channel in &officials.channels {
                self.seats.push((self.recorder.name(name), self.recorder.name(channel)));
            }
        }
        channels.iter().for_each(|channel| self.uses(channel));
        self.officials.push(officials);
    }

    /// Adds a publisher.
    pub(crate) fn publisher(&mut self, channels: &[String], batch: usize, pace: Duration) {
        let padding = self.dice.below(80);
        self.publisher_of(channels, batch, pace, padding);
    }

    /// The same, with payloads of about that many bytes.
    pub(crate) fn publisher_of(&mut self, channels: &[String], batch: usize, pace: Duration, padding: usize) {
        channels.iter().for_each(|channel| self.uses(channel));
        let task = Task { nodes: self.addresses(), channels: channels.to_vec(), batch, pace, padding };
        self.publishers.push(tokio::spawn(publisher::work(task, self.press.clone(), self.dice.fork())));
    }

    /// Watches the readiness of all nodes.
    pub(crate) fn watch(&mut self) {
        for (at, node) in self.nodes.iter().enumerate() {
            let watched = Watched { name: self.node_name(at), listen: node.listen, internal: node.internal };
            let (recorder, stop) = (self.recorder.clone(), self.stop_watch.subscribe());
            self.watchers.push(tokio::spawn(prober::watch(watched, recorder, self.press.http.clone(), stop)));
        }
    }

    fn uses(&mut self, channel: &str) {
        if !self.channels.iter().any(|known| known == channel) {
            self.channels.push(channel.to_owned());
        }
    }

    pub(crate) fn acked(&self) -> u64 {
        self.press.acked.load(Ordering::Relaxed)
    }

    /// The sum of a metric over all nodes.
    pub(crate) async fn metric(&self, name: &str, labels: &str) -> f64 {
        let mut sum = 0.0;
        for node in &self.nodes {
            sum += node.metric(name, labels).await;
        }
        sum
    }

    /// Waits until everybody is where they shall be.
    pub(crate) async fn all_subscribed(&self) {
        self.until("everybody is subscribed", |_, now| now.live).await;
    }

    /// Waits until something holds for all seats.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(Name, Seen) -> bool) {
        let late = self.late(REST_LIMIT, holds).await;
        assert!(late.is_empty(), "{}: not within {REST_LIMIT:?}: {what}: {late:?}", self.run);
    }

    /// Those for whom something does not hold within a time.
    async fn late(&self, limit: Duration, holds: impl Fn(Name, Seen) -> bool) -> Vec<String> {
        let deadline = Instant::now() + limit;
        loop {
            let late: Vec<_> = self
                .seats
                .iter()
                .filter(|seat| !holds(seat.1, self.recorder.seen(**seat)))
                .map(|(client, channel)| {
                    self.recorder.read(|log| format!("{} on {}", log.text(*client), log.text(*channel)))
                })
                .collect();
            if late.is_empty() || Instant::now() > deadline {
                return late;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Publishes no more, lets everybody come and hear all, sends them home, measures, and judges.
    pub(crate) async fn finish(&mut self) -> Report {
        for node in &mut self.nodes {
            node.ready_is(200).await;
        }
        self.orders.send_modify(|orders| orders.calm = true);
        self.stop_press.send_replace(true);
        for publisher in self.publishers.drain(..) {
            publisher.await.unwrap();
        }
        let words = publisher::last_words(&self.press, &self.addresses(), &self.channels).await;
        let words: HashMap<Name, Place> = words.into_iter().collect();
        let heard = |channel: Name, seen: Seen| {
            let word = words[&channel];
            seen.live && seen.place.is_some_and(|at| at.epoch == word.epoch && at.offset >= word.offset)
        };
        let late = self.late(REST_LIMIT, heard).await;
        self.recorder.push(Entry::Quiet);
        self.stop_watch.send_replace(true);
        for watcher in self.watchers.drain(..) {
            watcher.await.unwrap();
        }
        self.orders.send_modify(|orders| orders.leave = true);
        for client in self.clients.drain(..) {
            client.await.unwrap();
        }
        self.officials.drain(..).for_each(Officials::leave);
        let mut closed = String::new();
        for code in ["3004", "3008", "3010", "3012"] {
            let count = self.metric("fanfare_disconnects_total", &format!("code=\"{code}\"")).await;
            closed += &format!(" {code}: {count}");
        }
        println!("{}: closed by the nodes, as far as they live:{closed}", self.run);
        self.measure().await;
        let report = self.recorder.judge(&self.run, LIMITS);
        assert!(late.is_empty(), "{}: did not come to rest: {late:?}", self.run);
        // A run in which nobody claims anything would prove nothing.
        assert!(report.claims >= self.seats.len(), "only {} claims of {} seats", report.claims, self.seats.len());
        report
    }

    /// When a node's clients are gone, what it needs is what it needed at first.
    async fn measure(&self) {
        for (at, node) in self.nodes.iter().enumerate() {
            let (before, deadline) = (self.baselines[at].0, Instant::now() + REST_LIMIT);
            while node.open_files() > before + LIMITS.files && Instant::now() < deadline {
                sleep(Duration::from_millis(100)).await;
            }
            let node_name = self.recorder.name(&self.node_name(at));
            let (files, memory) = (node.open_files(), node.resident_memory());
            self.recorder.push(Entry::Settled { node: node_name, files, memory });
        }
    }
}

impl Drop for World {
    /// What the nodes said of a run that failed goes where its log is.
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (at, node) in self.nodes.iter().enumerate() {
                let path = keep(&format!("{}.node{at}.log", self.run), &node.log());
                println!("{}: what node {at} said is {}", self.run, path.display());
            }
        }
    }
}

fn redis(plan: &Plan, disk: &TempDir) -> RedisServer {
    let folder = disk.path().to_str().unwrap();
    let mut arguments = vec!["--dir", folder, "--enable-debug-command", "yes"];
    if plan.durable {
        arguments.extend(["--appendonly", "yes", "--appendfsync", "always"]);
    }
    RedisServer::start_with(&arguments)
}
