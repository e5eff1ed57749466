//! How often a connection and a user may ask.

use serde_json::json;

use crate::gateway::Gateway;
use crate::{GO_AWAY, OPEN, TOO_MANY, ask, client, limited};

#[tokio::test]
async fn publishes_of_a_connection() {
    let gateway = Gateway::start(&format!("{OPEN}[limit.connection]\npublishes = \"1/m burst 3\"\n")).await;
    let mut guest = client(&gateway, "42").await;
    for id in 2..5 {
        assert_eq!(ask(&mut guest, id, "publish", json!({ "channel": "a", "data": id })).await, 0);
    }
    guest.text(json!({ "id": 5, "publish": { "channel": "a", "data": 5 } }).to_string()).await;
    let refused = guest.reply(5).await;
    assert_eq!(refused["error"]["code"], TOO_MANY);
    assert_eq!(refused["error"]["temporary"], true, "stock clients try again: {refused}");
    assert_eq!(ask(&mut guest, 6, "subscribe", json!({ "channel": "a" })).await, 0, "other commands have their own");
    let mut second = client(&gateway, "42").await;
    assert_eq!(ask(&mut second, 2, "publish", json!({ "channel": "a", "data": 1 })).await, 0);
    assert!((limited(&gateway, "connection_publishes").await - 1.0).abs() < 0.5);
    assert!((gateway.metric("fanfare_errors_total", "code=\"111\"").await - 1.0).abs() < 0.5);
}

#[tokio::test]
async fn commands_of_any_kind_in_one_frame() {
    let gateway = Gateway::start(&format!("{OPEN}[limit.connection]\ncommands = \"1/m burst 5\"\n")).await;
    let mut guest = client(&gateway, "42").await;
    let frame: Vec<String> =
        (2..12).map(|id| json!({ "id": id, "unsubscribe": { "channel": "a" } }).to_string()).collect();
    guest.text(frame.join("\n")).await;
    let mut codes = Vec::new();
    for id in 2..12 {
        codes.push(guest.error(id).await);
    }
    assert_eq!(codes, [0, 0, 0, 0, 0, TOO_MANY, TOO_MANY, TOO_MANY, TOO_MANY, TOO_MANY]);
}

#[tokio::test]
async fn who_goes_on_regardless_is_disconnected_and_may_come_back() {
    let rates = "[limit.connection]\nsubscribes = \"1/m burst 1\"\nrefusals = \"1/m burst 2\"\n";
    let gateway = Gateway::start(&format!("{OPEN}{rates}")).await;
    let mut guest = client(&gateway, "42").await;
    assert_eq!(ask(&mut guest, 2, "subscribe", json!({ "channel": "a" })).await, 0);
    for id in 3..5 {
        assert_eq!(ask(&mut guest, id, "subscribe", json!({ "channel": "b" })).await, TOO_MANY);
    }
    guest.text(json!({ "id": 5, "subscribe": { "channel": "b" } }).to_string()).await;
    guest.expect_close(GO_AWAY).await;
    assert!((limited(&gateway, "refusals").await - 1.0).abs() < 0.5);
    client(&gateway, "42").await;
}

#[tokio::test]
async fn a_user_on_several_connections() {
    let gateway = Gateway::start(&format!("{OPEN}[limit.user]\npublishes = \"1/m burst 3\"\n")).await;
    let publish = || json!({ "channel": "a", "data": 1 });
    let (mut one, mut two) = (client(&gateway, "42").await, client(&gateway, "42").await);
    assert_eq!(ask(&mut one, 2, "publish", publish()).await, 0);
    assert_eq!(ask(&mut two, 2, "publish", publish()).await, 0);
    assert_eq!(ask(&mut one, 3, "publish", publish()).await, 0);
    assert_eq!(ask(&mut two, 3, "publish", publish()).await, TOO_MANY);
    drop((one, two));
    let mut again = client(&gateway, "42").await;
    assert_eq!(ask(&mut again, 2, "publish", publish()).await, TOO_MANY, "coming back fills no bucket");
    let mut other = client(&gateway, "43").await;
    assert_eq!(ask(&mut other, 2, "publish", publish()).await, 0);
    assert!((limited(&gateway, "user_publishes").await - 2.0).abs() < 0.5);
}

#[tokio::test]
async fn pongs_are_owed_and_not_counted() {
    let config =
        "[client]\nping_interval = \"2s\"\npong_timeout = \"1500ms\"\n[limit.connection]\ncommands = \"1/h\"\n";
    let gateway = Gateway::start(&format!("{OPEN}{config}")).await;
    let mut guest = client(&gateway, "42").await;
    for _ in 0..3 {
        guest.next_ping().await;
        guest.text("{}").await;
    }
    assert_eq!(ask(&mut guest, 2, "subscribe", json!({ "channel": "a" })).await, 0, "the one that there is");
}
