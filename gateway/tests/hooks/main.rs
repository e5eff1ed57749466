//! Hooks: a real gateway asks a real small backend in Python, over HTTP and gRPC, which answers well, badly, late or
//! not at all.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

#[path = "../support/gateway.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod gateway;
#[path = "../support/token.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod token;
#[path = "../support/ws.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod ws;

#[allow(unreachable_pub, reason = "a part of the kit")]
mod backend;

mod breaker;
mod channels;
mod connect;
mod failures;
mod grpc;
mod hanging;
mod headers;
mod life;
mod meanwhile;
mod tls;

use backend::Backend;
use gateway::Gateway;
use serde_json::{Value, json};
use ws::Socket;

/// The error of a hook that has no answer.
const INTERNAL: u64 = 100;

/// A gateway with one hook, `app`, at this URL, that serves everything; `more` are further keys of the hook, and then
/// further tables.
async fn gateway(url: &str, more: &str) -> Gateway {
    // The backend is a Python on a busy machine: who wants an impatient gateway says so.
    let own = more.starts_with("timeout =") || more.contains("\ntimeout =");
    let timeout = if own { "" } else { "timeout = \"10s\"\n" };
    Gateway::start(&format!(
        "[hook]\nconnect = \"app\"\nrpc = \"app\"\nsubscribe = \"app\"\npublish = \"app\"\nsub_refresh = \"app\"\n\
         [hook.app]\nurl = \"{url}\"\n{timeout}{more}"
    ))
    .await
}

/// Connects without a token, with this payload; returns the answer.
async fn connect(gateway: &Gateway, data: Value) -> (Socket, Value) {
    let mut socket = Socket::open(gateway.listen).await;
    let reply = socket.connect(&json!({ "data": data })).await;
    (socket, reply)
}

/// A client that the backend takes for this user.
async fn client(gateway: &Gateway, backend: &Backend, user: &str) -> Socket {
    backend.plan("connect", json!({ "answer": { "result": { "user": user } } })).await;
    let (socket, reply) = connect(gateway, Value::Null).await;
    assert!(reply.get("error").is_none(), "{reply}");
    backend.seen().await;
    socket
}

/// Calls the application; returns the answer.
async fn rpc(socket: &mut Socket, id: u64, data: Value) -> Value {
    socket.text(json!({ "id": id, "rpc": { "method": "do", "data": data } }).to_string()).await;
    socket.reply(id).await
}
