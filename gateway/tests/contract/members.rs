//! Members in Redis when something breaks: nodes that die, sleep or lose their link, a Redis that
//! forgets, and keys that somebody else has written. Whatever happens, each leave is told once.

use std::collections::BTreeSet;
use std::sync::mpsc as blocking;
use std::time::Duration;

use fanfare_gateway::config::section::BrokerConfig;
use fanfare_gateway::presence::{Departure, Entry, PresenceError};
use fanfare_proto::keys::Keys;
use fanfare_proto::script::presence::{CHANGE, Holder, Member, REAP};
use tokio::sync::oneshot;

use crate::presence::{Desk, Ear, LONG, entry, entry_with, ids, said};
use crate::redis_kit::{RedisServer, Relay};
use crate::{LIMIT, channel, eventually, redis_config};

/// A lease that ends soon, and is not lost to a busy machine between two heartbeats.
const SHORT: Duration = Duration::from_secs(5);

fn keys() -> Keys {
    Keys::new("test", 0)
}

/// A node that dies soon after its last word.
fn mortal(server: &RedisServer) -> BrokerConfig {
    BrokerConfig { node_lease: SHORT, ..redis_config(server.url(0)) }
}

/// A node that looks after nobody.
fn careless(server: &RedisServer) -> BrokerConfig {
    BrokerConfig { heartbeat_interval: LONG, node_lease: LONG, ..redis_config(server.url(0)) }
}

/// Members of many users on some channels.
fn crowd(count: usize) -> Vec<(String, Entry)> {
    (0..count).map(|n| (format!("c{}", n % 20), entry(&format!("u{}", n % 50)))).collect()
}

async fn enter_all(desk: &Desk, members: &[(String, Entry)]) {
    let entering = members.iter().map(|(name, member)| desk.enter(name, member));
    for entered in futures_util::future::join_all(entering).await {
        entered.unwrap();
    }
}

fn all_said(sign: char, members: &[(String, Entry)]) -> BTreeSet<String> {
    members.iter().map(|(name, member)| said(sign, name, member)).collect()
}

/// Takes what is told until it is this, each once.
async fn hears_once(ear: &mut Ear, expected: &BTreeSet<String>) {
    let heard = ear.some(expected.len()).await;
    assert_eq!(&heard.into_iter().collect::<BTreeSet<_>>(), expected);
}

