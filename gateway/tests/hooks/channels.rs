//! Channels and calls: subscribe, publish, rpc.

use serde_json::{Value, json};

use crate::backend::Backend;
use crate::ws::Socket;
use crate::{client, gateway, rpc, token};

const CHANNELS: &str = "[[channel.namespace]]\nname = \"chat\"\nsubscribe_hook = true\npublish_hook = \"app\"\n\
    allow_user_limited_channels = true\nhistory_size = 10\nhistory_ttl = \"1m\"\nallow_history_for_subscriber = true\n";

async fn subscribe(socket: &mut Socket, id: u64, channel: &str, data: Value) -> Value {
    socket.text(json!({ "id": id, "subscribe": { "channel": channel, "data": data } }).to_string()).await;
    socket.reply(id).await
}

async fn publish(socket: &mut Socket, id: u64, data: Value) -> Value {
    socket.text(json!({ "id": id, "publish": { "channel": "chat:a", "data": data } }).to_string()).await;
    socket.reply(id).await
}

#[tokio::test]
async fn the_application_says_who_may_have_a_channel() {
    let backend = Backend::start();
    let gateway = gateway(&backend.http(), CHANNELS).await;
    let mut socket = client(&gateway, &backend, "42").await;
    let yes = json!({ "plan": { "answer": { "result": { "data": { "topic": "x" } } } } });
    let reply = subscribe(&mut socket, 2, "chat:a", yes.clone()).await;
    assert_eq!(reply["subscribe"]["data"], json!({ "topic": "x" }));
    let asked = backend.asked().await;
    assert_eq!(
        (asked.kind.as_str(), &asked.body["user"], &asked.body["channel"]),
        ("subscribe", &json!("42"), &json!("chat:a"))
    );
    assert_eq!(asked.body["data"], yes);
    let no = json!({ "plan": { "answer": { "error": { "code": 403, "message": "members only" } } } });
    let reply = subscribe(&mut socket, 3, "chat:b", no).await;
    assert_eq!(reply["error"], json!({ "code": 403, "message": "members only" }));
    assert_eq!(subscribe(&mut socket, 4, "chat:b", json!({ "plan": { "status": 500 } })).await["error"]["code"], 100);
    // An empty answer is a yes.
    assert!(subscribe(&mut socket, 5, "chat:b", Value::Null).await["subscribe"].is_object());
}

#[tokio::test]
async fn the_application_puts_options_of_the_channel_aside_for_one_subscription() {
    let backend = Backend::start();
    let rules = format!("{CHANNELS}presence = true\nallow_presence_for_subscriber = true\n");
    for url in [backend.http(), backend.grpc()] {
        let gateway = gateway(&url, &rules).await;
        let mut socket = client(&gateway, &backend, "42").await;
        let unseen = json!({ "presence": { "value": false }, "force_recovery": { "value": true } });
        let result = json!({ "plan": { "answer": { "result": { "override": unseen } } } });
        let reply = subscribe(&mut socket, 2, "chat:a", result).await;
        assert_eq!(reply["subscribe"]["recoverable"], true, "{reply}");
        let reply = subscribe(&mut socket, 3, "chat:b", Value::Null).await;
        assert!(reply["subscribe"].get("recoverable").is_none(), "the others have the rules: {reply}");
        for (id, channel, there) in [(4, "chat:a", 0), (5, "chat:b", 1)] {
            socket.text(json!({ "id": id, "presence_stats": { "channel": channel } }).to_string()).await;
            assert_eq!(socket.reply(id).await["presence_stats"]["num_clients"], there, "{channel}");
        }
    }
}

