//! Where events for the application are decided and wait: one contract for the log in memory and that in Redis, and
//! what nodes that share one in Redis, or die, make of it.

use std::sync::Arc;
use std::time::Duration;

use fanfare_gateway::backend::webhook::log::memory::MemoryLog;
use fanfare_gateway::backend::webhook::log::redis::{Habits, RedisLog};
use fanfare_gateway::backend::webhook::log::{Entry, Log, LogError, Note, Taken, Thing, Told, shard};
use fanfare_gateway::config::section::BrokerConfig;
use fanfare_gateway::model::time::SystemClock;
use fanfare_gateway::model::{NodeId, UserId};
use fanfare_proto::hook::event::Name;
use fanfare_proto::keys::Keys;

use crate::redis_kit::{RedisServer, Relay};
use crate::{LIMIT, Node, channel, redis_config};

const DEBOUNCE: Duration = Duration::from_secs(1);
/// A lease that ends while the test waits.
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(60);
/// Of all shards together.
const BACKLOG_MAX: usize = 80;
/// All cases are about this channel.
const NAME: &str = "a";

fn habits() -> Habits {
    Habits { debounce: DEBOUNCE, backlog_max: BACKLOG_MAX, lease: LONG, courier_lease: LONG }
}

/// One node's end of a log.
struct End {
    log: Arc<dyn Log>,
    calls: u64,
    /// Whose links they are: these end with it.
    _node: Option<Node>,
}

impl End {
    fn memory() -> Self {
        Self { log: MemoryLog::new(DEBOUNCE, BACKLOG_MAX, SystemClock::new()), calls: 0, _node: None }
    }

    async fn redis(config: &BrokerConfig, habits: Habits) -> Self {
        let node = Node::linked(config).await;
        let log = Self::log(&node, NodeId::random(), habits);
        Self { log, calls: 0, _node: Some(node) }
    }

    fn log(node: &Node, id: NodeId, habits: Habits) -> Arc<dyn Log> {
        let redis = node.redis.as_ref().unwrap();
        RedisLog::new(redis.link().clone(), redis.keys().clone(), id, habits)
    }

    async fn begin(&self) -> Option<u64> {
        self.log.begin(shard(NAME)).await.unwrap()
    }

    /// Notes; answers how many events that told.
    async fn keep(&mut self, notes: &[Note]) -> u64 {
        self.calls += 1;
        self.log.keep(shard(NAME), self.calls, notes).await.unwrap().told
    }

    async fn take(&self, limit: usize) -> Option<Taken> {
        self.log.take(shard(NAME), limit).await.unwrap()
    }

    /// All that has been told so far and is not delivered, as `NAME USER`.
    async fn told(&self) -> Vec<String> {
        let entries = self.take(1000).await.expect("nobody else delivers").entries;
        let show = |entry: &Entry| format!("{} {}", entry.name, entry.user).trim_end().to_owned();
        entries.iter().map(show).collect()
    }

    /// Goes on, as keepers do, until so many events wait.
    async fn until_told(&mut self, count: usize) -> Vec<String> {
        let waiting = async {
            loop {
                self.keep(&[]).await;
                let told = self.told().await;
                if told.len() >= count {
                    return told;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LIMIT, waiting).await.expect("it is told in time")
    }
}

struct World {
    end: End,
    _server: Option<RedisServer>,
}

impl World {
    fn memory() -> Self {
        Self { end: End::memory(), _server: None }
    }

    async fn redis() -> Self {
        let server = RedisServer::start();
        let end = End::redis(&redis_config(server.url(0)), habits()).await;
        Self { end, _server: Some(server) }
    }
}

macro_rules! on_all_logs {
    ($($case:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::World::memory()).await;
            })+
        }
        mod redis {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::World::redis().await).await;
            })+
        }
    };
}

on_all_logs!(
    a_thing_is_told_when_it_comes_and_when_it_has_gone,
    who_comes_back_in_time_is_not_told,
    members_are_told_by_user,
    events_stay_in_order_until_they_are_done,
    what_is_too_much_is_missing_by_number,
    some_things_are_told_once_in_a_while,
    who_begins_again_learns_what_was_noted,
);

fn thing(user: &str) -> Thing {
    Thing { channel: channel(NAME), user: UserId::new(user) }
}

fn hold() -> Note {
    Note::Hold(thing(""))
}

fn release() -> Note {
    Note::Release(thing(""))
}

fn told(name: Name, user: &str) -> Told {
    Told { name, time_ms: 5, channel: Some(channel(NAME)), user: UserId::new(user), client: "c".into() }
}

