//! Servers that die, come back and take each other's place: what becomes of streams, and of the promise
//! that one (epoch, offset) never names two publications.

use std::time::Duration;

use fanfare_gateway::broker::{Ack, BrokerError, Outcome, Previous, PublishOptions};
use fanfare_gateway::model::Position;

use crate::history::{everything, kept, keyed, offsets, since, texts};
use crate::redis_kit::RedisServer;
use crate::{LIMIT, Node, redis_config};

async fn info(server: &RedisServer, section: &str, field: &str) -> String {
    let info: String = server.run(&["INFO", section]).await;
    let prefix = format!("{field}:");
    info.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default().trim().to_owned()
}

/// Waits until a replica has all that its primary has.
async fn caught_up(primary: &RedisServer, replica: &RedisServer) {
    let catching_up = async {
        loop {
            let up = info(replica, "replication", "master_link_status").await == "up";
            let offset = info(primary, "replication", "master_repl_offset").await;
            if up && offset == info(replica, "replication", "slave_repl_offset").await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, catching_up).await.expect("the replica catches up");
}

fn primary() -> RedisServer {
    // Else a replica waits for others to come along.
    RedisServer::start_with(&["--repl-diskless-sync-delay", "0"])
}

async fn replica_of(primary: &RedisServer) -> RedisServer {
    let server = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]);
    let _: () = server.run(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]).await;
    caught_up(primary, &server).await;
    server
}

async fn promote(server: &RedisServer) {
    let _: () = server.run(&["REPLICAOF", "NO", "ONE"]).await;
}

async fn keep_many(node: &Node, texts: std::ops::RangeInclusive<u64>) -> Position {
    let mut top = None;
    for n in texts {
        top = Some(node.keep("a", &n.to_string()).await);
    }
    top.unwrap()
}

#[tokio::test]
async fn a_server_that_comes_back_empty_begins_anew() {
    let mut server = RedisServer::start();
    let node = Node::linked(&redis_config(server.url(0))).await;
    let before = keep_many(&node, 1..=5).await;
    server.stop();
    node.is_silent().await;
    assert!(node.say("a", "x", kept()).await.is_err());
    assert!(node.broker.history(&crate::channel("a"), everything()).await.is_err());
    assert!(node.broker.tops(&[crate::channel("a")]).await.is_err());
    assert!(node.broker.forget(&crate::channel("a")).await.is_err());
    server.restart();
    node.delivers().await;
    assert_eq!(node.top("a").await, None);
    let page = node.page("a", everything()).await;
    assert_eq!((page.stream.top.offset, page.stream.previous), (0, None));
    assert_ne!(page.stream.top.epoch, before.epoch);
    assert_eq!(node.keep("a", "x").await, Position { offset: 1, ..page.stream.top });
}

#[tokio::test]
async fn a_server_that_comes_back_with_its_data_goes_on_under_another_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always", "--dir", folder]);
    let node = Node::linked(&redis_config(server.url(0))).await;
    let before = keep_many(&node, 1..=5).await;
    node.say("a", "once", keyed("k", kept())).await.unwrap();
    server.stop();
    node.is_silent().await;
    server.restart();
    node.delivers().await;
    // As long as nothing is said, nothing can be lost that was not.
    let page = node.page("a", everything()).await;
    assert_eq!((page.stream.top.offset, &page.stream.top.epoch), (6, &before.epoch));
    let repeat = node.say("a", "once", keyed("k", kept())).await.unwrap();
    assert_eq!((repeat.outcome, repeat.position.unwrap().offset), (Outcome::Repeated, 6));
    let next = node.keep("a", "7").await;
    assert_eq!(next.offset, 7);
    assert_ne!(next.epoch, before.epoch);
    let page = node.page("a", since(4)).await;
    assert_eq!(page.stream.previous, Some(Previous { epoch: before.epoch, top: 6 }));
    assert_eq!((texts(&page), page.stream.top), (vec!["5".into(), "once".into(), "7".into()], next));
}

