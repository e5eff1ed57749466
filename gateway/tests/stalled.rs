//! A thousand clients that stop reading: each is cut off when its outbox is full, the gateway's memory
//! stays within its bound all the while, and somebody who does read gets everything in order.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/gateway.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod gateway;
#[path = "support/token.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod token;
#[path = "support/ws.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod ws;

use std::time::Duration;

use gateway::Gateway;
use serde_json::json;
use tokio::net::TcpSocket;
use ws::Socket;

const STALLED: usize = 1_000;
const OUTBOX_BYTES: u64 = 64 * 1024;
/// What a connection may cost beside its outbox.
const OVERHEAD_BYTES: u64 = 64 * 1024;
const PAYLOAD_BYTES: usize = 8 * 1024;
/// Far more than outbox and sockets hold, so that everybody overflows.
const PUBLICATIONS_MAX: usize = 600;
const CONFIG: &str = "
[client]
insecure = true
message_size_limit = \"16KiB\"
queue_max_size = \"64KiB\"
";

/// A client that subscribes and never reads again, with the smallest receive buffer there is.
async fn stall(gateway: &Gateway) -> Socket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let stream = socket.connect(gateway.listen).await.unwrap();
    let mut client = Socket::upgrade(stream, &[]).await.unwrap();
    client.connect(&json!({})).await;
    client.subscribe(2, "flood").await;
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_stalled_readers() {
    let mut gateway = Gateway::start(CONFIG).await;
    let mut healthy = Socket::open(gateway.listen).await;
    healthy.connect(&json!({})).await;
    healthy.subscribe(2, "flood").await;
    let baseline = gateway.resident_memory();

    let mut stalled = Vec::with_capacity(STALLED);
    for _ in 0..STALLED {
        stalled.push(stall(&gateway).await);
    }

    let filler = "x".repeat(PAYLOAD_BYTES);
    let mut peak = 0;
    let mut published = 0;
    let slow = "code=\"3008\"";
    while published < PUBLICATIONS_MAX {
        for _ in 0..10 {
            let answer =
                gateway.api("publish", &json!({ "channel": "flood", "data": { "n": published, "x": filler } })).await;
            assert!(answer["error"].is_null(), "{answer}");
            let (_, heard) = healthy.publication().await;
            assert_eq!(heard["n"], published, "the healthy one gets all, in order");
            published += 1;
        }
        peak = peak.max(gateway.resident_memory());
        if gateway.metric("fanfare_disconnects_total", slow).await >= STALLED as f64 {
            break;
        }
    }

    let counted = async {
        while gateway.metric("fanfare_disconnects_total", slow).await < STALLED as f64 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), counted).await.expect("every stalled reader is cut off and counted");
    peak = peak.max(gateway.resident_memory());
    let bound = STALLED as u64 * (OUTBOX_BYTES + OVERHEAD_BYTES);
    let grown = peak.saturating_sub(baseline);
    assert!(published > 20, "outboxes hold less than they should: {published} publications cut everybody off");
    assert!(grown <= bound, "{grown} bytes over the baseline of {baseline}; {bound} are allowed");

    // The sockets are gone from the gateway's side, and the healthy one is still served.
    let gone = async {
        while gateway.metric("fanfare_connections", "").await > 1.5 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("only the healthy one is connected");
    gateway.api("publish", &json!({ "channel": "flood", "data": { "n": "last" } })).await;
    assert_eq!(healthy.publication().await.1["n"], "last");
    gateway.assert_running();
    drop(stalled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_publication_is_not_kept_for_each_reader() {
    const READERS: usize = 100;
    let gateway = Gateway::start("[client]\ninsecure = true\n").await;
    let mut readers = Vec::with_capacity(READERS);
    for _ in 0..READERS {
        let mut reader = Socket::open(gateway.listen).await;
        reader.connect(&json!({})).await;
        reader.subscribe(2, "large").await;
        readers.push(reader);
    }
    let before = gateway.resident_memory();
    let large = "x".repeat(900 * 1024);
    let answer = gateway.api("publish", &json!({ "channel": "large", "data": large })).await;
    assert!(answer["error"].is_null(), "{answer}");
    for reader in &mut readers {
        assert_eq!(reader.publication().await.1.as_str().map(str::len), Some(large.len()));
    }
    let grown = gateway.resident_memory().saturating_sub(before);
    let bound = 16 * 1024 * 1024 + READERS as u64 * OVERHEAD_BYTES;
    assert!(grown < bound, "{grown} bytes more for {READERS} readers of {} bytes", large.len());
}