fn subscribed(user: &str) -> Note {
    Note::Tell(told(Name::ClientSubscribed, user))
}

async fn a_thing_is_told_when_it_comes_and_when_it_has_gone(world: World) {
    let World { mut end, _server } = world;
    assert_eq!(end.begin().await, None);
    assert_eq!(end.keep(&[hold(), hold()]).await, 1);
    assert_eq!(end.keep(&[hold()]).await, 0);
    assert_eq!(end.keep(&[release(), release()]).await, 0);
    assert_eq!(end.until_told(2).await, ["channel_occupied", "channel_vacated"]);
    assert_eq!(end.keep(&[hold()]).await, 1);
    assert_eq!(end.told().await.len(), 3);
}

async fn who_comes_back_in_time_is_not_told(world: World) {
    let World { mut end, _server } = world;
    end.begin().await;
    assert_eq!(end.keep(&[hold()]).await, 1);
    for _ in 0..3 {
        assert_eq!(end.keep(&[release(), hold()]).await, 0);
        assert_eq!(end.keep(&[release()]).await, 0);
        assert_eq!(end.keep(&[hold()]).await, 0);
    }
    assert_eq!(end.log.keep(shard(NAME), 100, &[]).await.unwrap().due, None, "nothing is due");
    let due = end.log.keep(shard(NAME), 101, &[release()]).await.unwrap().due;
    assert!(due.is_some_and(|due| due <= DEBOUNCE), "{due:?}");
}

async fn members_are_told_by_user(world: World) {
    let World { mut end, _server } = world;
    end.begin().await;
    // Names that could be mistaken for something else.
    for user in ["42", "a b", "ü\"\n", " "] {
        let (hold, release) = (Note::Hold(thing(user)), Note::Release(thing(user)));
        let before = end.told().await.len();
        assert_eq!(end.keep(&[hold]).await, 1);
        assert_eq!(end.keep(&[release]).await, 0);
        end.until_told(before + 2).await;
        let entries = end.take(1000).await.unwrap().entries;
        for (entry, name) in entries[before..].iter().zip(["member_joined", "member_left"]) {
            assert_eq!((&*entry.name, &*entry.channel, &*entry.user, &*entry.client), (name, NAME, user, ""));
        }
    }
}

async fn events_stay_in_order_until_they_are_done(world: World) {
    let World { mut end, _server } = world;
    end.begin().await;
    assert_eq!(end.keep(&[subscribed("1"), hold(), subscribed("2")]).await, 3);
    let taken = end.take(2).await.unwrap();
    assert_eq!((taken.top, taken.done), (3, 0));
    assert_eq!(taken.entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [1, 2]);
    let first = Entry { number: 1, name: "client_subscribed".into(), time_ms: 5, ..Entry::default() };
    let first = Entry { channel: NAME.into(), user: "1".into(), client: "c".into(), ..first };
    assert_eq!(taken.entries[0], first);
    // Not done: it is there again.
    assert_eq!(end.take(2).await.unwrap(), taken);
    assert!(!end.log.done(shard(NAME), "another epoch", 2).await.unwrap());
    assert!(end.log.done(shard(NAME), &taken.epoch, 2).await.unwrap());
    let rest = end.take(2).await.unwrap();
    assert_eq!((rest.top, rest.done, rest.entries.len()), (3, 2, 1));
    assert_eq!((rest.entries[0].number, &*rest.entries[0].user), (3, "2"));
    assert_eq!(end.take(0).await.unwrap().entries, []);
}

async fn what_is_too_much_is_missing_by_number(world: World) {
    let World { mut end, _server } = world;
    end.begin().await;
    let many: Vec<Note> = (1..=15).map(|n| subscribed(&n.to_string())).collect();
    assert_eq!(end.keep(&many).await, 15);
    let taken = end.take(100).await.unwrap();
    // Each shard has its part.
    assert_eq!((taken.done, taken.entries[0].number, taken.entries.len()), (0, 6, 10));
}

async fn some_things_are_told_once_in_a_while(world: World) {
    let World { mut end, _server } = world;
    end.begin().await;
    let empty = || Note::Once(told(Name::CacheEmpty, ""));
    let other = Note::Once(Told { channel: Some(channel("other")), ..told(Name::CacheEmpty, "") });
    assert_eq!(end.keep(&[empty(), empty(), other]).await, 2);
    assert_eq!(end.keep(&[empty()]).await, 0);
    tokio::time::sleep(DEBOUNCE).await;
    assert_eq!(end.keep(&[empty()]).await, 1);
}

