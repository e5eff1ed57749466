//! What each method does when all is well.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use fanfare_gateway::model::{ConnectionId, SessionId};
use fanfare_gateway::telemetry::metrics::{Road, RoadLabel};
use fanfare_proto::envelope::Order;
use serde_json::{Value, json};

use crate::kit::{House, KEY, NOW_MS, post};

#[tokio::test]
async fn publish_reaches_the_broker_with_all_that_was_said() {
    let house = House::new();
    let client = ConnectionId::random();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let body = json!({"channel": "chat:1", "data": {"text": "hi"}, "tags": {"lang": "en"}, "skip_history": true,
        "exclude_client": client.to_string(), "some_field_of_a_newer_library": {"a": [1]}});
    let mut request = post("/api/publish", &body.to_string());
    request.headers_mut().insert("traceparent", trace.parse().unwrap());
    assert_eq!(house.send(request).await.body, json!({"result": {}}));

    let published = house.book.published.lock();
    let [(channel, outgoing)] = published.as_slice() else { panic!("{published:?}") };
    assert_eq!(channel, "chat:1");
    assert_eq!(outgoing.publication.data, r#"{"text":"hi"}"#);
    assert_eq!(outgoing.publication.tags["lang"], "en");
    assert_eq!(outgoing.publication.exclude, Some(client));
    assert_eq!(outgoing.publication.time_ms, i64::try_from(NOW_MS).unwrap());
    assert_eq!(outgoing.publication.info, None);
    assert_eq!(outgoing.traceparent, trace);
    assert_eq!(house.metrics.publications.get_or_create(&RoadLabel { road: Road::api }).get(), 1);
    assert_eq!(house.counted("ok"), 1);
}

#[tokio::test]
async fn a_trace_context_that_nobody_could_read_is_dropped() {
    let house = House::new();
    let mut request = post("/api/publish", r#"{"channel":"news","data":1}"#);
    request.headers_mut().insert("traceparent", "00-nonsense".parse().unwrap());
    house.send(request).await;
    assert_eq!(house.book.published.lock()[0].1.traceparent, "");
}

#[tokio::test]
async fn payloads_in_all_their_forms() {
    // What is sent, and the bytes that go out.
    let rows: &[(&str, &[u8])] = &[
        (r#"{"channel":"news","data":null}"#, b"null"),
        (r#"{"channel":"news","data":"a\nb"}"#, br#""a\nb""#),
        (
            r#"{"channel":"news","data":{"n":1.0,"z":12345678901234567890123}}"#,
            br#"{"n":1.0,"z":12345678901234567890123}"#,
        ),
        (r#"{"channel":"news","b64data":"eyJhIjoxfQ=="}"#, br#"{"a":1}"#),
        (r#"{"channel":"news","b64data":"eyJhIjoxfQ"}"#, br#"{"a":1}"#),
        (r#"{"channel":"news","data":{"not":"this"},"b64data":"eyJhIjoxfQ=="}"#, br#"{"a":1}"#),
        (r#"{"channel":"bin:1","b64data":"/wD+"}"#, b"\xff\x00\xfe"),
        (r#"{"channel":"bin:1","data":{"a":1}}"#, br#"{"a":1}"#),
    ];
    for (body, bytes) in rows {
        let house = House::new();
        house.ok("publish", body).await;
        assert_eq!(house.book.published.lock()[0].1.publication.data, *bytes, "{body}");
    }
}

#[tokio::test]
async fn data_goes_out_on_one_line() {
    let house = House::new();
    house.ok("publish", "{\"channel\":\"news\",\"data\":{\n\"a\":\r\n1}}").await;
    let base64 = "ewoiYSI6MQp9"; // {\n"a":1\n}
    house.ok("publish", &format!(r#"{{"channel":"news","b64data":"{base64}"}}"#)).await;
    house.ok("subscribe", "{\"channel\":\"news\",\"user\":\"42\",\"info\":{\n},\"data\":[\n]}").await;
    for (_, outgoing) in house.book.published.lock().iter() {
        let data = &outgoing.publication.data;
        assert!(!data.iter().any(|b| matches!(b, b'\n' | b'\r')), "{data:?} would split a client's frame");
        assert_eq!(serde_json::from_slice::<Value>(data).unwrap(), json!({"a": 1}));
    }
    let Order::Subscribe(subscribe) = &house.book.orders.lock()[0] else { panic!("another order") };
    assert_eq!((&subscribe.info[..], &subscribe.data[..]), (&b"{}"[..], &b"[]"[..]));
}

#[tokio::test]
async fn positions_are_told_where_there_are_any() {
    let house = House::new();
    assert_eq!(house.ok("publish", r#"{"channel":"kept:1","data":1}"#).await, json!({"offset": 1, "epoch": "e1"}));
    assert_eq!(house.ok("publish", r#"{"channel":"news","data":1}"#).await, json!({}));
}

#[tokio::test]
async fn broadcast_answers_for_each_channel_in_order() {
    let house = House::new();
    let body = r#"{"channels":["news","nobody:1","kept:1","","bin:1"],"data":{"a":1},"tags":{"k":"v"}}"#;
    let result = house.ok("broadcast", body).await;
    let responses = result["responses"].as_array().unwrap();
    assert_eq!(responses.len(), 5);
    assert_eq!(responses[0], json!({"result": {}}));
    assert_eq!(responses[1]["error"]["code"], 102);
    assert_eq!(responses[2]["result"]["epoch"], "e1");
    assert_eq!(responses[3]["error"]["code"], 107);
    assert_eq!(responses[4], json!({"result": {}}));
    let published = house.book.published.lock();
    // In any order: what overlaps may overtake, and no channel can tell.
    let reached: BTreeSet<_> = published.iter().map(|(channel, _)| channel.as_str()).collect();
    assert_eq!(reached, ["bin:1", "kept:1", "news"].into());
    assert_eq!(published.len(), 3);
    assert!(published.iter().all(|(_, outgoing)| outgoing.publication.tags["k"] == "v"));
}

#[tokio::test]
async fn a_broadcast_of_bytes_reaches_the_channels_that_take_them() {
    let house = House::new();
    let result = house.ok("broadcast", r#"{"channels":["news","bin:1"],"b64data":"/w=="}"#).await;
    assert_eq!(result["responses"][0]["error"]["code"], 107);
    assert_eq!(result["responses"][1], json!({"result": {}}));
}

#[tokio::test]
async fn orders_reach_the_bus_with_all_their_fields() {
    let house = House::new();
    let (c, s) = (ConnectionId::random().to_string(), SessionId::random().to_string());
    let subscribe = json!({"channel": "chat:1", "user": "42", "client": c, "session": s, "expire_at": 2_000_000_000,
        "info": {"i": 1}, "b64data": "eyJhIjoxfQ=="});
    let unsubscribe = json!({"channel": "chat:1", "user": "42", "client": c, "session": null});
    let disconnect = json!({"user": "42", "session": s, "whitelist": ["c1", "c2"],
        "disconnect": {"code": 4001, "reason": "banned"}});
    let refresh = json!({"user": "42", "expired": true, "expire_at": 7});
    let orders =
        [("subscribe", subscribe), ("unsubscribe", unsubscribe), ("disconnect", disconnect), ("refresh", refresh)];
    for (method, body) in orders {
        assert_eq!(house.ok(method, &body.to_string()).await, json!({}), "{method}");
    }

    let orders = house.book.orders.lock();
    let [Order::Subscribe(subscribe), Order::Unsubscribe(u), Order::Disconnect(d), Order::Refresh(r)] =
        orders.as_slice()
    else {
        panic!("{orders:?}")
    };
    let who = |target: &Option<fanfare_proto::envelope::Target>| {
        let target = target.clone().expect("an order without a target would be about everybody");
        (target.user, target.client, target.session)
    };
    assert_eq!(who(&subscribe.target), ("42".into(), c.clone(), s.clone()));
    assert_eq!((subscribe.channel.as_str(), subscribe.expire_at), ("chat:1", 2_000_000_000));
    assert_eq!((&subscribe.info[..], &subscribe.data[..]), (&br#"{"i":1}"#[..], &br#"{"a":1}"#[..]));
    assert_eq!(who(&u.target), ("42".into(), c, String::new()));
    assert_eq!(u.channel, "chat:1");
    assert_eq!(who(&d.target), ("42".into(), String::new(), s));
    assert_eq!(
        (d.code, d.reason.as_str(), d.whitelist.as_slice()),
        (4001, "banned", &["c1".to_owned(), "c2".to_owned()][..])
    );
    assert_eq!(who(&r.target), ("42".into(), String::new(), String::new()));
    assert_eq!((r.expired, r.expire_at), (true, 7));
}

#[tokio::test]
async fn disconnect_says_the_usual_unless_told_otherwise() {
    for body in [
        r#"{"user":"42"}"#,
        r#"{"user":"42","disconnect":null}"#,
        r#"{"user":"42","disconnect":{"code":0,"reason":""}}"#,
    ] {
        let house = House::new();
        house.ok("disconnect", body).await;
        let Order::Disconnect(order) = &house.book.orders.lock()[0] else { panic!("another order") };
        assert_eq!((order.code, order.reason.as_str()), (3503, "force disconnect"), "{body}");
    }
}

#[tokio::test]
async fn info_and_channels() {
    let house = House::new();
    let node = json!({"uid": "n1", "name": "gateway-1", "version": "0.1.0", "num_clients": 3, "num_users": 2,
        "num_channels": 4, "num_subs": 5, "uptime": 60});
    assert_eq!(house.ok("info", "{}").await, json!({"nodes": [node]}));
    assert_eq!(house.ok("info", "").await["nodes"][0]["uid"], "n1", "no body is an empty one");
    let found = house.ok("channels", r#"{"pattern":"chat:*"}"#).await;
    assert_eq!(found, json!({"channels": {"chat:*": {"num_clients": 7}}}));
}

#[tokio::test]
async fn a_batch_answers_each_call_in_its_place() {
    for parallel in [false, true] {
        let house = House::new();
        let commands = json!([
            {"publish": {"channel": "news", "data": 1}},
            {"publish": {"channel": "nobody:1", "data": 1}},
            {"publish": {"channel": 5}},
            {"shout": {}},
            {},
            {"publish": {}, "info": {}},
            {"history": {"channel": "news"}},
            {"batch": {"commands": [{"publish": {"channel": "news", "data": 2}}]}},
            {"id": 7, "disconnect": {"user": "42"}},
            {"broadcast": {"channels": ["a", "b"], "data": 3}},
            {"channels": {"pattern": "x"}},
            {"info": {}},
        ]);
        let seen = house.call("batch", &json!({"commands": commands, "parallel": parallel}).to_string()).await;
        // The libraries look for the replies at the top.
        let replies = seen.body["replies"].as_array().unwrap_or_else(|| panic!("{seen:?}"));
        assert_eq!(replies.len(), 12);
        assert_eq!(replies[0], json!({"publish": {}}));
        let codes: Vec<_> = replies[1..8].iter().map(|reply| reply["error"]["code"].as_u64().unwrap_or(0)).collect();
        assert_eq!(codes, [102, 107, 104, 104, 107, 108, 107]);
        assert_eq!(replies[8], json!({"disconnect": {}}));
        assert_eq!(replies[9]["broadcast"]["responses"].as_array().unwrap().len(), 2);
        assert_eq!(replies[10]["channels"]["channels"]["x"]["num_clients"], 7);
        assert_eq!(replies[11]["info"]["nodes"][0]["uid"], "n1");
        assert_eq!(house.book.published.lock().len(), 3);
    }
}

#[tokio::test]
async fn a_batch_in_sequence_keeps_the_order_of_publications() {
    let house = House::new();
    let commands: Vec<Value> = (0..50).map(|n| json!({"publish": {"channel": "news", "data": n}})).collect();
    house.call("batch", &json!({"commands": commands}).to_string()).await;
    let published = house.book.published.lock();
    let order: Vec<String> =
        published.iter().map(|(_, out)| String::from_utf8(out.publication.data.to_vec()).unwrap()).collect();
    assert_eq!(order, (0..50).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_empty_batch_is_answered() {
    assert_eq!(House::new().call("batch", "{}").await.body, json!({"replies": []}));
}

#[tokio::test]
async fn the_older_form_names_its_method_in_the_body() {
    let house = House::new();
    let publish = r#"{"method":"publish","params":{"channel":"news","data":{"a":1}}}"#;
    assert_eq!(house.send(post("/api", publish)).await.body, json!({"result": {}}));
    assert_eq!(house.book.published.lock()[0].1.publication.data, r#"{"a":1}"#);
    let seen = house.send(post("/api", r#"{"method":"info"}"#)).await;
    assert_eq!(seen.body["result"]["nodes"][0]["uid"], "n1");
    let seen = house.send(post("/api", r#"{"method":"shout"}"#)).await;
    assert_eq!((seen.status.as_u16(), &seen.body["error"]["code"]), (404, &json!(104)));
}

#[tokio::test]
async fn the_key_may_come_as_authorization() {
    let request = Request::post("/api/info").header("authorization", format!("apikey {KEY}"));
    let seen = House::new().send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(seen.status.as_u16(), 200);
}