#[tokio::test]
async fn what_names_and_tokens_decide_the_application_is_not_asked() {
    let backend = Backend::start();
    let gateway = gateway(&backend.http(), CHANNELS).await;
    let mut socket = client(&gateway, &backend, "42").await;
    assert_eq!(subscribe(&mut socket, 2, "$chat:a", Value::Null).await["error"]["code"], 103, "private");
    assert!(subscribe(&mut socket, 3, "chat:a#42,43", Value::Null).await["subscribe"].is_object(), "listed");
    assert_eq!(subscribe(&mut socket, 4, "chat:a#43", Value::Null).await["error"]["code"], 103, "not listed");
    let token = token::mint(&json!({ "sub": "42", "channel": "chat:t" }));
    socket.text(json!({ "id": 5, "subscribe": { "channel": "chat:t", "token": token } }).to_string()).await;
    assert!(socket.reply(5).await["subscribe"].is_object());
    assert_eq!(subscribe(&mut socket, 6, "elsewhere", Value::Null).await["error"]["code"], 103, "no hook there");
    assert!(backend.seen().await.is_empty());
}

#[tokio::test]
async fn the_application_says_what_becomes_of_a_publication() {
    let backend = Backend::start();
    let gateway = gateway(&backend.http(), CHANNELS).await;
    let mut socket = client(&gateway, &backend, "42").await;
    subscribe(&mut socket, 2, "chat:a", Value::Null).await;
    backend.seen().await;
    // No rule lets clients publish here: the hook alone decides.
    let other = json!({ "data": { "clean": true }, "tags": { "lang": "en" } });
    let said = json!({ "plan": { "answer": { "result": other } } });
    assert!(publish(&mut socket, 3, said.clone()).await.get("error").is_none());
    let asked = backend.asked().await;
    assert_eq!((asked.kind.as_str(), &asked.body["data"]), ("publish", &said));
    socket.text(r#"{"id":4,"history":{"channel":"chat:a","limit":-1}}"#).await;
    let history = socket.reply(4).await["history"]["publications"].clone();
    assert_eq!((&history[0]["data"], &history[0]["tags"]), (&json!({ "clean": true }), &json!({ "lang": "en" })));
    let passing = json!({ "plan": { "answer": { "result": { "skip_history": true } } } });
    assert!(publish(&mut socket, 5, passing).await.get("error").is_none());
    socket.text(r#"{"id":6,"history":{"channel":"chat:a","limit":-1}}"#).await;
    assert_eq!(socket.reply(6).await["history"]["publications"].as_array().unwrap().len(), 1);
    let once = json!({ "plan": { "answer": { "result": { "idempotency_key": "k" } } } });
    publish(&mut socket, 7, once.clone()).await;
    publish(&mut socket, 8, once).await;
    socket.text(r#"{"id":9,"history":{"channel":"chat:a","limit":-1}}"#).await;
    assert_eq!(socket.reply(9).await["history"]["publications"].as_array().unwrap().len(), 2);
    let no = json!({ "plan": { "answer": { "error": { "code": 400, "message": "mind your tongue" } } } });
    assert_eq!(publish(&mut socket, 10, no).await["error"]["code"], 400);
    let out = json!({ "plan": { "answer": { "disconnect": { "code": 4000, "reason": "out" } } } });
    socket.text(json!({ "id": 11, "publish": { "channel": "chat:a", "data": out } }).to_string()).await;
    socket.expect_close(4000).await;
}

#[tokio::test]
async fn the_application_answers_calls() {
    let backend = Backend::start();
    let gateway = gateway(&backend.http(), "").await;
    let mut socket = client(&gateway, &backend, "42").await;
    let plan = json!({ "plan": { "answer": { "result": { "data": { "year": 2026 } } } } });
    assert_eq!(rpc(&mut socket, 2, plan.clone()).await["rpc"]["data"], json!({ "year": 2026 }));
    let asked = backend.asked().await;
    assert_eq!((asked.kind.as_str(), &asked.body["method"], &asked.body["data"]), ("rpc", &json!("do"), &plan));
    assert_eq!(asked.header("fanfare-hook"), ["rpc"]);
    assert!(rpc(&mut socket, 3, Value::Null).await["rpc"].is_object(), "an empty answer is one");
}

#[tokio::test]
async fn without_a_hook_there_are_no_calls() {
    let gateway = crate::Gateway::start("[client]\nallow_anonymous = true\n").await;
    let mut socket = Socket::open(gateway.listen).await;
    socket.connect(&json!({})).await;
    assert_eq!(rpc(&mut socket, 2, Value::Null).await["error"]["code"], 108);
}