/// Nothing was lost: whoever has seen anything of the epoch before finds all that came after it.
#[tokio::test]
async fn a_clean_failover_keeps_everybodys_place() {
    let primary = primary();
    let replica = replica_of(&primary).await;
    let node = Node::linked(&redis_config(primary.url(0))).await;
    let before = keep_many(&node, 1..=5).await;
    caught_up(&primary, &replica).await;
    drop(primary);
    promote(&replica).await;
    let node = Node::linked(&redis_config(replica.url(0))).await;
    let page = node.page("a", everything()).await;
    assert_eq!((texts(&page).len(), &page.stream.top, page.stream.previous), (5, &before, None));
    let after = keep_many(&node, 6..=8).await;
    let page = node.page("a", since(3)).await;
    assert_eq!(page.stream.previous, Some(Previous { epoch: before.epoch.clone(), top: 5 }));
    assert_eq!((offsets(&page), &page.stream.top), (vec![4, 5, 6, 7, 8], &after));
    assert_ne!(after.epoch, before.epoch);
    assert!(page.publications.iter().all(|one| one.position().epoch == after.epoch));
    assert_eq!(node.top("a").await, Some(after));
}

/// The replica lacked the end: its numbers are given to other publications, under another epoch, and the
/// end of the one before is told, so that nobody beyond it is taken for up to date.
#[tokio::test]
async fn a_failover_that_loses_the_end_never_gives_a_number_twice() {
    let primary = primary();
    let replica = replica_of(&primary).await;
    let node = Node::linked(&redis_config(primary.url(0))).await;
    let known = keep_many(&node, 1..=5).await;
    caught_up(&primary, &replica).await;
    // From here on the replica hears no more of it.
    promote(&replica).await;
    let lost = keep_many(&node, 6..=9).await;
    assert_eq!((lost.offset, &lost.epoch), (9, &known.epoch));

    let new = Node::linked(&redis_config(replica.url(0))).await;
    let page = new.page("a", everything()).await;
    assert_eq!(page.stream.top, known, "a client at 9 is beyond the top");
    let first = new.keep("a", "other").await;
    assert_eq!(first.offset, 6);
    assert_ne!(first.epoch, known.epoch);
    let page = new.page("a", since(5)).await;
    assert_eq!(page.stream.previous, Some(Previous { epoch: known.epoch.clone(), top: 5 }));
    assert_eq!(texts(&page), ["other"]);

    // The old primary still takes publications, for those who have not noticed: under its own epoch.
    let zombie = keep_many(&node, 10..=10).await;
    assert_eq!((zombie.offset, &zombie.epoch), (10, &known.epoch));

    // And once more: the numbers go on, the epoch before last is no longer known.
    let third = replica_of(&replica).await;
    promote(&third).await;
    let newest = Node::linked(&redis_config(third.url(0))).await;
    let second = newest.keep("a", "once more").await;
    assert_eq!(second.offset, 7);
    let page = newest.page("a", everything()).await;
    assert_eq!(page.stream.previous, Some(Previous { epoch: first.epoch.clone(), top: 6 }));
    assert!(second.epoch != first.epoch && second.epoch != known.epoch);
}

fn replicated(options: PublishOptions) -> PublishOptions {
    PublishOptions { ack: Ack::Replicated { replicas: 1, timeout: Duration::from_millis(200) }, ..options }
}

