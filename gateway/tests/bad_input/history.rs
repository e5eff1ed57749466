//! Questions about history, positions and presence that make no sense, or that only an attacker asks.

use serde_json::{Value, json};

use crate::redis::RedisServer;
use crate::room::Room;
use crate::ws::Socket;

const PERMISSION_DENIED: u64 = 103;
const BAD_REQUEST: u64 = 107;
const NOT_AVAILABLE: u64 = 108;
const UNRECOVERABLE: u64 = 112;

/// `kept` has history and presence for everybody, `closed` for nobody; other channels have none.
const KEPT: &str = "[channel.default]\nallow_subscribe_for_client = true\nallow_publish_for_client = true\n\
    [[channel.namespace]]\nname = \"kept\"\nallow_subscribe_for_client = true\nallow_publish_for_client = true\n\
    history_size = 10\nhistory_ttl = \"60s\"\nforce_recovery = true\nallow_history_for_client = true\n\
    presence = true\nallow_presence_for_client = true\n\
    [[channel.namespace]]\nname = \"closed\"\nallow_subscribe_for_client = true\n\
    history_size = 10\nhistory_ttl = \"60s\"\npresence = true\n";

fn on(redis: &RedisServer) -> String {
    format!("{KEPT}[broker]\nurl = \"{}\"\nheartbeat_interval = \"200ms\"\nnode_lease = \"2s\"\n", redis.url(0))
}

async fn ask(socket: &mut Socket, id: u64, what: &str, about: Value) -> Value {
    socket.text(json!({ "id": id, what: about }).to_string()).await;
    socket.reply(id).await
}

async fn say(room: &Room, channel: &str, data: u64) -> Value {
    let answer = room.gateway.api("publish", &json!({ "channel": channel, "data": data })).await;
    assert!(answer["error"].is_null(), "{answer}");
    answer["result"].clone()
}

#[tokio::test]
async fn history_that_makes_no_sense() {
    let room = Room::open(KEPT).await;
    let epoch = say(&room, "kept:x", 1).await["epoch"].clone();
    let mut guest = room.guest().await;
    for (id, about, code) in [
        (2, json!({ "channel": "kept:x", "limit": -2 }), BAD_REQUEST),
        (3, json!({ "channel": "kept:x", "limit": i32::MIN }), BAD_REQUEST),
        (4, json!({ "channel": "kept:x", "limit": 5, "since": { "offset": 1, "epoch": "other" } }), UNRECOVERABLE),
        (5, json!({ "channel": "kept:x", "limit": 5, "since": { "epoch": "e".repeat(60_000) } }), UNRECOVERABLE),
        (6, json!({ "channel": "plain", "limit": 5 }), NOT_AVAILABLE),
        (7, json!({ "channel": "closed:x", "limit": 5 }), PERMISSION_DENIED),
        (8, json!({ "channel": "two words", "limit": 5 }), BAD_REQUEST),
    ] {
        let reply = ask(&mut guest, id, "history", about.clone()).await;
        assert_eq!(reply["error"]["code"], code, "{about}: {reply}");
    }
    let huge = json!({ "channel": "kept:x", "limit": i32::MAX });
    let reply = ask(&mut guest, 20, "history", huge).await;
    assert_eq!(reply["history"]["publications"].as_array().map(Vec::len), Some(1), "{reply}");
    let beyond = json!({ "channel": "kept:x", "limit": 5, "since": { "offset": u64::MAX, "epoch": epoch } });
    for reverse in [false, true] {
        let mut about = beyond.clone();
        about["reverse"] = json!(reverse);
        let reply = ask(&mut guest, 21, "history", about).await;
        assert!(reply["error"].is_null(), "{reply}");
    }
    room.close().await;
}

#[tokio::test]
async fn history_beyond_the_numbers_of_the_protocol() {
    for about in [
        json!({ "channel": "kept:x", "limit": 4_294_967_296_u64 }),
        json!({ "channel": "kept:x", "since": { "offset": -1 } }),
    ] {
        let room = Room::open(KEPT).await;
        let mut guest = room.guest().await;
        guest.text(json!({ "id": 2, "history": about }).to_string()).await;
        guest.expect_close(3501).await;
        room.close().await;
    }
}

#[tokio::test]
async fn presence_that_is_off_or_closed() {
    let room = Room::open(KEPT).await;
    let mut guest = room.guest().await;
    for (id, what) in [(2, "presence"), (12, "presence_stats")] {
        for (n, (channel, code)) in
            [("plain", NOT_AVAILABLE), ("closed:x", PERMISSION_DENIED), ("", BAD_REQUEST)].into_iter().enumerate()
        {
            let reply = ask(&mut guest, id + n as u64, what, json!({ "channel": channel })).await;
            assert_eq!(reply["error"]["code"], code, "{what} {channel}: {reply}");
        }
    }
    room.close().await;
}

