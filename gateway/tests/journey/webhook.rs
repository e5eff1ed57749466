//! What the application is told of its clients, by real POSTs of one and of several nodes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::gateway::{DEADLINE, Gateway};
use crate::receiver::Receiver;
use crate::redis::RedisServer;
use crate::ws::Socket;
use crate::{client, open_to_all};

const QUICK: &str = "debounce = \"500ms\"";

/// Keys for tests that are about single connections.
const CONNECTIONS: &str = "debounce = \"500ms\"\nevents = [\"client_connected\", \"client_disconnected\", \
     \"client_subscribed\", \"client_unsubscribed\", \"channel_occupied\", \"channel_vacated\"]";

async fn on(gateway: &Gateway, user: &str, channel: &str) -> Socket {
    let mut socket = client(gateway, user).await;
    socket.subscribe(2, channel).await;
    socket
}

async fn leave(socket: &mut Socket, channel: &str) {
    socket.text(json!({ "id": 9, "unsubscribe": { "channel": channel } }).to_string()).await;
    assert_eq!(socket.reply(9).await["unsubscribe"], json!({}));
}

/// Those of the events that are about this channel.
fn about(events: &[String], channel: &str) -> Vec<String> {
    let words = |event: &String| event.split(' ').nth(1).unwrap_or_default().to_owned();
    events.iter().filter(|event| words(event) == channel).cloned().collect()
}

/// A config of gateways on this Redis that tell this receiver.
fn config(redis: &RedisServer, receiver: &Receiver, more: &str) -> String {
    open_to_all(&redis.url(0), &format!("[shutdown]\nready_delay = \"0s\"\ndrain = \"0s\"\n{}", receiver.config(more)))
}

#[tokio::test]
async fn each_transition_is_told_once_for_all_nodes() {
    let (redis, mut receiver) = (RedisServer::start(), Receiver::start().await);
    let config = config(&redis, &receiver, QUICK);
    let (a, b) = tokio::join!(Gateway::start(&config), Gateway::start(&config));
    let mut ann = on(&a, "ann", "news").await;
    let mut ben = on(&b, "ben", "news").await;
    // Who comes and goes before it is noted is not told at all.
    assert_eq!(receiver.until("channel_occupied", "news").await, ["channel_occupied news"]);
    leave(&mut ann, "news").await;
    let cleo = on(&a, "cleo", "news").await;
    leave(&mut ben, "news").await;
    drop(cleo);
    assert_eq!(receiver.until("channel_vacated", "news").await, ["channel_vacated news"]);
    assert_eq!(
        a.metric("fanfare_webhook_events_total", "").await + b.metric("fanfare_webhook_events_total", "").await,
        2.0
    );
}

#[tokio::test]
async fn who_comes_back_in_time_was_never_away() {
    let (redis, mut receiver) = (RedisServer::start(), Receiver::start().await);
    let config = config(&redis, &receiver, "debounce = \"3s\"");
    let (a, b) = tokio::join!(Gateway::start(&config), Gateway::start(&config));
    let mut ann = on(&a, "ann", "news").await;
    assert_eq!(receiver.until("channel_occupied", "news").await, ["channel_occupied news"]);
    for gateway in [&b, &a, &b, &a] {
        drop(ann);
        ann = on(gateway, "ann", "news").await;
    }
    drop(ann);
    assert_eq!(receiver.until("channel_vacated", "news").await, ["channel_vacated news"]);
}

#[tokio::test]
async fn a_member_is_a_user_on_however_many_connections() {
    let (redis, mut receiver) = (RedisServer::start(), Receiver::start().await);
    let config = format!(
        "{}\n[[channel.namespace]]\nname = \"room\"\npresence = true\nallow_subscribe_for_client = true\n",
        config(&redis, &receiver, QUICK)
    );
    let (a, b) = tokio::join!(Gateway::start(&config), Gateway::start(&config));
    let first = on(&a, "ann", "room:1").await;
    // Who comes and goes before it is noted is not told at all.
    assert_eq!(
        receiver.until("member_joined", "room:1").await,
        ["channel_occupied room:1", "member_joined room:1 ann"]
    );
    let second = on(&b, "ann", "room:1").await;
    let ben = on(&b, "ben", "room:1").await;
    drop((first, second));
    let told = receiver.until("member_left", "room:1").await;
    assert_eq!(told, ["member_joined room:1 ben", "member_left room:1 ann"]);
    drop(ben);
    let mut told = receiver.until("channel_vacated", "room:1").await;
    if told.len() == 1 {
        told.extend(receiver.until("member_left", "room:1").await);
    }
    told.sort();
    assert_eq!(told, ["channel_vacated room:1", "member_left room:1 ben"]);
    // Without presence there are no members.
    let cleo = on(&a, "cleo", "news").await;
    assert_eq!(receiver.until("channel_occupied", "news").await, ["channel_occupied news"]);
    drop(cleo);
    assert_eq!(receiver.until("channel_vacated", "news").await, ["channel_vacated news"]);
}

#[tokio::test]
async fn what_a_killed_node_had_is_told_after_its_lease() {
    let (redis, mut receiver) = (RedisServer::start(), Receiver::start().await);
    let config = config(&redis, &receiver, QUICK);
    let (a, mut b) = tokio::join!(Gateway::start(&config), Gateway::start(&config));
    let both = (on(&a, "ann", "both").await, on(&b, "ben", "both").await);
    let _gone = on(&b, "ben", "gone").await;
    let mut told = receiver.until("channel_occupied", "both").await;
    if !told.contains(&"channel_occupied gone".to_owned()) {
        told.extend(receiver.until("channel_occupied", "gone").await);
    }
    // It may have no time to note what it has delivered just now.
    receiver.skips_repeats = true;
    b.kill();
    assert_eq!(receiver.until("channel_vacated", "gone").await, ["channel_vacated gone"]);
    // The node that lives still has the other one.
    drop(both);
    assert_eq!(receiver.until("channel_vacated", "both").await, ["channel_vacated both"]);
}