#[tokio::test]
async fn an_ack_that_asks_for_replicas_gets_them_or_says_so() {
    let primary = primary();
    let mut node = Node::linked(&redis_config(primary.url(0))).await;
    node.subscribe(&["a"]).await;
    let alone = node.say("a", "1", replicated(keyed("1", kept()))).await;
    assert_eq!(alone, Err(BrokerError::NotReplicated { confirmed: 0, wanted: 1 }));
    assert_eq!(&node.heard().await.publication.data[..], b"1", "it is stored and sent nevertheless");
    let again = node.say("a", "1", replicated(keyed("1", kept()))).await;
    assert_eq!(again, Err(BrokerError::NotReplicated { confirmed: 0, wanted: 1 }));

    let replica = replica_of(&primary).await;
    let patient = |options| PublishOptions { ack: Ack::Replicated { replicas: 1, timeout: LIMIT }, ..options };
    let repeat = node.say("a", "1", patient(keyed("1", kept()))).await.unwrap();
    assert_eq!((repeat.outcome, repeat.position.unwrap().offset), (Outcome::Repeated, 1));
    let second = node.say("a", "2", patient(kept())).await.unwrap();
    assert_eq!((second.outcome, second.position.unwrap().offset), (Outcome::Sent, 2));
    assert_eq!(replica.run::<i64>(&["XLEN", "test:stream:{a}"]).await, 2, "the replica has what was confirmed");
    // Without history it is the key that is kept.
    assert_eq!(node.say("b", "x", patient(keyed("k", PublishOptions::default()))).await.unwrap().position, None);
    assert_eq!(replica.run::<i64>(&["EXISTS", "test:once:{b}:k"]).await, 1);
    // Nothing is kept, so nothing is waited for.
    node.say("b", "x", replicated(PublishOptions::default())).await.unwrap();
}

/// A process that is stopped and goes on, also when the test fails.
struct Stopped(String);

impl Stopped {
    async fn new(server: &RedisServer) -> Self {
        let pid = info(server, "server", "process_id").await;
        Self::signal("-STOP", &pid);
        Self(pid)
    }

    fn signal(signal: &str, pid: &str) {
        assert!(std::process::Command::new("kill").args([signal, pid]).status().unwrap().success());
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        Self::signal("-CONT", &self.0);
    }
}

/// A repeat writes nothing new; it must wait for the replica all the same.
#[tokio::test]
async fn a_repeat_waits_for_replicas_like_the_first() {
    let primary = primary();
    let replica = replica_of(&primary).await;
    let node = Node::linked(&redis_config(primary.url(0))).await;
    let patient = |options| PublishOptions { ack: Ack::Replicated { replicas: 1, timeout: LIMIT }, ..options };
    node.say("a", "0", patient(kept())).await.unwrap();
    let stopped = Stopped::new(&replica).await;
    let not_replicated = Err(BrokerError::NotReplicated { confirmed: 0, wanted: 1 });
    for _ in 0..3 {
        assert_eq!(node.say("a", "1", replicated(keyed("k", kept()))).await, not_replicated);
    }
    // What the others keep going meanwhile.
    assert_eq!(node.say("a", "2", kept()).await.unwrap().position.unwrap().offset, 3);
    drop(stopped);
    let repeat = node.say("a", "1", patient(keyed("k", kept()))).await.unwrap();
    assert_eq!((repeat.outcome, repeat.position.unwrap().offset), (Outcome::Repeated, 2));
    assert_eq!(texts(&node.page("a", everything()).await), ["0", "1", "2"]);
}

/// Many that wait for a replica hold up nobody else.
#[tokio::test]
async fn waiting_for_replicas_holds_up_nobody_else() {
    let primary = primary();
    let node = Node::linked(&redis_config(primary.url(0))).await;
    let waiting = (0..8).map(|n| {
        let broker = node.broker.clone();
        let options = PublishOptions { ack: Ack::Replicated { replicas: 1, timeout: LIMIT }, ..kept() };
        tokio::spawn(
            async move { broker.publish(&crate::channel("slow"), crate::outgoing(&n.to_string()), options).await },
        )
    });
    let waiting: Vec<_> = waiting.collect();
    let others = async {
        while node.top("slow").await.is_none_or(|top| top.offset < 8) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        keep_many(&node, 1..=50).await;
        assert_eq!(node.page("a", everything()).await.publications.len(), 50);
        node.roster.nodes().await.unwrap();
    };
    tokio::time::timeout(LIMIT / 2, others).await.expect("others do not wait");
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}
