//! What brought others down before they knew who was there.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::gateway::{DEADLINE, Gateway};
use crate::raw::{self, status};
use crate::room::{INSECURE, Room, SECURE};
use crate::ws::{PROTOBUF, Socket, raw_frame, raw_head};

const TEXT: u8 = 1;
const CONTINUATION: u8 = 0;
/// The first reserved bit: "this message is compressed".
const RSV1: u8 = 0x40;
const PROTOCOL_ERROR: u16 = 1002;
const TOO_LARGE: u16 = 1009;
const BAD_REQUEST: u16 = 3501;
const STALE: u16 = 3502;
const SLOW: u16 = 3008;
const MIB: u64 = 1024 * 1024;

/// A request for an upgrade with these lines.
fn head(gateway: &Gateway, lines: &str) -> String {
    format!(
        "GET /connection/websocket HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n",
        gateway.listen
    )
}

/// The head of the answer to these bytes; empty if there is none.
async fn answer(gateway: &Gateway, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(gateway.listen).await.unwrap();
    let _ = stream.write_all(bytes).await;
    raw::head(&mut stream).await
}

/// Somebody who has not said who it is sends these bytes; the connection ends with this code, and the
/// gateway has not grown by more than this.
async fn stranger_ends(bytes: &[u8], code: u16, growth_max: u64) {
    let room = Room::open(SECURE).await;
    let before = room.gateway.resident_memory();
    let mut stranger = room.stranger().await;
    let _ = stranger.tcp().write_all(bytes).await;
    stranger.expect_close(code).await;
    let grown = room.gateway.resident_memory().saturating_sub(before);
    assert!(grown < growth_max, "{grown} bytes more");
    room.close().await;
}

fn compressed(mut frame: Vec<u8>) -> Vec<u8> {
    frame[0] |= RSV1;
    frame
}

/// tungstenite up to 0.20.0 read a head anew from its beginning with each byte that came.
#[tokio::test]
async fn cve_2023_43669_many_header_lines_cost_little() {
    let room = Room::open(INSECURE).await;
    let head = head(&room.gateway, &"a: b\r\n".repeat(100_000));
    let answer = answer(&room.gateway, head.as_bytes()).await;
    assert!(answer.is_empty() || status(&answer) == 431, "{answer}");
    room.close().await;
}

/// websocket-driver kept lines of a head that never ended.
#[tokio::test]
async fn cve_2026_54465_a_head_without_an_end_is_not_kept() {
    let room = Room::open(INSECURE).await;
    let endless = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}", "x".repeat(64 * 1024));
    let answer = answer(&room.gateway, endless.as_bytes()).await;
    assert!(answer.is_empty() || status(&answer) == 431, "{answer}");
    room.close().await;
}

/// ws took time in the square of the blanks in a list of subprotocols.
#[tokio::test]
async fn cve_2021_32640_blanks_in_the_list_of_subprotocols() {
    let room = Room::open(INSECURE).await;
    let lines = format!("Sec-WebSocket-Protocol: a{}b\r\n", " ".repeat(12_000));
    assert!([101, 400].contains(&status(&answer(&room.gateway, head(&room.gateway, &lines).as_bytes()).await)));
    room.close().await;
}

/// Centrifugo before 6.8.4 limited what came, not what it became when inflated. Nothing is inflated here.
#[tokio::test]
async fn cve_2026_62963_nothing_is_inflated() {
    let room = Room::open(INSECURE).await;
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let answer = answer(&room.gateway, head(&room.gateway, offer).as_bytes()).await;
    assert_eq!(status(&answer), 101, "{answer}");
    assert!(!answer.to_ascii_lowercase().contains("sec-websocket-extensions"), "{answer}");
    room.close().await;
}

/// NATS: the same, from somebody whom nobody knew yet.
#[tokio::test]
async fn cve_2026_27571_a_bomb_from_a_stranger_is_not_opened() {
    stranger_ends(&compressed(raw_frame(true, TEXT, &[0xaa; 1024])), PROTOCOL_ERROR, 8 * MIB).await;
}

/// NATS: strangers could make it keep as much as they sent.
#[tokio::test]
async fn cve_2026_33219_a_stranger_is_kept_within_bounds() {
    let mut bytes = raw_head(true, TEXT, 64 * MIB);
    bytes.extend(vec![b' '; 1024 * 1024]);
    stranger_ends(&bytes, TOO_LARGE, 8 * MIB).await;
}