/// Waits until nothing is left of dead holders.
async fn all_buried(server: &RedisServer, alive: usize) {
    let waiting = async {
        while server.run::<usize>(&["SCARD", &keys().holders()]).await != alive {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(LIMIT, waiting).await.is_ok(), "not {alive} holders");
}

/// Waits until the lease of the only holder has ended, however its node is.
async fn lease_ends(server: &RedisServer) {
    let holders: Vec<String> = server.run(&["SMEMBERS", &keys().holders()]).await;
    for holder in holders.iter().filter(|holder| holder.ends_with(".1")) {
        let key = keys().holder(holder);
        while server.run::<i64>(&["PTTL", &key]).await != -2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn who_is_on_a_dead_node_is_not_listed_even_before_it_is_removed() {
    let server = RedisServer::start();
    let witness = Desk::linked(&careless(&server)).await;
    let dying = Desk::linked(&mortal(&server)).await;
    let (a, b) = (entry("u1"), entry("u2"));
    dying.enter("c", &a).await.unwrap();
    assert_eq!(witness.list("c").await, ids(&[&a]));
    drop(dying);
    lease_ends(&server).await;
    assert_eq!(witness.list("c").await, ids(&[]));
    witness.enter("c", &b).await.unwrap();
    assert_eq!(witness.list("c").await, ids(&[&b]));
}

#[tokio::test]
async fn a_dead_nodes_leaves_are_told_once_by_many_reapers() {
    let server = RedisServer::start();
    let fast = BrokerConfig { heartbeat_interval: Duration::from_millis(50), ..redis_config(server.url(0)) };
    let survivors = [Desk::linked(&fast).await, Desk::linked(&fast).await, Desk::linked(&fast).await];
    let dying = Desk::linked(&mortal(&server)).await;
    let (members, staying) = (crowd(3000), entry("u1"));
    survivors[0].enter("c0", &staying).await.unwrap();
    enter_all(&dying, &members).await;
    // One of them is lost, and not yet told.
    let lost = entry_with("u", LONG);
    dying.enter("lost", &lost).await.unwrap();
    dying.leave("lost", &lost, Departure::Lost);
    let mut ear = Ear::at(&server).await;
    drop(dying);
    let mut expected = all_said('-', &members);
    expected.insert(said('-', "lost", &lost));
    hears_once(&mut ear, &expected).await;
    all_buried(&server, 1).await;
    assert_eq!(ear.heard(), [""; 0]);
    for desk in &survivors {
        assert_eq!(desk.list("c0").await, ids(&[&staying]));
        assert_eq!(desk.count("c0").await, (1, 1));
        assert_eq!(desk.count("c1").await, (0, 0));
    }
    assert_eq!(survivors.iter().map(|desk| desk.metrics.presence_reaped.get()).sum::<u64>(), 3001);
}

#[tokio::test]
async fn a_reaper_that_dies_half_way_is_followed_by_another() {
    let server = RedisServer::start();
    let members = crowd(4000);
    let dying = Desk::linked(&mortal(&server)).await;
    enter_all(&dying, &members).await;
    let mut ear = Ear::at(&server).await;
    let reaper = Desk::linked(&mortal(&server)).await;
    drop(dying);
    let mut heard = ear.some(1).await;
    drop(reaper);
    // What was under way may still be done; then nobody does anything, until there is another.
    let heir = Desk::linked(&redis_config(server.url(0))).await;
    heard.extend(ear.some(members.len() - 1).await);
    assert_eq!(heard.into_iter().collect::<BTreeSet<_>>(), all_said('-', &members));
    all_buried(&server, 0).await;
    assert_eq!(ear.heard(), [""; 0]);
    assert_eq!(heir.count("c0").await, (0, 0));
}

/// The same, with the first reaper's work done by hand: as if it had died between two slices.
#[tokio::test]
async fn a_reapers_lock_does_not_outlive_it() {
    let server = RedisServer::start();
    let members: Vec<(String, Entry)> = (0..1000).map(|n| ("c".into(), entry(&format!("u{n}")))).collect();
    let dying = Desk::linked(&mortal(&server)).await;
    enter_all(&dying, &members).await;
    drop(dying);
    let mut ear = Ear::at(&server).await;
    let holder: Vec<String> = server.run(&["SMEMBERS", &keys().holders()]).await;
    let parsed: Holder = holder[0].parse().unwrap();
    lease_ends(&server).await;
    let () = server.run(&["SET", &keys().holder_reaper(&holder[0]), "x", "PX", "1000"]).await;
    let slice = [
        "EVAL",
        REAP,
        "3",
        &keys().members("c"),
        &keys().member_users("c"),
        &keys().members_parked("c"),
        &keys().channel("c"),
        &parsed.node,
        "1",
        "0",
        "100",
    ];
    let (cursor, struck): (String, usize) = server.run(&slice).await;
    assert!(cursor != "0" && (1..1000).contains(&struck), "{cursor} {struck}");
    let _heirs = [Desk::linked(&redis_config(server.url(0))).await, Desk::linked(&redis_config(server.url(0))).await];
    hears_once(&mut ear, &all_said('-', &members)).await;
    all_buried(&server, 0).await;
    assert_eq!(ear.heard(), [""; 0]);
}

#[tokio::test]
async fn the_first_node_after_all_have_died_clears_up() {
    let server = RedisServer::start();
    let members = crowd(200);
    let desks = [Desk::linked(&mortal(&server)).await, Desk::linked(&mortal(&server)).await];
    enter_all(&desks[0], &members[..100]).await;
    enter_all(&desks[1], &members[100..]).await;
    drop(desks);
    lease_ends(&server).await;
    let mut ear = Ear::at(&server).await;
    let first = Desk::linked(&redis_config(server.url(0))).await;
    hears_once(&mut ear, &all_said('-', &members)).await;
    all_buried(&server, 0).await;
    assert_eq!(first.count("c0").await, (0, 0));
    assert_eq!(ear.heard(), [""; 0]);
}

#[tokio::test]
async fn an_empty_redis_has_all_members_again_without_a_word() {
    let mut server = RedisServer::start();
    let config = redis_config(server.url(0));
    let desks = [Desk::linked(&config).await, Desk::linked(&config).await];
    let (a, b, gone) = (entry("u1"), entry("u2"), entry_with("u3", LONG));
    desks[0].enter("c", &a).await.unwrap();
    desks[0].enter("c", &gone).await.unwrap();
    desks[1].enter("c", &b).await.unwrap();
    desks[0].leave("c", &gone, Departure::Lost);
    server.restart();
    let mut ear = Ear::at(&server).await;
    for desk in &desks {
        desk.delivers().await;
        desk.shows("c", &[&a, &b, &gone]).await;
    }
    assert_eq!(desks[0].count("c").await, (3, 3));
    // Also who was lost comes back in silence.
    let back = entry("u3");
    desks[1].enter("c", &back).await.unwrap();
    desks[1].shows("c", &[&a, &b, &back]).await;
    assert_eq!(ear.heard(), [""; 0]);
    desks[0].leave("c", &a, Departure::Final);
    assert_eq!(ear.next().await, said('-', "c", &a));
}

#[tokio::test]
async fn a_flushed_redis_has_all_members_again_without_a_word() {
    let server = RedisServer::start();
    let config = redis_config(server.url(0));
    let desks = [Desk::linked(&config).await, Desk::linked(&config).await];
    let (a, b) = (entry("u1"), entry("u2"));
    desks[0].enter("c", &a).await.unwrap();
    desks[1].enter("c", &b).await.unwrap();
    let mut ear = Ear::at(&server).await;
    for _ in 0..3 {
        let () = server.run(&["FLUSHALL"]).await;
        for desk in &desks {
            desk.shows("c", &[&a, &b]).await;
        }
    }
    // The keys of one channel alone, too.
    let _: u64 = server.run(&["DEL", &keys().members("c"), &keys().member_users("c")]).await;
    desks[0].shows("c", &[&a, &b]).await;
    assert_eq!(desks[0].count("c").await, (2, 2));
    let _: u64 = server.run(&["DEL", &keys().member_users("c")]).await;
    let waiting = async { while desks[1].count("c").await != (2, 2) {} };
    assert!(tokio::time::timeout(LIMIT, waiting).await.is_ok(), "the users are counted again");
    assert_eq!(ear.heard(), [""; 0]);
}

#[tokio::test]
async fn what_happened_during_an_outage_is_made_up_for_afterwards() {
    let server = RedisServer::start();
    let relay = Relay::start(server.port()).await;
    let cut = Desk::linked(&redis_config(relay.url(0))).await;
    let witness = Desk::linked(&redis_config(server.url(0))).await;
    let (stays, leaves, lost) = (entry("u1"), entry("u2"), entry_with("u3", Duration::from_millis(1)));
    for member in [&stays, &leaves, &lost] {
        cut.enter("c", member).await.unwrap();
    }
    let mut ear = Ear::at(&server).await;
    relay.swallow();
    cut.leave("c", &leaves, Departure::Final);
    cut.leave("c", &lost, Departure::Lost);
    let never = entry("u4");
    let refused = cut.enter("c", &never).await;
    assert!(matches!(refused, Err(PresenceError::Unavailable(_))), "{refused:?}");
    cut.node.as_ref().unwrap().is_silent().await;
    // A link that is known to be down is not waited for, and what is not written takes no more room
    // than who is here.
    let attempts = (0..100).map(|_| entry("u5")).collect::<Vec<_>>();
    for attempt in &attempts {
        assert!(cut.enter("c", attempt).await.is_err());
    }
    assert!(cut.metrics.presence_waiting.get() <= 4, "{}", cut.metrics.presence_waiting.get());
    assert_eq!(witness.list("c").await, ids(&[&stays, &leaves, &lost]));
    relay.heal();
    witness.shows("c", &[&stays]).await;
    cut.delivers().await;
    let later = entry("u6");
    cut.enter("c", &later).await.unwrap();
    // Who was refused may have come in late; then it has gone, too.
    let mut heard = Vec::new();
    while heard.len() < 3 {
        heard.extend(ear.some(1).await.into_iter().filter(|told| !told.ends_with(&*never.info.client)));
    }
    // What was on its way when the link broke may come at any time: in an old name.
    assert_eq!(cut.metrics.presence_resyncs.get(), 1);
    heard[..2].sort();
    let mut expected = [said('-', "c", &leaves), said('-', "c", &lost), said('+', "c", &later)];
    expected[..2].sort();
    assert_eq!(heard, expected);
    eventually("nothing waits", || cut.metrics.presence_waiting.get() == 0).await;
}

/// Runs the script by hand, as a node's generation whose lease ends then.
async fn change(server: &RedisServer, generation: u64, until_ms: u64, what: &str, client: &str) -> Vec<String> {
    let holder = Holder { node: "n".into(), generation };
    let member = Member { holder, told: true, user: format!("u{generation}"), leave: "left".into() }.print();
    let member = String::from_utf8(member.to_vec()).unwrap();
    let (members, users, parked) = (keys().members("c"), keys().member_users("c"), keys().members_parked("c"));
    let (name, generation, until) = (keys().channel("c"), generation.to_string(), until_ms.to_string());
    let head = ["EVAL", CHANGE, "3", &members, &users, &parked, &name, "n", &generation, &until, "60000"];
    server.run(&[&head[..], &[what, client, &member, ""]].concat()).await
}

#[tokio::test]
async fn what_is_late_or_overtaken_counts_for_nothing() {
    let server = RedisServer::start();
    let (seconds, _): (u64, u64) = server.run(&["TIME"]).await;
    let (past, future) = (seconds * 1000 - 1, (seconds + 3600) * 1000);
    let user = || async { server.run::<Vec<String>>(&["HKEYS", &keys().member_users("c")]).await };
    for what in ["enter", "park", "leave"] {
        assert_eq!(change(&server, 1, past, what, "a").await, ["late"]);
    }
    assert_eq!(server.run::<usize>(&["DBSIZE"]).await, 0);
    assert_eq!(change(&server, 2, future, "enter", "a").await, ["done", ""]);
    // An older generation cannot take it back; the same and a newer one can.
    for what in ["enter", "park", "leave"] {
        assert_eq!(change(&server, 1, future, what, "a").await, ["done", ""]);
        assert_eq!(user().await, ["u2"], "{what}");
    }
    assert_eq!(server.run::<usize>(&["EXISTS", &keys().members_parked("c")]).await, 0);
    assert_eq!(change(&server, 3, future, "enter", "a").await, ["done", ""]);
    assert_eq!(user().await, ["u3"]);
    assert_eq!(change(&server, 4, future, "leave", "a").await, ["done", ""]);
    assert_eq!(server.run::<usize>(&["DBSIZE"]).await, 0);
    assert_eq!(change(&server, 4, future, "check", "a").await, ["done", "missing"]);
}

/// What is held up on the way to Redis and arrives after its sender has given it up.
#[tokio::test]
async fn a_late_entrance_leaves_no_ghost() {
    let server = RedisServer::start();
    let relay = Relay::start(server.port()).await;
    let config = BrokerConfig { node_lease: SHORT, ..redis_config(relay.url(0)) };
    let cut = Desk::linked(&config).await;
    let witness = Desk::linked(&redis_config(server.url(0))).await;
    let stays = entry("u1");
    cut.enter("c", &stays).await.unwrap();
    for _ in 0..3 {
        relay.swallow();
        let ghost = entry("u2");
        assert!(cut.enter("c", &ghost).await.is_err());
        relay.heal();
        cut.delivers().await;
    }
    witness.shows("c", &[&stays]).await;
    all_buried(&server, 1).await;
    assert_eq!(witness.list("c").await, ids(&[&stays]));
    assert_eq!(witness.count("c").await, (1, 1));
}

#[tokio::test]
async fn connections_that_are_cut_cost_nobody_anything() {
    let server = RedisServer::start();
    let config = redis_config(server.url(0));
    let desks = [Desk::linked(&config).await, Desk::linked(&config).await];
    let members = crowd(100);
    enter_all(&desks[0], &members).await;
    let mut ear = Ear::at(&server).await;
    for _ in 0..5 {
        let _: i64 = server.run(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
        for desk in &desks {
            desk.delivers().await;
        }
    }
    let (later, name) = (entry("later"), "c0");
    let entered = async { while desks[1].enter(name, &later).await.is_err() {} };
    assert!(tokio::time::timeout(LIMIT, entered).await.is_ok(), "nobody can enter any more");
    assert_eq!(ear.some(1).await, [said('+', name, &later)]);
    desks[0].leave(&members[0].0, &members[0].1, Departure::Final);
    assert_eq!(ear.some(1).await, [said('-', &members[0].0, &members[0].1)]);
    assert_eq!(desks[1].count("c1").await, (5, 5));
    assert_eq!(ear.heard(), [""; 0]);
}

/// A node with a thread of its own, which can be stopped as by SIGSTOP.
struct Sleeper {
    desk: Option<Desk>,
    naps: tokio::sync::mpsc::Sender<blocking::Receiver<()>>,
}

impl Sleeper {
    async fn start(config: BrokerConfig) -> Self {
        let (naps, mut asked) = tokio::sync::mpsc::channel::<blocking::Receiver<()>>(1);
        let (ready, desk) = oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let _ = ready.send(Desk::linked(&config).await);
                while let Some(nap) = asked.recv().await {
                    let _ = nap.recv();
                }
            });
        });
        Self { desk: desk.await.ok(), naps }
    }

    fn desk(&self) -> &Desk {
        self.desk.as_ref().unwrap()
    }

    /// Sleeps until what is answered is dropped.
    async fn sleep(&self) -> blocking::Sender<()> {
        let (waking, nap) = blocking::channel();
        self.naps.send(nap).await.unwrap();
        waking
    }
}

