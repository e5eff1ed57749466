//! Who somebody is, who shows no token.

use serde_json::{Value, json};

use crate::backend::Backend;
use crate::gateway::Gateway;
use crate::token;
use crate::ws::Socket;
use crate::{connect, gateway};

const SHARED: &str =
    "[channel.default]\nallow_publish_for_client = true\nallow_presence_for_client = true\npresence = true\n";

#[tokio::test]
async fn the_application_says_who_it_is_and_what_they_have() {
    let backend = Backend::start();
    let gateway = gateway(&backend.http(), SHARED).await;
    let result = json!({
        "user": "42", "info": { "name": "A" }, "data": { "hello": [1, 2] }, "channels": ["news"],
        "subs": { "own": { "info": { "role": "x" }, "data": 7 } },
    });
    let plan = json!({ "plan": { "answer": { "result": result } }, "from": "client" });
    let mut socket = Socket::open(gateway.listen).await;
    let reply = socket.connect(&json!({ "data": plan, "name": "js", "version": "5" })).await;
    let asked = backend.asked().await;
    assert_eq!(asked.kind, "connect");
    let id = reply["connect"]["client"].as_str().unwrap();
    let expected = json!({ "client": id, "transport": "websocket", "protocol": "json", "encoding": "json",
        "data": plan, "name": "js", "version": "5" });
    assert_eq!(asked.body, expected);
    assert_eq!(asked.header("content-type"), ["application/json"]);
    let welcome = &reply["connect"];
    assert_eq!(welcome["data"], json!({ "hello": [1, 2] }));
    let channels: Vec<_> = welcome["subs"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(channels, ["news", "own"]);
    assert_eq!(welcome["subs"]["own"]["data"], 7);
    // It is that user, and listens.
    socket.text(r#"{"id":2,"presence":{"channel":"own"}}"#).await;
    let presence = socket.reply(2).await;
    let member = &presence["presence"]["presence"][id];
    assert_eq!(
        (&member["user"], &member["conn_info"], &member["chan_info"]),
        (&json!("42"), &json!({ "name": "A" }), &json!({ "role": "x" }))
    );
    socket.text(r#"{"id":3,"publish":{"channel":"news","data":"hi"}}"#).await;
    assert_eq!(socket.publication().await, ("news".to_owned(), json!("hi")));
}

#[tokio::test]
async fn the_application_grants_more_than_the_rules() {
    let backend = Backend::start();
    let caps = json!([
        { "channels": ["staff:secret"], "allow": [] },
        { "channels": ["staff:*"], "match": "wildcard", "allow": ["sub", "pub"] },
    ]);
    let plan = json!({ "plan": { "answer": { "result": { "user": "42", "caps": caps } } } });
    for url in [backend.http(), backend.grpc()] {
        let hook = format!("[hook]\nconnect = \"app\"\n[hook.app]\nurl = \"{url}\"\n");
        let gateway = Gateway::start(&format!("{hook}[[channel.namespace]]\nname = \"staff\"\n")).await;
        let (mut socket, reply) = connect(&gateway, plan.clone()).await;
        assert!(reply["connect"].is_object(), "{reply}");
        socket.text(r#"{"id":2,"subscribe":{"channel":"staff:a"}}"#).await;
        assert!(socket.reply(2).await["subscribe"].is_object());
        socket.text(r#"{"id":3,"publish":{"channel":"staff:a","data":1}}"#).await;
        assert_eq!(socket.publication().await, ("staff:a".to_owned(), json!(1)));
        for (id, channel) in [(4, "staff:secret"), (5, "other")] {
            socket.text(json!({ "id": id, "subscribe": { "channel": channel } }).to_string()).await;
            assert_eq!(socket.reply(id).await["error"]["code"], 103, "{channel}");
        }
        let regex = json!([{ "channels": ["^staff:.*$"], "match": "regex", "allow": ["sub"] }]);
        let plan = json!({ "plan": { "answer": { "result": { "user": "42", "caps": regex } } } });
        let (_socket, reply) = connect(&gateway, plan).await;
        assert_eq!(reply["error"]["code"], 100, "what is not understood grants nothing: {reply}");
    }
}

#[tokio::test]
async fn a_server_side_subscription_of_an_answer_has_its_own_end_and_options() {
    let backend = Backend::start();
    let gateway =
        gateway(&backend.http(), "[channel.default]\npresence = true\nallow_presence_for_subscriber = true\n").await;
    let subs = json!({
        "own": { "expire_at": token::now() + 3600, "override": { "presence": { "value": false } } },
        "news": {},
    });
    let plan = json!({ "answer": { "result": { "user": "42", "subs": subs } } });
    let (mut socket, reply) = connect(&gateway, json!({ "plan": plan })).await;
    let subs = &reply["connect"]["subs"];
    assert_eq!((&subs["own"]["expires"], &subs["news"]["expires"]), (&json!(true), &Value::Null), "{reply}");
    for (id, channel, there) in [(2, "own", 0), (3, "news", 1)] {
        socket.text(json!({ "id": id, "presence_stats": { "channel": channel } }).to_string()).await;
        assert_eq!(socket.reply(id).await["presence_stats"]["num_clients"], there, "{channel}");
    }
    let plan = json!({ "answer": { "result": { "user": "42", "subs": { "own": { "expire_at": 1 } } } } });
    let (_socket, reply) = connect(&gateway, json!({ "plan": plan })).await;
    assert_eq!(reply["error"]["code"], 110, "over before it began: {reply}");
}

#[tokio::test]
async fn an_answer_cannot_name_what_is_no_users_id() {
    let backend = Backend::start();
    let gateway = gateway(&backend.http(), "").await;
    for user in ["a\nb", "\u{1b}[31m", "\u{0}", &"x".repeat(513)] {
        let plan = json!({ "answer": { "result": { "user": user } } });
        let (_socket, reply) = connect(&gateway, json!({ "plan": plan })).await;
        assert_eq!(reply["error"]["code"], 100, "{user:?}: {reply}");
    }
    let plan = json!({ "answer": { "result": { "user": "x".repeat(512) } } });
    let (_socket, reply) = connect(&gateway, json!({ "plan": plan })).await;
    assert!(reply["error"].is_null(), "{reply}");
}

#[tokio::test]
async fn who_shows_a_token_is_not_asked_about() {
    let backend = Backend::start();
    let gateway = gateway(&backend.http(), "").await;
    let mut socket = Socket::open(gateway.listen).await;
    let reply = socket.connect(&json!({ "token": token::mint(&json!({ "sub": "7" })) })).await;
    assert!(reply["connect"]["client"].is_string(), "{reply}");
    let mut stranger = Socket::open(gateway.listen).await;
    stranger.text(r#"{"id":1,"connect":{"token":"bad"}}"#).await;
    stranger.expect_close(3500).await;
    assert!(backend.seen().await.is_empty());
}

#[tokio::test]
async fn whom_the_application_does_not_know_comes_in_only_where_anybody_may() {
    let backend = Backend::start();
    let strict = gateway(&backend.http(), "").await;
    let mut socket = Socket::open(strict.listen).await;
    socket.text(r#"{"id":1,"connect":{}}"#).await;
    socket.expect_close(3501).await;
    let open = gateway(&backend.http(), "[client]\nallow_anonymous = true\n").await;
    let (_socket, reply) = connect(&open, Value::Null).await;
    assert!(reply["connect"]["client"].is_string(), "{reply}");
    assert_eq!(backend.seen().await.len(), 2);
}

#[tokio::test]
async fn the_application_refuses_in_its_own_words() {
    let backend = Backend::start();
    let gateway = gateway(&backend.http(), "").await;
    let error = json!({ "code": 1000, "message": "not today", "temporary": true });
    let (_socket, reply) = connect(&gateway, json!({ "plan": { "answer": { "error": error } } })).await;
    assert_eq!(reply["error"], error);
    let disconnect = json!({ "code": 4501, "reason": "banned" });
    let mut socket = Socket::open(gateway.listen).await;
    let data = json!({ "plan": { "answer": { "disconnect": disconnect } } });
    socket.text(json!({ "id": 1, "connect": { "data": data } }).to_string()).await;
    let closed = socket.closed().await;
    assert_eq!((closed.code, closed.reason.as_str()), (Some(4501), "banned"));
}

#[tokio::test]
async fn what_is_granted_is_still_held_against_the_rules() {
    let backend = Backend::start();
    let gateway = gateway(&backend.http(), "").await;
    let refused = |result: Value| {
        let gateway: &Gateway = &gateway;
        async move {
            let (_socket, reply) = connect(gateway, json!({ "plan": { "answer": { "result": result } } })).await;
            reply["error"]["code"].as_u64()
        }
    };
    assert_eq!(refused(json!({ "user": "1", "channels": ["nowhere:x"] })).await, Some(102));
    assert_eq!(refused(json!({ "user": "1", "expire_at": 1 })).await, Some(110), "it would be over already");
    assert_eq!(refused(json!({ "user": "1" })).await, None);
}

#[tokio::test]
async fn binary_hooks_get_and_give_base64() {
    let backend = Backend::start();
    let gateway = gateway(&backend.http(), "binary = true\n").await;
    // {"a":1} and 5
    let result = json!({ "user": "1", "b64info": "eyJhIjoxfQ==", "b64data": "NQ==" });
    let (_socket, reply) = connect(&gateway, json!({ "plan": { "answer": { "result": result } } })).await;
    assert_eq!(reply["connect"]["data"], 5);
    let body = backend.asked().await.body;
    assert_eq!((&body["encoding"], body.get("data")), (&json!("binary"), None));
    assert!(body["b64data"].is_string());
}
