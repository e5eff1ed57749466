//! What a backend may send wrongly, row by row. Each row names its answer, and none has any effect.

use axum::body::Body;
use axum::http::Request;
use fanfare_gateway::broker::BrokerError;
use futures_util::stream;
use serde_json::json;

use crate::kit::{BODY_BYTES_MAX, House, KEY, post};

/// One wrong request: what it is called, method, body, and the answer's status and error code.
type Row = (&'static str, &'static str, String, u16, u64);

/// Refused for its form: whatever the error mode, the status says so.
fn malformed() -> Vec<Row> {
    let rows: &[(&str, &str, &str, u16, u64)] = &[
        ("empty body", "publish", "", 200, 107),
        ("cut off", "publish", r#"{"channel":"news","data":{"a":"#, 400, 107),
        ("two values", "publish", r#"{"channel":"news","data":1}{}"#, 400, 107),
        ("not an object", "publish", "42", 400, 107),
        ("null", "publish", "null", 400, 107),
        ("fields in a list", "publish", r#"["news",1]"#, 400, 107),
        ("NaN as data", "publish", r#"{"channel":"news","data":NaN}"#, 400, 107),
        ("channel is a number", "publish", r#"{"channel":5,"data":1}"#, 400, 107),
        ("channel twice", "publish", r#"{"channel":"a","channel":"b","data":1}"#, 400, 107),
        ("tags are numbers", "publish", r#"{"channel":"news","data":1,"tags":{"a":1}}"#, 400, 107),
        ("lone surrogate in the channel", "publish", r#"{"channel":"\ud800","data":1}"#, 400, 107),
        ("control character in a text", "publish", "{\"channel\":\"a\nb\",\"data\":1}", 400, 107),
        ("channels is a text", "broadcast", r#"{"channels":"news","data":1}"#, 400, 107),
        ("expire_at is a text", "subscribe", r#"{"user":"42","channel":"news","expire_at":"soon"}"#, 400, 107),
        ("negative code", "disconnect", r#"{"user":"42","disconnect":{"code":-1}}"#, 400, 107),
        ("whitelist is a text", "disconnect", r#"{"user":"42","whitelist":"c1"}"#, 400, 107),
        ("commands is an object", "batch", r#"{"commands":{"publish":{}}}"#, 400, 107),
        ("version below 0", "publish", r#"{"channel":"kept:1","data":1,"version":-1}"#, 400, 107),
        ("version of 65 bits", "publish", r#"{"channel":"kept:1","data":1,"version":18446744073709551616}"#, 400, 107),
        ("delta is a number", "publish", r#"{"channel":"news","data":1,"delta":1}"#, 400, 107),
        ("raw CR and LF in a key", "publish", "{\"data\":1,\"idempotency_key\":\"a\r\nb\"}", 400, 107),
        ("limit is a text", "history", r#"{"channel":"kept:1","limit":"all"}"#, 400, 107),
        ("limit of 33 bits", "history", r#"{"channel":"kept:1","limit":4294967296}"#, 400, 107),
        ("since is a number", "history", r#"{"channel":"kept:1","since":7}"#, 400, 107),
        ("since is a list", "history", r#"{"channel":"kept:1","since":[-1]}"#, 400, 107),
        ("offset below 0", "history", r#"{"channel":"kept:1","since":{"offset":-1,"epoch":"e1"}}"#, 400, 107),
        ("offset of 65 bits", "history", r#"{"channel":"kept:1","since":{"offset":18446744073709551616}}"#, 400, 107),
        ("epoch is a number", "history", r#"{"channel":"kept:1","since":{"offset":1,"epoch":1}}"#, 400, 107),
        ("lone surrogate in the epoch", "history", r#"{"channel":"kept:1","since":{"epoch":"\ud800"}}"#, 400, 107),
        ("recover from below 0", "subscribe", r#"{"user":"4","recover_since":{"offset":-1}}"#, 400, 107),
        ("unknown method", "shout", "{}", 404, 104),
        ("method in capitals", "Publish", "{}", 404, 104),
    ];
    rows.iter().map(|(name, method, body, status, code)| (*name, *method, (*body).to_owned(), *status, *code)).collect()
}

/// Understood and refused: 200, and the error in the body.
fn refused() -> Vec<Row> {
    let deep = format!(r#"{{"channel":"news","data":{}{}}}"#, "[".repeat(1900), "]".repeat(1900));
    let long = format!(r#"{{"channel":"{}","data":1}}"#, "x".repeat(256));
    let reason = format!(r#"{{"user":"42","disconnect":{{"code":4000,"reason":"{}"}}}}"#, "x".repeat(124));
    let rows: &[(&str, &str, &str, u64)] = &[
        ("no data", "publish", r#"{"channel":"news"}"#, 107),
        ("empty b64data", "publish", r#"{"channel":"news","b64data":""}"#, 107),
        ("b64data is not base64", "publish", r#"{"channel":"news","b64data":"*"}"#, 107),
        ("b64data is not JSON in a json namespace", "publish", r#"{"channel":"news","b64data":"/w=="}"#, 107),
        ("far deeper than clients can read", "publish", &deep, 107),
        ("lone surrogate in the data", "publish", r#"{"channel":"news","data":"\ud800"}"#, 107),
        ("no channel", "publish", r#"{"data":1}"#, 107),
        ("channel too long", "publish", &long, 107),
        ("channel with a space", "publish", r#"{"channel":"a b","data":1}"#, 107),
        ("channel with NUL", "publish", r#"{"channel":"a\u0000","data":1}"#, 107),
        ("channel *", "publish", r#"{"channel":"*","data":1}"#, 107),
        ("unknown namespace", "publish", r#"{"channel":"nobody:1","data":1}"#, 102),
        ("exclude_client is no id", "publish", r#"{"channel":"news","data":1,"exclude_client":"me"}"#, 107),
        ("no channels", "broadcast", r#"{"data":1}"#, 107),
        ("no data for many", "broadcast", r#"{"channels":["news"]}"#, 107),
        ("subscribe without user", "subscribe", r#"{"channel":"news"}"#, 107),
        ("subscribe to an unknown namespace", "subscribe", r#"{"channel":"nobody:1","user":"42"}"#, 102),
        ("subscription that ended before 1970", "subscribe", r#"{"channel":"a","user":"42","expire_at":-1}"#, 107),
        ("info is not JSON", "subscribe", r#"{"channel":"news","user":"42","b64info":"/w=="}"#, 107),
        ("override", "subscribe", r#"{"channel":"a","user":"42","override":{"presence":{"value":true}}}"#, 108),
        ("unsubscribe without user", "unsubscribe", r#"{"channel":"news","client":"c"}"#, 107),
        ("unsubscribe from nothing", "unsubscribe", r#"{"user":"42"}"#, 107),
        ("disconnect without user", "disconnect", r#"{"client":"c"}"#, 107),
        ("disconnect of what is no connection", "disconnect", r#"{"user":"42","client":"c"}"#, 107),
        ("refresh of what is no session", "refresh", r#"{"user":"42","session":"s"}"#, 107),
        ("disconnect by label", "disconnect", r#"{"user":"42","label_filter":{"k":"v"}}"#, 108),
        ("disconnect everybody", "disconnect", r#"{"all_users":true}"#, 108),
        ("close code of HTTP", "disconnect", r#"{"user":"42","disconnect":{"code":403,"reason":"no"}}"#, 107),
        ("close code over the range", "disconnect", r#"{"user":"42","disconnect":{"code":5000}}"#, 107),
        ("reason that is JSON", "disconnect", r#"{"user":"42","disconnect":{"code":4000,"reason":"{}"}}"#, 107),
        ("reason too long", "disconnect", &reason, 107),
        ("refresh without user", "refresh", r#"{"expire_at":2000000000}"#, 107),
        ("refresh with info", "refresh", r#"{"user":"42","info":{"a":1}}"#, 108),
        ("rpc", "rpc", r#"{"method":"x"}"#, 108),
    ];
    rows.iter().map(|(name, method, body, code)| (*name, *method, (*body).to_owned(), 200, *code)).collect()
}

/// What publishers may ask for, asked wrongly or of the wrong channel.
fn refused_options() -> Vec<Row> {
    let publish = |options: &str| format!(r#"{{"channel":"kept:1","data":1,{options}}}"#);
    let of_news = |options: &str| format!(r#"{{"channel":"news","data":1,{options}}}"#);
    let long = |name: &str, length| format!(r#""version":1,"{name}":"{}""#, "k".repeat(length));
    vec![
        ("CR and LF in a key", "publish", publish(r#""idempotency_key":"a\r\nb""#), 200, 107),
        ("NUL in a key", "publish", publish(r#""idempotency_key":"\u0000""#), 200, 107),
        ("a key that is not ASCII", "publish", publish(r#""idempotency_key":"é""#), 200, 107),
        ("a long key", "publish", publish(&long("idempotency_key", 129)), 200, 107),
        ("a very long key", "publish", publish(&long("idempotency_key", 3900)), 200, 107),
        ("a long version_epoch", "publish", publish(&long("version_epoch", 129)), 200, 107),
        ("version_epoch alone", "broadcast", r#"{"channels":["news"],"data":1,"version_epoch":"e"}"#.into(), 200, 107),
        ("version 0 with an epoch", "publish", publish(r#""version":0,"version_epoch":"e""#), 200, 107),
        ("version without history", "publish", of_news(r#""version":1"#), 200, 108),
        ("version that is not kept", "publish", publish(r#""version":1,"skip_history":true"#), 200, 108),
        ("unknown ack", "publish", publish(r#""ack":"soon""#), 200, 107),
        ("ack in capitals", "publish", publish(r#""ack":"Stored""#), 200, 107),
        ("replicated without history", "publish", of_news(r#""ack":"replicated""#), 200, 108),
        ("replicated but not kept", "publish", publish(r#""ack":"replicated","skip_history":true"#), 200, 108),
    ]
}

/// What is read, asked for wrongly or of the wrong channel.
fn refused_reading() -> Vec<Row> {
    let epoch = "e".repeat(3900);
    let rows: &[(&str, &str, &str, u64)] = &[
        ("history is off", "history", r#"{"channel":"news"}"#, 108),
        ("no history to remove", "history_remove", r#"{"channel":"news"}"#, 108),
        ("presence is off", "presence", r#"{"channel":"news"}"#, 108),
        ("presence is off, for counting", "presence_stats", r#"{"channel":"news"}"#, 108),
        ("history of nothing", "history", "{}", 107),
        ("history of *", "history", r#"{"channel":"*"}"#, 107),
        ("history removed from nothing", "history_remove", "{}", 107),
        ("presence on nothing", "presence", r#"{"channel":null}"#, 107),
        ("history in no namespace", "history", r#"{"channel":"nobody:1"}"#, 102),
        ("history removed in no namespace", "history_remove", r#"{"channel":"nobody:1"}"#, 102),
        ("presence in no namespace", "presence", r#"{"channel":"nobody:1"}"#, 102),
        ("counting in no namespace", "presence_stats", r#"{"channel":"nobody:1"}"#, 102),
        ("limit -2", "history", r#"{"channel":"kept:1","limit":-2}"#, 107),
        ("the lowest limit", "history", r#"{"channel":"kept:1","limit":-2147483648}"#, 107),
        ("another epoch", "history", r#"{"channel":"kept:1","since":{"offset":1,"epoch":"e2"}}"#, 112),
        ("another epoch, no limit", "history", r#"{"channel":"kept:1","limit":0,"since":{"epoch":"x"}}"#, 112),
        ("a long epoch", "history", &format!(r#"{{"channel":"kept:1","since":{{"epoch":"{epoch}"}}}}"#), 112),
        ("recover without history", "subscribe", r#"{"channel":"a","user":"4","recover_since":{"offset":0}}"#, 108),
        (
            "recover from a long epoch",
            "subscribe",
            &format!(r#"{{"channel":"kept:1","user":"4","recover_since":{{"epoch":"{epoch}"}}}}"#),
            107,
        ),
    ];
    rows.iter().map(|(name, method, body, code)| (*name, *method, (*body).to_owned(), 200, *code)).collect()
}

fn all_rows() -> impl Iterator<Item = Row> {
    malformed().into_iter().chain(refused()).chain(refused_options()).chain(refused_reading())
}

#[tokio::test]
async fn each_wrong_request_gets_its_answer_and_has_no_effect() {
    for (name, method, body, status, code) in all_rows() {
        let house = House::new();
        let seen = house.call(method, &body).await;
        assert_eq!(
            (seen.status.as_u16(), seen.body["error"]["code"].as_u64()),
            (status, Some(code)),
            "{name}: {seen:?}"
        );
        assert!(!seen.body["error"]["message"].as_str().unwrap_or_default().is_empty(), "{name}: no message");
        assert!(seen.body.get("result").is_none(), "{name}");
        assert!(house.book.is_empty(), "{name}: had an effect");
        assert_eq!((house.counted("ok"), house.counted("error")), (0, 1), "{name}: counted wrongly");
    }
}

#[tokio::test]
async fn in_transport_mode_the_status_tells_the_error() {
    let status = |code| match code {
        104 | 102 => 404,
        107 | 108 => 400,
        112 => 416,
        other => panic!("no row has {other}"),
    };
    for (name, method, body, _, code) in all_rows() {
        let mut request = post(&format!("/api/{method}"), &body);
        request.headers_mut().insert("x-centrifugo-error-mode", "transport".parse().unwrap());
        let seen = House::new().send(request).await;
        assert_eq!((seen.status.as_u16(), seen.body["error"]["code"].as_u64()), (status(code), Some(code)), "{name}");
    }
}

#[tokio::test]
async fn broken_json_is_told_with_its_place() {
    let seen = House::new().call("publish", "{\"channel\":\"news\",\n \"data\":}").await;
    assert_eq!(seen.body["error"]["message"], "expected value at line 2 column 9");
}

#[tokio::test]
async fn without_the_key_nothing_is_read() {
    let headers: &[(&str, Option<(&str, &str)>)] = &[
        ("no key", None),
        ("wrong key", Some(("x-api-key", "wrong"))),
        ("empty key", Some(("x-api-key", ""))),
        ("part of the key", Some(("x-api-key", "api-test"))),
        ("more than the key", Some(("x-api-key", "api-test-key0"))),
        ("another scheme", Some(("authorization", "Bearer api-test-key"))),
        ("no scheme", Some(("authorization", "api-test-key"))),
    ];
    for (name, header) in headers {
        // In the query the key opens nothing: URLs reach logs.
        for path in ["/api/publish", "/api", "/api/shout", "/api/publish?api_key=api-test-key"] {
            let house = House::new();
            let mut request = Request::post(path);
            if let Some((key, value)) = header {
                request = request.header(*key, *value);
            }
            let seen = house.send(request.body(Body::from(r#"{"channel":"news","data":1}"#)).unwrap()).await;
            assert_eq!(seen.status.as_u16(), 401, "{name} on {path}: {seen:?}");
            assert_eq!(seen.headers["www-authenticate"], "apikey", "{name}");
            assert!(house.book.is_empty(), "{name} on {path}");
            assert_eq!(house.counted("unauthorized"), 1, "{name}");
        }
    }
}

#[tokio::test]
async fn the_right_key_in_the_other_header_does_not_mend_a_wrong_one() {
    let mut request = post("/api/info", "{}");
    request.headers_mut().insert("x-api-key", "wrong".parse().unwrap());
    request.headers_mut().insert("authorization", format!("apikey {KEY}").parse().unwrap());
    assert_eq!(House::new().send(request).await.status.as_u16(), 401);
}

#[tokio::test]
async fn without_a_configured_key_there_is_no_api() {
    for key in [None, Some("")] {
        let house = House::with_key(key);
        for path in ["/api", "/api/publish", "/api/info"] {
            let mut request = post(path, "{}");
            request.headers_mut().insert("x-api-key", "".parse().unwrap());
            assert_eq!(house.send(request).await.status.as_u16(), 404, "{path} with key {key:?}");
        }
    }
}

#[tokio::test]
async fn other_verbs_and_paths() {
    for (verb, path, status) in [("GET", "/api/info", 405), ("PUT", "/api/publish", 405), ("POST", "/api/a/b", 404)] {
        let request = Request::builder().method(verb).uri(path).header("x-api-key", KEY);
        let seen = House::new().send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(seen.status.as_u16(), status, "{verb} {path}");
    }
}

#[tokio::test]
async fn only_json_is_taken() {
    let body = r#"{"channel":"news","data":1}"#;
    for (kind, status) in [
        (Some("application/json"), 200),
        (Some("Application/JSON; charset=utf-8"), 200),
        (None, 200),
        (Some("application/x-www-form-urlencoded"), 415),
        (Some("text/plain"), 415),
        (Some("application/jsonp"), 415),
        (Some(""), 415),
    ] {
        let house = House::new();
        let mut request = Request::post("/api/publish").header("x-api-key", KEY);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let seen = house.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(seen.status.as_u16(), status, "{kind:?}: {seen:?}");
        assert_eq!(house.book.is_empty(), status != 200, "{kind:?}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_announced_or_not() {
    let publish = |data: usize| format!(r#"{{"channel":"news","data":"{}"}}"#, "x".repeat(data));
    let frame = publish(0).len();
    let at_limit = publish(BODY_BYTES_MAX - frame);
    let over = publish(BODY_BYTES_MAX - frame + 1);

    let house = House::new();
    assert_eq!(house.call("publish", &at_limit).await.status.as_u16(), 200);
    let seen = house.call("publish", &over).await;
    assert_eq!((seen.status.as_u16(), &seen.body["error"]["code"]), (413, &json!(106)));

    // In chunks, without a length.
    let chunks: Vec<_> = over.as_bytes().chunks(100).map(|part| Ok::<_, std::io::Error>(part.to_vec())).collect();
    let request = Request::post("/api/publish").header("x-api-key", KEY).body(Body::from_stream(stream::iter(chunks)));
    assert_eq!(house.send(request.unwrap()).await.status.as_u16(), 413);
    assert_eq!(house.book.published.lock().len(), 1);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let broken = stream::iter([Ok(b"{\"chan".to_vec()), Err(std::io::Error::other("reset"))]);
    let request = Request::post("/api/publish").header("x-api-key", KEY).body(Body::from_stream(broken)).unwrap();
    assert_eq!(House::new().send(request).await.status.as_u16(), 400);
}

#[tokio::test]
async fn too_much_in_one_request() {
    // Through the executor, because such requests are over this door's body limit.
    use fanfare_gateway::api::request::{Batch, Broadcast, Message};
    use fanfare_gateway::api::{Context, Request};

    let house = House::new();
    let message = Message { data: "1".into(), ..Message::default() };
    let broadcast = Request::Broadcast(Broadcast { channels: vec!["a".to_owned(); 10_001], message });
    let batch = Request::Batch(Batch { calls: vec![Ok(Request::Info); 1_001], ..Batch::default() });
    for request in [broadcast, batch] {
        let error = house.api.call(request, &Context::default()).await.unwrap_err();
        assert_eq!(error.code.code(), 106, "{error}");
    }
    assert!(house.book.is_empty());
}

#[tokio::test]
async fn a_batch_in_a_batch_is_refused_however_deep_it_goes() {
    const LEVELS: usize = 30_000;
    let body = format!("{}{{}}{}", r#"{"commands":[{"batch":"#.repeat(LEVELS), "}]}".repeat(LEVELS));
    let house = House::with(Some(KEY), body.len());
    let seen = house.call("batch", &body).await;
    assert_eq!((seen.status.as_u16(), &seen.body["replies"][0]["error"]["code"]), (200, &json!(107)), "{seen:?}");

    // The calls beside it go on.
    let body = r#"{"commands":[{"batch":{}},{"publish":{"channel":"news","data":1}}]}"#;
    let seen = house.call("batch", body).await;
    assert_eq!(seen.body["replies"][0]["error"]["code"], 107, "{seen:?}");
    assert_eq!(house.book.published.lock().len(), 1);
}

#[tokio::test]
async fn an_order_too_large_for_the_control_log_is_refused() {
    use fanfare_gateway::api::request::{Disconnect, Who};
    use fanfare_gateway::api::{Context, Request};

    let house = House::new();
    let who = Who { user: "42".to_owned(), ..Who::default() };
    let whitelist = vec!["x".repeat(36); 2_000];
    let order = Request::Disconnect(Disconnect { who, whitelist, ..Disconnect::default() });
    assert_eq!(house.api.call(order, &Context::default()).await.unwrap_err().code.code(), 106);
    assert!(house.book.is_empty());
}

#[tokio::test]
async fn while_the_broker_is_down_every_call_gets_a_temporary_error() {
    let calls = [
        ("publish", r#"{"channel":"news","data":1}"#),
        ("subscribe", r#"{"channel":"news","user":"42"}"#),
        ("unsubscribe", r#"{"channel":"news","user":"42"}"#),
        ("disconnect", r#"{"user":"42"}"#),
        ("refresh", r#"{"user":"42"}"#),
        ("info", "{}"),
        ("channels", "{}"),
        ("publish", r#"{"channel":"kept:1","data":1,"idempotency_key":"k","ack":"replicated"}"#),
        ("history", r#"{"channel":"kept:1","limit":1}"#),
        ("history_remove", r#"{"channel":"kept:1"}"#),
        ("presence", r#"{"channel":"kept:1"}"#),
        ("presence_stats", r#"{"channel":"kept:1"}"#),
    ];
    for error in [
        BrokerError::Unreachable("redis.internal:6379".into()),
        BrokerError::Timeout,
        BrokerError::Refused("READONLY redis.internal".into()),
        BrokerError::NotReplicated { confirmed: 0, wanted: 1 },
    ] {
        let house = House::new();
        *house.book.down.lock() = Some(error);
        for (method, body) in calls {
            let seen = house.call(method, body).await;
            assert_eq!((seen.status.as_u16(), &seen.body["error"]["code"]), (200, &json!(100)), "{method}: {seen:?}");
            assert!(!seen.body.to_string().contains("redis.internal"), "{method} tells our hosts: {seen:?}");
            let mut request = post(&format!("/api/{method}"), body);
            request.headers_mut().insert("x-centrifugo-error-mode", "transport".parse().unwrap());
            assert_eq!(house.send(request).await.status.as_u16(), 500, "{method}");
        }
        let seen = house.ok("broadcast", r#"{"channels":["a","b"],"data":1}"#).await;
        assert_eq!(
            (&seen["responses"][0]["error"]["code"], &seen["responses"][1]["error"]["code"]),
            (&json!(100), &json!(100))
        );
    }
}