#[tokio::test]
async fn a_node_that_was_asleep_and_given_up_comes_back() {
    let server = RedisServer::start();
    let sleeper = Sleeper::start(mortal(&server)).await;
    let witness = Desk::linked(&redis_config(server.url(0))).await;
    let (members, gone) = (crowd(500), entry("u1"));
    enter_all(sleeper.desk(), &members).await;
    sleeper.desk().enter("c0", &gone).await.unwrap();
    let mut ear = Ear::at(&server).await;
    let waking = sleeper.sleep().await;
    // Said while it sleeps: it cannot have been written before.
    sleeper.desk().leave("c0", &gone, Departure::Final);
    let mut left = all_said('-', &members);
    left.insert(said('-', "c0", &gone));
    hears_once(&mut ear, &left).await;
    all_buried(&server, 0).await;
    assert_eq!(witness.count("c0").await, (0, 0));
    drop(waking);
    hears_once(&mut ear, &all_said('+', &members)).await;
    let on_c0: Vec<&Entry> = members.iter().filter(|(name, _)| name == "c0").map(|(_, member)| member).collect();
    witness.shows("c0", &on_c0).await;
    assert_eq!(ear.heard(), [""; 0]);
    assert_eq!(sleeper.desk().metrics.presence_resyncs.get(), 1);
}

