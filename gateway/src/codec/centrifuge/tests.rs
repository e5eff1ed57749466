//! The meaning of commands and events, in both forms. Bytes as such are tested in `fanfare-proto`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fanfare_proto::centrifuge::schema;
use fanfare_proto::code::{CloseCode, ErrorCode};

use prost::Message as _;

use super::*;
use crate::model::ClientHeaders;
use crate::model::command::{Ask, Command, Connect, HistoryAsk, Since, Subscribe};
use crate::model::event::{Connected, Push, Reply, Subscribed};
use crate::model::{ChannelName, ClientInfo, ConnectionId, NodeId, Position, Publication, SessionId, UserId};

mod stream;

const CLIENT: &str = "6b0f9a86-5f0e-4b8e-9d5b-0d1a3b5c7e90";

fn bad_request() -> Option<crate::model::Close> {
    Some(CloseCode::BadRequest.into())
}

fn from_json(frame: &str) -> Decoded {
    Json.decode(Bytes::copy_from_slice(frame.as_bytes()))
}

/// Reads the same commands in both forms, and sees that both say the same.
fn decode(frame: &str) -> Decoded {
    let decoded = from_json(frame);
    let messages = frame.lines().map(|line| {
        let command: schema::Command = serde_json::from_str(line).unwrap();
        protobuf::command(&command)
    });
    let twin = Protobuf.decode(messages.collect::<Vec<_>>().concat().into());
    assert_eq!((&twin.commands, &twin.then), (&decoded.commands, &decoded.then), "{frame}");
    decoded
}

fn asked(frame: &str) -> Ask {
    let mut decoded = decode(frame);
    assert_eq!((decoded.commands.len(), &decoded.then), (1, &None), "{frame}");
    decoded.commands.remove(0).ask
}

