//! A backend that does not answer is left alone, and found again.

use std::time::Duration;

use serde_json::json;

use crate::backend::Backend;
use crate::gateway::{DEADLINE, free_address};
use crate::{INTERNAL, client, connect, gateway, rpc};

const KEYS: &str = "breaker_failures = 3\nbreaker_pause = \"1s\"\ntimeout = \"500ms\"\n";

#[tokio::test]
async fn it_opens_and_heals() {
    let backend = Backend::start();
    let gateway = gateway(&backend.http(), KEYS).await;
    let mut sockets = Vec::new();
    for user in ["1", "2", "3"] {
        sockets.push(client(&gateway, &backend, user).await);
    }
    backend.plan("rpc", json!({ "status": 503 })).await;
    for id in 2..12 {
        let socket = &mut sockets[id as usize % 3];
        assert_eq!(rpc(socket, id, json!({})).await["error"]["code"], INTERNAL);
    }
    let mut socket = sockets.remove(0);
    assert_eq!(backend.seen().await.len(), 3, "then it is left alone");
    assert!((gateway.metric("fanfare_hook_open", "hook=\"app\"").await - 1.0).abs() < 0.1);
    assert!((gateway.metric("fanfare_hook_calls_total", "outcome=\"open\"").await - 7.0).abs() < 0.1);
    backend.plan("rpc", json!({})).await;
    let heals = async {
        for id in 12.. {
            if rpc(&mut socket, id, json!({})).await["rpc"].is_object() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(DEADLINE, heals).await.expect("it is found again");
    assert!(gateway.metric("fanfare_hook_open", "hook=\"app\"").await.abs() < 0.1);
    let log = gateway.log();
    assert!(log.contains("does not answer any more") && log.contains("a hook answers again"), "{log}");
}

/// No client can bring it about that nobody is there: one that tries again and again says enough.
#[tokio::test]
async fn it_opens_for_one_client_where_nobody_is_there() {
    let nobody = free_address();
    for url in [format!("http://{nobody}/hook"), format!("grpc://{nobody}")] {
        let gateway = gateway(&url, "breaker_failures = 3\n").await;
        for _ in 0..3 {
            let (_socket, reply) = connect(&gateway, json!({})).await;
            assert_eq!(reply["error"]["code"], INTERNAL, "{url}: {reply}");
        }
        assert!((gateway.metric("fanfare_hook_open", "hook=\"app\"").await - 1.0).abs() < 0.1, "{url}");
        assert!(gateway.log().contains("Connection refused"), "{url}: the log says why");
    }
}

/// What one client can bring about must not take the hook away from all others.
#[tokio::test]
async fn a_client_cannot_open_it_with_requests_that_the_backend_chokes_on() {
    let backend = Backend::start();
    let gateway = gateway(&backend.http(), KEYS).await;
    let mut socket = client(&gateway, &backend, "1").await;
    let plans = [
        json!({ "status": 500 }),
        json!({ "raw": "x" }),
        json!({ "bytes": 2_000_000 }),
        // These may be a backend that is gone, and need more than one to say so.
        json!({ "status": 503 }),
        json!({ "sleep": 2 }),
        json!({ "hang_up": true }),
    ];
    for (id, plan) in (2..20).zip(plans.iter().cycle()) {
        assert_eq!(rpc(&mut socket, id, json!({ "plan": plan })).await["error"]["code"], INTERNAL);
    }
    let mut other = client(&gateway, &backend, "2").await;
    assert!(rpc(&mut other, 99, json!({})).await["rpc"].is_object());
}