#[tokio::test]
async fn a_node_that_was_asleep_and_not_missed_says_nothing() {
    let server = RedisServer::start();
    let sleeper = Sleeper::start(mortal(&server)).await;
    let witness = Desk::linked(&careless(&server)).await;
    let members = crowd(100);
    enter_all(sleeper.desk(), &members).await;
    let mut ear = Ear::at(&server).await;
    let waking = sleeper.sleep().await;
    lease_ends(&server).await;
    assert_eq!(witness.list("c0").await, ids(&[]));
    drop(waking);
    let on_c0: Vec<&Entry> = members.iter().filter(|(name, _)| name == "c0").map(|(_, member)| member).collect();
    witness.shows("c0", &on_c0).await;
    all_buried(&server, 1).await;
    assert_eq!(ear.heard(), [""; 0]);
}

#[tokio::test]
async fn a_clean_exit_tells_all_leaves_and_leaves_nothing() {
    let server = RedisServer::start();
    let config = redis_config(server.url(0));
    let (going, staying) = (Desk::linked(&config).await, Desk::linked(&config).await);
    let (mut members, other) = (crowd(3000), entry("u"));
    enter_all(&going, &members).await;
    staying.enter("c0", &other).await.unwrap();
    let lost = entry_with("lost", LONG);
    going.enter("c0", &lost).await.unwrap();
    going.leave("c0", &lost, Departure::Lost);
    members.push(("c0".into(), lost));
    let mut ear = Ear::at(&server).await;
    going.presence.retire().await;
    hears_once(&mut ear, &all_said('-', &members)).await;
    assert_eq!(staying.list("c0").await, ids(&[&other]));
    assert_eq!(server.run::<usize>(&["SCARD", &keys().holders()]).await, 1);
    assert!(going.enter("c0", &entry("late")).await.is_err());
    assert_eq!(going.metrics.presence_members.get(), 0);
    staying.presence.retire().await;
    let left: Vec<String> = server.run(&["KEYS", "test:*"]).await;
    let ours = ["holder", "members"].map(|kind| format!("test:{kind}"));
    let left: Vec<&String> = left.iter().filter(|key| ours.iter().any(|ours| key.starts_with(ours))).collect();
    assert_eq!(left, Vec::<&String>::new());
}

