//! What others may do to our keys in Redis, and what a server may refuse: a stream is never half written,
//! and never lies about its numbering.

use std::time::Duration;

use bytes::Bytes;
use fanfare_gateway::broker::{Ack, BrokerError, HistoryQuery, Outcome, PublishOptions};
use fanfare_gateway::telemetry::metrics::ReasonLabel;
use fanfare_proto::envelope::{Envelope, Membership, Publication};

use crate::history::{MINUTE, everything, kept, keyed, offsets, since, texts};
use crate::redis_kit::RedisServer;
use crate::{Node, channel, outgoing, redis_config};

const STREAM: &str = "test:stream:{a}";
const META: &str = "test:meta:{a}";
const ONCE: &str = "test:once:{a}:k";

async fn linked() -> (RedisServer, Node) {
    let server = RedisServer::start();
    let node = Node::linked(&redis_config(server.url(0))).await;
    node.subscribe(&["a", "b"]).await;
    (server, node)
}

/// Everything that a publication to "a" may leave behind.
async fn traces(server: &RedisServer) -> Vec<Option<Vec<u8>>> {
    let mut traces = Vec::new();
    for key in [STREAM, META, ONCE] {
        traces.push(server.run(&["DUMP", key]).await);
    }
    traces
}

/// All ways to publish that write something are refused, and nothing has come of it.
async fn all_are_refused(server: &RedisServer, node: &mut Node, why: &str) {
    let before = traces(server).await;
    let replicated = Ack::Replicated { replicas: 1, timeout: Duration::from_millis(1) };
    for options in [
        kept(),
        keyed("k", kept()),
        keyed("k", PublishOptions::default()),
        PublishOptions { ack: replicated, ..keyed("k", kept()) },
    ] {
        match node.say("a", "refused", options).await {
            Err(BrokerError::Refused(text)) => assert!(text.contains(why), "{text}"),
            other => panic!("{why}: {other:?}"),
        }
    }
    assert_eq!(traces(server).await, before, "{why}");
    assert_eq!(node.drain("b").await, [], "{why}");
}

#[tokio::test]
async fn a_key_of_another_type_is_left_alone() {
    let (server, mut node) = linked().await;
    // Alone, and with the stream's other keys about it.
    for kept_before in [false, true] {
        for key in [STREAM, META, ONCE] {
            let _: () = server.run(&["FLUSHALL"]).await;
            if kept_before {
                node.keep("a", "before").await;
                node.heard().await;
                let _: () = server.run(&["DEL", key]).await;
            }
            let _: () = server.run(&["SADD", key, "somebody else's"]).await;
            let before = traces(&server).await;
            let refusal = node.say("a", "refused", keyed("k", kept())).await;
            assert!(matches!(&refusal, Err(BrokerError::Refused(why)) if why.contains("WRONGTYPE")), "{refusal:?}");
            assert_eq!(traces(&server).await, before, "{key}");
            assert_eq!(node.drain("b").await, []);
            if key != ONCE {
                let page = node.broker.history(&channel("a"), everything()).await;
                assert!(matches!(page, Err(BrokerError::Refused(_))), "{page:?}");
                assert_eq!(traces(&server).await, before, "{key}");
            }
            if key == META {
                let tops = node.broker.tops(&[channel("a"), channel("b")]).await.unwrap();
                assert_eq!(tops, [None, None], "one bad key is not everybody's");
            }
            let _: () = server.run(&["DEL", key]).await;
            let published = node.say("a", "after", keyed("k", kept())).await.unwrap();
            assert_eq!(published.outcome, Outcome::Sent);
            assert_eq!(node.heard().await.publication.position, published.position);
        }
    }
}

#[tokio::test]
async fn a_full_memory_refuses_both_store_and_send() {
    let (server, mut node) = linked().await;
    let full: [&str; 4] = ["CONFIG", "SET", "maxmemory", "1"];
    let free: [&str; 4] = ["CONFIG", "SET", "maxmemory", "0"];
    // Also the first publication of a stream: nothing of it may come before the refusal.
    let _: () = server.run(&full).await;
    all_are_refused(&server, &mut node, "OOM").await;
    let _: () = server.run(&free).await;
    let first = node.say("a", "1", keyed("1", kept())).await.unwrap();
    assert_eq!(first.position.as_ref().unwrap().offset, 1);
    assert_eq!(&node.heard().await.publication.data[..], b"1");

    let _: () = server.run(&full).await;
    all_are_refused(&server, &mut node, "OOM").await;
    // What needs no memory goes on.
    let repeat = node.say("a", "1", keyed("1", kept())).await.unwrap();
    assert_eq!((repeat.outcome, &repeat.position), (Outcome::Repeated, &first.position));
    assert_eq!(texts(&node.page("a", everything()).await), ["1"]);
    let _: () = server.run(&free).await;
    assert_eq!(node.keep("a", "2").await.offset, 2);
    assert_eq!(&node.heard().await.publication.data[..], b"2");
}

