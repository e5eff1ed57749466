//! Everybody comes at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::gateway::{DEADLINE, Gateway};
use crate::ws::Socket;
use crate::{from, limited, refusal};

#[tokio::test]
async fn who_comes_too_early_waits_for_a_turn() {
    let gateway =
        Gateway::start("[client]\ninsecure = true\n[limit]\nconnect_rate = \"50/s burst 10\"\nconnect_wait = \"8s\"\n")
            .await;
    let begun = Instant::now();
    let mut storm = JoinSet::new();
    for _ in 0..60 {
        storm.spawn(Socket::open(gateway.listen));
    }
    let all = storm.join_all().await;
    assert_eq!(all.len(), 60, "nobody is refused");
    // Ten at once, then fifty a second; less would be faster than the rate.
    assert!(begun.elapsed() >= Duration::from_millis(950), "in {:?}", begun.elapsed());
    assert!(limited(&gateway, "connect_rate").await < 0.5);
    assert!(gateway.metric("fanfare_connects_waiting", "").await < 0.5);
}

#[tokio::test]
async fn who_waits_too_long_is_told_when_to_come_again() {
    let gateway = Gateway::start(
        "[client]\ninsecure = true\n[limit]\nconnect_rate = \"1/m burst 1\"\nconnect_wait = \"300ms\"\n",
    )
    .await;
    let _first = Socket::open(gateway.listen).await;
    let begun = Instant::now();
    let (status, after) = refusal(TcpStream::connect(gateway.listen).await.unwrap()).await;
    assert_eq!(status, 503);
    assert!(after >= 1);
    assert!(begun.elapsed() >= Duration::from_millis(300), "it waited for its turn first");
    assert!((limited(&gateway, "connect_rate").await - 1.0).abs() < 0.5);
}

#[tokio::test]
async fn a_crowd_holds_up_its_own() {
    let gateway =
        Gateway::start("[client]\ninsecure = true\n[limit]\nconnect_rate = \"5/s burst 1\"\nconnect_wait = \"30s\"\n")
            .await;
    let (let_in, to) = (Arc::new(AtomicUsize::new(0)), gateway.listen);
    let mut crowd = JoinSet::new();
    for _ in 0..60 {
        let let_in = Arc::clone(&let_in);
        crowd.spawn(async move {
            let upgraded = Socket::upgrade(from([127, 0, 0, 2], to).await.unwrap(), &[]).await;
            let_in.fetch_add(usize::from(upgraded.is_ok()), Ordering::SeqCst);
            upgraded
        });
    }
    let gathered = async {
        while gateway.metric("fanfare_connects_waiting", "").await < 40.0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, gathered).await.expect("the crowd waits");
    let before = let_in.load(Ordering::SeqCst);
    let single = Socket::upgrade(from([127, 0, 0, 3], to).await.unwrap(), &[]).await;
    let meanwhile = let_in.load(Ordering::SeqCst) - before;
    assert!(single.is_ok());
    // Its turn is after the next one, whoever has waited for how long.
    assert!(meanwhile <= 5, "{meanwhile} of the crowd were let in before");
    crowd.shutdown().await;
    let left = async {
        while gateway.metric("fanfare_connects_waiting", "").await > 0.5 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, left).await.expect("who hangs up waits no longer");
}

#[tokio::test]
async fn an_address_may_connect_so_often() {
    let gateway =
        Gateway::start("[client]\ninsecure = true\n[limit]\nconnect_rate_per_address = \"1/m burst 2\"\n").await;
    for _ in 0..2 {
        drop(Socket::open(gateway.listen).await);
    }
    let (status, after) = refusal(TcpStream::connect(gateway.listen).await.unwrap()).await;
    assert_eq!(status, 429);
    assert!((30..=120).contains(&after), "in {after} s");
    Socket::upgrade(from([127, 0, 0, 2], gateway.listen).await.unwrap(), &[]).await.expect("others may");
    assert!((limited(&gateway, "connect_rate_per_address").await - 1.0).abs() < 0.5);
}