#[tokio::test]
async fn nothing_stands_for_ever() {
    let server = RedisServer::start();
    let (dying, desk) = (Desk::linked(&mortal(&server)).await, Desk::linked(&redis_config(server.url(0))).await);
    let (a, b) = (entry("u1"), entry_with("u2", LONG));
    dying.enter("c", &a).await.unwrap();
    desk.enter("c", &b).await.unwrap();
    desk.leave("c", &b, Departure::Lost);
    drop(dying);
    all_buried(&server, 1).await;
    let all: Vec<String> = server.run(&["KEYS", "test:*"]).await;
    let ours = all.iter().filter(|key| key.starts_with("test:holder") || key.starts_with("test:members"));
    let mut count = 0;
    for key in ours {
        let ttl: i64 = server.run(&["PTTL", key]).await;
        assert!(ttl == -2 || ttl > 0, "{key} stands for ever");
        count += 1;
    }
    // Members, users, parked; the set of holders, the lease and the list of the one, the mark of the other.
    assert!(count >= 7, "{all:?}");
}

#[tokio::test]
async fn foreign_values_are_errors_and_nobody_elses_trouble() {
    let server = RedisServer::start();
    let config = redis_config(server.url(0));
    let (desk, other) = (Desk::linked(&config).await, Desk::linked(&config).await);
    let (a, b) = (entry_with("u1", LONG), entry("u2"));
    let c = || keys().members("c");
    for key in [c(), keys().member_users("c"), keys().members_parked("c")] {
        desk.enter("c", &a).await.unwrap();
        let _: u64 = server.run(&["DEL", &key]).await;
        let () = server.run(&["SET", &key, "foreign"]).await;
        let refused = other.enter("c", &b).await;
        assert!(matches!(&refused, Err(PresenceError::Unavailable(why)) if why.contains("WRONGTYPE")), "{refused:?}");
        if key != keys().members_parked("c") {
            assert!(other.presence.count(&channel("c")).await.is_err(), "{key}");
            assert!(other.presence.list(&channel("c"), 10).await.is_err(), "{key}");
        }
        // Other channels do not suffer, and what was refused is tried again.
        other.enter("d", &b).await.unwrap();
        desk.leave("c", &a, Departure::Final);
        let _: u64 = server.run(&["DEL", &key]).await;
        other.shows("c", &[]).await;
        let waiting = async { while other.count("c").await != (0, 0) {} };
        assert!(tokio::time::timeout(LIMIT, waiting).await.is_ok(), "{key}");
        other.leave("d", &b, Departure::Final);
        other.shows("d", &[]).await;
        eventually("nothing waits", || desk.metrics.presence_waiting.get() == 0).await;
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_not_listed() {
    let server = RedisServer::start();
    let desk = Desk::linked(&redis_config(server.url(0))).await;
    let a = entry("u");
    desk.enter("c", &a).await.unwrap();
    let holder = Holder { node: "n".into(), generation: 1 };
    let strange = Member { holder, told: true, user: "u".into(), leave: "no envelope".into() }.print();
    let strange = String::from_utf8(strange.to_vec()).unwrap();
    let _: u64 = server.run(&["HSET", &keys().members("c"), "x", "", "y", "foreign", "z", &strange]).await;
    assert_eq!(desk.list("c").await, ids(&[&a]));
    let b = entry("u2");
    desk.enter("c", &b).await.unwrap();
    desk.leave("c", &a, Departure::Final);
    desk.shows("c", &[&b]).await;
}

/// Calls of some commands so far.
async fn calls(server: &RedisServer, commands: &[&str]) -> u64 {
    let stats: String = server.run(&["INFO", "commandstats"]).await;
    let of = |command: &&str| {
        let head = format!("cmdstat_{command}:calls=");
        let count = stats.lines().find_map(|line| line.strip_prefix(&head))?.split(',').next()?;
        count.parse::<u64>().ok()
    };
    commands.iter().filter_map(of).sum()
}

#[tokio::test]
async fn idle_members_cost_nothing_and_counting_does_not_depend_on_them() {
    let server = RedisServer::start();
    let config = redis_config(server.url(0));
    let (desk, other) = (Desk::linked(&config).await, Desk::linked(&config).await);
    let members: Vec<(String, Entry)> = (0..2000).map(|n| ("c".into(), entry(&format!("u{n}")))).collect();
    enter_all(&desk, &members).await;
    let scripts = ["evalsha", "eval"];
    assert!(calls(&server, &scripts).await < 200, "what comes together is written together");
    let (written, run, beats) = (
        calls(&server, &["hset", "hget", "hincrby", "hdel", "hvals", "hgetall", "hscan"]).await,
        calls(&server, &scripts).await,
        calls(&server, &["smembers"]).await,
    );
    while calls(&server, &["smembers"]).await < beats + 20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let renewals = calls(&server, &scripts).await - run;
    assert!(renewals <= 30, "{renewals} scripts in ten heartbeats for one channel");
    for _ in 0..10 {
        assert_eq!(other.count("c").await, (2000, 2000));
    }
    assert_eq!(
        calls(&server, &["hset", "hget", "hincrby", "hdel", "hvals", "hgetall", "hscan"]).await,
        written,
        "no member is read or written for itself"
    );
}
