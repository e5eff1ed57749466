//! Who breaks things: a seeded schedule of faults, one to three at a time. Each has a name, a way in and a
//! way back. R is for Redis, N for the network, G for gateways, C for clients.

use std::collections::HashSet;
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::checker::Entry;
use crate::dice::Dice;
use crate::proxy::Weather;
use crate::world::World;

/// For one command to a Redis that may be paused, blocked or dead.
const COMMAND_LIMIT: Duration = Duration::from_secs(2);

/// How long a setting is tried that breaks something: another fault may have taken the server away, and
/// then this one has no effect.
const TRY: Duration = Duration::ZERO;

/// How long one is tried that heals.
const INSIST: Duration = Duration::from_secs(30);

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// R1: Redis killed, and started again empty.
    RedisEmpty,
    /// R2: Redis killed, and started again with all it had acknowledged.
    RedisRestarted,
    /// R3: Redis stopped by a signal, and continued.
    RedisPaused,
    /// R4: Redis alive, and busy with something else.
    RedisBlocked,
    /// R5: subscriptions cut, every 50 ms.
    SubscriptionsCut,
    /// R5: ordinary connections cut, every 50 ms.
    CommandsCut,
    /// R10: no memory for writes.
    RedisFull,
    /// R10: whatever is old is evicted.
    RedisEvicts,
    /// R11: scripts forgotten every 100 ms.
    ScriptsFlushed,
    /// R13: everything deleted.
    Flushed,
    /// R13: the streams of all channels deleted, their numbering kept.
    StreamsDeleted,
    /// R13: the streams of all channels emptied.
    StreamsTrimmed,
    /// R14: subscribers that do not keep up are cut by Redis.
    BuffersSmall,
    /// N1: packets between a node and Redis dropped, one way or both.
    BlackHole,
    /// N2: connections between a node and Redis reset.
    Reset,
    /// N3: some packets between a node and Redis dropped.
    Flaky,
    /// N4: the way between a node and Redis slow, jittered, dripping, cut in the middle or half closed.
    BadWeather,
    /// G1: a node killed, and started again.
    NodeKilled,
    /// G3: a node stopped by a signal, and continued.
    NodePaused,
    /// C1: clients of a node gone without a word.
    ClientsSilent,
    /// C2: clients of a node that read slowly.
    ClientsSlow,
    /// C3: all clients cut at once.
    Storm,
}

impl Fault {
    /// In the order in which they must be healed: first the server itself, then what is set in it.
    pub(crate) const ALL: &[Self] = &[
        Self::RedisEmpty,
        Self::RedisRestarted,
        Self::RedisPaused,
        Self::RedisBlocked,
        Self::SubscriptionsCut,
        Self::CommandsCut,
        Self::RedisFull,
        Self::RedisEvicts,
        Self::ScriptsFlushed,
        Self::Flushed,
        Self::StreamsDeleted,
        Self::StreamsTrimmed,
        Self::BuffersSmall,
        Self::BlackHole,
        Self::Reset,
        Self::Flaky,
        Self::BadWeather,
        Self::NodeKilled,
        Self::NodePaused,
        Self::ClientsSilent,
        Self::ClientsSlow,
        Self::Storm,
    ];

    fn order(self) -> usize {
        Self::ALL.iter().position(|fault| *fault == self).unwrap()
    }

    /// Of those with the same, one at a time: they would undo each other.
    fn room(self) -> &'static str {
        match self {
            Self::RedisEmpty | Self::RedisRestarted | Self::RedisPaused | Self::RedisBlocked => "server",
            Self::RedisFull | Self::RedisEvicts => "memory",
            Self::SubscriptionsCut | Self::CommandsCut => "cut",
            Self::Flushed | Self::StreamsDeleted | Self::StreamsTrimmed => "streams",
            Self::BlackHole | Self::Reset | Self::Flaky | Self::BadWeather => "link",
            Self::NodeKilled | Self::NodePaused => "node",
            Self::ClientsSilent | Self::ClientsSlow | Self::Storm => "clients",
            Self::ScriptsFlushed => "scripts",
            Self::BuffersSmall => "buffers",
        }
    }

    /// How long it lasts; in a soak some last longer than anybody waits for an answer.
    fn hold(self, dice: &mut Dice) -> Duration {
        let soak = std::env::var_os("FANFARE_FAULTS_MINUTES").is_some();
        let (from, to) = match self {
            Self::RedisPaused | Self::NodePaused if soak => (200, 35_000),
            Self::RedisPaused | Self::RedisBlocked | Self::NodePaused => (200, 5_000),
            Self::BlackHole => (500, 6_000),
            Self::NodeKilled => (200, 3_000),
            // Longer than a ping and the wait for its answer.
            Self::ClientsSilent => (8_000, 10_000),
            Self::ClientsSlow => (2_000, 6_000),
            _ => (300, 3_000),
        };
        dice.time(Duration::from_millis(from), Duration::from_millis(to))
    }

    /// Why it cannot be made here.
    fn impossible(self) -> Option<&'static str> {
        match self {
            Self::BlackHole | Self::Flaky if !runs("iptables", &["-S", "INPUT"]) => Some("iptables does not work here"),
            Self::Reset if !runs("iptables", &["-S", "INPUT"]) || !runs("ss", &["-V"]) => Some("no ss and iptables"),
            _ => None,
        }
    }
}

