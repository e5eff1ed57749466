//! What the JSON reader takes and refuses. That it reads what clients write is the golden files' part.

use super::super::command::Request;
use super::super::schema::{PublishRequest, SubscribeRequest};
use super::*;

fn read(frame: &str) -> Vec<Result<Command, String>> {
    commands(frame.as_bytes()).map(|command| command.map_err(|error| error.to_string())).collect()
}

/// The one command of a frame, or why there is none.
fn one(frame: &str) -> Result<Command, String> {
    let mut commands = read(frame);
    assert_eq!(commands.len(), 1, "{frame}");
    commands.remove(0)
}

fn subscribe(id: u32, channel: &str) -> Command {
    let request = SubscribeRequest { channel: channel.into(), ..SubscribeRequest::default() };
    Command { id, request: Request::Subscribe(request) }
}

fn published(frame: &str) -> Bytes {
    match one(frame) {
        Ok(Command { request: Request::Publish(publish), .. }) => publish.data,
        other => panic!("{frame}: {other:?}"),
    }
}

#[test]
fn an_empty_object_is_a_pong() {
    for frame in ["{}", "{ }", " {\n} \n"] {
        assert_eq!(one(frame), Ok(Command { id: 0, request: Request::Pong }), "{frame}");
    }
    for frame in [r#"{"id":0}"#, r#"{"id":1}"#, r#"{"x":{}}"#, r#"{"connect":null}"#] {
        assert_eq!(one(frame), Err("unknown command".to_owned()), "{frame}");
    }
}

#[test]
fn a_frame_without_commands_is_an_error() {
    for frame in ["", "\n", " \r\n\t"] {
        assert_eq!(one(frame), Err("the frame holds no command".to_owned()), "{frame:?}");
    }
}

