//! What was said while a client, a link or a node was away is not lost, or its loss is told.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::redis::RedisServer;
use crate::token;
use crate::ws::Socket;

/// Open to everybody, with a history; `small` keeps two publications, `ticker` recovers the latest.
fn with_history(redis: &str) -> String {
    let options = "allow_subscribe_for_client = true\nallow_publish_for_client = true\n\
                   allow_history_for_client = true\nhistory_ttl = \"60s\"\nforce_recovery = true\n";
    format!(
        "[channel.default]\nhistory_size = 1000\n{options}\
         [[channel.namespace]]\nname = \"small\"\nhistory_size = 2\n{options}\
         [[channel.namespace]]\nname = \"ticker\"\nhistory_size = 1\nforce_recovery_mode = \"cache\"\n{options}\
         [broker]\nurl = \"{redis}\"\nheartbeat_interval = \"200ms\"\nnode_lease = \"2s\"\nunready_after = \"1s\"\n\
         command_timeout = \"5s\"\n[history]\nposition_check_interval = \"1s\"\n"
    )
}

async fn client(gateway: &Gateway, user: &str) -> Socket {
    let mut socket = Socket::open(gateway.listen).await;
    socket.connect(&json!({ "token": token::mint(&json!({ "sub": user })) })).await;
    socket
}

/// Subscribes with `more` and answers the result.
async fn subscribe(socket: &mut Socket, id: u64, channel: &str, more: Value) -> Value {
    let mut request = json!({ "channel": channel });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    socket.text(json!({ "id": id, "subscribe": request }).to_string()).await;
    let reply = socket.reply(id).await;
    assert!(reply["error"].is_null(), "{reply}");
    reply["subscribe"].clone()
}

/// The same, for somebody who comes back.
async fn come_back(socket: &mut Socket, id: u64, channel: &str, seen: &Value) -> Value {
    subscribe(socket, id, channel, json!({ "recover": true, "offset": seen["offset"], "epoch": seen["epoch"] })).await
}

async fn say(gateway: &Gateway, channel: &str, data: impl Into<Value>) -> Value {
    let answer = gateway.api("publish", &json!({ "channel": channel, "data": data.into() })).await;
    assert!(answer["error"].is_null(), "{answer}");
    answer["result"].clone()
}

/// Offset and data of the next publication.
async fn next(socket: &mut Socket) -> (u64, Value) {
    loop {
        let line = socket.expect_line().await;
        let publication = &line["push"]["pub"];
        assert!(line["push"]["unsubscribe"].is_null(), "{line}");
        if !publication.is_null() {
            return (publication["offset"].as_u64().unwrap_or_default(), publication["data"].clone());
        }
    }
}

fn said(publications: &Value) -> Vec<(u64, Value)> {
    let publications = publications.as_array().cloned().unwrap_or_default();
    publications.iter().map(|said| (said["offset"].as_u64().unwrap(), said["data"].clone())).collect()
}

#[tokio::test]
async fn who_comes_back_to_another_node_gets_all_it_missed() {
    let redis = RedisServer::start();
    let config = with_history(&redis.url(0));
    let (a, b) = tokio::join!(Gateway::start(&config), Gateway::start(&config));
    let mut ann = client(&a, "ann").await;
    let first = subscribe(&mut ann, 2, "news", json!({})).await;
    assert_eq!((&first["recoverable"], &first["positioned"]), (&json!(true), &json!(true)), "{first}");
    assert!(first["offset"].is_null() && !first["epoch"].as_str().unwrap().is_empty(), "{first}");
    let one = say(&b, "news", 1).await;
    assert_eq!((&one["offset"], &one["epoch"]), (&json!(1), &first["epoch"]));
    assert_eq!(next(&mut ann).await, (1, json!(1)));
    drop(ann);
    for n in 2..=5 {
        say(&a, "news", n).await;
    }

    let mut ann = client(&b, "ann").await;
    let back = come_back(&mut ann, 2, "news", &one).await;
    assert_eq!((&back["recovered"], &back["was_recovering"]), (&json!(true), &json!(true)), "{back}");
    assert_eq!(said(&back["publications"]), (2..=5).map(|n| (n, json!(n))).collect::<Vec<_>>());
    say(&a, "news", 6).await;
    assert_eq!(next(&mut ann).await, (6, json!(6)));
    assert_eq!(b.metric("fanfare_recoveries_total", "recovered").await, 1.0);
}

