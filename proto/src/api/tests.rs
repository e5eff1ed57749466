use serde_json::value::RawValue;

use super::*;

fn publish(json: &str) -> Publish<'_> {
    serde_json::from_str(json).unwrap()
}

fn subscribe(json: &str) -> Subscribe<'_> {
    serde_json::from_str(json).unwrap()
}

#[test]
fn payloads_are_borrowed_as_they_were_written() {
    let body = r#"{"channel":"news","data": {"a" : 1.0} ,"tags":{"k":"v"},"brand_new":[[1]]}"#;
    let request = publish(body);
    assert_eq!(&*request.channel, "news");
    assert!(matches!(request.channel.0, std::borrow::Cow::Borrowed(_)));
    let data = request.data.unwrap().get();
    assert_eq!(data, r#"{"a" : 1.0}"#);
    assert!(body.as_bytes().as_ptr_range().contains(&data.as_ptr()), "the payload was copied");
    assert_eq!(request.tags["k"], "v");
}

#[test]
fn a_payload_may_be_null_and_other_nulls_mean_nothing() {
    let request = publish(r#"{"channel":null,"data":null,"b64data":null,"tags":null,"skip_history":null}"#);
    assert_eq!(request.data.map(RawValue::get), Some("null"));
    assert!(request.channel.is_empty() && request.b64data.is_none() && request.tags.is_empty());
    assert!(publish("{}").data.is_none());
    let request = subscribe(r#"{"info":null,"user":"42","recover_since":null}"#);
    assert!(request.info.is_none() && request.recover_since.is_none());
}

#[test]
fn options_that_are_not_built_are_seen_unless_they_say_nothing() {
    for nothing in ["null", "false", "0", "0.0", r#""""#, "[]", "{}"] {
        let request = format!(r#"{{"override":{nothing},"all_users":{nothing}}}"#);
        assert_eq!(subscribe(&request).unbuilt(), None, "{nothing}");
    }
    for something in ["true", "7", "-1", "0.5", r#""k""#, "[0]", r#"{"a":[[[]]]}"#] {
        let request = format!(r#"{{"all_users":false,"label_filter":{something}}}"#);
        assert_eq!(subscribe(&request).unbuilt(), Some("label_filter"), "{something}");
    }
    assert_eq!(subscribe(r#"{"override":{"presence":{"value":false}}}"#).unbuilt(), Some("override"));
}

#[test]
fn deep_values_in_fields_that_are_skipped_do_not_recurse() {
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    for field in ["brand_new", "override", "data"] {
        let request = format!(r#"{{"{field}":{deep}}}"#);
        let read: Result<Subscribe<'_>, _> = serde_json::from_str(&request);
        // Refused or read, but never a stack overflow.
        if let Ok(read) = read {
            assert_eq!(read.unbuilt().is_some(), field == "override");
        }
    }
}

#[test]
fn what_is_empty_is_not_written() {
    let request = Publish { channel: "news".into(), tags: [("k".into(), "v".into())].into(), ..Publish::default() };
    assert_eq!(serde_json::to_string(&request).unwrap(), r#"{"channel":"news","tags":{"k":"v"}}"#);
    let request = Disconnect { user: "42".into(), ..Disconnect::default() };
    assert_eq!(serde_json::to_string(&request).unwrap(), r#"{"user":"42"}"#);
}

#[test]
fn answers_have_one_key() {
    let answers = BroadcastResult {
        responses: vec![
            Answer::Result(PublishResult::default()),
            Answer::Result(PublishResult { offset: 7, epoch: "e".into() }),
            Answer::Error(Error { code: 102, message: "unknown channel".into() }),
        ],
    };
    let json = concat!(
        r#"{"responses":[{"result":{}},{"result":{"offset":7,"epoch":"e"}},"#,
        r#"{"error":{"code":102,"message":"unknown channel"}}]}"#
    );
    assert_eq!(serde_json::to_string(&answers).unwrap(), json);
    assert_eq!(serde_json::from_str::<BroadcastResult>(json).unwrap(), answers);

    let replies = BatchResult {
        replies: vec![Reply::Subscribe(Empty {}), Reply::Error(Error { code: 107, message: "bad request".into() })],
    };
    let json = r#"{"replies":[{"subscribe":{}},{"error":{"code":107,"message":"bad request"}}]}"#;
    assert_eq!(serde_json::to_string(&replies).unwrap(), json);
    let read: BatchResult<'_> = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
}

#[test]
fn what_publishers_ask_for() {
    let nothing = publish(r#"{"idempotency_key":null,"delta":null,"version":null,"version_epoch":null,"ack":null}"#);
    assert!(nothing.idempotency_key.is_empty() && !nothing.delta && nothing.version == 0 && nothing.ack.is_empty());
    let json = r#"{"channel":"news","data":1,"idempotency_key":"k 1","delta":true,"version":18446744073709551615,"version_epoch":"e","ack":"replicated"}"#;
    assert_eq!(serde_json::to_string(&publish(json)).unwrap(), json);
    for wrong in [r#""version":-1"#, r#""version":1.5"#, r#""version":18446744073709551616"#, r#""delta":1"#] {
        assert!(serde_json::from_str::<Publish<'_>>(&format!("{{{wrong}}}")).is_err(), "{wrong}");
    }
}

#[test]
fn pages_of_history() {
    let ask: History<'_> = serde_json::from_str(r#"{"channel":"a","limit":null,"since":null}"#).unwrap();
    assert!(ask.limit == 0 && ask.since.is_none() && !ask.reverse);
    let ask: History<'_> = serde_json::from_str(r#"{"limit":-1,"since":{},"reverse":true}"#).unwrap();
    assert_eq!((ask.limit, ask.since, ask.reverse), (-1, Some(Since::default()), true));
    for offset in ["-1", "18446744073709551616", "1.5", r#""1""#] {
        let wrong = format!(r#"{{"since":{{"offset":{offset}}}}}"#);
        assert!(serde_json::from_str::<History<'_>>(&wrong).is_err(), "{wrong}");
    }

    let json = concat!(
        r#"{"replies":[{"history":{"publications":["#,
        r#"{"offset":1,"data":{"a": 1},"info":{"user":"42","client":"c","conn_info":{"n":1}},"tags":{"k":"v"},"time":7},"#,
        r#"{"offset":2,"data":null,"b64data":"/w=="}],"offset":2,"epoch":"e"}},{"history_remove":{}},"#,
        r#"{"presence":{"presence":{"c":{"user":"","client":"c","b64chan_info":"/w=="}}}},"#,
        r#"{"presence_stats":{"num_clients":1,"num_users":1}}]}"#
    );
    let read: BatchResult<'_> = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
}

#[test]
fn a_batch_keeps_its_calls_raw() {
    let json = r#"{"commands":[{"publish":{"channel":"a","data":1}},{"info":{}}],"parallel":true}"#;
    let batch: Batch<'_> = serde_json::from_str(json).unwrap();
    assert!(batch.parallel);
    assert_eq!(batch.commands[0][&Text::from("publish")].get(), r#"{"channel":"a","data":1}"#);
    let call: Call<'_> = serde_json::from_str(r#"{"method":"info"}"#).unwrap();
    assert!(&*call.method == "info" && call.params.is_none());
}

#[test]
fn methods_by_name() {
    assert_eq!(Method::parse("publish"), Some(Method::Publish));
    assert_eq!(Method::parse("history_remove"), Some(Method::HistoryRemove));
    assert_eq!(Method::parse("rpc"), Some(Method::Unbuilt));
    assert_eq!(Method::parse("Publish"), None);
    assert_eq!(Method::parse(""), None);
}
