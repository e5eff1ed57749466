//! History and presence, as backends read them.

use std::time::Duration;

use bytes::Bytes;
use fanfare_gateway::api::request::Batch;
use fanfare_gateway::api::{Context, Request, Response};
use fanfare_gateway::broker::Outgoing;
use fanfare_gateway::model::command::{HistoryAsk, Since};
use fanfare_gateway::model::{ChannelName, ClientInfo, ConnectionId, Publication, UserId};
use fanfare_gateway::presence::{Entry, Presence};
use fanfare_proto::envelope::{self, Order};
use fanfare_proto::limits::API_ANSWER_BYTES_MAX;
use serde_json::{Value, json};

use crate::kit::{House, KEPT_MAX, LISTED_MAX, NOW_MS};

/// A house in which this was said on `kept:1`, by a backend.
async fn said(data: &[&str]) -> House {
    let house = House::new();
    for data in data {
        house.ok("publish", &format!(r#"{{"channel":"kept:1","data":{data}}}"#)).await;
    }
    house
}

/// Puts a publication where the broker keeps them, past all checks.
fn put(house: &House, channel: &str, publication: Publication) {
    let outgoing = Outgoing { publication, ..Outgoing::default() };
    house.book.published.lock().push((channel.to_owned(), outgoing));
}

fn who(connection_info: &'static [u8], channel_info: &'static [u8]) -> ClientInfo {
    ClientInfo {
        user: UserId::new("42"),
        client: "c1".into(),
        connection_info: Bytes::from_static(connection_info),
        channel_info: Bytes::from_static(channel_info),
    }
}

async fn enter(house: &House, user: &str) -> String {
    let client = ConnectionId::random();
    let info = ClientInfo { user: UserId::new(user), client: client.to_string().into(), ..who(b"{\"n\":1}", b"") };
    let entry = Entry { client, info, told: false, leave_delay: Duration::ZERO };
    house.members.enter(&ChannelName::parse("kept:1").unwrap(), entry).await.unwrap();
    client.to_string()
}

fn data_of(result: &Value) -> Vec<Value> {
    result["publications"].as_array().unwrap().iter().map(|publication| publication["data"].clone()).collect()
}

#[tokio::test]
async fn a_page_has_all_that_was_said() {
    let house = House::new();
    let body = json!({"channel": "kept:1", "data": {"a": [1, 1.0]}, "tags": {"k": "v"}});
    house.ok("publish", &body.to_string()).await;
    let info = Some(who(b"{\"n\":1}", b"\xff"));
    put(&house, "kept:1", Publication { data: "null".into(), info, ..Publication::default() });
    let publications = json!([
        {"offset": 1, "data": {"a": [1, 1.0]}, "tags": {"k": "v"}, "time": NOW_MS},
        {"offset": 2, "data": null, "info": {"user": "42", "client": "c1", "conn_info": {"n": 1}, "b64chan_info": "/w=="}},
    ]);
    let expected = json!({"publications": publications, "offset": 2, "epoch": "e1"});
    assert_eq!(house.ok("history", r#"{"channel":"kept:1","limit":10}"#).await, expected);
}

#[tokio::test]
async fn which_part_is_told_is_for_the_caller_to_say() {
    let house = said(&["1", "2", "3", "4", "5", "6", "7"]).await;
    let rows: &[(&str, &[u64])] = &[
        ("{}", &[]),
        (r#"{"limit":0}"#, &[]),
        (r#"{"limit":2}"#, &[1, 2]),
        (r#"{"limit":2,"reverse":true}"#, &[7, 6]),
        (r#"{"limit":-1}"#, &[1, 2, 3, 4, 5]),
        (r#"{"limit":2147483647}"#, &[1, 2, 3, 4, 5]),
        (r#"{"limit":3,"since":{"offset":5,"epoch":"e1"}}"#, &[6, 7]),
        (r#"{"limit":1,"since":{"offset":5}}"#, &[6]),
        (r#"{"limit":2,"since":{"offset":5,"epoch":"e1"},"reverse":true}"#, &[4, 3]),
        (r#"{"limit":5,"since":{"offset":18446744073709551615,"epoch":"e1"}}"#, &[]),
        (r#"{"limit":1,"since":null}"#, &[1]),
    ];
    for (asked, offsets) in rows {
        let mut body: Value = serde_json::from_str(asked).unwrap();
        body["channel"] = json!("kept:1");
        let result = house.ok("history", &body.to_string()).await;
        assert_eq!((&result["offset"], &result["epoch"]), (&json!(7), &json!("e1")), "{asked}");
        let found: Vec<u64> = data_of(&result).iter().map(|data| data.as_u64().unwrap()).collect();
        assert_eq!(found, *offsets, "{asked}");
    }
    assert_eq!(house.book.queries.lock()[4].limit, KEPT_MAX, "no more than the namespace keeps");
}

#[tokio::test]
async fn a_channel_on_which_nothing_was_said_has_a_place_too() {
    let result = House::new().ok("history", r#"{"channel":"kept:9","limit":1}"#).await;
    assert_eq!(result, json!({"publications": [], "offset": 0, "epoch": "e1"}));
}

#[tokio::test]
async fn bytes_are_told_as_base64_and_so_is_what_should_have_been_json() {
    let house = House::new();
    house.ok("publish", r#"{"channel":"keptbin:1","b64data":"/wD+"}"#).await;
    house.ok("publish", r#"{"channel":"keptbin:1","data":{"a":1}}"#).await;
    let result = house.ok("history", r#"{"channel":"keptbin:1","limit":2}"#).await;
    let said = |n: usize| (result["publications"][n].get("data"), result["publications"][n]["b64data"].as_str());
    // `data` is there, because `cent` insists.
    assert_eq!(said(0), (Some(&Value::Null), Some("/wD+")));
    assert_eq!(said(1), (Some(&Value::Null), Some("eyJhIjoxfQ==")));

    put(&house, "kept:1", Publication { data: "{\"broken".into(), ..Publication::default() });
    put(&house, "kept:1", Publication { data: Bytes::from_static(b"\xff"), ..Publication::default() });
    let result = house.ok("history", r#"{"channel":"kept:1","limit":2}"#).await;
    assert_eq!(result["publications"][0]["b64data"], "eyJicm9rZW4=", "{result}");
    assert_eq!(result["publications"][1]["b64data"], "/w==");
}

#[tokio::test]
async fn an_answer_is_bounded_in_bytes() {
    let house = House::new();
    let quarter = Bytes::from(vec![b'1'; API_ANSWER_BYTES_MAX / 4]);
    for _ in 0..5 {
        put(&house, "kept:1", Publication { data: quarter.clone(), ..Publication::default() });
    }
    let ask = HistoryAsk { limit: -1, ..HistoryAsk::default() };
    let history = Request::History { channel: "kept:1".into(), ask };
    match house.api.call(history.clone(), &Context::default()).await {
        Ok(Response::History(page)) => assert_eq!((page.publications.len(), page.top.offset), (4, 5)),
        other => panic!("{other:?}"),
    }

    // Eight in a batch: each would take an eighth, but a page has at least one publication.
    let batch = Batch { calls: vec![Ok(history); 8], ..Batch::default() };
    let Ok(Response::Batch(outcomes)) = house.api.call(Request::Batch(batch), &Context::default()).await else {
        panic!("not a batch");
    };
    let counts = outcomes.iter().map(|outcome| match outcome {
        Ok(Response::History(page)) => page.publications.len(),
        Err(error) => {
            assert_eq!(error.code.code(), 106, "{error}");
            0
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(counts.collect::<Vec<_>>(), [1, 1, 1, 1, 0, 0, 0, 0]);
}

#[tokio::test]
async fn history_is_removed_where_there_is_any() {
    let house = said(&["1"]).await;
    assert_eq!(house.ok("history_remove", r#"{"channel":"kept:1"}"#).await, json!({}));
    assert_eq!(*house.book.forgotten.lock(), ["kept:1"]);
}

#[tokio::test]
async fn who_is_on_a_channel_and_how_many() {
    let house = House::new();
    assert_eq!(house.ok("presence", r#"{"channel":"kept:1"}"#).await, json!({"presence": {}}));
    let none = json!({"num_clients": 0, "num_users": 0});
    assert_eq!(house.ok("presence_stats", r#"{"channel":"kept:1"}"#).await, none);

    let clients = [enter(&house, "42").await, enter(&house, "42").await, enter(&house, "").await];
    let listed = house.ok("presence", r#"{"channel":"kept:1"}"#).await;
    assert_eq!(listed["presence"].as_object().unwrap().len(), 3);
    for (client, user) in clients.iter().zip(["42", "42", ""]) {
        assert_eq!(listed["presence"][client], json!({"user": user, "client": client, "conn_info": {"n": 1}}));
    }
    let stats = json!({"num_clients": 3, "num_users": 2});
    assert_eq!(house.ok("presence_stats", r#"{"channel":"kept:1"}"#).await, stats);

    for n in 3..=LISTED_MAX {
        enter(&house, &n.to_string()).await;
    }
    let seen = house.call("presence", r#"{"channel":"kept:1"}"#).await;
    assert_eq!(seen.body["error"]["code"], 106, "{seen:?}");
    assert_eq!(house.ok("presence_stats", r#"{"channel":"kept:1"}"#).await["num_clients"], LISTED_MAX + 1);
}

#[tokio::test]
async fn too_many_bytes_of_members_are_not_listed() {
    let house = House::new();
    let large = Bytes::from(vec![b'1'; API_ANSWER_BYTES_MAX / 2]);
    for _ in 0..3 {
        let client = ConnectionId::random();
        let info = ClientInfo { channel_info: large.clone(), ..who(b"", b"") };
        let entry = Entry { client, info, told: false, leave_delay: Duration::ZERO };
        house.members.enter(&ChannelName::parse("kept:1").unwrap(), entry).await.unwrap();
    }
    let seen = house.call("presence", r#"{"channel":"kept:1"}"#).await;
    assert_eq!(seen.body["error"]["code"], 106, "{seen:?}");
}

#[tokio::test]
async fn a_batch_reads_too() {
    let house = said(&["1"]).await;
    enter(&house, "42").await;
    let commands = json!([
        {"history": {"channel": "kept:1", "limit": 1}},
        {"presence": {"channel": "kept:1"}},
        {"presence_stats": {"channel": "kept:1"}},
        {"history_remove": {"channel": "kept:1"}},
        {"history": {"channel": "kept:1", "limit": -2}},
    ]);
    for parallel in [false, true] {
        let body = json!({"commands": commands, "parallel": parallel}).to_string();
        let replies = house.call("batch", &body).await.body["replies"].clone();
        assert_eq!(replies[0]["history"]["publications"][0]["data"], 1, "{replies}");
        assert_eq!(replies[1]["presence"]["presence"].as_object().unwrap().len(), 1);
        assert_eq!(replies[2]["presence_stats"], json!({"num_clients": 1, "num_users": 1}));
        assert_eq!(replies[3], json!({"history_remove": {}}));
        assert_eq!(replies[4]["error"]["code"], 107);
    }
}

#[tokio::test]
async fn an_order_to_subscribe_says_from_where_on() {
    let house = House::new();
    let asked = [
        (json!(null), None),
        (json!({}), Some((0, ""))),
        (json!({"offset": u64::MAX, "epoch": "e1"}), Some((u64::MAX, "e1"))),
    ];
    for (since, _) in &asked {
        let body = json!({"user": "42", "channel": "kept:1", "recover_since": since});
        house.ok("subscribe", &body.to_string()).await;
    }
    let orders = house.book.orders.lock();
    for (order, (_, expected)) in orders.iter().zip(asked) {
        let Order::Subscribe(subscribe) = order else { panic!("{order:?}") };
        let expected = expected.map(|(offset, epoch)| envelope::Since { offset, epoch: epoch.to_owned() });
        assert_eq!(subscribe.recover, expected);
    }
}

#[tokio::test]
async fn a_page_asks_the_broker_for_what_the_caller_asked() {
    let house = House::new();
    let ask = HistoryAsk { limit: 3, since: Some(Since { offset: 7, epoch: "".into() }), reverse: true };
    house.api.call(Request::History { channel: "kept:1".into(), ask }, &Context::default()).await.unwrap();
    let query = house.book.queries.lock()[0].clone();
    assert_eq!((query.since, query.limit, query.reverse), (Some(7), 3, true));
    assert_eq!(query.size.bytes(), API_ANSWER_BYTES_MAX);
}
