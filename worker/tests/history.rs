//! The direct road on channels with history, against real Redis servers: what is stored is what a gateway
//! would have stored, once, in order, and as surely as was asked for.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fanfare_proto::envelope::{Envelope, Publication};
use fanfare_proto::keys::Keys;
use fanfare_proto::rules::{self, ChannelRules, CommonRules, History, Rules};
use fanfare_proto::script::history;
use fanfare_worker::{Ack, Fault, Message, Options, Position, Publisher, RedisPublisher, Version};
use support::{PATIENCE, Redis};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// `kept:...` has history, `safe:...` waits for replicas, everything else is plain.
fn rules() -> Rules {
    let history = Some(History { size: 10_000, ttl_ms: 60_000, meta_ttl_ms: 600_000 });
    let kept = ChannelRules { history, ..ChannelRules::default() };
    let safe = ChannelRules { ack: rules::Ack::Replicated, ..kept };
    let namespaces = [("kept".to_owned(), kept), ("safe".to_owned(), safe)].into();
    Rules::new(ChannelRules::default(), namespaces).with_common(patience(10_000))
}

/// How long replicas are waited for.
fn patience(replicated_timeout_ms: u64) -> CommonRules {
    CommonRules { replicated_timeout_ms, ..CommonRules::default() }
}

async fn ruled() -> Redis {
    let redis = Redis::start();
    redis.set_rules(&rules()).await;
    redis
}

fn open(url: &str, retries: u32) -> RedisPublisher {
    RedisPublisher::open(url, Options { deadline: PATIENCE, retries, ..Options::default() }).unwrap()
}

fn publisher(redis: &Redis) -> RedisPublisher {
    open(&redis.url(), 0)
}

fn keyed(channel: &str, data: &'static str, key: &str) -> Message {
    Message { idempotency_key: Some(key.to_owned()), ..Message::new(channel, data) }
}

fn versioned(data: &'static str, number: u64, epoch: &str) -> Message {
    Message { version: Some(Version { number, epoch: epoch.to_owned() }), ..Message::new("kept:x", data) }
}

async fn position(publisher: &RedisPublisher, message: Message) -> Position {
    publisher.publish(message).await.unwrap().position.expect("a place in the stream")
}

/// The channel's stream, read by the script that gateways read it with.
async fn stream(redis: &Redis, channel: &str) -> (history::Answer, Vec<(u64, Publication)>) {
    let keys = Keys::new("fanfare", 0);
    let (fresh_epoch, meta_ttl_ms, bytes) = ("unused", 600_000, u64::MAX);
    let call = history::Call {
        keys: &keys,
        channel,
        fresh_epoch,
        meta_ttl_ms,
        since: None,
        limit: 10_000,
        bytes,
        reverse: false,
    };
    let mut command = redis::cmd("EVAL");
    command.arg(history::SCRIPT).arg(2).arg(call.keys());
    for argument in call.arguments() {
        command.arg(&argument[..]);
    }
    let pieces: Vec<Vec<u8>> = command.query_async(&mut redis.connection().await).await.unwrap();
    let answer = history::Answer::parse(pieces.into_iter().map(Bytes::from).collect()).unwrap();
    let read = |(offset, envelope): &(u64, Bytes)| match Envelope::decode(envelope.clone()).unwrap() {
        Envelope::Publication(publication) => (*offset, publication),
        other => panic!("{other:?}"),
    };
    let publications = answer.entries.iter().map(read).collect();
    (answer, publications)
}