/// npm's ws counted the bytes of a message and not its fragments.
#[tokio::test]
async fn cve_2026_48779_tiny_fragments_are_not_free() {
    let mut bytes = raw_frame(false, TEXT, b" ");
    for _ in 0..70_000 {
        bytes.extend(raw_frame(false, CONTINUATION, b" "));
    }
    stranger_ends(&bytes, TOO_LARGE, 8 * MIB).await;
}

/// npm's ws waited for ever for the end of a message.
#[tokio::test]
async fn cve_2026_62389_a_message_that_never_ends_is_not_waited_for() {
    let room = Room::open("[client]\ninsecure = true\nstale_close_delay = \"1s\"\n").await;
    let mut stranger = room.stranger().await;
    stranger.tcp().write_all(&raw_frame(false, TEXT, b"{\"id\":1,")).await.unwrap();
    stranger.expect_close(STALE).await;
    room.close().await;
}

/// socket.io: a packet said how many attachments it had, and was believed.
#[tokio::test]
async fn cve_2026_33151_what_is_announced_is_not_believed() {
    let room = Room::open(INSECURE).await;
    let before = room.gateway.resident_memory();
    // Protobuf, behind a length of 2^62.
    let mut stranger = Socket::open_with(room.gateway.listen, &[("Sec-WebSocket-Protocol", PROTOBUF)]).await;
    stranger.binary(vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 1]).await;
    stranger.expect_close(BAD_REQUEST).await;
    assert!(room.gateway.resident_memory().saturating_sub(before) < 8 * MIB);
    room.close().await;
}

/// socket.io: a packet with attachments, of which there were none.
#[tokio::test]
async fn cve_2026_69185_nothing_is_not_a_command() {
    let room = Room::open(INSECURE).await;
    for protocol in [None, Some(("Sec-WebSocket-Protocol", PROTOBUF))] {
        let headers: Vec<_> = protocol.into_iter().collect();
        let mut stranger = Socket::open_with(room.gateway.listen, &headers).await;
        match protocol {
            None => stranger.text("").await,
            Some(_) => stranger.binary(Vec::new()).await,
        }
        stranger.expect_close(BAD_REQUEST).await;
    }
    room.close().await;
}

/// socket.io-parser: the name of an event that was none ended the process.
#[tokio::test]
async fn cve_2023_32695_odd_names_end_one_connection_at_most() {
    let room = Room::open(INSECURE).await;
    for odd in [
        r#"{"id":1,"__proto__":{"connect":{}}}"#,
        r#"{"id":1,"constructor":{"prototype":{}}}"#,
        r#"{"id":1,"connect":{"__proto__":null,"toString":1}}"#,
        r#"{"id":{"toString":"x"},"connect":{}}"#,
        r#"[{"id":1,"connect":{}}]"#,
    ] {
        let mut stranger = room.stranger().await;
        stranger.text(odd).await;
        let _ = tokio::time::timeout(DEADLINE, stranger.line()).await.expect("an answer or an end");
    }
    room.close().await;
}

/// socket.io-parser: a long message was put together piece by piece, each time as a whole.
#[tokio::test]
async fn cve_2020_36049_a_long_message_is_read_once() {
    let mut frame = "\n".repeat(60 * 1024);
    frame.push_str("{}");
    let room = Room::open(INSECURE).await;
    let mut stranger = room.stranger().await;
    stranger.text(frame).await;
    stranger.expect_close(BAD_REQUEST).await;
    room.close().await;
}

