//! Channel names and numbers of channels.

use serde_json::json;

use crate::gateway::Gateway;
use crate::room::{INSECURE, Room};
use crate::token;
use crate::ws::Socket;

/// Users whose ids are part of the grammar of channel names: they connect, and whatever their own
/// channel would be called is not made, because the name would mean somebody else or nothing.
#[tokio::test]
async fn ids_that_make_no_personal_channel() {
    let rules = "[client.subscribe_to_user_personal_channel]\nenabled = true\n";
    let own = "namespace = \"own\"\n[[channel.namespace]]\nname = \"own\"\n";
    let [plain, spaced] = [Gateway::start(rules).await, Gateway::start(&format!("{rules}{own}")).await];
    for (gateway, user, channel) in [
        (&plain, "42", Some("#42")),
        (&plain, "google:12345", None),
        (&plain, ":", None),
        (&plain, "1,2", None),
        (&plain, "1#2", None),
        (&plain, "a b", None),
        (&spaced, "42", Some("own:#42")),
        (&spaced, "google:12345", Some("own:#google:12345")),
        (&spaced, "1,2", None),
        (&spaced, "1#2", None),
    ] {
        let mut socket = Socket::open(gateway.listen).await;
        let hello = socket.connect(&json!({ "token": token::mint(&json!({ "sub": user })) })).await;
        assert!(hello["error"].is_null(), "{user:?}: {hello}");
        let subs = &hello["connect"]["subs"];
        let names: Vec<_> = subs.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, channel.into_iter().collect::<Vec<_>>(), "{user:?}: {hello}");
    }
}

#[tokio::test]
async fn names_that_are_refused() {
    let room = Room::open(INSECURE).await;
    let mut guest = room.guest().await;
    let too_long = "x".repeat(256);
    let names = ["", &too_long, "a\tb", "a\nb", "nul\0", "\u{7f}", "wild*card", "a&b", "a b", "\u{e9}", "\u{202e}"];
    for (id, name) in (2..).zip(names) {
        guest.text(json!({ "id": id, "subscribe": { "channel": name } }).to_string()).await;
        assert_eq!(guest.error(id).await, 107, "subscribe {name:?}");
        guest.text(json!({ "id": id, "publish": { "channel": name, "data": 1 } }).to_string()).await;
        assert_eq!(guest.error(id).await, 107, "publish {name:?}");
        let answer = room.gateway.api("publish", &json!({ "channel": name, "data": 1 })).await;
        assert_eq!(answer["error"]["code"], 107, "API {name:?}");
    }
    room.close().await;
}

#[tokio::test]
async fn names_that_are_allowed() {
    let room = Room::open(INSECURE).await;
    let mut guest = room.guest().await;
    let longest = "x".repeat(255);
    // The latter ones look like what the gateway itself uses in Redis.
    let names = [&longest, "{}", "{", "}{", "%7B", "a/b", "a|b", "\"", "\\", "fanfare", "fanfare.control", "control"];
    for (id, name) in (2..).zip(names) {
        guest.subscribe(id, name).await;
        room.gateway.api("publish", &json!({ "channel": name, "data": id })).await;
        assert_eq!(guest.publication().await, (name.to_owned(), json!(id)));
    }
    room.close().await;
}

#[tokio::test]
async fn our_own_prefixes_are_unknown_namespaces() {
    let room = Room::open(INSECURE).await;
    let mut guest = room.guest().await;
    let names = ["fanfare:0:control", "fanfare:0:ch:{lobby}", "fanfare:0:probe:x", "fanfare:nodes", ":", ":lobby"];
    for (id, name) in (2..).zip(names) {
        guest.text(json!({ "id": id, "subscribe": { "channel": name } }).to_string()).await;
        assert_eq!(guest.error(id).await, 102, "{name}");
    }
    room.close().await;
}

#[tokio::test]
async fn channel_129() {
    let room = Room::open(INSECURE).await;
    let mut guest = room.guest().await;
    for id in 1..=128_u64 {
        guest.subscribe(id + 1, &format!("channel-{id}")).await;
    }
    guest.text(r#"{"id":500,"subscribe":{"channel":"channel-129"}}"#).await;
    assert_eq!(guest.error(500).await, 106);
    // One less makes room.
    guest.text(r#"{"id":501,"unsubscribe":{"channel":"channel-1"}}"#).await;
    assert_eq!(guest.error(501).await, 0);
    guest.subscribe(502, "channel-129").await;
    room.close().await;
}