async fn data_of(redis: &Redis, channel: &str) -> Vec<String> {
    let (_, publications) = stream(redis, channel).await;
    publications.into_iter().map(|(_, publication)| String::from_utf8(publication.data.to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn history_is_kept_as_a_gateway_would() {
    let redis = ruled().await;
    let mut subscriber = redis.subscribe("fanfare:0:ch:{kept:x}").await;
    let publisher = publisher(&redis);
    let mut epochs = Vec::new();
    for n in 1..=3 {
        let message = Message::new("kept:x", format!("{{\"n\":\r\n{n}}}")).tag("n", n.to_string());
        let position = position(&publisher, message).await;
        assert_eq!(position.offset, n);
        epochs.push(position.epoch);
    }
    assert!(!epochs[0].is_empty() && epochs.iter().all(|epoch| *epoch == epochs[0]), "{epochs:?}");

    let (answer, publications) = stream(&redis, "kept:x").await;
    assert_eq!((answer.epoch.as_str(), answer.top, answer.previous), (epochs[0].as_str(), 3, None));
    for (n, (offset, stored)) in (1..).zip(publications) {
        let heard = subscriber.publication().await;
        assert_eq!((offset, heard.offset, heard.epoch.as_str()), (n, n, epochs[0].as_str()));
        assert_eq!(stored, Publication { offset: 0, epoch: String::new(), ..heard });
        assert_eq!((stored.data, stored.tags), (format!("{{\"n\":{n}}}").into(), [("n".into(), n.to_string())].into()));
    }
    let mut connection = redis.connection().await;
    for (key, at_most) in [("fanfare:stream:{kept:x}", 60_000), ("fanfare:meta:{kept:x}", 600_000)] {
        let ttl: i64 = redis::cmd("PTTL").arg(key).query_async(&mut connection).await.unwrap();
        assert!((1..=at_most).contains(&ttl), "{key}: {ttl}");
    }
}

#[tokio::test]
async fn a_repeat_is_answered_alike_and_published_once() {
    let redis = ruled().await;
    let (mut kept, mut plain) =
        (redis.subscribe("fanfare:0:ch:{kept:x}").await, redis.subscribe("fanfare:0:ch:{news}").await);
    let (one, other) = (publisher(&redis), publisher(&redis));
    let (first, repeat) =
        tokio::join!(position(&one, keyed("kept:x", "1", "k")), position(&other, keyed("kept:x", "2", "k")));
    assert_eq!(first, repeat);
    assert_eq!(position(&other, keyed("kept:x", "3", "k")).await, first);
    assert_eq!(position(&one, keyed("kept:x", "4", "another")).await.offset, 2);
    // Keys are a channel's own, and need no history.
    for publisher in [&one, &other] {
        assert_eq!(publisher.publish(keyed("news", "5", "k")).await.unwrap().position, None);
    }
    one.publish(Message::new("news", "6")).await.unwrap();

    let offsets = [kept.publication().await.offset, kept.publication().await.offset];
    assert_eq!(offsets, [1, 2]);
    assert_eq!([plain.publication().await.data, plain.publication().await.data], ["5", "6"]);
    assert_eq!(data_of(&redis, "kept:x").await.len(), 2);
}

#[tokio::test]
async fn an_older_version_is_dropped() {
    let redis = ruled().await;
    let publisher = publisher(&redis);
    assert_eq!(position(&publisher, versioned("10", 10, "a")).await.offset, 1);
    for number in [10, 9] {
        assert_eq!(position(&publisher, versioned("9", number, "a")).await.offset, 1);
    }
    assert_eq!(position(&publisher, versioned("1", 1, "b")).await.offset, 2);
    assert_eq!(data_of(&redis, "kept:x").await, ["10", "1"]);
}

/// With history and without, with keys, past the history: the channels take turns in one batch.
fn mixture(n: usize) -> Message {
    let data = n.to_string();
    match n % 5 {
        0 => Message::new("kept:a", data),
        1 => Message::new("news", data),
        2 => Message { idempotency_key: Some(data.clone()), ..Message::new("keyed", data) },
        3 => Message { skip_history: true, ..Message::new("kept:a", data) },
        _ => Message::new("kept:b", data),
    }
}

async fn hear(redis: &Redis, channel: &str, expected: Vec<usize>, act: impl Future<Output = ()>) {
    let mut subscriber = redis.subscribe(&format!("fanfare:0:ch:{{{channel}}}")).await;
    act.await;
    for n in expected {
        assert_eq!(subscriber.publication().await.data, n.to_string(), "on {channel}");
    }
}

#[tokio::test]
async fn batches_of_all_kinds_keep_the_order_of_each_channel() {
    const COUNT: usize = 1200;
    let redis = ruled().await;
    let publish = async {
        let answers = publisher(&redis).publish_all((0..COUNT).map(mixture).collect()).await;
        for (n, answer) in answers.into_iter().enumerate() {
            let position = answer.unwrap().position;
            assert_eq!(position.is_some(), [0, 4].contains(&(n % 5)), "{n}");
        }
    };
    let of = |kinds: &[usize]| (0..COUNT).filter(|n| kinds.contains(&(n % 5))).collect::<Vec<_>>();
    let (kept_b, keyed, news) = (of(&[4]), of(&[2]), of(&[1]));
    let inner = hear(&redis, "kept:b", kept_b, publish);
    let inner = hear(&redis, "keyed", keyed, inner);
    let inner = hear(&redis, "news", news, inner);
    hear(&redis, "kept:a", of(&[0, 3]), Box::pin(inner)).await;
    let stored = of(&[0]).into_iter().map(|n| n.to_string()).collect::<Vec<_>>();
    assert_eq!(data_of(&redis, "kept:a").await, stored);
}

#[tokio::test]
async fn a_script_that_is_forgotten_all_the_time_costs_nothing() {
    const COUNT: usize = 3000;
    let redis = Arc::new(ruled().await);
    let done = Arc::new(AtomicBool::new(false));
    let mut flushing = JoinSet::new();
    flushing.spawn({
        let (redis, done) = (redis.clone(), done.clone());
        async move {
            let mut connection = redis.connection().await;
            while !done.load(Ordering::Relaxed) {
                let () = redis::cmd("SCRIPT").arg("FLUSH").arg("SYNC").query_async(&mut connection).await.unwrap();
            }
        }
    });
    let publisher = publisher(&redis);
    let expected = (0..COUNT).filter(|n| [0, 3].contains(&(n % 5))).collect();
    hear(&redis, "kept:a", expected, async {
        let answers = publisher.publish_all((0..COUNT).map(mixture).collect()).await;
        assert!(answers.iter().all(Result::is_ok), "{:?}", answers.iter().find(|answer| answer.is_err()));
        for n in COUNT..COUNT + 50 {
            publisher.publish(Message::new("kept:c", n.to_string())).await.unwrap();
        }
    })
    .await;
    done.store(true, Ordering::Relaxed);
    flushing.join_next().await.unwrap().unwrap();
    assert_eq!(data_of(&redis, "kept:c").await.len(), 50);
    assert_eq!(data_of(&redis, "kept:b").await.len(), COUNT / 5);
}

/// Publishes, makes Redis refuse, publishes in vain, makes it take again.
async fn refused_for_a_while(redis: &Redis, refuse: &redis::Cmd, take: &redis::Cmd, word: &str) {
    let mut subscriber = redis.subscribe("fanfare:0:ch:{kept:x}").await;
    let publisher = publisher(redis);
    publisher.publish(Message::new("kept:x", "1")).await.unwrap();
    redis.tell(refuse).await;
    let single = publisher.publish(Message::new("kept:x", "2")).await.unwrap_err();
    let batch = publisher.publish_all((0..100).map(|_| Message::new("kept:x", "3")).collect()).await;
    for error in batch.into_iter().map(Result::unwrap_err).chain([single]) {
        assert!(error.is_retryable(), "{error}");
        assert_eq!(error.fault(), Fault::Broker, "{error}");
        assert!(error.to_string().contains(word) && error.to_string().contains("nothing was published"), "{error}");
    }
    redis.tell(take).await;
    publisher.publish(Message::new("kept:x", "4")).await.unwrap();
    assert_eq!([subscriber.publication().await.data, subscriber.publication().await.data], ["1", "4"]);
}

fn set(parameter: &str, value: &str) -> redis::Cmd {
    let mut command = redis::cmd("CONFIG");
    command.arg("SET").arg(parameter).arg(value);
    command
}

#[tokio::test]
async fn a_full_redis_refuses_and_sends_nothing() {
    let redis = ruled().await;
    refused_for_a_while(&redis, &set("maxmemory", "1"), &set("maxmemory", "0"), "maxmemory").await;
    assert_eq!(data_of(&redis, "kept:x").await, ["1", "4"]);
}

#[tokio::test]
async fn a_primary_without_replicas_refuses_and_sends_nothing() {
    let redis = ruled().await;
    let parameter = "min-replicas-to-write";
    refused_for_a_while(&redis, &set(parameter, "1"), &set(parameter, "0"), "NOREPLICAS").await;
    assert_eq!(data_of(&redis, "kept:x").await, ["1", "4"]);
}

#[tokio::test]
async fn a_replica_refuses_and_sends_nothing() {
    let (redis, other) = (ruled().await, Redis::start());
    let follow = |host: &str, port: &str| {
        let mut command = redis::cmd("REPLICAOF");
        command.arg(host).arg(port);
        command
    };
    // Comes back without its rules and data: those are the other's, who has none.
    let port = other.port.to_string();
    refused_for_a_while(&redis, &follow("127.0.0.1", &port), &follow("NO", "ONE"), "read").await;

    // Who meets a replica sends it nothing, not even what it would take.
    redis.tell(&follow("127.0.0.1", &port)).await;
    let mut subscriber = redis.subscribe("fanfare:0:ch:{news}").await;
    let error = publisher(&redis).publish(Message::new("news", "1")).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("replica"), "{error}");
    redis.tell(&follow("NO", "ONE")).await;
    publisher(&redis).publish(Message::new("news", "2")).await.unwrap();
    assert_eq!(subscriber.publication().await.data, "2");
}

#[tokio::test]
async fn a_strangers_key_hurts_its_channel_only() {
    let redis = ruled().await;
    redis.tell(redis::cmd("SET").arg("fanfare:stream:{kept:x}").arg("a stranger's")).await;
    let mut subscriber = redis.subscribe("fanfare:0:ch:{kept:x}").await;
    let messages = vec![Message::new("kept:x", "1"), Message::new("kept:y", "2"), Message::new("news", "3")];
    let answers = publisher(&redis).publish_all(messages).await;
    let error = answers[0].as_ref().unwrap_err();
    assert!(error.is_rejected() && error.fault() == Fault::Setup, "{error}");
    assert!(answers[1].is_ok() && answers[2].is_ok());
    redis.tell(redis::cmd("DEL").arg("fanfare:stream:{kept:x}")).await;
    publisher(&redis).publish(Message::new("kept:x", "4")).await.unwrap();
    assert_eq!(subscriber.publication().await.data, "4");
}

#[tokio::test]
async fn replicas_are_waited_for() {
    let redis = ruled().await;
    let options = Options { deadline: PATIENCE, rules_ttl: Duration::ZERO, ..Options::default() };
    let publisher = RedisPublisher::open(&redis.url(), options).unwrap();
    let replica = redis.replica().await;
    let first = position(&publisher, keyed("safe:x", "1", "k1")).await;
    assert_eq!(first.offset, 1);
    assert_eq!(stored_on(&replica).await, 1);

    drop(replica);
    redis.set_rules(&rules().with_common(patience(100))).await;
    for asked in [None, Some(Ack::Replicated)] {
        let error = publisher.publish(Message { ack: asked, ..keyed("safe:x", "2", "k2") }).await.unwrap_err();
        assert!(error.is_retryable() && error.fault() == Fault::Broker, "{error}");
        assert!(error.to_string().contains("stored, but only 0 of 1"), "{error}");
    }
    // Stored all the same; and whoever wants less gets it at once, also in one batch with others.
    let messages = vec![Message::new("kept:x", "3"), keyed("safe:x", "2", "k2"), Message::new("news", "4")];
    let answers = publisher.publish_all(messages).await;
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    let stored = position(&publisher, Message { ack: Some(Ack::Stored), ..keyed("safe:x", "2", "k2") }).await;
    assert_eq!(stored.offset, 2);

    let replica = redis.replica().await;
    redis.set_rules(&rules()).await;
    assert_eq!(position(&publisher, keyed("safe:x", "2", "k2")).await, stored);
    assert_eq!(stored_on(&replica).await, 2);
}

/// How many publications of `safe:x` a replica has; it takes no script that may write.
async fn stored_on(replica: &Redis) -> u64 {
    redis::cmd("XLEN").arg("fanfare:stream:{safe:x}").query_async(&mut replica.connection().await).await.unwrap()
}

#[tokio::test]
async fn rules_of_the_version_before_know_no_history() {
    let redis = Redis::start();
    let old = r#"{"version":1,"hash":"x","default":{"data_format":"json","publication_size_limit":100},
        "namespaces":{"kept":{"data_format":"json","publication_size_limit":100}}}"#;
    redis.tell(redis::cmd("SET").arg("fanfare:rules").arg(old)).await;
    let publisher = publisher(&redis);
    assert_eq!(publisher.publish(Message::new("kept:x", "1")).await.unwrap().position, None);
    assert_eq!(publisher.publish(keyed("kept:x", "1", "k")).await.unwrap().position, None);
    assert!(publisher.publish(versioned("1", 1, "")).await.unwrap_err().is_rejected());
    assert!(stream(&redis, "kept:x").await.1.is_empty());

    let newer = r#"{"version":4}"#;
    redis.tell(redis::cmd("SET").arg("fanfare:rules").arg(newer)).await;
    let error = open(&redis.url(), 0).publish(Message::new("kept:x", "1")).await.unwrap_err();
    assert!(error.fault() == Fault::Setup && !error.is_retryable(), "{error}");
}

#[tokio::test]
async fn without_rules_no_promise_is_made() {
    let redis = Redis::start();
    let publisher = publisher(&redis);
    for message in [
        keyed("kept:x", "1", "k"),
        versioned("1", 1, ""),
        Message { ack: Some(Ack::Replicated), ..Message::new("kept:x", "1") },
    ] {
        let error = publisher.publish(message).await.unwrap_err();
        assert!(error.is_retryable() && error.fault() == Fault::Setup, "{error}");
    }
    // Nobody listens, so nobody can miss anything.
    assert_eq!(publisher.publish(Message::new("kept:x", "1")).await.unwrap().gateways, Some(0));

    // A gateway is there, and its rules are not yet: what would it do with this?
    let mut gateway = redis.subscribe("fanfare:0:control").await;
    let error = publisher.publish(Message::new("kept:x", "2")).await.unwrap_err();
    assert!(error.is_retryable() && error.fault() == Fault::Gateway, "{error}");
    redis.tell(redis::cmd("PUBLISH").arg("fanfare:0:control").arg("still there")).await;
    assert_eq!(gateway.bytes().await, b"still there");

    // They are looked for each time until they are there.
    redis.set_rules(&rules()).await;
    assert_eq!(position(&publisher, keyed("kept:x", "3", "k")).await.offset, 1);
}

#[tokio::test]
async fn rules_that_were_there_hold_when_redis_was_emptied() {
    let redis = ruled().await;
    let options = Options { rules_ttl: Duration::ZERO, ..Options::default() };
    let publisher = RedisPublisher::open(&redis.url(), options).unwrap();
    let before = position(&publisher, Message::new("kept:x", "1")).await;
    redis.tell(&redis::cmd("FLUSHALL")).await;
    let after = position(&publisher, Message::new("kept:x", "2")).await;
    assert_eq!(after.offset, 1);
    assert_ne!(after.epoch, before.epoch);
}

/// Passes bytes on, and cuts the connection when a script has been called: it has run, and nobody
/// is told. Does so as often as asked.
async fn cutting(redis: &Redis, cuts: usize) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let port = redis.port;
    let mut proxy = JoinSet::new();
    proxy.spawn(async move {
        let mut left = cuts;
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let (mut up, mut down) = (vec![0; 65536], vec![0; 65536]);
            let mut called = false;
            loop {
                tokio::select! {
                    n = client.read(&mut up) => {
                        let n = n.unwrap_or(0);
                        if n == 0 { break }
                        called = called || up[..n].windows(7).any(|word| word == b"EVALSHA");
                        server.write_all(&up[..n]).await.unwrap();
                    }
                    n = server.read(&mut down) => {
                        let n = n.unwrap_or(0);
                        if n == 0 || (called && left > 0) {
                            left = left.saturating_sub(1);
                            break;
                        }
                        if client.write_all(&down[..n]).await.is_err() { break }
                    }
                }
            }
        }
    });
    (url, proxy)
}

