//! A hook that hangs delays whoever waits for it, and nobody else: not other connections, not what comes to the one
//! that waits, not its pings.

use std::time::Duration;

use serde_json::json;

use crate::backend::Backend;
use crate::gateway::{DEADLINE, Gateway};
use crate::ws::Socket;
use crate::{client, gateway};

const RULES: &str = "timeout = \"20s\"\n[channel.default]\nallow_subscribe_for_client = true\n\
    [client]\nping_interval = \"3s\"\npong_timeout = \"2500ms\"\n";

async fn publish(gateway: &Gateway, data: u64) {
    let answer = gateway.api("publish", &json!({ "channel": "news", "data": data })).await;
    assert!(answer.get("error").is_none(), "{answer}");
}

/// The next publication, which must come long before the hook gives up.
async fn heard(socket: &mut Socket, data: u64) {
    let heard = tokio::time::timeout(Duration::from_secs(3), socket.publication()).await;
    assert_eq!(heard.expect("a publication that no hook delays"), ("news".to_owned(), json!(data)));
}

#[tokio::test]
async fn publications_come_while_the_application_is_silent() {
    let backend = Backend::start();
    let gateway = gateway(&backend.http(), RULES).await;
    let mut waiting = client(&gateway, &backend, "waiting").await;
    let mut other = client(&gateway, &backend, "other").await;
    waiting.subscribe(2, "news").await;
    other.subscribe(2, "news").await;
    let silence = json!({ "plan": { "sleep": 5 } });
    waiting.text(json!({ "id": 3, "rpc": { "method": "m", "data": silence } }).to_string()).await;
    for data in 0..20 {
        publish(&gateway, data).await;
        heard(&mut other, data).await;
        heard(&mut waiting, data).await;
    }
    // The others' commands are answered meanwhile, and asked by other hooks' calls.
    other.text(r#"{"id":3,"rpc":{"method":"m"}}"#).await;
    assert!(other.reply(3).await["rpc"].is_object());
    assert!(waiting.reply(3).await["rpc"].is_object(), "an answer that is late is an answer");
    assert_eq!(backend.seen().await.len(), 2);
}

#[tokio::test]
async fn pings_come_while_the_application_is_silent_and_pongs_are_not_missed() {
    let backend = Backend::start();
    let gateway = gateway(&backend.http(), RULES).await;
    let mut socket = client(&gateway, &backend, "1").await;
    let silence = json!({ "plan": { "sleep": 5 } });
    socket.text(json!({ "id": 2, "rpc": { "method": "m", "data": silence } }).to_string()).await;
    let pinged = tokio::time::timeout(Duration::from_millis(4_500), socket.next_ping()).await;
    assert!(pinged.is_ok(), "a ping within its interval");
    socket.text("{}").await;
    assert!(socket.reply(2).await["rpc"].is_object());
    // Longer than the pong may take: it has been taken note of.
    let after = tokio::time::timeout(DEADLINE, socket.next_ping()).await;
    assert!(after.is_ok());
    socket.text("{}").await;
    crate::rpc(&mut socket, 3, json!({})).await;
}

#[tokio::test]
async fn who_leaves_does_not_wait_and_a_full_hook_says_so() {
    let backend = Backend::start();
    let gateway = gateway(&backend.http(), "timeout = \"10s\"\nconcurrency_max = 1\n").await;
    let mut sockets = Vec::new();
    for user in ["1", "2", "3"] {
        sockets.push(client(&gateway, &backend, user).await);
    }
    let hold = json!({ "id": 2, "rpc": { "method": "m", "data": { "plan": { "sleep": 4 } } } }).to_string();
    sockets[0].text(hold.clone()).await;
    until_asked(&backend).await;
    sockets[1].text(hold).await;
    let waits = async {
        while gateway.metric("fanfare_hook_waiting", "").await < 0.5 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waits).await.unwrap();
    assert_eq!(crate::rpc(&mut sockets[2], 2, json!({})).await["error"]["code"], 100);
    assert!(gateway.metric("fanfare_hook_calls_total", "outcome=\"full\"").await > 0.5);
    // The first leaves: the second gets its place, and the line is empty again.
    drop(sockets.remove(0));
    assert!(sockets[0].reply(2).await["rpc"].is_object());
    assert!(gateway.metric("fanfare_hook_waiting", "").await < 0.5);
}

/// Until the backend has been asked something.
async fn until_asked(backend: &Backend) {
    let looked = async {
        while backend.seen().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, looked).await.unwrap();
}