#[tokio::test]
async fn what_cannot_be_replayed_is_told() {
    let redis = RedisServer::start();
    let gateway = Gateway::start(&with_history(&redis.url(0))).await;
    let first = say(&gateway, "small:x", 1).await;
    for n in 2..=5 {
        say(&gateway, "small:x", n).await;
    }
    let mut ann = client(&gateway, "ann").await;
    let lost = come_back(&mut ann, 2, "small:x", &first).await;
    assert_eq!((&lost["was_recovering"], &lost["recovered"]), (&json!(true), &Value::Null), "{lost}");
    assert_eq!((&lost["offset"], said(&lost["publications"])), (&json!(5), vec![]), "never a part of it: {lost}");

    // Who would rather know than be subscribed is told by an error, and is not.
    let mut ben = client(&gateway, "ben").await;
    let request = json!({ "id": 3, "subscribe": {
        "channel": "small:x", "recover": true, "offset": 1, "epoch": first["epoch"], "flag": 2 } });
    ben.text(request.to_string()).await;
    assert_eq!(ben.error(3).await, 112);
    subscribe(&mut ben, 4, "small:x", json!({})).await;

    for forged in [json!({ "offset": u64::MAX, "epoch": first["epoch"] }), json!({ "offset": 5, "epoch": "forged" })] {
        let mut eve = client(&gateway, "eve").await;
        let lost = come_back(&mut eve, 2, "small:x", &forged).await;
        assert_eq!((&lost["recovered"], said(&lost["publications"])), (&Value::Null, vec![]), "{lost}");
    }
}

#[tokio::test]
async fn tickers_recover_the_latest() {
    let redis = RedisServer::start();
    let gateway = Gateway::start(&with_history(&redis.url(0))).await;
    let mut ann = client(&gateway, "ann").await;
    let nothing = come_back(&mut ann, 2, "ticker:x", &json!({ "offset": 0, "epoch": "" })).await;
    assert_eq!(nothing["recovered"], Value::Null, "{nothing}");
    let first = say(&gateway, "ticker:x", 1).await;
    say(&gateway, "ticker:x", 2).await;
    for seen in [json!({ "offset": 0, "epoch": "" }), first] {
        let mut ben = client(&gateway, "ben").await;
        let back = come_back(&mut ben, 2, "ticker:x", &seen).await;
        assert_eq!((&back["recovered"], said(&back["publications"])), (&json!(true), vec![(2, json!(2))]), "{back}");
    }
}

#[tokio::test]
async fn a_link_that_breaks_costs_clients_nothing() {
    let redis = RedisServer::start();
    let config = with_history(&redis.url(0));
    let (a, b) = tokio::join!(Gateway::start(&config), Gateway::start(&config));
    let mut readers = [client(&a, "ann").await, client(&b, "ben").await];
    for reader in &mut readers {
        subscribe(reader, 2, "news", json!({})).await;
    }
    for n in 1..=300 {
        if n % 10 == 0 {
            redis.kill_subscribers().await;
        }
        say(if n % 2 == 0 { &a } else { &b }, "news", n).await;
    }
    for reader in &mut readers {
        for n in 1..=300_u64 {
            assert_eq!(next(reader).await, (n, json!(n)));
        }
    }
    assert!(a.metric("fanfare_heals_total", "healed").await >= 1.0, "something was mended");
}

#[tokio::test]
async fn a_redis_that_comes_back_empty_is_told_to_all() {
    let mut redis = RedisServer::start();
    let mut gateway = Gateway::start(&with_history(&redis.url(0))).await;
    say(&gateway, "news", 1).await;
    let mut ann = client(&gateway, "ann").await;
    let position = subscribe(&mut ann, 2, "news", json!({})).await;
    let mut ben = Socket::open(gateway.listen).await;
    let token = token::mint(&json!({ "sub": "ben", "channels": ["news"] }));
    let welcome = ben.connect(&json!({ "token": token })).await;
    assert_eq!(welcome["connect"]["subs"]["news"]["offset"], 1, "{welcome}");

    redis.restart();
    let line = ann.expect_line().await;
    assert_eq!(line["push"]["unsubscribe"]["code"], 2500, "{line}");
    ben.expect_close(3010).await;
    gateway.ready_is(200).await;
    let back = come_back(&mut ann, 3, "news", &position).await;
    assert_eq!((&back["was_recovering"], &back["recovered"]), (&json!(true), &Value::Null), "{back}");
    assert_ne!(back["epoch"], position["epoch"]);
    say(&gateway, "news", 2).await;
    assert_eq!(next(&mut ann).await, (1, json!(2)));
}