async fn who_begins_again_learns_what_was_noted(world: World) {
    let World { mut end, _server } = world;
    assert_eq!(end.begin().await, None);
    end.keep(&[]).await;
    end.keep(&[subscribed("1")]).await;
    // Asked twice, because the first answer may not come.
    assert_eq!(end.begin().await, Some(2));
    assert_eq!(end.begin().await, Some(2));
    assert_eq!(end.keep(&[hold()]).await, 1);
    assert_eq!(end.begin().await, Some(3));
    assert_eq!(end.keep(&[hold()]).await, 0, "it holds it already");
}

/// Two nodes that have begun, with the habits of each.
async fn pair(server: &RedisServer, of_a: Habits, of_b: Habits) -> (End, End) {
    let config = redis_config(server.url(0));
    let (a, b) = (End::redis(&config, of_a).await, End::redis(&config, of_b).await);
    a.begin().await;
    b.begin().await;
    (a, b)
}

#[tokio::test]
async fn nodes_decide_together() {
    let server = RedisServer::start();
    let (mut a, mut b) = pair(&server, habits(), habits()).await;
    assert_eq!(a.keep(&[hold()]).await + b.keep(&[hold()]).await, 1);
    assert_eq!(a.keep(&[release()]).await, 0);
    tokio::time::sleep(DEBOUNCE * 2).await;
    assert_eq!(a.keep(&[]).await, 0, "the other one holds it");
    assert_eq!(b.keep(&[release()]).await, 0);
    // Back on another node, in time.
    assert_eq!(a.keep(&[hold()]).await, 0);
    assert_eq!(a.keep(&[release()]).await, 0);
    assert_eq!(b.until_told(2).await, ["channel_occupied", "channel_vacated"]);
    assert_eq!(a.keep(&[]).await, 0);
    // One of them delivers.
    assert_eq!(a.take(10).await, None);
    assert!(!a.log.done(shard(NAME), &b.take(0).await.unwrap().epoch, 2).await.unwrap());
}

