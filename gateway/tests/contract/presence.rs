//! Who is on a channel: what every book of members promises. What dead nodes and a broken Redis can do
//! to it is in `members.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_gateway::config::section::BrokerConfig;
use fanfare_gateway::model::event::PresenceStats;
use fanfare_gateway::model::time::SystemClock;
use fanfare_gateway::model::{Change, ClientInfo, ConnectionId, NodeId, UserId};
use fanfare_gateway::presence::memory::{MemoryPresence, Tell};
use fanfare_gateway::presence::redis::{RedisPresence, Surroundings};
use fanfare_gateway::presence::{Departure, Entry, Presence, PresenceError};
use fanfare_gateway::task::Tasks;
use fanfare_gateway::telemetry::Metrics;
use fanfare_proto::envelope::Envelope;
use fanfare_proto::keys::Keys;
use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::redis_kit::RedisServer;
use crate::{LIMIT, Node, channel, redis_config};

/// Longer than any test.
pub(super) const LONG: Duration = Duration::from_secs(3600);

/// What listeners of all channels are told: `+` or `-`, the channel, the client.
pub(super) struct Ear(mpsc::UnboundedReceiver<String>);

impl Ear {
    #[allow(clippy::disallowed_methods, reason = "a test may hear more than it reads")]
    fn new() -> (mpsc::UnboundedSender<String>, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (sender, Self(receiver))
    }

    /// Listens at the server itself, past all nodes.
    pub(super) async fn at(server: &RedisServer) -> Self {
        let (sender, ear) = Self::new();
        let client = ::redis::Client::open(server.url(0)).unwrap();
        let mut pubsub = client.get_async_pubsub().await.unwrap();
        pubsub.psubscribe("test:0:ch:*").await.unwrap();
        let mut messages = pubsub.into_on_message();
        tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                let name: String = message.get_channel_name().to_owned();
                let channel = Keys::new("test", 0).parse_channel(&name).unwrap();
                let Ok(Envelope::Membership(membership)) =
                    Envelope::decode(message.get_payload::<Vec<u8>>().unwrap().into())
                else {
                    panic!("only memberships are said here");
                };
                let sign = if membership.left { '-' } else { '+' };
                let _ = sender.send(format!("{sign}{channel} {}", membership.who.unwrap().client));
            }
        });
        ear
    }

    pub(super) async fn next(&mut self) -> String {
        tokio::time::timeout(LIMIT, self.0.recv()).await.expect("something is told in time").unwrap()
    }

    /// So many, in any order.
    pub(super) async fn some(&mut self, count: usize) -> Vec<String> {
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            all.push(self.next().await);
        }
        all
    }

    /// What has been told by now.
    pub(super) fn heard(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

/// One node's book.
pub(super) struct Desk {
    pub(super) presence: Arc<dyn Presence>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) tasks: Tasks,
    /// The links; none in memory.
    pub(super) node: Option<Node>,
}

impl Drop for Desk {
    /// As if killed: nothing is said to anybody.
    fn drop(&mut self) {
        self.tasks.stop().cancel();
    }
}

impl Desk {
    pub(super) fn redis(config: &BrokerConfig) -> Self {
        let node = Node::redis(config);
        let redis = node.redis.clone().unwrap();
        let surroundings = Surroundings {
            link: redis.link().clone(),
            keys: redis.keys().clone(),
            node: NodeId::random(),
            tasks: node.tasks.clone(),
            metrics: node.metrics.clone(),
            clock: SystemClock::new(),
        };
        let presence = RedisPresence::start(config, surroundings);
        Self { presence, metrics: node.metrics.clone(), tasks: node.tasks.clone(), node: Some(node) }
    }

    pub(super) async fn linked(config: &BrokerConfig) -> Self {
        let desk = Self::redis(config);
        desk.delivers().await;
        desk
    }

    pub(super) async fn delivers(&self) {
        self.node.as_ref().unwrap().delivers().await;
    }

    pub(super) async fn enter(&self, name: &str, entry: &Entry) -> Result<(), PresenceError> {
        self.presence.enter(&channel(name), entry.clone()).await
    }

    pub(super) fn leave(&self, name: &str, entry: &Entry, departure: Departure) {
        self.presence.leave(&channel(name), entry.client, departure);
    }

    /// The clients on a channel.
    pub(super) async fn list(&self, name: &str) -> BTreeSet<String> {
        let members = self.presence.list(&channel(name), 100_000).await.unwrap();
        let count = members.len();
        let clients: BTreeSet<String> = members.into_iter().map(|info| info.client.to_string()).collect();
        assert_eq!(clients.len(), count, "a member is shown once");
        clients
    }