#[tokio::test]
async fn what_the_publisher_tries_again_it_publishes_once() {
    let redis = ruled().await;
    // Redis knows the script.
    publisher(&redis).publish(Message::new("kept:y", "0")).await.unwrap();
    let (url, _proxy) = cutting(&redis, 2).await;
    let error = open(&url, 0).publish(Message::new("kept:x", "1")).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(data_of(&redis, "kept:x").await, ["1"]);

    let mut news = redis.subscribe("fanfare:0:ch:{news}").await;
    let messages = vec![Message::new("kept:x", "2"), Message::new("kept:x", "3"), Message::new("news", "4")];
    let answers = open(&url, 3).publish_all(messages).await;
    let offsets: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().position.map(|at| at.offset)).collect();
    assert_eq!(offsets, [Some(2), Some(3), None]);
    assert_eq!(data_of(&redis, "kept:x").await, ["1", "2", "3"]);
    publisher(&redis).publish(Message::new("news", "5")).await.unwrap();
    assert_eq!([news.publication().await.data, news.publication().await.data], ["4", "5"]);
}

#[tokio::test]
async fn a_publisher_that_tries_again_waits_for_redis_to_take() {
    let redis = ruled().await;
    redis.tell(&set("maxmemory", "1")).await;
    let publisher = open(&redis.url(), 1000);
    let relief = async {
        // Some tries are in vain first.
        loop {
            let stats: String =
                redis::cmd("INFO").arg("errorstats").query_async(&mut redis.connection().await).await.unwrap();
            if stats.contains("errorstat_OOM") {
                break;
            }
        }
        redis.tell(&set("maxmemory", "0")).await;
    };
    let (answer, ()) = tokio::join!(publisher.publish(Message::new("kept:x", "1")), relief);
    assert_eq!(answer.unwrap().position.unwrap().offset, 1);
}