#[tokio::test]
async fn a_stream_that_vanishes_without_a_broken_link_is_noticed_on_quiet_channels() {
    let redis = RedisServer::start();
    let gateway = Gateway::start(&with_history(&redis.url(0))).await;
    say(&gateway, "news", 1).await;
    let mut ann = client(&gateway, "ann").await;
    subscribe(&mut ann, 2, "news", json!({})).await;
    let _: () = redis.run(&["FLUSHALL"]).await;
    let line = ann.expect_line().await;
    assert_eq!(line["push"]["unsubscribe"]["code"], 2500, "{line}");
}

#[tokio::test]
async fn server_side_subscriptions_recover_with_the_connection() {
    let redis = RedisServer::start();
    let gateway = Gateway::start(&with_history(&redis.url(0))).await;
    let first = say(&gateway, "news", 1).await;
    say(&gateway, "news", 2).await;
    let mut ann = Socket::open(gateway.listen).await;
    let token = token::mint(&json!({ "sub": "ann", "channels": ["news"] }));
    let subs = json!({ "news": { "recover": true, "offset": first["offset"], "epoch": first["epoch"] } });
    let welcome = ann.connect(&json!({ "token": token, "subs": subs })).await;
    let news = &welcome["connect"]["subs"]["news"];
    assert_eq!((&news["recovered"], said(&news["publications"])), (&json!(true), vec![(2, json!(2))]), "{welcome}");
    say(&gateway, "news", 3).await;
    assert_eq!(next(&mut ann).await, (3, json!(3)));
}

#[tokio::test]
async fn an_order_to_subscribe_brings_what_was_missed() {
    let redis = RedisServer::start();
    let gateway = Gateway::start(&with_history(&redis.url(0))).await;
    let first = say(&gateway, "small:x", 1).await;
    say(&gateway, "small:x", 2).await;
    let mut ann = client(&gateway, "ann").await;
    let since = json!({ "offset": 1, "epoch": first["epoch"] });
    let order = json!({ "user": "ann", "channel": "small:x", "recover_since": since });
    let done = gateway.api("subscribe", &order).await;
    assert!(done["error"].is_null(), "{done}");
    let line = ann.expect_line().await;
    assert_eq!(line["push"]["subscribe"]["recoverable"], json!(true), "{line}");
    assert_eq!(next(&mut ann).await, (2, json!(2)));
}

#[tokio::test]
async fn a_storm_of_returns_reads_each_stream_a_few_times() {
    const CLIENTS: u64 = 300;
    let redis = RedisServer::start();
    let config = with_history(&redis.url(0));
    let (a, b) = tokio::join!(Gateway::start(&config), Gateway::start(&config));
    let first = say(&a, "news", 1).await;
    for n in 2..=50 {
        say(&a, "news", n).await;
    }
    let _: () = redis.run(&["CONFIG", "RESETSTAT"]).await;
    let returns = (0..CLIENTS).map(|n| {
        let gateway = if n % 2 == 0 { &a } else { &b };
        let seen = json!({ "offset": 1 + n % 50, "epoch": first["epoch"] });
        async move {
            let mut socket = client(gateway, &n.to_string()).await;
            let back = come_back(&mut socket, 2, "news", &seen).await;
            assert_eq!(said(&back["publications"]).len() as u64, 50 - seen["offset"].as_u64().unwrap(), "{back}");
        }
    });
    futures_util::future::join_all(returns).await;
    let stats: String = redis.run(&["INFO", "commandstats"]).await;
    let calls: BTreeMap<&str, u64> = stats
        .lines()
        .filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="))
        .filter_map(|(name, rest)| Some((name, rest.split(',').next()?.parse().ok()?)))
        .collect();
    let reads = calls.get("xrange").copied().unwrap_or_default();
    // New lows among random offsets: about ln(150) for each node.
    assert!((1..=20).contains(&reads), "{reads} reads for {CLIENTS} clients on two nodes: {calls:?}");
}