fn data(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn each_command_has_its_meaning() {
    let channel = || "news".to_owned();
    let token = || "t".into();
    for (frame, ask) in [
        (r#"{"id":1,"connect":{}}"#, Ask::Connect(Connect::default())),
        (r#"{"id":1,"unsubscribe":{"channel":"news"}}"#, Ask::Unsubscribe { channel: channel() }),
        (
            r#"{"id":1,"publish":{"channel":"news","data":{"a":[1]}}}"#,
            Ask::Publish { channel: channel(), data: data(r#"{"a":[1]}"#) },
        ),
        (r#"{"id":1,"publish":{"channel":"news"}}"#, Ask::Publish { channel: channel(), data: data("") }),
        (r#"{"id":1,"presence":{"channel":"news"}}"#, Ask::Presence { channel: channel() }),
        (r#"{"id":1,"presence_stats":{"channel":"news"}}"#, Ask::PresenceStats { channel: channel() }),
        (
            r#"{"id":1,"history":{"channel":"news","limit":3}}"#,
            Ask::History { channel: channel(), query: HistoryAsk { limit: 3, ..HistoryAsk::default() } },
        ),
        (r#"{"id":1,"rpc":{"method":"m","data":1}}"#, Ask::Rpc { method: "m".into(), data: data("1") }),
        (r#"{"id":1,"send":{"data":1}}"#, Ask::Send { data: data("1") }),
        (r#"{"send":{"data":1}}"#, Ask::Send { data: data("1") }),
        (r#"{"id":1,"refresh":{"token":"t"}}"#, Ask::Refresh { token: token() }),
        (
            r#"{"id":1,"sub_refresh":{"channel":"news","token":"t"}}"#,
            Ask::SubRefresh { channel: channel(), token: token() },
        ),
        ("{}", Ask::Pong),
    ] {
        assert_eq!(asked(frame), ask, "{frame}");
    }
}

#[test]
fn connect_brings_token_data_name_version_and_subscriptions() {
    let frame = r#"{"id":1,"connect":{"token":"t","data":{"a":1},"name":"js","version":"5","headers":{"X-A":"b"},"subs":{"news":{"recover":true,"offset":7,"epoch":"e"}}}}"#;
    let recover = Some(Since { offset: 7, epoch: "e".into() });
    let news = Subscribe { channel: "news".into(), recover, ..Subscribe::default() };
    let connect = Connect {
        token: "t".into(),
        data: data(r#"{"a":1}"#),
        name: "js".into(),
        version: "5".into(),
        headers: ClientHeaders::new([("x-a".to_owned(), "b".to_owned())]),
        subs: BTreeMap::from([("news".into(), news)]),
    };
    assert_eq!(asked(frame), Ask::Connect(connect));
}

#[test]
fn a_subscribe_with_a_filter_just_subscribes() {
    let frame = r#"{"id":1,"subscribe":{"channel":"news","token":"t","data":[],"tf":{"key":"k","cmp":"eq","val":"v"},"flag":1}}"#;
    let subscribe = Subscribe { channel: "news".into(), token: "t".into(), data: data("[]"), ..Subscribe::default() };
    assert_eq!(asked(frame), Ask::Subscribe(subscribe));
}

#[test]
fn the_official_clients_frames_are_understood() {
    let batch = include_bytes!("../../../../proto/tests/golden/centrifuge/commands/batch.json");
    let twin = include_bytes!("../../../../proto/tests/golden/centrifuge/commands/batch.bin");
    let publish = |id, text| Command { id, ask: Ask::Publish { channel: "news".into(), data: data(text) } };
    let expected = [publish(8, "1"), publish(9, "null")];
    assert_eq!(Json.decode(Bytes::from_static(batch)).commands, expected);
    assert_eq!(Protobuf.decode(Bytes::from_static(twin)).commands, expected);
}

#[test]
fn only_send_and_pong_go_without_an_id() {
    for request in ["connect", "subscribe", "unsubscribe", "publish", "presence", "presence_stats", "history"]
        .into_iter()
        .chain(["rpc", "refresh", "sub_refresh"])
    {
        for id in ["", r#""id":0,"#] {
            let decoded = decode(&format!(r#"{{{id}"{request}":{{}}}}"#));
            assert_eq!((decoded.commands.len(), decoded.then), (0, bad_request()), "{request}");
        }
    }
}

#[test]
fn ids_out_of_range_end_the_connection() {
    for id in ["-1", "4294967296", "18446744073709551616", "1.5", "\"1\""] {
        assert_eq!(from_json(&format!(r#"{{"id":{id},"send":{{}}}}"#)).then, bad_request(), "{id}");
    }
    for id in [1 << 32, u64::MAX] {
        let command = schema::Command { id, send: Some(schema::SendRequest::default()), ..schema::Command::default() };
        assert_eq!(Protobuf.decode(protobuf::command(&command)).then, bad_request(), "{id}");
    }
}

#[test]
fn an_id_may_be_used_again() {
    let frame = "{\"id\":1,\"rpc\":{}}\n{\"id\":1,\"rpc\":{}}";
    assert_eq!(decode(frame).commands.len(), 2);
}

#[test]
fn unknown_and_doubled_commands_end_the_connection() {
    for frame in [
        r#"{"id":1}"#,
        r#"{"id":1,"ping":{}}"#,
        r#"{"ping":{}}"#,
        r#"{"id":1,"dance":{}}"#,
        r#"{"id":1,"connect":{},"subscribe":{"channel":"a"}}"#,
    ] {
        let decoded = decode(frame);
        assert_eq!((decoded.commands.len(), decoded.then), (0, bad_request()), "{frame}");
    }
}

#[test]
fn an_empty_frame_ends_the_connection() {
    for decoded in [from_json(""), from_json("\n"), Protobuf.decode(Bytes::new())] {
        assert_eq!((decoded.commands.len(), decoded.then), (0, bad_request()));
    }
}

#[test]
fn what_cannot_be_read_ends_the_connection_after_the_commands_before_it() {
    for broken in ["{", "x", "[]", "NaN", "\u{0}", r#"{"id":2,"publish":{"data":NaN}}"#, r#"{"id":"2","rpc":{}}"#] {
        let decoded = from_json(&format!("{{\"id\":1,\"rpc\":{{}}}}\n{broken}\n{{\"id\":3,\"rpc\":{{}}}}"));
        let ids: Vec<_> = decoded.commands.iter().map(|command| command.id).collect();
        assert_eq!((ids, decoded.then), (vec![1], bad_request()), "{broken}");
    }
    for broken in [&b"\x09ab"[..], b"\x80", b"\x80\x00", b"\x02\xff\xff", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"] {
        let decoded = Protobuf.decode([b"\x00", broken].concat().into());
        assert_eq!((decoded.commands.len(), decoded.then), (1, bad_request()), "{broken:x?}");
    }
}

#[test]
fn depth_is_no_danger() {
    let deep = "[".repeat(30_000) + &"]".repeat(30_000);
    let frame = format!(r#"{{"id":1,"publish":{{"channel":"a","data":{deep}}}}}"#);
    let decoded = from_json(&frame);
    // Whether the payload is too deep is for the session to say, to the publisher alone.
    assert_eq!((decoded.commands.len(), decoded.then), (1, None));
}

// ---- events -------------------------------------------------------------------------------------

/// Writes an event in both forms, and sees that both say the same.
fn encode(event: &Event<'_>) -> String {
    let (text, binary) = (Json.encode(event), Protobuf.encode(event));
    let (Frame::Text(text), Frame::Binary(binary)) = (text, binary) else { panic!("one text, one binary frame") };
    assert_eq!(json::replies(&text).unwrap(), protobuf::replies(binary).unwrap());
    String::from_utf8(text.to_vec()).unwrap()
}

fn replied(reply: &Reply) -> String {
    encode(&Event::Reply { id: 3, reply })
}

fn pushed(channel: Option<&str>, push: &Push) -> String {
    let channel = channel.map(|name| ChannelName::parse(name).unwrap());
    encode(&Event::Push { channel: channel.as_ref(), push })
}

#[test]
fn a_ping_has_no_content() {
    assert_eq!(encode(&Event::Ping), "{}");
    assert_eq!(Protobuf.encode(&Event::Ping), Frame::Binary(Bytes::from_static(&[0])));
}

#[test]
fn results_without_content_are_empty_objects() {
    assert_eq!(replied(&Reply::Publish), r#"{"id":3,"publish":{}}"#);
    assert_eq!(replied(&Reply::Unsubscribe), r#"{"id":3,"unsubscribe":{}}"#);
    assert_eq!(replied(&Reply::Subscribe(Subscribed::default())), r#"{"id":3,"subscribe":{}}"#);
    assert_eq!(replied(&Reply::SubRefresh { ttl: None }), r#"{"id":3,"sub_refresh":{}}"#);
}

#[test]
fn errors_say_whether_they_pass() {
    let error = |code| encode(&Event::Error { id: 3, code });
    assert_eq!(error(ErrorCode::PermissionDenied), r#"{"id":3,"error":{"code":103,"message":"permission denied"}}"#);
    assert_eq!(
        error(ErrorCode::Internal),
        r#"{"id":3,"error":{"code":100,"message":"internal server error","temporary":true}}"#
    );
}

#[test]
fn connect_is_answered_with_all_it_brings() {
    let news = Subscribed { ttl: Some(Duration::from_secs(60)), data: data("[1]"), ..Subscribed::default() };
    let connected = Connected {
        client: ConnectionId::parse(CLIENT).unwrap(),
        version: "0.1.0",
        ttl: Some(Duration::from_millis(3_599_001)),
        data: data(r#"{"hello":1}"#),
        subs: BTreeMap::from([(ChannelName::parse("n\"ws").unwrap(), news)]),
        ping_interval: Duration::from_secs(25),
        pong: true,
        session: Some(SessionId::parse("0b7d6f4e-31c2-4a55-8b60-94f0a1e2d3c4").unwrap()),
        node: NodeId::parse("f1d2c3b4-a596-4788-a7b6-c5d4e3f20110").unwrap(),
        time_ms: 1_780_000_000_123,
    };
    let expected = concat!(
        r#"{"id":3,"connect":{"client":"6b0f9a86-5f0e-4b8e-9d5b-0d1a3b5c7e90","version":"0.1.0","expires":true,"ttl":3600,"#,
        r#""data":{"hello":1},"subs":{"n\"ws":{"expires":true,"ttl":60,"data":[1]}},"ping":25,"pong":true,"#,
        r#""session":"0b7d6f4e-31c2-4a55-8b60-94f0a1e2d3c4","node":"f1d2c3b4-a596-4788-a7b6-c5d4e3f20110","time":1780000000123}}"#,
    );
    assert_eq!(replied(&Reply::Connect(Box::new(connected))), expected);
}

#[test]
fn ttls_are_whole_seconds_rounded_up_and_never_zero() {
    let nanosecond = Duration::from_nanos(1);
    let second = Duration::from_secs(1);
    for (ttl, seconds) in
        [(Duration::ZERO, 1), (nanosecond, 1), (second, 1), (second + nanosecond, 2), (Duration::MAX, u32::MAX)]
    {
        let expected = format!(r#"{{"id":3,"sub_refresh":{{"expires":true,"ttl":{seconds}}}}}"#);
        assert_eq!(replied(&Reply::SubRefresh { ttl: Some(ttl) }), expected);
    }
    let client = ConnectionId::parse(CLIENT).unwrap();
    let refreshed = replied(&Reply::Refresh { client, ttl: Some(60 * second) });
    assert_eq!(refreshed, format!(r#"{{"id":3,"refresh":{{"client":"{CLIENT}","expires":true,"ttl":60}}}}"#));
}

#[test]
fn pushes_other_than_publications() {
    let subscribed = Subscribed { data: data("[7]"), ..Subscribed::default() };
    assert_eq!(
        pushed(Some("#42"), &Push::Subscribe(subscribed)),
        r##"{"push":{"channel":"#42","subscribe":{"data":[7]}}}"##
    );
    assert_eq!(
        pushed(Some("news"), &Push::Unsubscribe { code: 2500, reason: "insufficient state" }),
        r#"{"push":{"channel":"news","unsubscribe":{"code":2500,"reason":"insufficient state"}}}"#
    );
    assert_eq!(pushed(None, &Push::Message { data: data("1") }), r#"{"push":{"message":{"data":1}}}"#);
    assert_eq!(
        pushed(None, &Push::Refresh { ttl: Some(Duration::from_secs(9)) }),
        r#"{"push":{"refresh":{"expires":true,"ttl":9}}}"#
    );
}

fn said(channel: &str, publication: &Publication) -> String {
    let channel = ChannelName::parse(channel).unwrap();
    encode(&Event::Publication { channel: &channel, publication })
}

fn publication(offset: Option<u64>) -> Publication {
    let info = ClientInfo {
        user: UserId::new("42"),
        client: CLIENT.into(),
        connection_info: data(r#"{"name":"Ann"}"#),
        channel_info: Bytes::new(),
    };
    Publication {
        data: data(r#"{"text":"hi"}"#),
        info: Some(info),
        tags: BTreeMap::from([("k".into(), "v".into())]),
        position: offset.map(|offset| Position { offset, epoch: Arc::from("abcd") }),
        time_ms: 5,
        exclude: Some(ConnectionId::parse(CLIENT).unwrap()),
        delta: false,
    }
}

#[test]
fn a_publication_carries_data_info_tags_and_time() {
    assert_eq!(
        said("news", &publication(None)),
        concat!(
            r#"{"push":{"channel":"news","pub":{"data":{"text":"hi"},"info":{"user":"42","#,
            r#""client":"6b0f9a86-5f0e-4b8e-9d5b-0d1a3b5c7e90","conn_info":{"name":"Ann"}},"tags":{"k":"v"},"time":5}}}"#,
        )
    );
    let bare = Publication { data: data("1"), ..Publication::default() };
    assert_eq!(said("news", &bare), r#"{"push":{"channel":"news","pub":{"data":1}}}"#);
}

#[test]
fn a_publication_names_the_epoch_with_its_first_offset_only() {
    assert!(said("news", &publication(Some(1))).ends_with(r#""offset":1,"tags":{"k":"v"},"time":5,"epoch":"abcd"}}}"#));
    assert!(said("news", &publication(Some(2))).ends_with(r#""offset":2,"tags":{"k":"v"},"time":5}}}"#));
}

#[test]
fn a_channel_name_with_quotes_is_escaped() {
    let bare = Publication { data: data("1"), ..Publication::default() };
    assert_eq!(said(r#"a"b\c"#, &bare), r#"{"push":{"channel":"a\"b\\c","pub":{"data":1}}}"#);
}

#[test]
fn several_publications_are_one_message_of_all() {
    let channel = ChannelName::parse("news").unwrap();
    let all = [publication(Some(1)), publication(Some(2)), publication(None)];
    let written = |codec: &dyn Encode| -> (Vec<Frame>, Frame) {
        let write = |publication| codec.encode(&Event::Publication { channel: &channel, publication });
        let frames: Vec<_> = all.iter().map(write).collect();
        let joined = codec.join(&frames).unwrap();
        (frames, joined)
    };
    let (frames, joined) = written(&Json);
    let Frame::Text(text) = joined else { panic!("not a text") };
    let lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
    assert_eq!(lines, frames.iter().map(|frame| &frame.bytes()[..]).collect::<Vec<_>>());
    let (frames, joined) = written(&Protobuf);
    let Frame::Binary(bytes) = joined else { panic!("not binary") };
    let mut rest = &bytes[..];
    for frame in &frames {
        // Each says how long it is.
        let reply = schema::Reply::decode_length_delimited(&mut rest).unwrap();
        assert_eq!(reply, schema::Reply::decode_length_delimited(&frame.bytes()[..]).unwrap());
    }
    assert!(rest.is_empty());
}