#[tokio::test]
async fn what_a_dead_node_held_is_let_go_of() {
    let server = RedisServer::start();
    let short = Habits { lease: SHORT, ..habits() };
    let (mut dying, mut other) = pair(&server, short, habits()).await;
    let many: Vec<Note> = (0..600).map(|n| Note::Hold(thing(&format!("u{n}")))).collect();
    dying.keep(&many).await;
    other.keep(&[Note::Hold(thing("u1"))]).await;
    drop(dying);
    let top = || async { other.take(0).await.unwrap().top };
    assert_eq!(top().await, 600);
    let log = other.log.clone();
    let buried = async {
        for call in 10.. {
            log.keep(shard(NAME), call, &[]).await.unwrap();
            if top().await >= 1199 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, buried).await.expect("all but one leave");
    assert_eq!(top().await, 1199, "the one that the other node holds stays");
    let keys = Keys::new("test", 0);
    assert_eq!(server.run::<u64>(&["ZCARD", &keys.events(shard(NAME), "leases")]).await, 1);
    assert_eq!(server.run::<u64>(&["HLEN", &keys.events(shard(NAME), "held")]).await, 1);
}

#[tokio::test]
async fn a_node_that_was_taken_for_dead_is_told_so_and_begins_again() {
    let server = RedisServer::start();
    let short = Habits { lease: SHORT, ..habits() };
    let (mut sleeper, mut other) = pair(&server, short, habits()).await;
    assert_eq!(sleeper.keep(&[hold()]).await, 1);
    assert_eq!(other.until_told(2).await, ["channel_occupied", "channel_vacated"]);
    let late = sleeper.log.keep(shard(NAME), 7, &[hold()]).await;
    assert_eq!(late, Err(LogError::Late));
    assert_eq!(sleeper.begin().await, None);
    assert_eq!(sleeper.keep(&[hold()]).await, 1);
}

#[tokio::test]
async fn calls_of_an_earlier_generation_count_for_nothing() {
    let server = RedisServer::start();
    let node = Node::linked(&redis_config(server.url(0))).await;
    let id = NodeId::random();
    // The same node before and after it has begun again.
    let before = End::log(&node, id, habits());
    let after = End::log(&node, id, habits());
    before.begin(shard(NAME)).await.unwrap();
    assert_eq!(before.keep(shard(NAME), 1, &[hold()]).await.unwrap().told, 1);
    after.begin(shard(NAME)).await.unwrap();
    assert_eq!(after.begin(shard(NAME)).await.unwrap(), Some(1));
    assert_eq!(before.keep(shard(NAME), 2, &[release()]).await, Err(LogError::Late));
    assert_eq!(after.keep(shard(NAME), 2, &[]).await.unwrap().due, None, "it is still held");
}

#[tokio::test]
async fn another_node_delivers_when_the_first_falls_silent() {
    let server = RedisServer::start();
    let short = Habits { courier_lease: SHORT, ..habits() };
    let (mut a, b) = pair(&server, short, short).await;
    a.keep(&[subscribed("1"), subscribed("2")]).await;
    let taken = a.take(1).await.unwrap();
    assert_eq!(b.take(1).await, None);
    assert!(a.log.done(shard(NAME), &taken.epoch, 1).await.unwrap());
    let takes_over = async {
        loop {
            if let Some(taken) = b.take(10).await {
                return taken;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let taken = tokio::time::timeout(LIMIT, takes_over).await.expect("the lease ends");
    assert_eq!(taken.entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [2]);
    assert!(!a.log.done(shard(NAME), &taken.epoch, 2).await.unwrap());
}

#[tokio::test]
async fn a_store_that_has_forgotten_says_so_once() {
    let server = RedisServer::start();
    let (mut a, mut b) = pair(&server, habits(), habits()).await;
    a.keep(&[hold()]).await;
    b.keep(&[hold()]).await;
    let _: () = server.run(&["FLUSHALL"]).await;
    for end in [&a, &b] {
        assert_eq!(end.log.keep(shard(NAME), 9, &[]).await, Err(LogError::Late));
        assert_eq!(end.begin().await, None);
    }
    assert_eq!(a.keep(&[hold()]).await + b.keep(&[hold()]).await, 1);
    assert_eq!(a.told().await, ["events_lost", "channel_occupied"]);
}

#[tokio::test]
async fn a_store_that_has_forgotten_says_so_also_if_a_new_node_comes_first() {
    let server = RedisServer::start();
    let (mut a, mut b) = pair(&server, habits(), habits()).await;
    a.keep(&[hold()]).await;
    b.keep(&[hold()]).await;
    let _: () = server.run(&["FLUSHALL"]).await;
    let mut new = End::redis(&redis_config(server.url(0)), habits()).await;
    new.begin().await;
    assert_eq!(new.keep(&[hold()]).await, 1);
    a.begin().await;
    b.begin().await;
    assert_eq!(a.keep(&[hold()]).await + b.keep(&[hold()]).await, 0);
    assert_eq!(new.told().await, ["channel_occupied", "events_lost"]);
}

#[tokio::test]
async fn a_link_that_breaks_leaves_no_doubt() {
    let server = RedisServer::start();
    let relay = Relay::start(server.port()).await;
    let mut cut = End::redis(&redis_config(relay.url(0)), habits()).await;
    cut.begin().await;
    cut.keep(&[hold()]).await;
    relay.swallow();
    let lost = cut.log.keep(shard(NAME), 2, &[subscribed("1"), release()]).await;
    assert!(matches!(lost, Err(LogError::Away(_))), "{lost:?}");
    relay.heal();
    // Whether it came late or never: who begins knows, as soon as there is a link.
    let begins = async {
        loop {
            match cut.log.begin(shard(NAME)).await {
                Ok(last) => return last,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let last = tokio::time::timeout(LIMIT, begins).await.expect("the link comes back");
    cut.calls = 2;
    if last == Some(1) {
        cut.keep(&[subscribed("1"), release()]).await;
    }
    let expected = ["channel_occupied", "client_subscribed 1", "channel_vacated"];
    assert_eq!(cut.until_told(3).await, expected);
}

#[tokio::test]
async fn nothing_stands_for_ever() {
    let server = RedisServer::start();
    let (mut a, _b) = pair(&server, habits(), habits()).await;
    a.keep(&[hold(), Note::Hold(thing("u")), Note::Once(told(Name::CacheEmpty, ""))]).await;
    a.keep(&[release()]).await;
    a.take(1).await;
    let keys: Vec<String> = server.run(&["KEYS", "test:events:*"]).await;
    // Log, meta, held, due, quiet, nodes, leases, the node's set, the courier.
    assert_eq!(keys.len(), 9, "{keys:?}");
    for key in keys {
        assert!(server.run::<i64>(&["PTTL", &key]).await > 0, "{key} stands for ever");
    }
}
