//! The same over gRPC, with messages that the backend's own library has made of proto/schema/hook.proto.

use serde_json::{Value, json};

use crate::backend::Backend;
use crate::ws::{PROTOBUF, Socket};
use crate::{INTERNAL, connect, gateway, rpc};

#[tokio::test]
async fn every_hook_is_asked_and_answers() {
    let backend = Backend::start();
    let rules = "[channel.default]\nsubscribe_hook = true\npublish_hook = true\n";
    let gateway = gateway(&backend.grpc(), rules).await;
    let result = json!({ "user": "42", "data": { "hello": 1 }, "channels": ["news"], "info": { "n": 1 } });
    let plan = json!({ "plan": { "answer": { "result": result } } });
    let (mut socket, reply) = connect(&gateway, plan.clone()).await;
    assert_eq!(reply["connect"]["data"], json!({ "hello": 1 }));
    assert!(reply["connect"]["subs"]["news"].is_object());
    let asked = backend.asked().await;
    assert_eq!((asked.kind.as_str(), &asked.body["data"], &asked.body["protocol"]), ("connect", &plan, &json!("json")));
    let topic = json!({ "plan": { "answer": { "result": { "data": "topic" } } } });
    socket.text(json!({ "id": 2, "subscribe": { "channel": "a", "data": topic } }).to_string()).await;
    assert_eq!(socket.reply(2).await["subscribe"]["data"], "topic");
    let other = json!({ "plan": { "answer": { "result": { "data": "other", "tags": { "a": "b" } } } } });
    socket.text(json!({ "id": 3, "publish": { "channel": "a", "data": other } }).to_string()).await;
    assert_eq!(socket.publication().await, ("a".to_owned(), json!("other")));
    let said = json!({ "plan": { "answer": { "result": { "data": [1, 2] } } } });
    assert_eq!(rpc(&mut socket, 4, said).await["rpc"]["data"], json!([1, 2]));
    let kinds: Vec<_> =
        backend.seen().await.iter().map(|seen| (seen.kind.clone(), seen.body["user"].clone())).collect();
    assert_eq!(kinds, ["subscribe", "publish", "rpc"].map(|kind| (kind.to_owned(), json!("42"))));
    let error = json!({ "code": 1000, "message": "no", "temporary": true });
    assert_eq!(rpc(&mut socket, 5, json!({ "plan": { "answer": { "error": error } } })).await["error"], error);
    let out = json!({ "plan": { "answer": { "disconnect": { "code": 4001, "reason": "out" } } } });
    socket.text(json!({ "id": 6, "rpc": { "method": "m", "data": out } }).to_string()).await;
    socket.expect_close(4001).await;
}

#[tokio::test]
async fn what_goes_wrong_is_error_100() {
    let backend = Backend::start();
    let gateway = gateway(&backend.grpc(), "timeout = \"2s\"\n").await;
    let mut socket = crate::client(&gateway, &backend, "1").await;
    let plans = [
        (json!({ "status": 500 }), "status"),
        (json!({ "status": 503 }), "unreachable"),
        (json!({ "sleep": 5 }), "timeout"),
        (json!({ "bytes": 2_000_000 }), "too_large"),
        (json!({ "answer": { "error": { "code": 7 } } }), "bad_answer"),
    ];
    for (id, (plan, outcome)) in (2..).zip(plans) {
        assert_eq!(rpc(&mut socket, id, json!({ "plan": plan })).await["error"]["code"], INTERNAL, "{plan}");
        let label = format!("kind=\"rpc\",outcome=\"{outcome}\"");
        assert!(gateway.metric("fanfare_hook_calls_total", &label).await > 0.5, "{plan}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_json_need_a_binary_hook() {
    for (key, code) in [("", 107), ("binary = true\n", 0)] {
        let backend = Backend::start();
        backend.plan("connect", json!({ "answer": { "result": { "user": "1" } } })).await;
        let gateway = gateway(&backend.grpc(), key).await;
        let mut socket = Socket::open_with(gateway.listen, &[("Sec-WebSocket-Protocol", PROTOBUF)]).await;
        // connect: id 1, field 4 without content; rpc: id 2, field 13 with data: one byte that is no UTF-8.
        socket.binary(vec![4, 0x08, 1, 0x22, 0]).await;
        socket.bytes().await.unwrap();
        socket.binary(vec![7, 0x08, 2, 0x6a, 3, 0x0a, 1, 0xff]).await;
        let reply = socket.bytes().await.unwrap();
        // id 2, then error (2) with code (1), or rpc (13).
        let expected: &[u8] = if code == 107 { &[0x12] } else { &[0x6a] };
        assert_eq!(&reply[3..4], expected, "{key}{reply:?}");
        let seen: Vec<Value> = backend.seen().await.iter().map(|seen| seen.body["b64data"].clone()).collect();
        assert_eq!(seen.get(1), (code == 0).then_some(&json!("/w==")));
    }
}