#[tokio::test]
async fn recovering_128_channels_at_once_with_forged_places() {
    let redis = RedisServer::start();
    let room = Room::open(&on(&redis)).await;
    for n in 0..128 {
        say(&room, &format!("kept:{n}"), n).await;
    }
    let mut guest = room.guest().await;
    let forged = ["x".repeat(64), String::new(), "e".repeat(300), "\u{202e}\n".into()];
    let commands: Vec<String> = (0..128_u64)
        .map(|n| {
            let epoch = &forged[usize::try_from(n).unwrap() % forged.len()];
            let offset = if n % 3 == 0 { u64::MAX } else { n };
            json!({ "id": n + 2, "subscribe": {
                "channel": format!("kept:{n}"), "recover": true, "offset": offset, "epoch": epoch } })
            .to_string()
        })
        .collect();
    guest.text(commands.join("\n")).await;
    for n in 0..128_u64 {
        let reply = guest.reply(n + 2).await;
        let result = &reply["subscribe"];
        assert_eq!(result["was_recovering"], json!(true), "{reply}");
        // Who names no epoch and no impossible place may have seen what it says.
        let honest = n % 4 == 1 && n == 1;
        assert_eq!(result["recovered"].as_bool().unwrap_or_default(), honest, "{n}: {reply}");
    }
    room.close().await;
}

#[tokio::test]
async fn an_epoch_of_a_mebibyte() {
    let room = Room::open(&format!("[client]\nmessage_size_limit = \"2MiB\"\nqueue_max_size = \"8MiB\"\n{KEPT}")).await;
    say(&room, "kept:x", 1).await;
    let mut guest = room.guest().await;
    let about = json!({ "channel": "kept:x", "recover": true, "offset": 1, "epoch": "e".repeat(1 << 20) });
    let reply = ask(&mut guest, 2, "subscribe", about).await;
    assert_eq!(reply["subscribe"]["was_recovering"], json!(true), "{reply}");
    assert!(reply["subscribe"]["recovered"].is_null() && reply.to_string().len() < 1000, "{reply}");
    room.close().await;
}

#[tokio::test]
async fn keys_of_another_kind_in_redis_cost_their_channel_only() {
    let redis = RedisServer::start();
    let mut room = Room::open(&on(&redis)).await;
    for (kind, channel) in [("meta", "kept:a"), ("stream", "kept:b")] {
        let _: () = redis.run(&["SET", &format!("fanfare:{kind}:{{{channel}}}"), "not ours"]).await;
        let answer = room.gateway.api("publish", &json!({ "channel": channel, "data": 1 })).await;
        assert_eq!(answer["error"]["code"], 100, "{kind}: {answer}");
    }
    let mut guest = room.guest().await;
    let reply = ask(&mut guest, 2, "subscribe", json!({ "channel": "kept:a" })).await;
    assert_eq!(reply["error"]["code"], 100, "{reply}");
    say(&room, "kept:c", 1).await;
    room.bystander_hears().await;
    room.close().await;
}

#[tokio::test]
async fn a_stream_that_vanishes_while_somebody_comes_back() {
    let redis = RedisServer::start();
    let room = Room::open(&on(&redis)).await;
    let first = say(&room, "kept:x", 1).await;
    say(&room, "kept:x", 2).await;
    let _: () = redis.run(&["DEL", "fanfare:stream:{kept:x}"]).await;
    let mut guest = room.guest().await;
    let about = json!({ "channel": "kept:x", "recover": true, "offset": 1, "epoch": first["epoch"] });
    let reply = ask(&mut guest, 2, "subscribe", about).await;
    let result = &reply["subscribe"];
    assert_eq!((&result["was_recovering"], &result["recovered"]), (&json!(true), &Value::Null), "{reply}");
    assert_eq!((&result["offset"], &result["epoch"]), (&json!(2), &first["epoch"]), "{reply}");
    // With its numbering, too: another epoch.
    let _: () = redis.run(&["DEL", "fanfare:meta:{kept:x}"]).await;
    let next = say(&room, "kept:x", 3).await;
    assert_eq!(next["offset"], json!(1), "{next}");
    assert_ne!(next["epoch"], first["epoch"]);
    let line = guest.expect_line().await;
    assert_eq!(line["push"]["unsubscribe"]["code"], 2500, "{line}");
    room.close().await;
}
