//! Which headers reach the backend. Those of the client's request and those that a client writes into its protocol are
//! never taken for each other.

use serde_json::json;

use crate::backend::{Backend, Seen};
use crate::gateway::Gateway;
use crate::ws::Socket;
use crate::{gateway, rpc};

const KEYS: &str = "headers = { X-Key = \"for-the-backend\" }\nheader_allow = [\"Cookie\", \"X-User-Id\", \"Authorization\"]\n\
    emulated_headers = [\"X-Device\", \"Authorization\"]\n";

/// Connects with these headers of the request, and these of the protocol.
async fn connected(gateway: &Gateway, real: &[(&str, &str)], emulated: serde_json::Value) -> Socket {
    let mut socket = Socket::open_with(gateway.listen, real).await;
    let plan = json!({ "plan": { "answer": { "result": { "user": "1" } } } });
    let reply = socket.connect(&json!({ "data": plan, "headers": emulated })).await;
    assert!(reply["connect"]["client"].is_string(), "{reply}");
    socket
}

fn values(seen: &Seen) -> [Vec<&str>; 5] {
    ["x-key", "cookie", "x-user-id", "x-device", "authorization"].map(|name| seen.header(name))
}

#[tokio::test]
async fn headers_on_the_list_are_passed_to_every_hook() {
    for grpc in [false, true] {
        let backend = Backend::start();
        let gateway = gateway(&if grpc { backend.grpc() } else { backend.http() }, KEYS).await;
        let real = [("Cookie", "session=1"), ("X-User-Id", "7"), ("X-Other", "no")];
        let mut socket = connected(&gateway, &real, json!({ "X-Device": "phone", "X-More": "no" })).await;
        rpc(&mut socket, 2, json!({})).await;
        let seen = backend.seen().await;
        assert_eq!(seen.len(), 2);
        for seen in seen {
            assert_eq!(
                values(&seen),
                [vec!["for-the-backend"], vec!["session=1"], vec!["7"], vec!["phone"], vec![]],
                "{seen:?}"
            );
            assert!(seen.header("x-other").is_empty() && seen.header("x-more").is_empty(), "{seen:?}");
        }
    }
}

/// CVE-2026-71485 (Centrifugo): headers out of a connect frame were passed as those that a proxy in front had set.
#[tokio::test]
async fn cve_2026_71485_a_client_cannot_write_what_only_its_request_may_bring() {
    let backend = Backend::start();
    let gateway = gateway(&backend.http(), KEYS).await;
    let forged = json!({ "X-User-Id": "1", "x-user-id": "2", "Cookie": "session=admin", "X-Key": "mine", "Host": "evil",
        "Content-Length": "0", "Fanfare-Hook": "rpc" });
    connected(&gateway, &[("X-User-Id", "7")], forged).await;
    let seen = backend.asked().await;
    assert_eq!(values(&seen), [vec!["for-the-backend"], vec![], vec!["7"], vec![], vec![]], "{seen:?}");
    assert_eq!(seen.header("fanfare-hook"), ["connect"]);
    assert_ne!(seen.header("host"), ["evil"]);
}

#[tokio::test]
async fn where_both_may_bring_it_the_request_wins() {
    let backend = Backend::start();
    let gateway = gateway(&backend.http(), KEYS).await;
    let emulated = || json!({ "authorization": "made up" });
    connected(&gateway, &[("Authorization", "Basic real")], emulated()).await;
    assert_eq!(backend.asked().await.header("authorization"), ["Basic real"]);
    connected(&gateway, &[], emulated()).await;
    assert_eq!(backend.asked().await.header("authorization"), ["made up"]);
}
