//! Frames that no library would send. What Autobahn's cases cover is in `conformance/`.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use crate::room::{INSECURE, Room};
use crate::ws::{raw_frame, raw_head};

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const NOT_UTF8: u16 = 1007;
const TOO_LARGE: u16 = 1009;

/// A guest sends these bytes; the connection ends with `code`.
async fn ends(bytes: &[u8], code: u16) {
    let room = Room::open(INSECURE).await;
    let mut guest = room.guest().await;
    // The gateway may hang up before it has read all; its close frame is what counts.
    let _ = guest.tcp().write_all(bytes).await;
    guest.expect_close(code).await;
    room.close().await;
}

#[tokio::test]
async fn text_that_is_not_utf8() {
    ends(&raw_frame(true, TEXT, b"{\"id\":2,\"unsubscribe\":{\"channel\":\"\xff\"}}"), NOT_UTF8).await;
}

#[tokio::test]
async fn frame_that_announces_too_much() {
    ends(&raw_head(true, TEXT, 1 << 62), TOO_LARGE).await;
}

#[tokio::test]
async fn frame_that_announces_10_mb_and_begins() {
    let mut bytes = raw_head(true, TEXT, 10 * 1024 * 1024);
    bytes.extend([b' '; 1000]);
    ends(&bytes, TOO_LARGE).await;
}

#[tokio::test]
async fn fragments_without_end() {
    let mut bytes = raw_frame(false, TEXT, &[b' '; 1024]);
    for _ in 0..64 {
        bytes.extend(raw_frame(false, CONTINUATION, &[b' '; 1024]));
    }
    ends(&bytes, TOO_LARGE).await;
}

#[tokio::test]
async fn unmasked_frame() {
    ends(b"\x81\x02{}", 1002).await;
}

#[tokio::test]
async fn hanging_up_in_the_middle_of_a_frame() {
    let room = Room::open(INSECURE).await;
    let mut guest = room.guest().await;
    guest.subscribe(2, "lobby").await;
    guest.tcp().write_all(&raw_head(true, TEXT, 100)).await.unwrap();
    drop(guest);
    room.close().await;
}

#[tokio::test]
async fn pings_from_one_who_does_not_read_the_pongs() {
    const MUCH: usize = 256 * 1024 * 1024;
    let room = Room::open(INSECURE).await;
    let mut stranger = room.stranger().await;
    let before = room.gateway.resident_memory();
    let pings = raw_frame(true, 9, &[b'x'; 125]).repeat(512);
    let mut sent = 0;
    // Once the pongs find no room the gateway reads no more, and then neither does the kernel take more.
    while sent < MUCH {
        let write = tokio::time::timeout(Duration::from_secs(2), stranger.tcp().write_all(&pings));
        match write.await {
            Ok(Ok(())) => sent += pings.len(),
            Ok(Err(_)) | Err(_) => break,
        }
    }
    assert!(sent < MUCH, "all pings were taken");
    let grown = room.gateway.resident_memory().saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "{grown} bytes more after {sent} bytes of pings");
    room.close().await;
}
