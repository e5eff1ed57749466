//! What expires, and goes on if the application says so.

use std::time::Duration;

use serde_json::{Value, json};

use crate::backend::{Backend, Seen};
use crate::gateway::DEADLINE;
use crate::{connect, gateway, token};

const LIFE: &str = "timeout = \"10s\"\ninclude_connection_meta = true\n[[channel.namespace]]\nname = \"chat\"\nsubscribe_hook = true\nsub_refresh_hook = true\n";

fn soon() -> u64 {
    token::now() + 4
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
    let caps = |channels: &[&str]| json!([{ "channels": channels, "allow": ["sub"] }]);
    let result = json!({ "user": "42", "caps": caps(&["a", "also"]) });
    let (mut socket, _) = connect(&gateway, json!({ "plan": plan(result) })).await;
    socket.text(r#"{"id":2,"subscribe":{"channel":"a"}}"#).await;
    assert!(socket.reply(2).await["subscribe"].is_object());
    // Not a word of them leaves them as they are.
    backend.plan("refresh", plan(json!({ "expire_at": soon() + 3600 }))).await;
    socket.text(r#"{"id":3,"refresh":{"token":""}}"#).await;
    assert!(socket.reply(3).await["refresh"].is_object());
    socket.text(r#"{"id":4,"subscribe":{"channel":"also"}}"#).await;
    assert!(socket.reply(4).await["subscribe"].is_object());
    backend.plan("refresh", plan(json!({ "expire_at": soon() + 3600, "caps": caps(&["also", "b"]) }))).await;
    socket.text(r#"{"id":5,"refresh":{"token":""}}"#).await;
    let push = socket.expect_line().await["push"].clone();
    assert_eq!((&push["channel"], &push["unsubscribe"]["code"]), (&json!("a"), &json!(2000)));
    assert!(socket.reply(5).await["refresh"].is_object());
    socket.text(r#"{"id":6,"subscribe":{"channel":"b"}}"#).await;
    assert!(socket.reply(6).await["subscribe"].is_object());
    // None at all: an entry for every channel that allows nothing. This time the backend has the gateway ask.
    let none = json!([{ "channels": ["*"], "match": "wildcard", "allow": [] }]);
    backend.plan("refresh", plan(json!({ "expire_at": soon() + 3600, "caps": none }))).await;
    let now = json!({ "user": "42", "expire_at": token::now() });
    assert!(gateway.api("refresh", &now).await["result"].is_object());
    assert!(socket.expect_line().await["push"]["refresh"].is_object());
    for channel in ["also", "b"] {
        let push = socket.expect_line().await["push"].clone();
        assert_eq!((&push["channel"], &push["unsubscribe"]["code"]), (&json!(channel), &json!(2000)));
    }
}

#[tokio::test]
async fn many_subscriptions_that_expire_at_once_cost_nobody_the_connection() {
    const MANY: usize = 300;
    let backend = Backend::start();
    let more = "concurrency_max = 1000\n[client]\nchannel_limit = 1000\n[channel.default]\nsub_refresh_hook = true\n";
    let gateway = gateway(&backend.http(), more).await;
    let at = soon();
    let yes = json!({ "result": { "expire_at": at + 3600 } });
    backend.plan("sub_refresh", json!({ "sleep": 0.5, "answer": yes })).await;
    let subs: serde_json::Map<_, _> = (0..MANY).map(|n| (format!("c{n}"), json!({ "expire_at": at }))).collect();
    let result = json!({ "user": "42", "subs": subs });
    let (mut socket, reply) = connect(&gateway, json!({ "plan": { "answer": { "result": result } } })).await;
    assert!(reply["connect"].is_object(), "{reply}");
    asked(&backend, "sub_refresh").await;
    // Their answers come while the connection waits for another one, and pile up.
    let silence = json!({ "plan": { "sleep": 5 } });
    socket.text(json!({ "id": 2, "rpc": { "method": "m", "data": silence } }).to_string()).await;
    assert!(socket.reply(2).await["rpc"].is_object(), "it is still there");
    let label = "kind=\"sub_refresh\",outcome=\"ok\"";
    gateway.counts("fanfare_hook_calls_total", label, MANY as f64).await;
    assert!(crate::rpc(&mut socket, 3, Value::Null).await["rpc"].is_object());
}

#[tokio::test]
async fn an_answer_that_comes_late_is_not_taken_for_the_next() {
    let backend = Backend::start();
    let gateway = life(&backend).await;
    let yes = json!({ "result": { "expire_at": token::now() + 3600 } });
    backend.plan("refresh", json!({ "sleep": 6, "answer": yes })).await;
    let result = json!({ "user": "42", "expire_at": soon() });
    let (mut socket, _) = connect(&gateway, json!({ "plan": { "answer": { "result": result } } })).await;
    asked(&backend, "refresh").await;
    backend.plan("refresh", json!({ "sleep": 5, "answer": { "result": { "expired": true } } })).await;
    // It goes on by a token meanwhile, which ends before the answer comes: another question.
    let token = token::mint(&json!({ "sub": "42", "exp": token::now() + 2 }));
    socket.text(json!({ "id": 2, "refresh": { "token": token } }).to_string()).await;
    assert!(socket.reply(2).await["refresh"].is_object());
    asked(&backend, "refresh").await;
    socket.expect_close(3005).await;
}

#[tokio::test]
async fn a_server_side_subscription_that_has_expired_ends_the_connection() {
    let backend = Backend::start();
    let gateway = crate::Gateway::start(&format!(
        "[client]\nexpired_sub_close_delay = \"0s\"\n[hook]\nconnect = \"app\"\nsub_refresh = \"app\"\n\
         [hook.app]\nurl = \"{}\"\n[[channel.namespace]]\nname = \"chat\"\nsub_refresh_hook = true\n",
        backend.http()
    ))
    .await;
    // Where the application is asked, it says so; where nobody is, stock clients do not prolong it.
    backend.plan("sub_refresh", json!({ "answer": { "result": { "expired": true } } })).await;
    for channel in ["chat:own", "own"] {
        let result = json!({ "user": "42", "subs": { channel: { "expire_at": soon() } } });
        let (mut socket, reply) = connect(&gateway, json!({ "plan": { "answer": { "result": result } } })).await;
        let told = reply["connect"]["subs"][channel]["expires"].as_bool().unwrap_or_default();
        assert_eq!(told, channel == "own", "{reply}");
        socket.expect_close(3006).await;
    }
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
