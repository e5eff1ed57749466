//! Payloads that cannot be told to others, on every road: client, API, and Protobuf in `protobuf.rs`.

use base64::Engine as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::gateway::API_KEY;
use crate::room::{INSECURE, Room};

const BAD_REQUEST: u64 = 107;

pub(crate) fn deep() -> String {
    format!("{}{}", "[".repeat(30_000), "]".repeat(30_000))
}

/// A guest publishes `data`, as it is; returns the error code.
async fn publish(room: &Room, data: &str) -> u64 {
    let mut guest = room.guest().await;
    guest.text(format!(r#"{{"id":2,"publish":{{"channel":"lobby","data":{data}}}}}"#)).await;
    guest.error(2).await
}

#[tokio::test]
async fn nested_30_000_deep() {
    let room = Room::open(INSECURE).await;
    assert_eq!(publish(&room, &deep()).await, BAD_REQUEST);
    room.close().await;
}

#[tokio::test]
async fn nested_129_deep() {
    let mut room = Room::open(INSECURE).await;
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(publish(&room, &nested(129)).await, BAD_REQUEST);
    let mut guest = room.guest().await;
    guest.subscribe(2, "deep").await;
    guest.text(format!(r#"{{"id":3,"publish":{{"channel":"deep","data":{}}}}}"#, nested(100))).await;
    assert_eq!(guest.publication().await.0, "deep");
    room.bystander_hears().await;
    room.close().await;
}

#[tokio::test]
async fn lone_surrogate() {
    let room = Room::open(INSECURE).await;
    for data in [r#""\ud800""#, r#""\udc00\ud800""#, r#"{"a":["\ud83d"]}"#, r#"{"\ud800":1}"#] {
        assert_eq!(publish(&room, data).await, BAD_REQUEST, "{data}");
    }
    let mut guest = room.guest().await;
    guest.subscribe(2, "faces").await;
    guest.text(r#"{"id":3,"publish":{"channel":"faces","data":"\ud83d\ude00"}}"#).await;
    assert_eq!(guest.publication().await.1, json!("\u{1f600}"), "a pair is no lone surrogate");
    room.close().await;
}

#[tokio::test]
async fn lone_surrogate_by_the_api() {
    let room = Room::open(INSECURE).await;
    let body = r#"{"channel":"lobby","data":"\ud800"}"#;
    let (status, text) = room.gateway.api_raw("publish", Some(API_KEY), body).await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &answer["error"]["code"]), (200, &json!(BAD_REQUEST)));
    room.close().await;
}

#[tokio::test]
async fn nested_30_000_deep_by_the_api() {
    let room = Room::open(INSECURE).await;
    let body = format!(r#"{{"channel":"lobby","data":{}}}"#, deep());
    let (status, text) = room.gateway.api_raw("publish", Some(API_KEY), body).await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &answer["error"]["code"]), (200, &json!(BAD_REQUEST)));
    room.close().await;
}

#[tokio::test]
async fn not_json_in_base64_by_the_api() {
    let room = Room::open(INSECURE).await;
    for data in [b"NaN".as_slice(), b"\xff\xfe", b"{", b""] {
        let b64data = base64::engine::general_purpose::STANDARD.encode(data);
        let answer = room.gateway.api("publish", &json!({ "channel": "lobby", "b64data": b64data })).await;
        assert_eq!(answer["error"]["code"], BAD_REQUEST, "{data:?}");
    }
    room.close().await;
}

#[tokio::test]
async fn no_data() {
    let room = Room::open(INSECURE).await;
    let mut guest = room.guest().await;
    guest.text(r#"{"id":2,"publish":{"channel":"lobby"}}"#).await;
    assert_eq!(guest.error(2).await, BAD_REQUEST);
    let answer = room.gateway.api("publish", &json!({ "channel": "lobby" })).await;
    assert_eq!(answer["error"]["code"], BAD_REQUEST);
    room.close().await;
}

#[tokio::test]
async fn newlines_inside_data() {
    let mut room = Room::open(INSECURE).await;
    let mut guest = room.guest().await;
    guest.subscribe(2, "lines").await;
    // In a client's own frame, \n ends a command; \r is white space like any other.
    guest.text("{\"id\":3,\"publish\":{\"channel\":\"lines\",\"data\":{\"a\":\r1,\r\"b\":\"x\\ny\"}}}").await;
    assert_eq!(guest.raw_publication().await, r#"{"a":1,"b":"x\ny"}"#);
    let body = "{\"channel\":\"lines\",\"data\":{\n  \"a\": 1,\r\n  \"b\": \"x\\ny\"\n}}";
    let (status, text) = room.gateway.api_raw("publish", Some(API_KEY), body).await;
    assert_eq!(status, 200, "{text}");
    let heard = guest.raw_publication().await;
    assert!(!heard.contains(['\n', '\r']), "{heard:?}");
    assert_eq!(serde_json::from_str::<Value>(&heard).unwrap(), json!({ "a": 1, "b": "x\ny" }));
    room.bystander_hears().await;
    room.close().await;
}

#[tokio::test]
async fn message_of_10_mb() {
    let room = Room::open(INSECURE).await;
    let guest = room.guest().await;
    let data = "x".repeat(10 * 1024 * 1024);
    let command = format!(r#"{{"id":2,"publish":{{"channel":"lobby","data":"{data}"}}}}"#);
    let closed = guest.flood(Message::text(command)).await;
    assert_eq!(closed.code, Some(1009), "{closed:?}");
    room.close().await;
}

#[tokio::test]
async fn message_one_byte_too_long() {
    let room = Room::open(INSECURE).await;
    let command = |length: usize| {
        let empty = r#"{"id":2,"publish":{"channel":"elsewhere","data":""}}"#;
        empty.replace(r#""""#, &format!("\"{}\"", "x".repeat(length - empty.len())))
    };
    let mut guest = room.guest().await;
    guest.text(command(64 * 1024)).await;
    assert_eq!(guest.error(2).await, 0, "64 KiB fit");
    guest.text(command(64 * 1024 + 1)).await;
    guest.expect_close(1009).await;
    room.close().await;
}
