//! Names that clients invent.

use serde_json::json;

use crate::gateway::Gateway;
use crate::{OPEN, TOO_MANY, ask, client, limited, token};

fn named(channel: &str) -> serde_json::Value {
    json!({ "channel": channel })
}

#[tokio::test]
async fn names_that_nobody_here_listens_to() {
    let rules = "history_size = 10\nhistory_ttl = \"60s\"\nallow_history_for_client = true\n";
    let gateway = Gateway::start(&format!("{OPEN}{rules}[limit.connection]\nnew_channels = \"1/m burst 2\"\n")).await;
    let mut host = client(&gateway, "1").await;
    host.subscribe(2, "real").await;
    let mut guest = client(&gateway, "42").await;
    assert_eq!(ask(&mut guest, 2, "subscribe", named("real")).await, 0, "no new one");
    assert_eq!(ask(&mut guest, 3, "subscribe", named("invented-1")).await, 0);
    assert_eq!(ask(&mut guest, 4, "unsubscribe", named("invented-1")).await, 0);
    assert_eq!(ask(&mut guest, 5, "subscribe", named("invented-2")).await, 0);
    assert_eq!(ask(&mut guest, 6, "subscribe", named("invented-3")).await, TOO_MANY);
    assert_eq!(ask(&mut guest, 7, "publish", json!({ "channel": "invented-4", "data": 1 })).await, TOO_MANY);
    assert_eq!(ask(&mut guest, 8, "history", json!({ "channel": "invented-5", "limit": 1 })).await, TOO_MANY);
    assert_eq!(ask(&mut guest, 9, "publish", json!({ "channel": "real", "data": 1 })).await, 0);
    assert_eq!(ask(&mut guest, 10, "history", json!({ "channel": "real", "limit": 1 })).await, 0);
    let ticket = token::mint(&json!({ "sub": "42", "channel": "from-the-application" }));
    let asked = json!({ "channel": "from-the-application", "token": ticket });
    assert_eq!(ask(&mut guest, 11, "subscribe", asked).await, 0, "what the application names is not invented");
    assert!((limited(&gateway, "connection_new_channels").await - 3.0).abs() < 0.5);
}

#[tokio::test]
async fn a_node_that_has_channels_enough() {
    let gateway = Gateway::start(&format!("{OPEN}[limit]\nchannels = 2\n")).await;
    let mut guest = client(&gateway, "42").await;
    assert_eq!(ask(&mut guest, 2, "subscribe", named("a")).await, 0);
    assert_eq!(ask(&mut guest, 3, "subscribe", named("b")).await, 0);
    assert_eq!(ask(&mut guest, 4, "subscribe", named("c")).await, TOO_MANY);
    let mut other = client(&gateway, "43").await;
    assert_eq!(ask(&mut other, 2, "subscribe", named("a")).await, 0, "one that is there already");
    let ticket = token::mint(&json!({ "sub": "43", "channel": "d" }));
    assert_eq!(ask(&mut other, 3, "subscribe", json!({ "channel": "d", "token": ticket })).await, 0);
    let answer = gateway.api("subscribe", &json!({ "user": "43", "channel": "e" })).await;
    assert!(answer["error"].is_null(), "{answer}");
    assert!((limited(&gateway, "channels").await - 1.0).abs() < 0.5);
    assert_eq!(ask(&mut guest, 5, "unsubscribe", named("a")).await, 0);
    assert_eq!(ask(&mut guest, 6, "unsubscribe", named("b")).await, 0);
}
