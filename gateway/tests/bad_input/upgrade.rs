//! Upgrades that are none, and heads that never end: raw HTTP over TCP.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::gateway::DEADLINE;
use crate::raw::{self, status};
use crate::room::{INSECURE, Room};

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";

/// Asks for an upgrade with these header lines; returns the head of the response.
async fn upgrade(address: SocketAddr, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "GET /connection/websocket HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    raw::head(&mut stream).await
}

#[tokio::test]
async fn a_good_one() {
    let room = Room::open(INSECURE).await;
    assert_eq!(status(&upgrade(room.gateway.listen, &format!("{KEY}{VERSION}")).await), 101);
    room.close().await;
}

#[tokio::test]
async fn without_a_key() {
    let room = Room::open(INSECURE).await;
    assert_eq!(status(&upgrade(room.gateway.listen, VERSION).await), 400);
    room.close().await;
}

#[tokio::test]
async fn of_another_version() {
    let room = Room::open(INSECURE).await;
    for version in ["Sec-WebSocket-Version: 8\r\n", "Sec-WebSocket-Version: x\r\n", ""] {
        let head = upgrade(room.gateway.listen, &format!("{KEY}{version}")).await.to_lowercase();
        assert_eq!(status(&head), 426, "{version:?}");
        assert!(head.contains("sec-websocket-version: 13"), "the answer says which version is spoken: {head}");
    }
    room.close().await;
}

#[tokio::test]
async fn from_a_foreign_origin() {
    let listed = format!("{INSECURE}allowed_origins = [\"https://good.example\"]\n");
    let room = Room::open(&listed).await;
    let address = room.gateway.listen;
    let from = async |origin: &str| {
        let head = upgrade(address, &format!("{KEY}{VERSION}Origin: {origin}\r\n")).await;
        assert!(!head.to_lowercase().contains("access-control-allow-origin: *"), "{head}");
        status(&head)
    };
    assert_eq!(from("https://evil.example").await, 403);
    assert_eq!(from("null").await, 403);
    assert_eq!(from("https://good.example.evil.example").await, 403);
    assert_eq!(from("http://good.example").await, 403, "the scheme counts");
    assert_eq!(from("https://good.example").await, 101);
    assert_eq!(from(&format!("http://{address}")).await, 101, "one's own pages");
    room.close().await;
}

#[tokio::test]
async fn no_upgrade_at_all() {
    let room = Room::open(INSECURE).await;
    let mut stream = TcpStream::connect(room.gateway.listen).await.unwrap();
    stream.write_all(b"GET /connection/websocket HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let head = raw::head(&mut stream).await;
    assert!((400..500).contains(&status(&head)), "{head}");
    room.close().await;
}

#[tokio::test]
async fn not_http() {
    let room = Room::open(INSECURE).await;
    let mut stream = TcpStream::connect(room.gateway.listen).await.unwrap();
    stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is TLS, more or less\r\n\r\n").await.unwrap();
    let head = raw::head(&mut stream).await;
    assert!(head.is_empty() || status(&head) == 400, "{head}");
    refused(&room, "head").await;
    room.close().await;
}

/// It is counted.
async fn refused(room: &Room, reason: &str) {
    room.gateway.counts("fanfare_refused_connections_total", &format!("reason=\"{reason}\""), 1.0).await;
}

#[tokio::test]
async fn slow_headers() {
    let room = Room::open(&format!("[server]\nheader_timeout = \"500ms\"\n{INSECURE}")).await;
    let stream = TcpStream::connect(room.gateway.listen).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let drip = async {
        let _ = write.write_all(b"GET /connection/websocket HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
        // A byte now and then keeps an idle timeout from firing, but not a deadline for the whole head.
        while write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        ended = tokio::time::timeout(DEADLINE, read.read_to_end(&mut answer)) => {
            let _ = ended.expect("the gateway hangs up");
        }
        () = drip => {}
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.is_empty() || status(&answer) == 408, "{answer}");
    refused(&room, "head_timeout").await;
    room.close().await;
}

#[tokio::test]
async fn headers_of_20_mb() {
    let room = Room::open(INSECURE).await;
    let before = room.gateway.resident_memory();
    let stream = TcpStream::connect(room.gateway.listen).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let send = async {
        let _ = write.write_all(b"GET /connection/websocket HTTP/1.1\r\nHost: x\r\n").await;
        let line = format!("X-Long: {}\r\n", "x".repeat(1024 - 10));
        for sent in 0..20 * 1024 {
            if write.write_all(line.as_bytes()).await.is_err() {
                return sent;
            }
        }
        20 * 1024
    };
    let mut answer = Vec::new();
    let receive = async {
        let _ = read.read_to_end(&mut answer).await;
    };
    let (sent_kib, ()) = tokio::time::timeout(DEADLINE, async { tokio::join!(send, receive) }).await.expect("an end");
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.is_empty() || status(&answer) == 431, "{answer}");
    assert!(sent_kib < 20 * 1024, "the gateway took it all");
    let grown = room.gateway.resident_memory().saturating_sub(before);
    assert!(grown < 8 * 1024 * 1024, "{grown} bytes more for a head that is no good");
    room.close().await;
}

#[tokio::test]
async fn header_of_one_mib() {
    let room = Room::open(INSECURE).await;
    let mut stream = TcpStream::connect(room.gateway.listen).await.unwrap();
    let token = "x".repeat(1024 * 1024);
    let head = format!("GET /connection/websocket HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    let _ = stream.write_all(head.as_bytes()).await;
    let head = raw::head(&mut stream).await;
    assert!(head.is_empty() || status(&head) == 431, "{head}");
    refused(&room, "head_too_large").await;
    room.close().await;
}