#[test]
fn commands_are_told_apart_by_line_feeds_or_any_white_space() {
    let two = [Ok(subscribe(1, "a")), Ok(subscribe(2, "b"))];
    for between in ["\n", "\r\n", "\n\n", " ", ""] {
        for end in ["", "\n"] {
            let frame = [r#"{"id":1,"subscribe":{"channel":"a"}}"#, r#"{"id":2,"subscribe":{"channel":"b"}}"#];
            assert_eq!(read(&(frame.join(between) + end)), two, "{between:?} {end:?}");
        }
    }
}

#[test]
fn a_person_may_break_lines_within_a_command() {
    assert_eq!(one("{\n  \"id\": 1,\n  \"subscribe\": {\n    \"channel\": \"a\"\n  }\n}\n"), Ok(subscribe(1, "a")));
}

#[test]
fn the_commands_before_a_broken_one_are_read() {
    for broken in ["{", "[]", "1", "x", "{}}", "null", r#"{"id":2,"subscribe":{"channel":"b"}"#, "\u{1}"] {
        let commands = read(&format!("{{\"id\":1,\"subscribe\":{{\"channel\":\"a\"}}}}\n{broken}\n{{}}"));
        assert_eq!(commands[0], Ok(subscribe(1, "a")), "{broken}");
        let errors = commands.iter().filter(|command| command.is_err()).count();
        assert!(errors == 1 && commands.last().unwrap().is_err(), "{broken} {commands:?}");
    }
}

#[test]
fn ids_are_whole_numbers_of_32_bits() {
    for (id, ok) in [("0", true), ("4294967295", true), ("null", true), ("4294967296", false)] {
        assert_eq!(one(&format!(r#"{{"id":{id},"send":{{}}}}"#)).is_ok(), ok, "{id}");
    }
    for id in ["-1", "1.0", "1e0", "\"1\"", "18446744073709551616", "[1]", "true", "01"] {
        assert!(read(&format!(r#"{{"id":{id},"send":{{}}}}"#))[0].is_err(), "{id}");
    }
}

#[test]
fn two_requests_in_one_command_are_refused() {
    assert_eq!(one(r#"{"id":1,"connect":{},"publish":{}}"#), Err("two commands in one".to_owned()));
    assert!(one(r#"{"id":1,"connect":{},"connect":{}}"#).unwrap_err().contains("duplicate field"));
    // One, and a null.
    assert_eq!(one(r#"{"id":1,"subscribe":{"channel":"a"},"publish":null}"#), Ok(subscribe(1, "a")));
}

#[test]
fn unknown_fields_are_skipped_and_null_is_nothing() {
    let frame =
        r#"{"x":[{}],"id":1,"subscribe":{"y":{"z":[1,"}"]},"channel":"a","token":null,"data":[],"tf":null},"w":0}"#;
    let request = SubscribeRequest { channel: "a".into(), data: "[]".into(), ..SubscribeRequest::default() };
    assert_eq!(one(frame), Ok(Command { id: 1, request: Request::Subscribe(request) }));
}

#[test]
fn fields_of_the_wrong_type_are_refused() {
    for subscribe in ["[]", r#"["a"]"#, "1", "true", r#""a""#, r#"{"channel":1}"#, r#"{"channel":["a"]}"#] {
        assert!(one(&format!(r#"{{"id":1,"subscribe":{subscribe}}}"#)).is_err(), "{subscribe}");
    }
}

#[test]
fn escapes_in_strings_are_undone() {
    let frame = r#"{"id":1,"subscribe":{"ch\u0061nnel":"\u00e9\ud83d\ude00\"\\\/\n"}}"#;
    assert_eq!(one(frame), Ok(subscribe(1, "é😀\"\\/\n")));
    assert!(one(r#"{"id":1,"subscribe":{"channel":"\ud800"}}"#).is_err());
}

#[test]
fn payloads_are_kept_as_they_are_written() {
    for data in ["null", "0", "1.50", r#""\ud800""#, "[1 , 2]", "{\"a\":\n1}", "\"\\u0041\"", "{\"a\":1,\"a\":2}"] {
        assert_eq!(published(&format!(r#"{{"id":1,"publish":{{"data": {data} }}}}"#)), data);
    }
    assert_eq!(published(r#"{"id":1,"publish":{}}"#), "");
}

#[test]
fn payloads_that_are_not_json_break_the_command() {
    for data in ["NaN", "-Infinity", "'a'", "[1,]", "{a:1}", "\"\t\"", "01"] {
        assert!(read(&format!(r#"{{"id":1,"publish":{{"data":{data}}}}}"#))[0].is_err(), "{data}");
    }
    let not_utf8 = [&br#"{"id":1,"publish":{"data":""#[..], b"\xff", br#""}}"#].concat();
    assert!(commands(&not_utf8).next().unwrap().is_err());
}

#[test]
fn depth_costs_no_stack() {
    let deep = "[".repeat(30_000) + &"]".repeat(30_000);
    // Where anything may stand: skipped, or kept for whoever judges payloads.
    assert_eq!(one(&format!(r#"{{"id":1,"subscribe":{{"channel":"a","x":{deep}}}}}"#)), Ok(subscribe(1, "a")));
    assert_eq!(one(&format!(r#"{{"x":{deep},"id":1,"subscribe":{{"channel":"a"}}}}"#)), Ok(subscribe(1, "a")));
    assert_eq!(published(&format!(r#"{{"id":1,"publish":{{"data":{deep}}}}}"#)), deep);
    // Where something else must stand, and where the protocol itself may be nested: refused.
    assert!(read(&deep)[0].is_err());
    assert!(read(&format!(r#"{{"id":{deep},"send":{{}}}}"#))[0].is_err());
    let filter = r#"{"nodes":["#.repeat(10_000) + &"]}".repeat(10_000);
    assert!(read(&format!(r#"{{"id":1,"subscribe":{{"tf":{filter}}}}}"#))[0].is_err());
}

#[test]
fn a_frame_full_of_tiny_commands_is_read() {
    let frame = r#"{"id":1,"send":{}}"#.to_owned() + "\n";
    let frame = frame.repeat(2_500);
    assert_eq!(read(&frame).iter().filter(|command| command.is_ok()).count(), 2_500);
}

#[test]
fn no_payload_breaks_the_frame_around_it() {
    for (data, written) in [("{\"a\"", "null"), ("1\n2", "null"), ("{\"a\":\n1}", "{\"a\":1}")] {
        let publish = PublishRequest { data: data.into(), ..PublishRequest::default() };
        let frame = command(&schema::Command { id: 1, publish: Some(publish), ..schema::Command::default() });
        assert_eq!(frame, format!(r#"{{"id":1,"publish":{{"data":{written}}}}}"#));
    }
}

#[test]
fn pushes_that_are_not_sent_can_be_read() {
    let frame = concat!(
        r#"{"push":{"channel":"a","join":{"info":{"user":"42","client":"c"}}}}"#,
        "\n",
        r#"{"push":{"disconnect":{"code":3001,"reason":"shutdown","reconnect":true}}}"#
    );
    let pushes: Vec<_> = replies(frame.as_bytes()).unwrap().into_iter().filter_map(|reply| reply.push).collect();
    let info = schema::ClientInfo { user: "42".into(), client: "c".into(), ..schema::ClientInfo::default() };
    assert_eq!(pushes[0].join, Some(schema::Join { info: Some(info) }));
    assert_eq!(pushes[1].disconnect.as_ref().map(|disconnect| disconnect.code), Some(3001));
}