#[tokio::test]
async fn a_receiver_that_was_away_gets_everything_in_order() {
    let (redis, mut receiver) = (RedisServer::start(), Receiver::start().await);
    let config = config(&redis, &receiver, CONNECTIONS);
    let gateway = Gateway::start(&config).await;
    let mut ann = on(&gateway, "ann", "news").await;
    receiver.until("client_subscribed", "news").await;
    receiver.stop();
    for _ in 0..20 {
        leave(&mut ann, "news").await;
        ann.subscribe(3, "news").await;
    }
    let away = async {
        while gateway.metric("fanfare_webhook_requests_total", "unreachable").await == 0.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, away).await.expect("the gateway tries");
    receiver.restart().await;
    let (mut names, mut numbers) = (Vec::new(), Vec::new());
    while names.len() < 40 {
        let event = receiver.event().await;
        if event["channel"] == "news" {
            names.push(event["name"].as_str().unwrap().to_owned());
            numbers.push(event["id"].as_str().unwrap().rsplit('.').next().unwrap().parse::<u64>().unwrap());
        }
    }
    let expected: Vec<&str> = ["client_unsubscribed", "client_subscribed"].into_iter().cycle().take(40).collect();
    assert_eq!(names, expected);
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    gateway.logs("the webhook takes events again").await;
}

#[tokio::test]
async fn a_batch_that_is_refused_comes_again_as_it_was() {
    let (redis, mut receiver) = (RedisServer::start(), Receiver::start().await);
    receiver.answers(&[500, 302, 404]);
    let gateway = Gateway::start(&config(&redis, &receiver, QUICK)).await;
    let _ann = on(&gateway, "ann", "news").await;
    let first = receiver.batch().await;
    for status in [302, 404, 200] {
        let again = receiver.batch().await;
        assert_eq!((again.status, &again.body), (status, &first.body));
    }
    assert_eq!(gateway.metric("fanfare_webhook_requests_total", "refused").await, 3.0);
}

#[tokio::test]
async fn a_redis_that_forgets_everything_is_told() {
    let (mut redis, mut receiver) = (RedisServer::start(), Receiver::start().await);
    let config = config(&redis, &receiver, QUICK);
    let (a, b) = tokio::join!(Gateway::start(&config), Gateway::start(&config));
    let _readers = (on(&a, "ann", "news").await, on(&b, "ben", "news").await);
    assert_eq!(receiver.until("channel_occupied", "news").await, ["channel_occupied news"]);
    redis.restart();
    // What they have is told again: nobody knows what was lost.
    let told = receiver.until("channel_occupied", "news").await;
    assert_eq!(about(&told, "news"), ["channel_occupied news"]);
    assert!(told.contains(&"events_lost".to_owned()), "{told:?}");
    let _cleo = on(&a, "cleo", "end").await;
    let told = receiver.until("channel_occupied", "end").await;
    assert_eq!(about(&told, "news"), [""; 0], "once, though both nodes have it");
}

#[tokio::test]
async fn a_node_that_is_alone_tells_the_rest_before_it_ends() {
    let mut receiver = Receiver::start().await;
    let more = format!("[shutdown]\nready_delay = \"0s\"\ndrain = \"0s\"\n{}", receiver.config(CONNECTIONS));
    let config = format!("[channel.default]\nallow_subscribe_for_client = true\n{more}");
    let mut gateway = Gateway::start(&config).await;
    let _ann = on(&gateway, "ann", "news").await;
    gateway.terminate();
    assert_eq!(gateway.exit_code().await, Some(0));
    let told = receiver.until("channel_vacated", "news").await;
    let expected = ["channel_occupied", "client_subscribed", "client_unsubscribed", "channel_vacated"];
    let names: Vec<String> =
        about(&told, "news").iter().map(|event| event.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn an_empty_cache_is_told_once_for_all_who_ask() {
    let (redis, mut receiver) = (RedisServer::start(), Receiver::start().await);
    let cache = "[[channel.namespace]]\nname = \"tick\"\nallow_subscribe_for_client = true\nhistory_size = 1\n\
                 history_ttl = \"60s\"\nforce_recovery = true\nforce_recovery_mode = \"cache\"\n";
    let events = "debounce = \"3s\"\nevents = [\"cache_empty\"]\nnamespaces = [\"tick\"]";
    let config = format!("{}\n{cache}", config(&redis, &receiver, events));
    let (a, b) = tokio::join!(Gateway::start(&config), Gateway::start(&config));
    let wants = json!({ "id": 2, "subscribe": { "channel": "tick:eur", "recover": true } }).to_string();
    let mut sockets = Vec::new();
    for gateway in [&a, &b, &a] {
        let mut socket = client(gateway, "ann").await;
        socket.text(wants.clone()).await;
        assert_eq!(socket.reply(2).await["error"], Value::Null);
        sockets.push(socket);
    }
    assert_eq!(receiver.until("cache_empty", "tick:eur").await, ["cache_empty tick:eur"]);
    a.api("publish", &json!({ "channel": "tick:eur", "data": 1 })).await;
    let mut late = client(&b, "ben").await;
    late.text(wants).await;
    assert_eq!(late.reply(2).await["subscribe"]["recovered"], json!(true));
    let mut other = client(&b, "ben").await;
    other.text(json!({ "id": 2, "subscribe": { "channel": "tick:usd", "recover": true } }).to_string()).await;
    assert_eq!(receiver.until("cache_empty", "tick:usd").await, ["cache_empty tick:usd"]);
}