/// The rights that `docs/protocol/redis.md` lists for publishers.
#[tokio::test]
async fn a_user_with_few_rights_can_publish() {
    let redis = Redis::start();
    let mut user = redis::cmd("ACL");
    user.arg("SETUSER").arg("backend").arg(&["on", ">secret", "~fanfare:*", "&fanfare:*"]);
    let commands = "get role pubsub|numsub publish multi exec eval evalsha wait ping unwatch select auth hello client \
                    xadd xlen exists del hmget hset set pexpire info";
    user.arg(commands.split_whitespace().map(|command| format!("+{command}")).collect::<Vec<_>>());
    redis.tell(&user).await;
    let publisher = open(&format!("redis://backend:secret@127.0.0.1:{}", redis.port), 0);
    publisher.publish(Message::new("news", "0")).await.unwrap();
    redis.set_rules(&rules().with_common(patience(100))).await;
    let messages = (0..5).map(mixture).chain([versioned("1", 1, ""), keyed("kept:x", "2", "k")]).collect();
    for answer in publisher.publish_all(messages).await {
        answer.unwrap();
    }
    assert_eq!(position(&publisher, keyed("kept:x", "2", "k")).await.offset, 2);
    let error = publisher.publish(keyed("safe:x", "1", "k")).await.unwrap_err();
    assert!(error.to_string().contains("only 0 of 1"), "{error}");
    // Its numbering lost: what is left of the stream goes.
    redis.tell(redis::cmd("DEL").arg("fanfare:meta:{kept:x}")).await;
    assert_eq!(position(&publisher, Message::new("kept:x", "3")).await.offset, 1);

    redis.tell(redis::cmd("ACL").arg("SETUSER").arg("backend").arg("-xadd")).await;
    let error = publisher.publish(Message::new("kept:x", "4")).await.unwrap_err();
    assert!(error.is_rejected() && error.fault() == Fault::Setup, "{error}");
}

#[tokio::test]
async fn names_and_keys_cannot_leave_their_place() {
    let redis = ruled().await;
    let publisher = publisher(&redis);
    let nasty = "k:{x} %7B*\" 'FLUSHALL";
    let first = position(&publisher, keyed("kept:{a}:b", "1", nasty)).await;
    assert_eq!(position(&publisher, keyed("kept:{a}:b", "2", nasty)).await, first);
    let keys: Vec<String> =
        redis::cmd("KEYS").arg("fanfare:*").query_async(&mut redis.connection().await).await.unwrap();
    let expected =
        ["meta:{kept:%7Ba%7D:b}", "once:{kept:%7Ba%7D:b}:k:{x} %7B*\" 'FLUSHALL", "rules", "stream:{kept:%7Ba%7D:b}"];
    let found: BTreeMap<_, ()> = keys.iter().map(|key| (key.trim_start_matches("fanfare:"), ())).collect();
    assert_eq!(found.into_keys().collect::<Vec<_>>(), expected);
}
