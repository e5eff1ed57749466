//! How many connections a user and an address may have.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::gateway::{DEADLINE, Gateway};
use crate::ws::Socket;
use crate::{client, from, hello, limited, refusal};

const CONNECTION_LIMIT: u16 = 3504;

#[tokio::test]
async fn a_user_has_so_many() {
    let gateway = Gateway::start("[client]\nallow_anonymous = true\n[limit]\nconnections_per_user = 2\n").await;
    let _first = client(&gateway, "42").await;
    let second = client(&gateway, "42").await;
    let mut third = Socket::open(gateway.listen).await;
    third.text(json!({ "id": 1, "connect": hello("42") }).to_string()).await;
    third.expect_close(CONNECTION_LIMIT).await;
    assert!((limited(&gateway, "connections_per_user").await - 1.0).abs() < 0.5);
    let _other = client(&gateway, "43").await;
    let mut anonymous = Vec::new();
    for _ in 0..3 {
        let mut nobody = Socket::open(gateway.listen).await;
        assert!(nobody.connect(&json!({})).await["error"].is_null(), "the anonymous are no user");
        anonymous.push(nobody);
    }
    drop(second);
    let freed = async {
        loop {
            let mut again = Socket::open(gateway.listen).await;
            again.text(json!({ "id": 1, "connect": hello("42") }).to_string()).await;
            if again.line().await.is_some() {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, freed).await.expect("who leaves makes room");
}

#[tokio::test]
async fn an_address_has_so_many() {
    let gateway = Gateway::start("[client]\ninsecure = true\n[limit]\nconnections_per_address = 2\n").await;
    let first = Socket::open(gateway.listen).await;
    let _second = Socket::open(gateway.listen).await;
    let (status, after) = refusal(TcpStream::connect(gateway.listen).await.unwrap()).await;
    assert_eq!(status, 429);
    assert!((1..=20).contains(&after), "in {after} s");
    assert!((limited(&gateway, "connections_per_address").await - 1.0).abs() < 0.5);
    let elsewhere = from([127, 0, 0, 2], gateway.listen).await.unwrap();
    Socket::upgrade(elsewhere, &[]).await.expect("another address has places of its own");
    drop(first);
    let freed = async {
        while Socket::upgrade(TcpStream::connect(gateway.listen).await.unwrap(), &[]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, freed).await.expect("who leaves makes room");
}

#[tokio::test]
async fn who_is_turned_away_keeps_no_seat() {
    let gateway = Gateway::start(
        "[server]\nconnections_max = 3\n[client]\ninsecure = true\n[limit]\nconnections_per_address = 1\n",
    )
    .await;
    let _first = Socket::open(gateway.listen).await;
    let ask = "GET /connection/websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
               Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut held = Vec::new();
    // More than there are seats, and none of them hangs up by itself.
    for _ in 0..4 {
        let mut stream = TcpStream::connect(gateway.listen).await.unwrap();
        stream.write_all(ask.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = tokio::time::timeout(DEADLINE, stream.read_to_string(&mut answer)).await;
        read.expect("the gateway hangs up").unwrap();
        assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
        held.push(stream);
    }
}