/// A fault that is on, and what must be undone.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) fault: Fault,
    node: usize,
    rules: Vec<Rule>,
    task: Option<Repeated>,
}

/// Something that is done again and again.
#[derive(Debug)]
struct Repeated(JoinHandle<()>);

impl Drop for Repeated {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A rule of the packet filter; gone when dropped, also by a panic.
#[derive(Debug)]
struct Rule(Vec<String>);

impl Rule {
    fn add(rule: &str) -> Self {
        let words: Vec<String> = rule.split(' ').map(str::to_owned).collect();
        let added = Command::new("iptables").args(["-w", "5", "-I", "INPUT"]).args(&words).status().unwrap();
        assert!(added.success(), "iptables does not take {rule}");
        Self(words)
    }
}

impl Drop for Rule {
    fn drop(&mut self) {
        let _ = Command::new("iptables").args(["-w", "5", "-D", "INPUT"]).args(&self.0).status();
    }
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Breaks and heals until a condition ends it, then heals everything. Answers how often each fault was on.
pub(crate) async fn rage(world: &mut World, faults: &[Fault], mut goes_on: impl FnMut(&World) -> bool) -> usize {
    let mut dice = world.dice.fork();
    let mut possible = Vec::new();
    for fault in faults {
        match fault.impossible() {
            None => possible.push(*fault),
            Some(why) => left_out(&format!("{fault:?}: {why}")),
        }
    }
    let mut bag: Vec<Fault> = Vec::new();
    let mut count = 0;
    while goes_on(world) {
        let mut active = Vec::new();
        let mut rooms = HashSet::new();
        for _ in 0..=dice.below(3) {
            if bag.is_empty() {
                bag.clone_from(&possible);
                dice.shuffle(&mut bag);
            }
            // What does not go together with what is on waits for its turn.
            let Some(at) = bag.iter().position(|fault| !rooms.contains(fault.room())) else { break };
            let fault = bag.remove(at);
            rooms.insert(fault.room());
            let node = dice.below(world.nodes.len());
            let hold = fault.hold(&mut dice);
            println!("{}: {:>6} ms: {fault:?} at node {node}, for {hold:?}", world.run, world.recorder.now_ms());
            active.push((Instant::now() + hold, inject(world, fault, node, &mut dice).await));
            count += 1;
        }
        while !active.is_empty() {
            let (until, one) = active.remove(next(&active));
            tokio::time::sleep_until(until).await;
            heal(world, one).await;
        }
        sleep(dice.time(Duration::from_millis(200), Duration::from_secs(3))).await;
    }
    println!("{}: {:>6} ms: {count} faults, all healed", world.run, world.recorder.now_ms());
    count
}

/// Which one is healed next: the first to be over, but settings not before there is a server to set.
fn next(active: &[(Instant, Active)]) -> usize {
    let server = active.iter().filter(|(_, one)| one.fault.room() == "server").map(|(until, _)| *until).max();
    let due = |(until, one): &(Instant, Active)| {
        let set = matches!(one.fault, Fault::RedisFull | Fault::RedisEvicts | Fault::BuffersSmall);
        (server.filter(|_| set).map_or(*until, |server| server.max(*until)), one.fault.order())
    };
    (0..active.len()).min_by_key(|at| due(&active[*at])).expect("there is one")
}

/// Says what is not done here, and why, in words that `deploy/check/test` counts.
pub(crate) fn left_out(what: &str) {
    println!("left out: {what}\n0 passed, 0 failed, 1 skipped");
}

/// Makes one happen.
pub(crate) async fn inject(world: &mut World, fault: Fault, node: usize, dice: &mut Dice) -> Active {
    let (mut rules, mut task) = (Vec::new(), None);
    let port = world.redis.port();
    let link = world.links[node].address().port();
    match fault {
        Fault::RedisEmpty | Fault::RedisRestarted => world.redis.stop(),
        Fault::RedisPaused => world.redis.signal("STOP"),
        Fault::RedisBlocked => task = Some(Repeated(tokio::spawn(block(port, dice.below(4))))),
        Fault::SubscriptionsCut => task = Some(repeat(port, 50, &["CLIENT", "KILL", "TYPE", "pubsub"])),
        Fault::CommandsCut => task = Some(repeat(port, 50, &["CLIENT", "KILL", "TYPE", "normal"])),
        Fault::RedisFull => set(port, TRY, &[("maxmemory-policy", "noeviction"), ("maxmemory", "1mb")]).await,
        Fault::RedisEvicts => {
            world.recorder.push(Entry::Amnesia { over: false });
            set(port, TRY, &[("maxmemory-policy", "allkeys-lru"), ("maxmemory", "3mb")]).await;
        }
        Fault::ScriptsFlushed => task = Some(repeat(port, 100, &["SCRIPT", "FLUSH", "SYNC"])),
        Fault::Flushed => drop(command(port, &["FLUSHALL"]).await),
        Fault::StreamsDeleted => on_streams(port, |key| vec!["DEL".into(), key]).await,
        Fault::StreamsTrimmed => on_streams(port, |key| vec!["XTRIM".into(), key, "MAXLEN".into(), "0".into()]).await,
        Fault::BuffersSmall => {
            set(port, TRY, &[("client-output-buffer-limit", "pubsub 64kb 32kb 1")]).await;
            // So that something heaps up.
            world.links[node].set(Weather::default(), Weather::throttle(30_000));
        }
        Fault::BlackHole => {
            let (there, back) =
                (format!("-i lo -p tcp --dport {link} -j DROP"), format!("-i lo -p tcp --sport {link} -j DROP"));
            let both = [there, back];
            let chosen = [&both[..1], &both[1..], &both[..]][dice.below(3)];
            rules.extend(chosen.iter().map(|rule| Rule::add(rule)));
        }
        Fault::Reset => {
            if dice.percent(50) {
                rules.push(Rule::add(&format!("-i lo -p tcp --dport {link} -j REJECT --reject-with tcp-reset")));
            }
            let filter = format!("dport = {link}");
            let _ = Command::new("ss").args(["-K", "dst", "127.0.0.1"]).args(filter.split(' ')).output();
        }
        Fault::Flaky => {
            let share = ["0.01", "0.05", "0.1", "0.3"][dice.below(4)];
            let random = format!("-m statistic --mode random --probability {share} -j DROP");
            rules.push(Rule::add(&format!("-i lo -p tcp --dport {link} {random}")));
            rules.push(Rule::add(&format!("-i lo -p tcp --sport {link} {random}")));
        }
        Fault::BadWeather => world.links[node].set(weather(dice), weather(dice)),
        Fault::NodeKilled => world.nodes[node].kill(),
        Fault::NodePaused => world.nodes[node].signal("STOP"),
        Fault::ClientsSilent => world.doors[node].set_both(Weather::stall()),
        Fault::ClientsSlow => world.doors[node].set(Weather::default(), Weather::throttle(1_000)),
        Fault::Storm => world.doors.iter().for_each(crate::proxy::Proxy::cut),
    }
    Active { fault, node, rules, task }
}

/// Makes it good again, as far as the world outside of the nodes goes.
pub(crate) async fn heal(world: &mut World, active: Active) {
    let Active { fault, node, rules, task } = active;
    drop((rules, task));
    let port = world.redis.port();
    match fault {
        Fault::RedisEmpty => {
            for entry in std::fs::read_dir(world.disk.path()).unwrap() {
                let path = entry.unwrap().path();
                let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
            }
            world.redis.restart();
        }
        Fault::RedisRestarted => world.redis.restart(),
        Fault::RedisPaused => world.redis.signal("CONT"),
        Fault::RedisBlocked => {
            // Bare: a library's first words on a connection would be refused, too.
            insist(port, "SCRIPT KILL\r\n", &["+OK", "-NOTBUSY"]).await;
            insist(port, "CLIENT UNPAUSE\r\n", &["+OK"]).await;
        }
        Fault::RedisFull => set(port, INSIST, &[("maxmemory", "0")]).await,
        Fault::RedisEvicts => {
            set(port, INSIST, &[("maxmemory", "0"), ("maxmemory-policy", "noeviction")]).await;
            world.recorder.push(Entry::Amnesia { over: true });
        }
        Fault::BuffersSmall => {
            set(port, INSIST, &[("client-output-buffer-limit", "pubsub 32mb 8mb 60")]).await;
            world.links[node].heal();
        }
        Fault::BadWeather => world.links[node].heal(),
        Fault::NodeKilled => {
            world.nodes[node].relaunch();
            world.started(node);
        }
        Fault::NodePaused => world.nodes[node].signal("CONT"),
        Fault::ClientsSilent | Fault::ClientsSlow => world.doors[node].heal(),
        _ => {}
    }
}

/// Something that a network may do.
fn weather(dice: &mut Dice) -> Weather {
    let some = |dice: &mut Dice, most: u64| Duration::from_millis(dice.between(1, most));
    match dice.below(9) {
        0 => Weather::delay(some(dice, 300)),
        1 => Weather::jitter(some(dice, 300)),
        2 => Weather::throttle(dice.between(2_000, 200_000)),
        3 => Weather::slice(1 + dice.below(64)),
        4 => Weather::stall(),
        5 => Weather::reset_after(dice.between(0, 100_000)),
        6 => Weather::half_close_after(dice.between(0, 100_000)),
        7 => Weather { delay: some(dice, 50), jitter: some(dice, 50), slice: Some(200), ..Weather::default() },
        _ => Weather::default(),
    }
}

/// One command past all proxies; none if there was no answer in time or an error.
pub(crate) async fn command(port: u16, words: &[&str]) -> Option<redis::Value> {
    let ask = async {
        let client = ::redis::Client::open(format!("redis://127.0.0.1:{port}/0")).ok()?;
        let mut connection = client.get_multiplexed_async_connection().await.ok()?;
        ::redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await.ok()
    };
    timeout(COMMAND_LIMIT, ask).await.ok().flatten()
}

/// Says one line to Redis, again and again until an answer begins as it should.
async fn insist(port: u16, line: &str, answers: &[&str]) {
    let deadline = Instant::now() + INSIST;
    let say = async || {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        socket.write_all(line.as_bytes()).await.ok()?;
        let mut answer = vec![0; 64];
        let length = socket.read(&mut answer).await.ok()?;
        String::from_utf8(answer[..length].to_vec()).ok()
    };
    loop {
        let answer = timeout(COMMAND_LIMIT, say()).await.ok().flatten().unwrap_or_default();
        if answers.iter().any(|start| answer.starts_with(start)) {
            return;
        }
        assert!(Instant::now() < deadline, "Redis answers {answer:?} to {line:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Settings; tried for a while if Redis is not there to take them.
async fn set(port: u16, patience: Duration, settings: &[(&str, &str)]) {
    let deadline = Instant::now() + patience;
    for (name, value) in settings {
        while command(port, &["CONFIG", "SET", name, value]).await.is_none() {
            if Instant::now() >= deadline {
                assert!(patience == TRY, "Redis does not take {name} back");
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn repeat(port: u16, every_ms: u64, words: &'static [&str]) -> Repeated {
    Repeated(tokio::spawn(async move {
        loop {
            command(port, words).await;
            sleep(Duration::from_millis(every_ms)).await;
        }
    }))
}

/// Keeps Redis busy, in one of four ways.
async fn block(port: u16, way: usize) {
    let words: &[&str] = match way {
        0 => &["DEBUG", "SLEEP", "2"],
        1 => &["EVAL", "while true do end", "0"],
        2 => &["CLIENT", "PAUSE", "3000", "WRITE"],
        _ => &["CLIENT", "PAUSE", "3000", "ALL"],
    };
    command(port, words).await;
    // The script is killed from another connection when this is healed.
    std::future::pending::<()>().await;
}

/// Does something to all streams there are.
async fn on_streams(port: u16, words: impl Fn(String) -> Vec<String>) {
    let mut cursor = "0".to_owned();
    loop {
        let scan = command(port, &["SCAN", &cursor, "COUNT", "1000", "TYPE", "stream"]).await;
        let Some(Ok((next, keys))) = scan.map(::redis::from_redis_value::<(String, Vec<String>)>) else { return };
        for key in keys {
            let words = words(key);
            command(port, &words.iter().map(String::as_str).collect::<Vec<_>>()).await;
        }
        cursor = next;
        if cursor == "0" {
            return;
        }
    }
}
