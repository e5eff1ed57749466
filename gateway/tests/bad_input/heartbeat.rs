//! Clients that say nothing, or nothing that counts.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use crate::room::Room;
use crate::ws::raw_frame;

const IMPATIENT: &str = "[client]\ninsecure = true\nping_interval = \"2s\"\npong_timeout = \"1500ms\"\n";
const HASTY: &str = "[client]\ninsecure = true\nstale_close_delay = \"1500ms\"\n";
const NO_PONG: u16 = 3012;
const STALE: u16 = 3502;

#[tokio::test]
async fn no_pong() {
    let mut room = Room::open(IMPATIENT).await;
    let mut guest = room.guest().await;
    guest.answers_pings = false;
    room.meanwhile(guest.expect_close(NO_PONG)).await;
    room.close().await;
}

#[tokio::test]
async fn commands_are_no_pong() {
    let mut room = Room::open(IMPATIENT).await;
    let mut guest = room.guest().await;
    guest.answers_pings = false;
    let busy = async {
        let mut every = tokio::time::interval(Duration::from_millis(100));
        for id in 2.. {
            every.tick().await;
            guest.text(format!(r#"{{"id":{id},"unsubscribe":{{"channel":"a"}}}}"#)).await;
            if guest.line().await.is_none() {
                break;
            }
        }
        guest.expect_close(NO_PONG).await;
    };
    room.meanwhile(busy).await;
    room.close().await;
}

#[tokio::test]
async fn two_pongs_for_one_ping() {
    let mut room = Room::open(IMPATIENT).await;
    let mut guest = room.guest().await;
    // It answers the ping by itself; then comes one more.
    let eager = async {
        guest.next_ping().await;
        guest.text("{}").await;
        guest.text("{}").await;
        guest.expect_close(3501).await;
    };
    room.meanwhile(eager).await;
    room.close().await;
}

#[tokio::test]
async fn who_pongs_stays() {
    let mut room = Room::open(IMPATIENT).await;
    let mut guest = room.guest().await;
    let calm = async {
        for _ in 0..4 {
            guest.next_ping().await;
            guest.text("{}").await;
        }
        guest.subscribe(2, "a").await;
    };
    room.meanwhile(calm).await;
    room.close().await;
}

#[tokio::test]
async fn empty_fragments_without_end_are_no_pong() {
    let mut room = Room::open(IMPATIENT).await;
    let mut guest = room.guest().await;
    guest.answers_pings = false;
    let endless = async {
        let _ = guest.tcp().write_all(&raw_frame(false, 1, b"")).await;
        loop {
            // The gateway hangs up at some point; then writing fails, now or the next time.
            if guest.tcp().write_all(&raw_frame(false, 0, b"")).await.is_err() {
                break;
            }
            if tokio::time::timeout(Duration::from_millis(20), guest.closed()).await.is_ok() {
                break;
            }
        }
        guest.closed().await
    };
    let closed = room.meanwhile(endless).await;
    assert!(matches!(closed.code, Some(NO_PONG) | None), "{closed:?}");
    // The last word may be lost on one who never stops talking; the count is not.
    room.counts_disconnect(NO_PONG).await;
    room.close().await;
}

#[tokio::test]
async fn no_connect_in_time() {
    let mut room = Room::open(HASTY).await;
    let mut stranger = room.stranger().await;
    room.meanwhile(stranger.expect_close(STALE)).await;
    room.close().await;
}