#[tokio::test]
async fn a_primary_without_replicas_may_be_told_to_refuse() {
    let (server, mut node) = linked().await;
    node.keep("a", "1").await;
    node.heard().await;
    let _: () = server.run(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    all_are_refused(&server, &mut node, "NOREPLICAS").await;
    assert_eq!(texts(&node.page("a", everything()).await), ["1"], "reading goes on");
    let _: () = server.run(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    assert_eq!(node.keep("a", "2").await.offset, 2);
}

/// A user that may write and not publish: what nobody would hear must not be kept either.
#[tokio::test]
async fn a_user_that_may_not_publish_stores_nothing() {
    let (server, mut node) = linked().await;
    let user = ["ACL", "SETUSER", "mute", "on", ">p", "~*", "&test:0:probe:*", "&test:0:control", "+@all"];
    let _: () = server.run(&user).await;
    let url = format!("redis://mute:p@127.0.0.1:{}/0", server.port());
    let mute = Node::linked(&redis_config(url)).await;
    for options in [kept(), keyed("k", kept()), keyed("k", PublishOptions::default())] {
        match mute.say("a", "refused", options).await {
            Err(BrokerError::Refused(why)) => assert!(why.contains("may not publish"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(traces(&server).await, [None, None, None]);
    assert_eq!(node.drain("b").await, []);
}

#[tokio::test]
async fn a_server_that_turns_read_only_refuses_both() {
    let (server, node) = linked().await;
    let top = node.keep("a", "1").await;
    let nobody = RedisServer::stopped();
    let before = traces(&server).await;
    let _: () = server.run(&["REPLICAOF", "127.0.0.1", &nobody.port().to_string()]).await;
    // Before the node has found out, and after.
    let refused = async {
        for _ in 0..200 {
            assert!(node.say("a", "refused", keyed("k", kept())).await.is_err());
        }
        node.is_silent().await;
        assert!(node.say("a", "refused", keyed("k", kept())).await.is_err());
    };
    tokio::time::timeout(crate::LIMIT, refused).await.expect("refusals do not wait");
    assert_eq!(traces(&server).await, before);
    let _: () = server.run(&["REPLICAOF", "NO", "ONE"]).await;
    node.delivers().await;
    let next = node.keep("a", "2").await;
    assert_eq!(next.offset, 2);
    assert_ne!(next.epoch, top.epoch, "another life of the server, another epoch");
    let page = node.page("a", everything()).await;
    let previous = page.stream.previous.clone().expect("the epoch before is told");
    assert_eq!((texts(&page), previous.epoch, previous.top), (vec!["1".into(), "2".into()], top.epoch, 1));
}

#[tokio::test]
async fn forgotten_scripts_are_sent_again() {
    let (server, mut node) = linked().await;
    let flush: [&str; 3] = ["SCRIPT", "FLUSH", "SYNC"];
    for n in 1..=20 {
        let _: () = server.run(&flush).await;
        assert_eq!(node.keep("a", "x").await.offset, n);
        let _: () = server.run(&flush).await;
        assert_eq!(offsets(&node.page("a", since(n - 1)).await), [n]);
        let _: () = server.run(&flush).await;
        assert_eq!(node.page("a", HistoryQuery { limit: 0, ..everything() }).await.stream.top.offset, n);
        assert_eq!(node.heard().await.publication.position.unwrap().offset, n);
    }
    // Also while many are under way.
    let calls = futures_util::future::join_all((0..500).map(|_| node.broker.publish(&A, outgoing("x"), kept())));
    let flushing = async {
        for _ in 0..50 {
            let _: () = server.run(&flush).await;
        }
    };
    let (answers, ()) = tokio::join!(calls, flushing);
    let mut all: Vec<u64> = answers.into_iter().map(|answer| answer.unwrap().position.unwrap().offset).collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(21..=520), "each ran once");
}

static A: std::sync::LazyLock<fanfare_gateway::model::ChannelName> = std::sync::LazyLock::new(|| channel("a"));

#[tokio::test]
async fn a_lost_meta_is_another_epoch() {
    let (server, mut node) = linked().await;
    let mut epochs = vec![];
    // Evicted, and written over with what makes no sense.
    for (key, value) in [
        ("", ""),
        ("top", "x"),
        ("top", "-1"),
        ("top", "9007199254740993"),
        ("top", "18446744073709551615"),
        ("epoch", ""),
        ("epoch", "two words"),
        ("epoch", &"e".repeat(65)),
    ] {
        for n in 1..=3 {
            let position = node.keep("a", "x").await;
            assert_eq!(position.offset, n);
            assert_eq!(node.heard().await.publication.position.as_ref(), Some(&position));
            epochs.push(position.epoch);
        }
        match key {
            "" => drop(server.run::<i64>(&["DEL", META]).await),
            key => drop(server.run::<i64>(&["HSET", META, key, value]).await),
        }
    }
    epochs.dedup();
    assert_eq!(epochs.len(), 8);
    // A question finds it first.
    let page = node.page("a", everything()).await;
    assert_eq!((offsets(&page), page.stream.top.offset, page.stream.previous), (vec![], 0, None));
    assert_eq!(node.keep("a", "x").await.epoch, page.stream.top.epoch);
    assert_eq!(server.run::<i64>(&["XLEN", STREAM]).await, 1, "what was left over is gone");
}

#[tokio::test]
async fn a_lost_stream_leaves_its_numbering() {
    let (server, node) = linked().await;
    let top = node.keep("a", "1").await;
    node.keep("a", "2").await;
    for (n, words) in [(2, &["XTRIM", STREAM, "MAXLEN", "0"][..]), (3, &["DEL", STREAM])] {
        let _: i64 = server.run(words).await;
        let page = node.page("a", everything()).await;
        assert_eq!((offsets(&page), page.stream.top.offset, &page.stream.top.epoch), (vec![], n, &top.epoch));
        assert_eq!(node.keep("a", "x").await.offset, n + 1);
        assert_eq!(offsets(&node.page("a", everything()).await), [n + 1]);
    }
}

/// Entries that the publishing script did not write.
#[tokio::test]
async fn foreign_entries_are_holes() {
    let (server, node) = linked().await;
    let top = node.keep("a", "1").await;
    // Above the top: never sent, so never there.
    let _: String = server.run(&["XADD", STREAM, "2-0", "e", "junk"]).await;
    assert_eq!(offsets(&node.page("a", everything()).await), [1]);
    let next = node.keep("a", "anew").await;
    assert_eq!(next.offset, 1);
    assert_ne!(next.epoch, top.epoch, "nobody knows what the stream was, so another one begins");

    // Below the top, as if this script had been another.
    let member = Envelope::Membership(Membership::default()).encode();
    let mut connection = server.connect().await;
    let mut id = 1;
    for (field, value) in [("e", &b"junk"[..]), ("x", b"x"), ("e", b""), ("e", &member), ("e", b"\x01p\x0a\x05abc")] {
        id += 1;
        let mut add = redis::cmd("XADD");
        add.arg(STREAM).arg(format!("{id}-0")).arg(field).arg(value);
        let _: String = add.query_async(&mut connection).await.unwrap();
    }
    let _: String = server.run(&["XADD", STREAM, "6-1", "e", "between"]).await;
    let _: i64 = server.run(&["HSET", META, "top", "6"]).await;
    assert_eq!(node.keep("a", "7").await.offset, 7);
    let page = node.page("a", everything()).await;
    assert_eq!((offsets(&page), page.stream.top.offset), (vec![1, 7], 7));
    let dropped = node.metrics.broker_dropped.get_or_create(&ReasonLabel { reason: "unreadable" }).get();
    assert_eq!(dropped, 5);
    let reverse = HistoryQuery { reverse: true, ..everything() };
    assert_eq!(offsets(&node.page("a", reverse).await), [7, 1]);
}

/// A stream in a channel that carries JSON has JSON only, whoever wrote it.
#[tokio::test]
async fn what_is_read_from_a_json_stream_is_json() {
    let (server, node) = linked().await;
    // No rule speaks of this namespace: the stricter format.
    let name = "json:x";
    for text in ["[1,\n 2]", "{", "\"a\\nb\"", "\u{1}"] {
        node.keep(name, text).await;
    }
    let page = node.page(name, everything()).await;
    assert_eq!((texts(&page), offsets(&page)), (vec!["[1, 2]".to_owned(), "\"a\\nb\"".to_owned()], vec![1, 3]));
    assert_eq!(page.stream.top.offset, 4);
    drop(server);
}

/// A position inside a stored envelope means nothing: where it stands in the stream counts.
#[tokio::test]
async fn a_stored_position_is_not_believed() {
    let (server, node) = linked().await;
    let top = node.keep("a", "1").await;
    let forged =
        Publication { data: Bytes::from_static(b"2"), offset: 99, epoch: "forged".into(), ..Default::default() };
    let mut add = redis::cmd("XADD");
    add.arg(STREAM).arg("2-0").arg("e").arg(&Envelope::Publication(forged).encode()[..]);
    let _: String = add.query_async(&mut server.connect().await).await.unwrap();
    let _: i64 = server.run(&["HSET", META, "top", "2"]).await;
    let page = node.page("a", everything()).await;
    assert_eq!((texts(&page), offsets(&page)), (vec!["1".to_owned(), "2".to_owned()], vec![1, 2]));
    assert!(page.publications.iter().all(|one| one.position().epoch == top.epoch));
}

/// An id and its fields.
type Entry = (String, Vec<(String, Vec<u8>)>);

/// What is stored is the envelope alone; what is sent has its position in it.
#[tokio::test]
async fn what_stands_in_redis() {
    let (server, mut node) = linked().await;
    let position = node.say("a", "x", keyed("k", kept())).await.unwrap().position.unwrap();
    let entries: Vec<Entry> = server.run(&["XRANGE", STREAM, "-", "+"]).await;
    assert_eq!(entries.len(), 1);
    let (id, fields) = entries.into_iter().next().unwrap();
    assert_eq!((id.as_str(), fields.len(), fields[0].0.as_str()), ("1-0", 1, "e"));
    match Envelope::decode(fields[0].1.clone().into()).unwrap() {
        Envelope::Publication(stored) => {
            assert_eq!((&stored.data[..], stored.offset, stored.epoch.as_str()), (&b"x"[..], 0, ""));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(node.heard().await.publication.position.as_ref(), Some(&position));
    let meta: std::collections::BTreeMap<String, String> = server.run(&["HGETALL", META]).await;
    assert_eq!(meta.keys().collect::<Vec<_>>(), ["epoch", "server", "top"]);
    assert_eq!((meta["top"].as_str(), meta["epoch"].as_str()), ("1", &*position.epoch));
    let info: String = server.run(&["INFO", "replication"]).await;
    assert!(info.contains(&format!("master_replid:{}", meta["server"])), "{info}");
    for (key, longest) in [(STREAM, MINUTE), (META, MINUTE * 10), (ONCE, MINUTE)] {
        let left: i64 = server.run(&["PTTL", key]).await;
        assert!(left > 0 && left <= i64::try_from(longest.as_millis()).unwrap(), "{key}: {left}");
    }
}

#[tokio::test]
async fn an_answer_that_no_script_gave_is_refused() {
    let (server, node) = linked().await;
    for value in ["", " ", "x", " 1", " 1 e e", " x e"] {
        let _: () = server.run(&["SET", ONCE, value]).await;
        let answer = node.say("a", "x", keyed("k", kept())).await;
        match value {
            // What a channel without history is answered.
            "" => assert_eq!(answer.unwrap().outcome, Outcome::Repeated),
            _ => assert!(matches!(answer, Err(BrokerError::Refused(_))), "{value:?}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn somebody_joins_or_leaves() {
    let (server, mut node) = linked().await;
    let who = fanfare_proto::envelope::ClientInfo { user: "42".into(), client: "c".into(), ..Default::default() };
    for left in [false, true] {
        let member = Envelope::Membership(Membership { who: Some(who.clone()), left });
        server.publish("test:0:ch:{a}", &member.encode()).await;
    }
    server.publish("test:0:ch:{a}", &Envelope::Membership(Membership::default()).encode()).await;
    assert_eq!(node.next().await, crate::Seen::said("a", "Joined c"));
    assert_eq!(node.next().await, crate::Seen::said("a", "Left c"));
    assert_eq!(node.drain("a").await, []);
    let dropped = node.metrics.broker_dropped.get_or_create(&ReasonLabel { reason: "unreadable" }).get();
    assert_eq!(dropped, 1, "nobody has joined");
}