/// socket.io: an error that nobody caught, on one connection, was everybody's end.
#[tokio::test]
async fn cve_2024_38355_hanging_up_in_the_middle_is_ones_own_affair() {
    let room = Room::open(INSECURE).await;
    for cut in [1, 7, 20] {
        let mut guest = room.guest().await;
        let frame = raw_frame(true, TEXT, br#"{"id":2,"subscribe":{"channel":"lobby"}}"#);
        guest.tcp().write_all(&frame[..cut]).await.unwrap();
        guest.tcp().set_zero_linger().unwrap();
        drop(guest);
    }
    room.close().await;
}

/// engine.io: a crafted request for an upgrade ended the process.
#[tokio::test]
async fn cve_2022_21676_crafted_upgrades_are_answered() {
    let room = Room::open(INSECURE).await;
    for lines in [
        "Upgrade: x, websocket\r\n",
        "Connection: close\r\n",
        "Sec-WebSocket-Key: x\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
    ] {
        let answer = answer(&room.gateway, head(&room.gateway, lines).as_bytes()).await;
        assert!(answer.is_empty() || status(&answer) < 500, "{lines}: {answer}");
    }
    room.close().await;
}

/// The crate websocket set aside as many bytes as a frame announced.
#[tokio::test]
async fn rustsec_2022_0035_no_room_is_made_for_what_is_announced() {
    stranger_ends(&raw_head(true, TEXT, 1 << 62), TOO_LARGE, 8 * MIB).await;
}

/// The crate ws kept without bound what a client did not read.
#[tokio::test]
async fn rustsec_2020_0043_what_is_not_read_is_not_kept() {
    let config = "[client]\ninsecure = true\nmessage_size_limit = \"64KiB\"\nqueue_max_size = \"256KiB\"\n";
    let mut room = Room::open(config).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let stream = socket.connect(room.gateway.listen).await.unwrap();
    let mut lazy = Socket::upgrade(stream, &[]).await.unwrap();
    lazy.connect(&json!({})).await;
    lazy.subscribe(2, "flood").await;
    let before = room.gateway.resident_memory();
    let data = "x".repeat(60_000);
    for _ in 0..200 {
        room.gateway.api("publish", &json!({ "channel": "flood", "data": data })).await;
    }
    room.counts_disconnect(SLOW).await;
    assert!(room.gateway.resident_memory().saturating_sub(before) < 16 * MIB);
    room.close().await;
}

async fn from_page(gateway: &Gateway, host: &str, origin: &str) -> u16 {
    let lines = format!("Origin: {origin}\r\n");
    let head = head(gateway, &lines).replace(&format!("Host: {}", gateway.listen), &format!("Host: {host}"));
    status(&answer(gateway, head.as_bytes()).await)
}

/// No page of another origin gets in, whatever the visitor's browser would send along.
#[tokio::test]
async fn cve_2026_44211_pages_of_other_origins_stay_out() {
    let room = Room::open(INSECURE).await;
    let host = room.gateway.listen.to_string();
    assert_eq!(from_page(&room.gateway, &host, "https://evil.example").await, 403);
    room.close().await;
}

/// Names that only look like an allowed one.
#[tokio::test]
async fn cve_2026_85183_lookalikes_of_an_origin_stay_out() {
    let room = Room::open("[client]\ninsecure = true\nallowed_origins = [\"https://good.example\"]\n").await;
    let host = room.gateway.listen.to_string();
    for origin in [
        "https://good.example.evil",
        "https://evil-good.example",
        "https://good.example@evil.example",
        "http://good.example",
        "https://good.example:8443",
        "null",
    ] {
        assert_eq!(from_page(&room.gateway, &host, origin).await, 403, "{origin}");
    }
    assert_eq!(from_page(&room.gateway, &host, "https://good.example").await, 101);
    room.close().await;
}

/// `MeshCentral`: that it listens on loopback only does not keep out pages, which run on the same machine.
#[tokio::test]
async fn ghsa_cp68_loopback_keeps_no_page_out() {
    let room = Room::open(INSECURE).await;
    let port = room.gateway.listen.port();
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        assert_eq!(from_page(&room.gateway, &host, "https://evil.example").await, 403, "{host}");
    }
    room.close().await;
}

/// h2 (and its kin, 2024-0003, 2024-0332, 2023-0034): frames that cost the server more than the client.
/// Clients' doors do not speak HTTP/2 at all.
#[tokio::test]
async fn rustsec_2026_0258_no_http_2_on_clients_doors() {
    let room = Room::open(INSECURE).await;
    let mut stream = TcpStream::connect(room.gateway.listen).await.unwrap();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let data = [0, 0, 0, 0, 0, 0, 0, 0, 1].repeat(10_000);
    let hello = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings, &data].concat();
    let _ = stream.write_all(&hello).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("an end");
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{answer:?}");
    room.close().await;
}

/// tonic: one connection that broke while it was accepted ended the accepting of all others.
#[tokio::test]
async fn rustsec_2024_0376_accepting_goes_on() {
    let room = Room::open(INSECURE).await;
    for _ in 0..200 {
        let stream = TcpStream::connect(room.gateway.listen).await.unwrap();
        stream.set_zero_linger().unwrap();
    }
    drop(room.guest().await);
    room.close().await;
}
