//! What expires, and goes on if the application says so.

use std::time::Duration;

use serde_json::{Value, json};

use crate::backend::{Backend, Seen};
use crate::gateway::DEADLINE;
use crate::{connect, gateway, token};

const LIFE: &str = "include_connection_meta = true\n[[channel.namespace]]\nname = \"chat\"\nsubscribe_hook = true\nsub_refresh_hook = true\n";

fn soon() -> u64 {
    token::now() + 2
}

async fn asked(backend: &Backend, kind: &str) -> Seen {
    let looked = async {
        loop {
            if let Some(seen) = backend.seen().await.into_iter().find(|seen| seen.kind == kind) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(DEADLINE, looked).await.unwrap_or_else(|_| panic!("{kind} is not asked"))
}

async fn life(backend: &Backend) -> crate::Gateway {
    crate::Gateway::start(&format!(
        "[hook]\nconnect = \"app\"\nrefresh = \"app\"\nsubscribe = \"app\"\nsub_refresh = \"app\"\n[hook.app]\nurl = \"{}\"\n{LIFE}",
        backend.http()
    ))
    .await
}

#[tokio::test]
async fn a_connection_goes_on_as_long_as_the_application_says() {
    let backend = Backend::start();
    let gateway = life(&backend).await;
    let plan = |result: Value| json!({ "answer": { "result": result } });
    backend.plan("refresh", plan(json!({ "expire_at": soon() + 2, "meta": { "seen": 2 } }))).await;
    let result = json!({ "user": "42", "expire_at": soon(), "meta": { "seen": 1 } });
    let (mut socket, reply) = connect(&gateway, json!({ "plan": plan(result) })).await;
    assert!(reply["connect"].get("expires").is_none(), "the client has nothing to do: {reply}");
    let first = asked(&backend, "refresh").await;
    assert_eq!((&first.body["user"], &first.body["meta"]), (&json!("42"), &json!({ "seen": 1 })));
    backend.plan("refresh", plan(json!({ "expired": true }))).await;
    let second = asked(&backend, "refresh").await;
    assert_eq!(second.body["meta"], json!({ "seen": 2 }), "what the application changed");
    socket.expect_close(3005).await;
}

#[tokio::test]
async fn what_an_application_no_longer_grants_ends() {
    let backend = Backend::start();
    let gateway = life(&backend).await;
    let plan = |result: Value| json!({ "answer": { "result": result } });
    let caps = |channel: &str| json!([{ "channels": [channel], "allow": ["sub"] }]);
    let (mut socket, _) = connect(&gateway, json!({ "plan": plan(json!({ "user": "42", "caps": caps("a") })) })).await;
    socket.text(r#"{"id":2,"subscribe":{"channel":"a"}}"#).await;
    assert!(socket.reply(2).await["subscribe"].is_object());
    // Not a word of them leaves them as they are.
    backend.plan("refresh", plan(json!({ "expire_at": soon() + 3600 }))).await;
    socket.text(r#"{"id":3,"refresh":{"token":""}}"#).await;
    assert!(socket.reply(3).await["refresh"].is_object());
    socket.text(r#"{"id":4,"subscribe":{"channel":"b"}}"#).await;
    assert_eq!(socket.reply(4).await["error"]["code"], 103);
    backend.plan("refresh", plan(json!({ "expire_at": soon() + 3600, "caps": caps("b") }))).await;
    socket.text(r#"{"id":5,"refresh":{"token":""}}"#).await;
    let push = socket.expect_line().await["push"].clone();
    assert_eq!((&push["channel"], &push["unsubscribe"]["code"]), (&json!("a"), &json!(2000)));
    assert!(socket.reply(5).await["refresh"].is_object());
    socket.text(r#"{"id":6,"subscribe":{"channel":"b"}}"#).await;
    assert!(socket.reply(6).await["subscribe"].is_object());
    // None at all are an entry that allows nothing.
    backend
        .plan("refresh", plan(json!({ "expire_at": soon() + 3600, "caps": [{ "channels": [], "allow": [] }] })))
        .await;
    socket.text(r#"{"id":7,"refresh":{"token":""}}"#).await;
    let push = socket.expect_line().await["push"].clone();
    assert_eq!((&push["channel"], &push["unsubscribe"]["code"]), (&json!("b"), &json!(2000)));
}

#[tokio::test]
async fn a_server_side_subscription_is_asked_about_when_it_expires() {
    let backend = Backend::start();
    let gateway = life(&backend).await;
    backend.plan("sub_refresh", json!({ "answer": { "result": { "expire_at": soon() + 3600 } } })).await;
    let subs = json!({ "chat:own": { "expire_at": soon() } });
    let result = json!({ "user": "42", "subs": subs });
    let (mut socket, reply) = connect(&gateway, json!({ "plan": { "answer": { "result": result } } })).await;
    assert!(reply["connect"]["subs"]["chat:own"].get("expires").is_none(), "the client has nothing to do: {reply}");
    assert_eq!(asked(&backend, "sub_refresh").await.body["channel"], "chat:own");
    // The same for one that the backend makes later.
    let order = json!({ "user": "42", "channel": "chat:later", "expire_at": soon() });
    assert!(gateway.api("subscribe", &order).await["result"].is_object());
    assert_eq!(socket.expect_line().await["push"]["channel"], "chat:later");
    assert_eq!(asked(&backend, "sub_refresh").await.body["channel"], "chat:later");
}

#[tokio::test]
async fn a_backend_that_is_down_costs_nobody_the_connection() {
    let backend = Backend::start();
    let gateway = life(&backend).await;
    backend.plan("refresh", json!({ "status": 503 })).await;
    let result = json!({ "user": "42", "expire_at": soon() });
    let (mut socket, _) = connect(&gateway, json!({ "plan": { "answer": { "result": result } } })).await;
    asked(&backend, "refresh").await;
    // It is still there, and by its own wish it can go on at once.
    socket.text(r#"{"id":2,"refresh":{"token":""}}"#).await;
    assert_eq!(socket.reply(2).await["error"]["code"], 100);
    backend.plan("refresh", json!({ "answer": { "result": { "expire_at": soon() + 3600 } } })).await;
    socket.text(r#"{"id":3,"refresh":{"token":""}}"#).await;
    assert!(socket.reply(3).await["refresh"].is_object());
    backend.plan("refresh", json!({ "answer": { "disconnect": { "code": 4600, "reason": "gone" } } })).await;
    socket.text(r#"{"id":4,"refresh":{"token":""}}"#).await;
    socket.expect_close(4600).await;
}

#[tokio::test]
async fn a_subscription_goes_on_as_long_as_the_application_says() {
    let backend = Backend::start();
    let gateway = life(&backend).await;
    let mut socket = crate::client(&gateway, &backend, "42").await;
    backend.plan("subscribe", json!({ "answer": { "result": { "expire_at": soon() } } })).await;
    backend.plan("sub_refresh", json!({ "answer": { "result": { "expire_at": soon() + 2 } } })).await;
    socket.text(r#"{"id":2,"subscribe":{"channel":"chat:a"}}"#).await;
    let reply = socket.reply(2).await;
    assert!(reply["subscribe"].get("expires").is_none(), "the client has nothing to do: {reply}");
    assert_eq!(asked(&backend, "sub_refresh").await.body["channel"], "chat:a");
    backend.plan("sub_refresh", json!({})).await;
    let push = socket.expect_line().await["push"].clone();
    assert_eq!((&push["channel"], &push["unsubscribe"]["code"]), (&json!("chat:a"), &json!(2501)));
    // The connection has lost nothing else.
    socket.text(r#"{"id":3,"unsubscribe":{"channel":"chat:a"}}"#).await;
    assert!(socket.reply(3).await["unsubscribe"].is_object());
}

#[tokio::test]
async fn meta_of_a_token_is_for_hooks_that_want_it() {
    let backend = Backend::start();
    let claims = json!({ "sub": "7", "meta": { "plan": "gold" } });
    for (key, expected) in [("include_connection_meta = true\n", json!({ "plan": "gold" })), ("", Value::Null)] {
        let gateway = gateway(&backend.http(), key).await;
        let mut socket = crate::Socket::open(gateway.listen).await;
        socket.connect(&json!({ "token": token::mint(&claims) })).await;
        crate::rpc(&mut socket, 2, Value::Null).await;
        assert_eq!(backend.asked().await.body["meta"], expected);
    }
}
