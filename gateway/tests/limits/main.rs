//! How much anyone may ask for, over real gateways: who is turned away, how they are told, and that nobody
//! else notices.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "tests spawn plain tasks")]

#[path = "../support/gateway.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod gateway;
#[path = "../support/redis.rs"]
mod redis;
#[path = "../support/token.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod token;
#[path = "../support/ws.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod ws;

mod channels;
mod cluster;
mod commands;
mod connections;
mod junk;
mod storm;

use std::net::{Ipv4Addr, SocketAddr};

use gateway::Gateway;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Error;
use ws::Socket;

/// Clients with a user may subscribe and publish anywhere.
const OPEN: &str = "[channel.default]\nallow_subscribe_for_client = true\nallow_publish_for_client = true\n";

/// Too many requests: the error, and the close.
const TOO_MANY: u64 = 111;
const GO_AWAY: u16 = 3013;

/// A connection from an address of one's own: all of 127.0.0.0/8 is this machine's.
async fn from(ip: [u8; 4], to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::from(ip), 0)))?;
    socket.connect(to).await
}

/// The answer to an upgrade that is refused: status and seconds of `Retry-After`.
async fn refusal(stream: TcpStream) -> (u16, u64) {
    match *Socket::upgrade(stream, &[]).await.expect_err("the upgrade is refused") {
        Error::Http(answer) => {
            let after = answer.headers().get("retry-after").expect("it says when to come again");
            (answer.status().as_u16(), after.to_str().unwrap().parse().unwrap())
        }
        other => panic!("an HTTP answer was expected: {other}"),
    }
}

/// A client of this user.
async fn client(gateway: &Gateway, user: &str) -> Socket {
    let mut socket = Socket::open(gateway.listen).await;
    let hello = socket.connect(&hello(user)).await;
    assert!(hello["error"].is_null(), "{hello}");
    socket
}

fn hello(user: &str) -> Value {
    json!({ "token": token::mint(&json!({ "sub": user })) })
}

/// Asks and answers the error's code; 0 if there is none.
async fn ask(client: &mut Socket, id: u64, method: &str, parameters: Value) -> u64 {
    let mut command = json!({ "id": id });
    command[method] = parameters;
    client.text(command.to_string()).await;
    client.error(id).await
}

/// How often a limit was met.
async fn limited(gateway: &Gateway, limit: &str) -> f64 {
    gateway.metric("fanfare_limited_total", &format!("limit=\"{limit}\"")).await
}