#[tokio::test]
async fn a_publication_that_was_stored_and_never_arrived_is_fetched() {
    use fanfare_proto::envelope::{Envelope, Publication};

    let redis = RedisServer::start();
    let gateway = Gateway::start(&with_history(&redis.url(0))).await;
    let mut ann = client(&gateway, "ann").await;
    subscribe(&mut ann, 2, "news", json!({})).await;
    let silent = |offset: u64| {
        let envelope =
            Envelope::Publication(Publication { data: offset.to_string().into(), ..Publication::default() }).encode();
        let redis = &redis;
        async move {
            // As the script does it, but for what it sends.
            let mut link = redis.connect().await;
            let stream = "fanfare:stream:{news}";
            let id = format!("{offset}-0");
            let _: String = redis::cmd("XADD")
                .arg(stream)
                .arg(id)
                .arg("e")
                .arg(&envelope[..])
                .query_async(&mut link)
                .await
                .unwrap();
            let _: i64 = redis::cmd("HSET")
                .arg("fanfare:meta:{news}")
                .arg("top")
                .arg(offset)
                .query_async(&mut link)
                .await
                .unwrap();
        }
    };
    say(&gateway, "news", 1).await;
    silent(2).await;
    // The next one shows it.
    say(&gateway, "news", 3).await;
    for n in 1..=3_u64 {
        assert_eq!(next(&mut ann).await, (n, json!(n)));
    }
    // Without a next one, whoever looks finds it.
    silent(4).await;
    assert_eq!(next(&mut ann).await, (4, json!(4)));
}

#[tokio::test]
async fn channels_that_cannot_be_read_hold_up_no_others_and_are_told() {
    const SICK: usize = 70;
    let redis = RedisServer::start();
    let gateway = Gateway::start(&with_history(&redis.url(0))).await;
    let mut ann = client(&gateway, "ann").await;
    for n in 0..SICK {
        subscribe(&mut ann, 10 + n as u64, &format!("sick{n}"), json!({})).await;
    }
    let mut ben = client(&gateway, "ben").await;
    subscribe(&mut ben, 2, "news", json!({})).await;
    for n in 0..SICK {
        let meta = format!("fanfare:meta:{{sick{n}}}");
        let _: () = redis.run(&["DEL", &meta]).await;
        let _: () = redis.run(&["SET", &meta, "not ours"]).await;
    }
    for n in 1..=3_u64 {
        redis.kill_subscribers().await;
        say(&gateway, "news", n).await;
        assert_eq!(next(&mut ben).await, (n, json!(n)));
    }
    for _ in 0..SICK {
        let line = ann.expect_line().await;
        assert_eq!(line["push"]["unsubscribe"]["code"], 2500, "{line}");
    }
}

#[tokio::test]
async fn who_comes_back_before_its_node_has_heard_of_a_failover_loses_nothing() {
    let redis = RedisServer::start();
    let gateway = Gateway::start(&with_history(&redis.url(0))).await;
    let mut ann = client(&gateway, "ann").await;
    subscribe(&mut ann, 2, "news", json!({})).await;
    let mut seen = Value::Null;
    for n in 1..=4_u64 {
        let said = say(&gateway, "news", n).await;
        assert_eq!(next(&mut ann).await, (n, json!(n)));
        if n == 2 {
            seen = said;
        }
    }
    // As after a clean failover whose first publication this node has not got.
    let epoch = seen["epoch"].as_str().unwrap();
    let meta = "fanfare:meta:{news}";
    let turn = ["HSET", meta, "prev_epoch", epoch, "prev_top", "4", "epoch", "another", "top", "4"];
    let _: i64 = redis.run(&turn).await;
    let mut ben = client(&gateway, "ben").await;
    let back = come_back(&mut ben, 2, "news", &seen).await;
    assert_eq!((&back["recovered"], &back["epoch"]), (&json!(true), &json!("another")), "{back}");
    assert_eq!(said(&back["publications"]), [(3, json!(3)), (4, json!(4))]);
}

#[tokio::test]
async fn the_first_on_a_node_gets_the_latest_however_much_there_is_before_it() {
    let redis = RedisServer::start();
    let config = with_history(&redis.url(0))
        .replace("name = \"ticker\"\nhistory_size = 1", "name = \"ticker\"\nhistory_size = 20");
    let gateway = Gateway::start(&config).await;
    for n in 0..10 {
        say(&gateway, "ticker:x", format!("{n}{}", "x".repeat(100_000))).await;
    }
    for seen in [json!({ "offset": 0, "epoch": "" }), json!({ "offset": 50, "epoch": "other" })] {
        let mut ann = client(&gateway, "ann").await;
        let back = come_back(&mut ann, 2, "ticker:x", &seen).await;
        assert_eq!(back["recovered"], json!(true));
        assert_eq!(said(&back["publications"]).iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [10]);
    }
    // Nobody has opened this one yet.
    say(&gateway, "ticker:old", 1).await;
    let mut ben = client(&gateway, "ben").await;
    let back = come_back(&mut ben, 2, "ticker:old", &json!({ "offset": 50, "epoch": "other" })).await;
    assert_eq!(said(&back["publications"]), [(1, json!(1))], "{back}");
}
