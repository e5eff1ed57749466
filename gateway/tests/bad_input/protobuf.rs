//! Protobuf that is none, written byte by byte: nothing of the gateway's own codec is used.

use serde_json::Value;

use crate::room::{INSECURE, Room};
use crate::ws::{PROTOBUF, Socket};

const BAD_REQUEST: u16 = 3501;
/// Command { id: 1, connect: {} }, with its length in front.
const CONNECT: [u8; 5] = [4, 0x08, 1, 0x22, 0];

/// A length-delimited field, or a message with its length in front if `tag` is none.
fn delimited(tag: Option<u8>, content: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = tag.into_iter().collect();
    let mut length = content.len();
    while length >= 0x80 {
        out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap());
    out.extend_from_slice(content);
    out
}

/// Command { id, publish: { channel, data } }.
fn publish(id: u8, channel: &str, data: &[u8]) -> Vec<u8> {
    let request = [delimited(Some(0x0a), channel.as_bytes()), delimited(Some(0x12), data)].concat();
    delimited(None, &[vec![0x08, id], delimited(Some(0x3a), &request)].concat())
}

/// The error code in a reply { id, error: { code } }; 0 if the reply has none.
fn error_code(frame: &[u8]) -> u64 {
    // length, 0x08, id, 0x12, length, 0x08, code: numbers below 128 take one byte.
    match frame {
        [_, 0x08, _, 0x12, _, 0x08, code, ..] => u64::from(*code),
        _ => 0,
    }
}

async fn guest(room: &Room) -> Socket {
    let mut guest = Socket::open_with(room.gateway.listen, &[("Sec-WebSocket-Protocol", PROTOBUF)]).await;
    guest.binary(CONNECT.to_vec()).await;
    let reply = guest.bytes().await.expect("a reply");
    assert_eq!((reply[1], reply[2], error_code(&reply)), (0x08, 1, 0));
    guest
}

async fn ends(bytes: &[u8]) {
    let room = Room::open(INSECURE).await;
    let mut guest = guest(&room).await;
    guest.binary(bytes.to_vec()).await;
    guest.expect_close(BAD_REQUEST).await;
    room.close().await;
}

#[tokio::test]
async fn cut_off() {
    let whole = publish(2, "lobby", b"{}");
    ends(&whole[..whole.len() - 1]).await;
}

#[tokio::test]
async fn cut_off_inside_a_field() {
    ends(&[3, 0x08, 0xff, 0xff]).await;
}

#[tokio::test]
async fn overlong_varint_as_length() {
    ends(&[0xff; 11]).await;
}

#[tokio::test]
async fn overlong_varint_as_id() {
    ends(&delimited(None, &[&[0x08][..], &[0xff; 10], &[1]].concat())).await;
}

#[tokio::test]
async fn length_of_everything() {
    ends(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]).await;
}

#[tokio::test]
async fn field_of_the_wrong_type() {
    // `id` as a string.
    ends(&delimited(None, &[0x0a, 1, b'1'])).await;
}

#[tokio::test]
async fn empty_frame() {
    ends(&[]).await;
}

#[tokio::test]
async fn pong_without_a_ping() {
    ends(&[0]).await;
}

#[tokio::test]
async fn two_commands_in_one() {
    // subscribe and unsubscribe, both of channel "a".
    ends(&delimited(None, &[0x08, 2, 0x2a, 3, 0x0a, 1, b'a', 0x32, 3, 0x0a, 1, b'a'])).await;
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let room = Room::open(INSECURE).await;
    let mut guest = guest(&room).await;
    // unsubscribe of "a" with field 100 inside and field 200 beside it.
    let request = [&[0x0a, 1, b'a'][..], &[0xa0, 0x06, 1]].concat();
    let command = [vec![0x08, 2], delimited(Some(0x32), &request), vec![0xc0, 0x0c, 1]].concat();
    guest.binary(delimited(None, &command)).await;
    assert_eq!(guest.bytes().await.unwrap(), [4, 0x08, 2, 0x32, 0]);
    room.close().await;
}

#[tokio::test]
async fn data_that_is_not_json() {
    let room = Room::open(INSECURE).await;
    let mut guest = guest(&room).await;
    let deep = crate::data::deep();
    let data: [&[u8]; 9] =
        [b"NaN", b"", b"{", b"\xff\xfe", b"\"\\ud800\"", b"1 2", b"Infinity", b"'a'", deep.as_bytes()];
    for data in data {
        guest.binary(publish(2, "lobby", data)).await;
        let reply = guest.bytes().await.unwrap();
        assert_eq!(error_code(&reply), 107, "{:?}", data.get(..20));
    }
    room.close().await;
}

#[tokio::test]
async fn newlines_inside_data() {
    let room = Room::open(INSECURE).await;
    let mut listener = room.guest().await;
    listener.subscribe(2, "lines").await;
    let mut guest = guest(&room).await;
    guest.binary(publish(2, "lines", b"{\n\t\"a\" : [1,\r\n2],\n\"b\":\"x\\ny\"\n}")).await;
    assert_eq!(error_code(&guest.bytes().await.unwrap()), 0);
    let heard = listener.raw_publication().await;
    assert!(!heard.contains(['\n', '\r']), "{heard:?}");
    assert_eq!(serde_json::from_str::<Value>(&heard).unwrap(), serde_json::json!({ "a": [1, 2], "b": "x\ny" }));
    room.close().await;
}
