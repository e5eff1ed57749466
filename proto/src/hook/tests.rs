use super::*;

fn json(text: &str) -> Result<ConnectResponse, AnswerError> {
    from_json(text.as_bytes())
}

#[test]
fn a_question_leaves_out_what_is_empty_but_the_user() {
    let question = SubscribeRequest {
        client: "c".into(),
        transport: "websocket".into(),
        protocol: "json".into(),
        encoding: "json".into(),
        channel: "chat:a".into(),
        data: Bytes::from_static(br#"{"a": 1}"#),
        ..SubscribeRequest::default()
    };
    let written = to_json(&question).unwrap();
    let expected = r#"{"client":"c","transport":"websocket","protocol":"json","encoding":"json","user":"","channel":"chat:a","data":{"a": 1}}"#;
    assert_eq!(written, expected);
}

#[test]
fn a_payload_that_is_no_json_is_not_written_as_json() {
    let question = RpcRequest { data: Bytes::from_static(b"\xff"), ..RpcRequest::default() };
    assert!(to_json(&question).is_err());
    assert!(!to_protobuf(&question).is_empty());
}

#[test]
fn an_answer_is_read_with_fields_that_nobody_knows() {
    let text = r#"{"result":{"user":"42","expire_at":1700000000,"info":{"name":"A"},"data":[1],
        "channels":["news"],"subs":{"chat:a":{"data":{"x":1},"override":{"presence":{"value":true}}}},
        "meta":{"t":1},"labels":{"a":"b"}},"more":1}"#;
    let Verdict::Result(Some(result)) = json(text).unwrap().open() else { panic!("a result") };
    assert_eq!(
        (result.user.as_str(), result.expire_at, &result.info[..]),
        ("42", 1_700_000_000, &br#"{"name":"A"}"#[..])
    );
    assert_eq!((&result.meta[..], result.channels), (&br#"{"t":1}"#[..], vec!["news".to_owned()]));
    let options = result.subs["chat:a"].r#override.unwrap();
    assert_eq!(options.presence, Some(BoolValue { value: true }));
}

#[test]
fn what_is_not_there_may_be_null() {
    for text in ["{}", r#"{"result":null,"error":null}"#] {
        assert_eq!(json(text).unwrap().open(), Verdict::Result(None), "{text}");
    }
    let nulls = r#"{"result":{"user":null,"expire_at":null,"info":null,"channels":null,"subs":null,"b64info":null}}"#;
    assert_eq!(json(nulls).unwrap().open(), Verdict::Result(Some(ConnectResult::default())));
}

#[test]
fn a_wrong_type_makes_it_no_answer() {
    for text in [
        "",
        "null",
        "[]",
        "<html>",
        r#"{"result":[]}"#,
        r#"{"result":{"user":42}}"#,
        r#"{"result":{"expire_at":"1700000000"}}"#,
        r#"{"result":{"expire_at":1.5}}"#,
        r#"{"result":{"channels":"news"}}"#,
        r#"{"result":{"subs":[]}}"#,
        r#"{"result":{"caps":{}}}"#,
        r#"{"result":{"caps":[[["news"],["sub"]]]}}"#,
        r#"{"result":{"caps":[{"channels":"news"}]}}"#,
        r#"{"error":"no"}"#,
        r#"{"error":{"code":-1}}"#,
        r#"{"disconnect":{"code":"4000"}}"#,
    ] {
        assert!(matches!(json(text), Err(AnswerError::Json { .. })), "{text}");
    }
    assert_eq!(from_protobuf::<ConnectResponse>(Bytes::from_static(b"\xff")), Err(AnswerError::Protobuf));
}

#[test]
fn what_ends_the_connection_wins() {
    let all = r#"{"result":{},"error":{"code":1000},"disconnect":{"code":4000,"reason":"no"}}"#;
    assert_eq!(json(all).unwrap().open(), Verdict::Disconnect(Disconnect { code: 4000, reason: "no".into() }));
    let two = r#"{"result":{},"error":{"code":1000,"message":"no","temporary":true}}"#;
    let error = Error { code: 1000, message: "no".into(), temporary: true };
    assert_eq!(json(two).unwrap().open(), Verdict::Error(error));
}

#[test]
fn the_numbers_are_those_of_backends_that_are_there_already() {
    let answer = ConnectResponse {
        result: Some(ConnectResult { user: "u".into(), meta: Bytes::from_static(b"1"), ..ConnectResult::default() }),
        ..ConnectResponse::default()
    };
    // result: 1, a message of 6 bytes; in it user: 1, "u", and meta: 9, "1".
    assert_eq!(answer.encode_to_vec(), b"\x0a\x06\x0a\x01u\x4a\x011");
    let entry =
        ChannelsCapability { channels: vec!["*".into()], allow: vec!["sub".into()], r#match: "wildcard".into() };
    let answer = RefreshResult { caps: vec![entry], ..RefreshResult::default() };
    // caps: 6, a message of 18 bytes; in it channels: 1, allow: 2, match: 3.
    assert_eq!(answer.encode_to_vec(), b"\x32\x12\x0a\x01*\x12\x03sub\x1a\x08wildcard");
    let question = RpcRequest { client: "c".into(), user: "u".into(), method: "m".into(), ..RpcRequest::default() };
    assert_eq!(to_protobuf(&question), &b"\x0a\x01c\x52\x01u\x5a\x01m"[..]);
}