    /// Clients and users.
    pub(super) async fn count(&self, name: &str) -> (u64, u64) {
        let PresenceStats { clients, users } = self.presence.count(&channel(name)).await.unwrap();
        (clients, users)
    }

    /// Waits until a channel's list is this one.
    pub(super) async fn shows(&self, name: &str, expected: &[&Entry]) {
        let expected = ids(expected);
        let waiting = async {
            while self.list(name).await != expected {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(tokio::time::timeout(LIMIT, waiting).await.is_ok(), "not the list that was expected, in time");
    }
}

/// All nodes, and what they say.
struct World {
    desks: Vec<Desk>,
    ear: Ear,
    _server: Option<RedisServer>,
}

impl World {
    fn memory() -> Self {
        let (sender, ear) = Ear::new();
        let metrics = Arc::new(Metrics::new());
        let tasks = Tasks::new(metrics.clone());
        let tell: Tell = Arc::new(move |channel, membership| {
            let sign = if membership.change == Change::Left { '-' } else { '+' };
            let _ = sender.send(format!("{sign}{channel} {}", membership.who.client));
            Box::pin(std::future::ready(()))
        });
        let presence = MemoryPresence::start(tell, SystemClock::new(), &tasks, metrics.clone());
        Self { desks: vec![Desk { presence, metrics, tasks, node: None }], ear, _server: None }
    }

    async fn redis() -> Self {
        let server = RedisServer::start();
        let config = redis_config(server.url(0));
        let desks = vec![Desk::linked(&config).await, Desk::linked(&config).await, Desk::linked(&config).await];
        Self { desks, ear: Ear::at(&server).await, _server: Some(server) }
    }

    fn first(&self) -> &Desk {
        &self.desks[0]
    }

    /// Another node than the first, where there is one.
    fn last(&self) -> &Desk {
        self.desks.last().unwrap()
    }

    /// Whoever enters and leaves now comes after all that was to be told before. Answers that.
    async fn told(&mut self) -> Vec<String> {
        let last = entry("last");
        for desk in &self.desks {
            desk.enter("end", &last).await.unwrap();
        }
        self.first().leave("end", &last, Departure::Final);
        let (mut all, end) = (Vec::new(), said('-', "end", &last));
        loop {
            match self.ear.next().await {
                told if told == end => break,
                told => all.push(told),
            }
        }
        all.retain(|told| !told.contains("end "));
        all
    }
}

/// Somebody who is told about and goes at once.
pub(super) fn entry(user: &str) -> Entry {
    entry_with(user, Duration::ZERO)
}

pub(super) fn entry_with(user: &str, leave_delay: Duration) -> Entry {
    let client = ConnectionId::random();
    let info = ClientInfo {
        user: UserId::new(user),
        client: Arc::from(client.to_string()),
        connection_info: Bytes::from_static(b"{\"n\":1}"),
        channel_info: Bytes::from_static(b"[]"),
    };
    Entry { client, info, told: true, leave_delay }
}

pub(super) fn ids(entries: &[&Entry]) -> BTreeSet<String> {
    entries.iter().map(|entry| entry.client.to_string()).collect()
}

pub(super) fn said(sign: char, name: &str, entry: &Entry) -> String {
    format!("{sign}{name} {}", entry.client)
}

macro_rules! on_all_books {
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

on_all_books!(
    who_enters_is_seen_at_once_and_told_once,
    entering_again_replaces_and_tells_nothing,
    a_member_that_moves_to_another_user_is_counted_there,
    users_are_counted_once_and_all_anonymous_ones_together,
    who_is_lost_stays_for_its_delay,
    who_is_lost_may_still_leave_for_good,
    a_return_is_quiet,
    a_return_is_quiet_for_one_member_each,
    a_lost_member_may_enter_again,
    the_anonymous_are_never_taken_for_one_another,
    who_is_not_told_about_comes_and_goes_in_silence,
    leaving_and_entering_at_once_is_told_in_order,
    channels_are_apart,
    strangers_may_leave,
    who_is_not_waited_for_is_not_noted,
    ten_thousand_are_listed_and_one_more_is_too_many,
    many_come_and_go_together,
);

async fn who_enters_is_seen_at_once_and_told_once(mut world: World) {
    let (a, b) = (entry("u1"), entry("u2"));
    assert_eq!(world.first().count("c").await, (0, 0));
    world.first().enter("c", &a).await.unwrap();
    world.last().enter("c", &b).await.unwrap();
    for desk in &world.desks {
        assert_eq!(desk.list("c").await, ids(&[&a, &b]));
        assert_eq!(desk.count("c").await, (2, 2));
        let mut members = desk.presence.list(&channel("c"), 2).await.unwrap();
        members.sort_by(|one, other| one.user.cmp(&other.user));
        assert_eq!(members, [a.info.clone(), b.info.clone()]);
    }
    world.first().leave("c", &a, Departure::Final);
    world.first().leave("c", &a, Departure::Final);
    assert_eq!(world.ear.some(3).await, [said('+', "c", &a), said('+', "c", &b), said('-', "c", &a)]);
    for desk in &world.desks {
        assert_eq!(desk.list("c").await, ids(&[&b]));
        assert_eq!(desk.count("c").await, (1, 1));
    }
    assert_eq!(world.told().await, [""; 0]);
    assert_eq!(world.desks.iter().map(|desk| desk.metrics.presence_waiting.get()).max(), Some(0));
}

async fn entering_again_replaces_and_tells_nothing(mut world: World) {
    let mut a = entry("u");
    world.first().enter("c", &a).await.unwrap();
    a.info.channel_info = Bytes::from_static(b"\"new\"");
    world.first().enter("c", &a).await.unwrap();
    assert_eq!(world.last().presence.list(&channel("c"), 1).await.unwrap(), [a.info.clone()]);
    assert_eq!(world.last().count("c").await, (1, 1));
    assert_eq!(world.told().await, [said('+', "c", &a)]);
}

async fn a_member_that_moves_to_another_user_is_counted_there(world: World) {
    let mut a = entry("u1");
    world.first().enter("c", &a).await.unwrap();
    world.first().enter("c", &entry("u2")).await.unwrap();
    a.info.user = UserId::new("u2");
    world.first().enter("c", &a).await.unwrap();
    assert_eq!(world.last().count("c").await, (2, 1));
}

async fn users_are_counted_once_and_all_anonymous_ones_together(world: World) {
    let members = ["a", "a", "b", "", "", "1:a ", "a "].map(entry);
    for (at, member) in members.iter().enumerate() {
        world.desks[at % world.desks.len()].enter("c", member).await.unwrap();
    }
    assert_eq!(world.last().count("c").await, (7, 5));
    for (at, left) in [(0, (6, 5)), (1, (5, 4)), (3, (4, 4)), (4, (3, 3))] {
        let desk = &world.desks[at % world.desks.len()];
        desk.leave("c", &members[at], Departure::Final);
        let waiting = async { while desk.count("c").await != left {} };
        assert!(tokio::time::timeout(LIMIT, waiting).await.is_ok(), "{left:?}");
    }
}

async fn who_is_lost_stays_for_its_delay(mut world: World) {
    let (soon, late, at_once) =
        (entry_with("soon", Duration::from_millis(300)), entry_with("late", LONG), entry("at once"));
    for member in [&soon, &late, &at_once] {
        world.first().enter("c", member).await.unwrap();
    }
    world.ear.some(3).await;
    for member in [&soon, &late, &at_once] {
        world.first().leave("c", member, Departure::Lost);
    }
    assert_eq!(world.ear.some(2).await, [said('-', "c", &at_once), said('-', "c", &soon)]);
    assert_eq!(world.last().list("c").await, ids(&[&late]));
    assert_eq!(world.last().count("c").await, (1, 1));
    assert_eq!(world.told().await, [""; 0]);
}

async fn who_is_lost_may_still_leave_for_good(mut world: World) {
    let a = entry_with("u", LONG);
    world.first().enter("c", &a).await.unwrap();
    world.first().leave("c", &a, Departure::Lost);
    world.first().leave("c", &a, Departure::Lost);
    world.first().leave("c", &a, Departure::Final);
    assert_eq!(world.ear.some(2).await, [said('+', "c", &a), said('-', "c", &a)]);
    // There is nobody any more whose place could be taken.
    let b = entry("u");
    world.last().enter("c", &b).await.unwrap();
    assert_eq!(world.told().await, [said('+', "c", &b)]);
}

async fn a_return_is_quiet(mut world: World) {
    let (a, b, c) = (entry_with("u", LONG), entry_with("u", LONG), entry_with("u", LONG));
    world.first().enter("c", &a).await.unwrap();
    world.first().leave("c", &a, Departure::Lost);
    parked(&world, "c", 1).await;
    world.last().enter("c", &b).await.unwrap();
    for desk in &world.desks {
        assert_eq!(desk.list("c").await, ids(&[&b]));
        assert_eq!(desk.count("c").await, (1, 1));
    }
    // And back again, over the same node.
    world.last().leave("c", &b, Departure::Lost);
    parked(&world, "c", 1).await;
    world.last().enter("c", &c).await.unwrap();
    // Those who were replaced are not told when they go for good, either.
    world.first().leave("c", &a, Departure::Final);
    world.last().leave("c", &b, Departure::Final);
    assert_eq!(world.told().await, [said('+', "c", &a)]);
    world.last().leave("c", &c, Departure::Final);
    assert_eq!(world.ear.next().await, said('-', "c", &c));
    assert_eq!(world.last().count("c").await, (0, 0));
}

/// Waits until so many members may be replaced: a loss is written soon, not at once.
async fn parked(world: &World, name: &str, count: usize) {
    let Some(server) = &world._server else { return };
    let waiting =
        async { while server.run::<usize>(&["ZCARD", &Keys::new("test", 0).members_parked(name)]).await != count {} };
    assert!(tokio::time::timeout(LIMIT, waiting).await.is_ok(), "{count} are not parked");
}

async fn a_return_is_quiet_for_one_member_each(mut world: World) {
    let (a, b) = (entry_with("u", LONG), entry_with("u", LONG));
    let other = entry_with("u2", LONG);
    let back = [entry("u"), entry("u"), entry("u")];
    for member in [&a, &b, &other] {
        world.first().enter("c", member).await.unwrap();
    }
    world.ear.some(3).await;
    for member in [&a, &b, &other] {
        world.first().leave("c", member, Departure::Lost);
    }
    parked(&world, "c", 3).await;
    for member in &back {
        world.last().enter("c", member).await.unwrap();
    }
    assert_eq!(world.told().await, [said('+', "c", &back[2])]);
    assert_eq!(world.first().list("c").await, ids(&[&back[0], &back[1], &back[2], &other]));
    assert_eq!(world.first().count("c").await, (4, 2));
}

async fn a_lost_member_may_enter_again(mut world: World) {
    let a = entry_with("u", LONG);
    world.first().enter("c", &a).await.unwrap();
    world.first().leave("c", &a, Departure::Lost);
    parked(&world, "c", 1).await;
    world.first().enter("c", &a).await.unwrap();
    // It is not lost any more: nobody takes its place.
    let b = entry("u");
    world.last().enter("c", &b).await.unwrap();
    assert_eq!(world.told().await, [said('+', "c", &a), said('+', "c", &b)]);
    assert_eq!(world.last().count("c").await, (2, 1));
}

async fn the_anonymous_are_never_taken_for_one_another(mut world: World) {
    let (a, b) = (entry_with("", LONG), entry_with("", LONG));
    world.first().enter("c", &a).await.unwrap();
    world.first().leave("c", &a, Departure::Lost);
    world.last().enter("c", &b).await.unwrap();
    assert_eq!(world.last().list("c").await, ids(&[&a, &b]));
    world.first().leave("c", &a, Departure::Final);
    let expected = [said('+', "c", &a), said('+', "c", &b), said('-', "c", &a)];
    assert_eq!(world.ear.some(3).await, expected);
    assert_eq!(world.told().await, [""; 0]);
}

async fn who_is_not_told_about_comes_and_goes_in_silence(mut world: World) {
    let silent = Entry { told: false, ..entry("u") };
    world.first().enter("c", &silent).await.unwrap();
    assert_eq!(world.last().list("c").await, ids(&[&silent]));
    world.first().leave("c", &silent, Departure::Final);
    world.last().shows("c", &[]).await;
    assert_eq!(world.told().await, [""; 0]);
}

async fn leaving_and_entering_at_once_is_told_in_order(mut world: World) {
    let a = entry("u");
    world.first().enter("c", &a).await.unwrap();
    for _ in 0..3 {
        world.first().leave("c", &a, Departure::Final);
        world.first().enter("c", &a).await.unwrap();
    }
    let (joined, left) = (said('+', "c", &a), said('-', "c", &a));
    let told = world.told().await;
    assert_eq!(told, [&joined, &left, &joined, &left, &joined, &left, &joined].map(Clone::clone));
    assert_eq!(world.last().count("c").await, (1, 1));
}

async fn channels_are_apart(mut world: World) {
    let a = entry_with("u", LONG);
    let names = ["c", "{c}", "c}", "%7B"];
    for name in names {
        world.first().enter(name, &a).await.unwrap();
    }
    world.first().leave("c", &a, Departure::Final);
    world.last().shows("c", &[]).await;
    for name in &names[1..] {
        assert_eq!(world.last().list(name).await, ids(&[&a]), "{name}");
    }
    assert_eq!(world.told().await.len(), 5);
}

async fn strangers_may_leave(mut world: World) {
    let (a, stranger) = (entry("u"), entry("u"));
    world.first().leave("c", &stranger, Departure::Final);
    world.first().enter("c", &a).await.unwrap();
    world.first().leave("c", &stranger, Departure::Lost);
    world.first().leave("d", &a, Departure::Final);
    assert_eq!(world.told().await, [said('+', "c", &a)]);
    assert_eq!(world.last().count("c").await, (1, 1));
}

async fn who_is_not_waited_for_is_not_noted(mut world: World) {
    let dropped: Vec<Entry> = (0..20).map(|n| entry(&format!("u{n}"))).collect();
    for (polls, member) in dropped.iter().enumerate() {
        let entering = world.first().enter("c", member);
        tokio::pin!(entering);
        // Dropped at some point of its way, or perhaps just after its end.
        let mut entered = false;
        for _ in 0..polls {
            entered = entered || futures_util::poll!(&mut entering).is_ready();
            tokio::task::yield_now().await;
        }
        if entered {
            world.first().leave("c", member, Departure::Final);
        }
    }
    world.last().shows("c", &[]).await;
    let told = world.told().await;
    for member in &dropped {
        let about = |sign| told.iter().filter(|told| **told == said(sign, "c", member)).count();
        assert_eq!(about('+'), about('-'), "who joined has left");
        assert!(about('+') <= 1);
    }
}

async fn ten_thousand_are_listed_and_one_more_is_too_many(world: World) {
    let members: Vec<Entry> = (0..10_000).map(|n| entry(&format!("u{}", n % 100))).collect();
    let desks = world.desks.len();
    let entering = members.iter().enumerate().map(|(n, member)| world.desks[n % desks].enter("c", member));
    for entered in futures_util::future::join_all(entering).await {
        entered.unwrap();
    }
    let everybody: Vec<&Entry> = members.iter().collect();
    assert_eq!(world.last().list("c").await, ids(&everybody));
    assert_eq!(world.last().count("c").await, (10_000, 100));
    let listed = world.last().presence.list(&channel("c"), 10_000).await;
    assert_eq!(listed.map(|members| members.len()), Ok(10_000));
    world.first().enter("c", &entry("u")).await.unwrap();
    let refused = world.last().presence.list(&channel("c"), 10_000).await;
    assert_eq!(refused, Err(PresenceError::TooMany { count: 10_001, limit: 10_000 }));
    assert_eq!(
        world.last().presence.list(&channel("c"), 0).await,
        Err(PresenceError::TooMany { count: 10_001, limit: 0 })
    );
}

async fn many_come_and_go_together(mut world: World) {
    let members: Vec<Entry> = (0..1000).map(|n| entry(&format!("u{n}"))).collect();
    let place = |n: usize| (format!("c{}", n % 7), n % world.desks.len());
    let entering = members.iter().enumerate().map(|(n, member)| {
        let (name, desk) = place(n);
        let desk = &world.desks[desk];
        async move { desk.enter(&name, member).await.unwrap() }
    });
    futures_util::future::join_all(entering).await;
    for (n, member) in members.iter().enumerate() {
        let (name, desk) = place(n);
        world.desks[desk].leave(&name, member, Departure::Final);
    }
    let mut told = world.ear.some(2000).await;
    told.sort();
    let both = |n: usize, member: &Entry| ['+', '-'].map(|sign| said(sign, &place(n).0, member));
    let mut expected: Vec<String> = members.iter().enumerate().flat_map(|(n, member)| both(n, member)).collect();
    expected.sort();
    assert_eq!(told, expected);
    assert_eq!(world.told().await, [""; 0]);
}

#[tokio::test]
async fn memory_has_no_nodes_that_could_die() {
    let world = World::memory();
    world.first().enter("c", &entry_with("u", LONG)).await.unwrap();
    world.first().presence.retire().await;
    assert_eq!(world.first().count("c").await, (0, 0));
    assert_eq!(world.first().metrics.presence_members.get(), 0);
    assert!(world.first().enter("c", &entry("late")).await.is_err());
}
