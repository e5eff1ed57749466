//! What happens while the application is asked counts when it has answered; and what is spent is spent before it is
//! asked.

use std::time::Duration;

use serde_json::{Value, json};

use crate::backend::Backend;
use crate::gateway::{DEADLINE, Gateway};
use crate::ws::Socket;
use crate::{client, gateway, rpc, token};

const OPEN: &str = "[channel.default]\nallow_subscribe_for_client = true\nallow_publish_for_client = true\n";
const TOO_MANY: u64 = 111;

async fn until_asked(backend: &Backend, kind: &str) {
    let looked = async {
        while !backend.seen().await.iter().any(|seen| seen.kind == kind) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, looked).await.unwrap_or_else(|_| panic!("{kind} is not asked"));
}

/// Two commands in one message: one that waits for the application, and a publication.
fn slow_then_publish() -> String {
    let rpc = json!({ "id": 2, "rpc": { "method": "m", "data": { "plan": { "sleep": 6 } } } });
    let publish = json!({ "id": 3, "publish": { "channel": "news", "data": "late" } });
    format!("{rpc}\n{publish}")
}

/// Whether the next that somebody hears is what the test publishes last.
async fn heard_nothing_else(gateway: &Gateway, listener: &mut Socket) {
    let answer = gateway.api("publish", &json!({ "channel": "news", "data": "last" })).await;
    assert!(answer["error"].is_null(), "{answer}");
    assert_eq!(listener.publication().await, ("news".to_owned(), json!("last")));
}

#[tokio::test]
async fn who_is_let_in_by_an_answer_is_as_old_as_the_question() {
    let backend = Backend::start();
    let gateway = gateway(&backend.http(), "timeout = \"20s\"\n").await;
    backend.plan("connect", json!({ "sleep": 3, "answer": { "result": { "user": "42" } } })).await;
    let mut socket = Socket::open(gateway.listen).await;
    socket.text(r#"{"id":1,"connect":{}}"#).await;
    until_asked(&backend, "connect").await;
    // Everybody who was let in before the next second.
    let answer = gateway.api("invalidate_user_tokens", &json!({ "user": "42" })).await;
    assert_eq!(answer, json!({ "result": {} }));
    assert_eq!(socket.reply(1).await["error"]["code"], 109, "it was let in by a decision of before");
    // Asked anew, the application lets them in anew.
    tokio::time::sleep(Duration::from_secs(1)).await;
    client(&gateway, &backend, "42").await;
}

#[tokio::test]
async fn an_order_does_not_wait_for_the_rest_of_a_message() {
    let backend = Backend::start();
    let config = format!(
        "[hook]\nconnect = \"app\"\nrpc = \"app\"\n[hook.app]\ntimeout = \"20s\"\nurl = \"{}\"\n{OPEN}",
        backend.http()
    );
    let gateway = Gateway::start(&config).await;
    let mut listener = client(&gateway, &backend, "1").await;
    listener.subscribe(2, "news").await;
    let mut sent_away = client(&gateway, &backend, "2").await;
    sent_away.text(slow_then_publish()).await;
    until_asked(&backend, "rpc").await;
    let answer = gateway.api("disconnect", &json!({ "user": "2" })).await;
    assert!(answer["error"].is_null(), "{answer}");
    sent_away.expect_close(3503).await;
    heard_nothing_else(&gateway, &mut listener).await;
}

#[tokio::test]
async fn what_expires_while_the_application_is_asked_is_over_before_the_next_command() {
    let backend = Backend::start();
    let config = format!(
        "[hook]\nconnect = \"app\"\nrpc = \"app\"\n[hook.app]\ntimeout = \"20s\"\nurl = \"{}\"\n{OPEN}[client]\n\
         expired_close_delay = \"0s\"\n",
        backend.http()
    );
    let gateway = Gateway::start(&config).await;
    let mut listener = client(&gateway, &backend, "1").await;
    listener.subscribe(2, "news").await;
    let mut expires = Socket::open(gateway.listen).await;
    let reply =
        expires.connect(&json!({ "token": token::mint(&json!({ "sub": "2", "exp": token::now() + 4 })) })).await;
    assert!(reply["error"].is_null(), "{reply}");
    expires.text(slow_then_publish()).await;
    expires.expect_close(3005).await;
    heard_nothing_else(&gateway, &mut listener).await;
}

#[tokio::test]
async fn the_application_is_not_asked_about_names_for_which_there_is_no_room() {
    let backend = Backend::start();
    let rules = "[channel.default]\nsubscribe_hook = true\npublish_hook = true\n\
                 [limit.connection]\nnew_channels = \"1/m burst 2\"\n";
    let gateway = gateway(&backend.http(), rules).await;
    let mut guest = client(&gateway, &backend, "42").await;
    let mut ask = async |id: u64, kind: &str, what: Value| {
        guest.text(json!({ "id": id, kind: what }).to_string()).await;
        guest.reply(id).await["error"]["code"].as_u64()
    };
    let say = |channel: &str| json!({ "channel": channel, "data": 1 });
    assert_eq!(ask(2, "publish", say("a")).await, None);
    assert_eq!(ask(3, "publish", say("b")).await, None);
    assert_eq!(ask(4, "publish", say("c")).await, Some(TOO_MANY));
    let asked: Vec<_> = backend.seen().await.into_iter().map(|seen| seen.body["channel"].clone()).collect();
    assert_eq!(asked, [json!("a"), json!("b")]);
    // A yes of the application is no token: the client has chosen the name.
    assert_eq!(ask(5, "subscribe", json!({ "channel": "d" })).await, Some(TOO_MANY));
}

#[tokio::test]
async fn one_answer_renews_what_it_was_asked_about_and_nothing_else() {
    let backend = Backend::start();
    let config = format!(
        "[hook]\nconnect = \"app\"\nrefresh = \"app\"\nrpc = \"app\"\n[hook.app]\ntimeout = \"20s\"\nurl = \"{}\"\n",
        backend.http()
    );
    let gateway = Gateway::start(&config).await;
    // Asked when it expires, the application says no, late.
    backend.plan("refresh", json!({ "sleep": 3, "answer": { "result": { "expired": true } } })).await;
    let plan = json!({ "answer": { "result": { "user": "42", "expire_at": token::now() + 2 } } });
    backend.plan("connect", plan).await;
    let (mut socket, reply) = crate::connect(&gateway, Value::Null).await;
    assert!(reply["error"].is_null(), "{reply}");
    until_asked(&backend, "refresh").await;
    // Meanwhile the client has brought a token that is good.
    let token = token::mint(&json!({ "sub": "42", "exp": token::now() + 3600 }));
    socket.text(json!({ "id": 2, "refresh": { "token": token } }).to_string()).await;
    assert!(socket.reply(2).await["error"].is_null());
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(rpc(&mut socket, 3, json!({})).await["rpc"].is_object(), "the late answer was about something else");
}
