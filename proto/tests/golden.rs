//! Bytes that do not change. `golden/centrifuge/commands` was written by the official JavaScript client,
//! `golden/centrifuge/replies` by us, and `golden/centrifuge/heard.json` is what that client made of
//! them. `golden/centrifuge/README.md` says how to make them anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use fanfare_proto::centrifuge::reply::Subscribed;
use fanfare_proto::centrifuge::schema::{
    self, ClientInfo, ConnectRequest, ConnectResult, HistoryRequest, HistoryResult, Join, Leave, PresenceRequest,
    PresenceResult, PresenceStatsRequest, PresenceStatsResult, PublishRequest, PublishResult, Push, RefreshRequest,
    RefreshResult, Reply, RpcRequest, SendRequest, StreamPosition, SubRefreshRequest, SubRefreshResult,
    SubscribeRequest, SubscribeResult, UnsubscribeRequest, UnsubscribeResult,
};
use fanfare_proto::centrifuge::{Answer, Command, Data, Publication, Request, json, protobuf};
use fanfare_proto::fossil;
use serde_json::{Value, json};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/centrifuge")
}

fn read(path: &str) -> Bytes {
    fs::read(folder().join(path)).unwrap_or_else(|error| panic!("{path}: {error}")).into()
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// What the client was told to send, in `make.mjs`.
fn commands() -> Vec<(&'static str, Vec<Command>)> {
    let command = |id, request| Command { id, request };
    let one = |name, id, request| (name, vec![command(id, request)]);
    let news = || "news".to_owned();
    let publish = |data| Request::Publish(PublishRequest { channel: news(), data, ..PublishRequest::default() });
    let mut commands = vec![
        one(
            "connect",
            1,
            Request::Connect(ConnectRequest {
                token: "old.connection.token".into(),
                data: text(r#"{"room":"blue \"1\""}"#),
                name: "golden".into(),
                version: "1.2.3".into(),
                ..ConnectRequest::default()
            }),
        ),
        one(
            "subscribe",
            2,
            Request::Subscribe(SubscribeRequest {
                channel: news(),
                token: "old.subscription.token".into(),
                data: text(r#"{"since":1}"#),
                // "I understand numbers instead of channel names": offered unasked.
                flag: 1,
                ..SubscribeRequest::default()
            }),
        ),
        one("publish", 3, publish(text(r#"{"text":"hi\n\"there\" 😀"}"#))),
        one("rpc", 4, Request::Rpc(RpcRequest { method: "add".into(), data: text("[1,2]") })),
        one("presence", 5, Request::Presence(PresenceRequest { channel: news() })),
        one("presence_stats", 6, Request::PresenceStats(PresenceStatsRequest { channel: news() })),
        one(
            "history",
            7,
            Request::History(HistoryRequest {
                channel: news(),
                limit: 10,
                since: Some(StreamPosition { offset: 5, epoch: "abcd".into() }),
                reverse: true,
            }),
        ),
        one("send", 0, Request::Send(SendRequest { data: text("\"fire and forget\"") })),
        one("pong", 0, Request::Pong),
        ("batch", vec![command(8, publish(text("1"))), command(9, publish(text("null")))]),
        one("refresh", 10, Request::Refresh(RefreshRequest { token: "new.connection.token".into() })),
        one(
            "sub_refresh",
            12,
            Request::SubRefresh(SubRefreshRequest {
                channel: "$private".into(),
                token: "new.subscription.token".into(),
                ..SubRefreshRequest::default()
            }),
        ),
        one("unsubscribe", 13, Request::Unsubscribe(UnsubscribeRequest { channel: news() })),
    ];
    commands.extend(stream_commands());
    commands
}

/// Of a client that follows a stream.
fn stream_commands() -> impl Iterator<Item = (&'static str, Vec<Command>)> {
    let stream = Request::Subscribe(SubscribeRequest {
        channel: "prices".into(),
        recover: true,
        epoch: "abcd".into(),
        offset: 3,
        positioned: true,
        recoverable: true,
        join_leave: true,
        delta: "fossil".into(),
        flag: 1,
        ..SubscribeRequest::default()
    });
    [("subscribe_stream", 14, stream), ("subscribe_state", 16, state(1)), ("subscribe_state_again", 17, state(7))]
        .into_iter()
        .map(|(name, id, request)| (name, vec![Command { id, request }]))
}

/// An application's state is at this offset: rather an error than a subscription that has lost something.
fn state(offset: u64) -> Request {
    Request::Subscribe(SubscribeRequest {
        channel: "state".into(),
        recover: true,
        epoch: "abcd".into(),
        offset,
        flag: 1 | 2,
        ..SubscribeRequest::default()
    })
}

/// What the client is told, in `make.mjs`: a name and the messages of one frame.
fn replies() -> impl Iterator<Item = (&'static str, Vec<Reply>)> {
    let ping = ("ping", vec![Reply::default()]);
    let published = |id| Reply { id, publish: Some(PublishResult {}), ..Reply::default() };
    let batch = ("batch", vec![published(8), published(9)]);
    let pushes = pushes().into_iter().map(|(name, push)| (name, Reply { push: Some(push), ..Reply::default() }));
    let single = answers().into_iter().chain(pushes).map(|(name, reply)| (name, vec![reply]));
    single.chain([ping, batch])
}

fn answers() -> Vec<(&'static str, Reply)> {
    let with = |id| Reply { id, ..Reply::default() };
    let error = |code, message: &str, temporary| Some(schema::Error { code, message: message.into(), temporary });
    let topic = SubscribeResult { data: text(r#"{"topic":"all"}"#), ..SubscribeResult::default() };
    let expiring = SubscribeResult { expires: true, ttl: 1, ..SubscribeResult::default() };
    let history = HistoryResult { publications: vec![publication()], epoch: "abcd".into(), offset: 1 << 40 };
    let stats = PresenceStatsResult { num_clients: 3, num_users: 2 };
    let refresh = RefreshResult { client: connected().client, expires: true, ttl: 600, ..RefreshResult::default() };
    let sub_refresh = SubRefreshResult { expires: true, ttl: 600, ..SubRefreshResult::default() };
    let presence =
        PresenceResult { presence: [("c1", "42"), ("c2", "43")].map(|(c, u)| (c.into(), member(c, u))).into() };
    let state = SubscribeResult {
        recoverable: true,
        epoch: "abcd".into(),
        recovered: true,
        offset: 7,
        positioned: true,
        was_recovering: true,
        ..SubscribeResult::default()
    };
    vec![
        ("connect", Reply { connect: Some(connected()), ..with(1) }),
        ("subscribe", Reply { subscribe: Some(topic), ..with(2) }),
        ("publish", Reply { publish: Some(PublishResult {}), ..with(3) }),
        ("error", Reply { error: error(108, "not available", false), ..with(4) }),
        ("error_temporary", Reply { error: error(100, "internal server error", true), ..with(5) }),
        ("presence_stats", Reply { presence_stats: Some(stats), ..with(6) }),
        ("history", Reply { history: Some(history), ..with(7) }),
        ("refresh", Reply { refresh: Some(refresh), ..with(10) }),
        ("subscribe_expiring", Reply { subscribe: Some(expiring), ..with(11) }),
        ("sub_refresh", Reply { sub_refresh: Some(sub_refresh), ..with(12) }),
        ("unsubscribe", Reply { unsubscribe: Some(UnsubscribeResult {}), ..with(13) }),
        ("presence", Reply { presence: Some(presence), ..with(15) }),
        ("error_unrecoverable", Reply { error: error(112, "unrecoverable position", false), ..with(16) }),
        ("subscribe_state", Reply { subscribe: Some(state), ..with(17) }),
    ]
}

fn pushes() -> Vec<(&'static str, Push)> {
    let on = |channel: &str| Push { channel: channel.into(), ..Push::default() };
    let bare = schema::Publication { data: text("0"), ..schema::Publication::default() };
    let subscribe = schema::Subscribe { data: text("[7]"), ..schema::Subscribe::default() };
    let stream = schema::Subscribe {
        recoverable: true,
        epoch: "abcd".into(),
        offset: 9,
        positioned: true,
        ..schema::Subscribe::default()
    };
    let unsubscribe = schema::Unsubscribe { code: 2000, reason: "server unsubscribe".into() };
    vec![
        ("publication", Push { r#pub: Some(publication()), ..on("news") }),
        ("publication_bare", Push { r#pub: Some(bare), ..on("news") }),
        ("push_subscribe", Push { subscribe: Some(subscribe), ..on("user:#42") }),
        ("push_publication", Push { r#pub: Some(publication()), ..on("user:#42") }),
        ("push_message", Push { message: Some(schema::Message { data: text("\"hello\"") }), ..Push::default() }),
        ("push_unsubscribe", Push { unsubscribe: Some(unsubscribe), ..on("user:#42") }),
        ("join", Push { join: Some(Join { info: Some(member("c1", "42")) }), ..on("prices") }),
        ("leave", Push { leave: Some(Leave { info: Some(member("c1", "42")) }), ..on("prices") }),
        ("push_subscribe_stream", Push { subscribe: Some(stream), ..on("user:#42") }),
        ("push_refresh", Push { refresh: Some(schema::Refresh { expires: true, ttl: 1 }), ..Push::default() }),
    ]
}

fn member(client: &str, user: &str) -> ClientInfo {
    let conn_info = text(r#"{"name":"Ann"}"#);
    ClientInfo { user: user.into(), client: client.into(), conn_info, ..ClientInfo::default() }
}

/// What is said on `prices`: the first two were missed, the others come as patches where they can.
fn prices() -> Vec<Bytes> {
    let row = |i: u64, tick: u64| {
        // Characters that differ in their last byte only: no patch may cut them.
        let sign = ["é", "è", "ê", "😀", "😁"][((i * 3 + tick) % 5) as usize];
        format!(r#"{{"symbol":"S{i}","price":{},"sign":"{sign} \"{sign}{sign}\""}}"#, (i * 7919 + tick * tick) % 1000)
    };
    let tick = |tick: u64| {
        // Rows come, go and change places.
        let rows: Vec<_> = (0..30).map(|i| row((i + tick / 3) % 40, tick / (1 + i % 4))).collect();
        let last = if tick == 20 { r#","last":true"# } else { "" };
        Bytes::from(format!(r#"{{"rows":[{}]{last}}}"#, rows.join(",")))
    };
    let mut prices: Vec<_> = (0..=20).map(tick).collect();
    // Nothing in common: this one comes whole.
    prices.insert(10, text("0"));
    prices
}

/// Frames of a subscription that has agreed to patches: a name, JSON, Protobuf.
fn patched() -> [(&'static str, Vec<u8>, Vec<u8>); 2] {
    let prices = prices();
    let tags = BTreeMap::new();
    let publication = |offset, data| Publication { data, info: None, offset, tags: &tags, time: 0, epoch: "" };
    let missed = || (4..).zip(&prices[..2]).map(|(offset, data)| publication(offset, Data::Whole(data)));
    let recovered = |write: fn(&Publication<'_>) -> Bytes, answer: fn(u32, &Answer<'_>) -> Bytes| {
        let publications: Vec<_> = missed().map(|publication| write(&publication)).collect();
        let subscribed = Subscribed {
            recoverable: true,
            epoch: "abcd",
            publications: publications.iter().map(|bytes| &bytes[..]).collect(),
            recovered: true,
            offset: 3,
            positioned: true,
            was_recovering: true,
            delta: true,
            ..Subscribed::default()
        };
        answer(14, &Answer::Subscribe(subscribed)).to_vec()
    };
    let patches: Vec<_> = prices.windows(2).map(|pair| fossil::create(&pair[0], &pair[1])).collect();
    let live = (6..).zip(prices[2..].iter().zip(&patches[1..])).map(|(offset, (data, patch))| {
        let data = if patch.len() < data.len() { Data::Patch(patch) } else { Data::Whole(data) };
        publication(offset, data)
    });
    let lines: Vec<_> = live.clone().map(|publication| json::publication("prices", &publication)).collect();
    let messages: Vec<_> = live.map(|publication| protobuf::publication("prices", &publication)).collect();
    [
        ("subscribe_recovered", recovered(json::listed, json::answer), recovered(protobuf::listed, protobuf::answer)),
        ("patches", lines.join(&b'\n'), messages.concat()),
    ]
}

fn connected() -> ConnectResult {
    ConnectResult {
        client: "6b0f9a86-5f0e-4b8e-9d5b-0d1a3b5c7e90".into(),
        version: "0.1.0".into(),
        expires: true,
        ttl: 1,
        data: text(r#"{"motd":"welcome"}"#),
        ping: 25,
        pong: true,
        session: "0b7d6f4e-31c2-4a55-8b60-94f0a1e2d3c4".into(),
        node: "f1d2c3b4-a596-4788-a7b6-c5d4e3f20110".into(),
        time: 1_780_000_000_123,
        ..ConnectResult::default()
    }
}

fn publication() -> schema::Publication {
    schema::Publication {
        data: text(r#"{"text":"hi \"there\" 😀","n":[1,2.5]}"#),
        info: Some(ClientInfo {
            user: "42".into(),
            client: "6b0f9a86-5f0e-4b8e-9d5b-0d1a3b5c7e90".into(),
            conn_info: text(r#"{"name":"Ann"}"#),
            chan_info: text(r#"{"role":"guest"}"#),
        }),
        offset: 1,
        tags: BTreeMap::from([("quoted \"key\"".into(), "line\nbreak".into()), ("empty".into(), String::new())]),
        time: 1_780_000_000_123,
        epoch: "abcd".into(),
        ..schema::Publication::default()
    }
}

/// What the client must have understood, in its own words.
fn heard() -> Value {
    let publication = json!({
        "data": { "text": "hi \"there\" 😀", "n": [1, 2.5] },
        "info": {
            "user": "42",
            "client": "6b0f9a86-5f0e-4b8e-9d5b-0d1a3b5c7e90",
            "connInfo": { "name": "Ann" },
            "chanInfo": { "role": "guest" },
        },
        "offset": 1,
        "tags": { "quoted \"key\"": "line\nbreak", "empty": "" },
    });
    let on = |channel: &str| {
        let mut publication = publication.clone();
        publication["channel"] = channel.into();
        publication
    };
    let said = (4..).zip(prices()).map(
        |(offset, data): (u64, _)| json!({ "data": serde_json::from_slice::<Value>(&data).expect("JSON"), "offset": offset }),
    );
    let said = Value::Array(said.collect());
    let member = |client, user| json!({ "client": client, "user": user, "connInfo": { "name": "Ann" } });
    let recovered = json!({
        "channel": "prices", "recovered": true, "wasRecovering": true, "recoverable": true, "positioned": true,
        "hasRecoveredPublications": true, "streamPosition": { "offset": 3, "epoch": "abcd" },
    });
    let state = json!({
        "channel": "state", "recovered": true, "wasRecovering": true, "hasRecoveredPublications": false,
        "streamPosition": { "offset": 7, "epoch": "abcd" },
    });
    json!({
        "subscribe_recovered": recovered,
        "patches": { "said": said, "patches": 18 },
        "join": { "channel": "prices", "info": member("c1", "42") },
        "leave": { "channel": "prices", "info": member("c1", "42") },
        "presence": { "clients": { "c1": member("c1", "42"), "c2": member("c2", "43") } },
        "subscribe_state": state,
        "push_subscribe_stream": {
            "channel": "user:#42", "recoverable": true, "positioned": true,
            "streamPosition": { "offset": 9, "epoch": "abcd" },
        },
        "connect": { "client": connected().client, "data": { "motd": "welcome" } },
        "subscribe": { "channel": "news", "data": { "topic": "all" }, "recovered": false },
        "publication": on("news"),
        "publication_bare": { "channel": "news", "data": 0 },
        "publish": {},
        "error": { "code": 108, "message": "not available", "temporary": false },
        "error_temporary": { "code": 100, "message": "internal server error", "temporary": true },
        "presence_stats": { "numClients": 3, "numUsers": 2 },
        "history": { "epoch": "abcd", "offset": 1_u64 << 40, "publications": [publication] },
        "push_subscribe": { "channel": "user:#42", "data": [7] },
        "push_publication": on("user:#42"),
        "push_message": { "data": "hello" },
        "push_unsubscribe": { "channel": "user:#42" },
        "batch": [{}, {}],
        "subscribe_expiring": { "channel": "$private" },
    })
}

/// Whether all of `expected` is in `actual`, which may hold more.
fn includes(actual: &Value, expected: &Value) -> bool {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => {
            expected.iter().all(|(key, value)| actual.get(key).is_some_and(|actual| includes(actual, value)))
        }
        (Value::Array(actual), Value::Array(expected)) => {
            actual.len() == expected.len() && actual.iter().zip(expected).all(|(a, e)| includes(a, e))
        }
        _ => actual == expected,
    }
}

/// All frames that the client is told, in both forms.
fn frames() -> impl Iterator<Item = (&'static str, Vec<u8>, Vec<u8>)> {
    let printed = replies().map(|(name, replies)| {
        let (lines, messages) = print(&replies);
        (name, lines, messages)
    });
    printed.chain(patched())
}

fn print(replies: &[Reply]) -> (Vec<u8>, Vec<u8>) {
    let lines: Vec<_> = replies.iter().map(json::reply).collect();
    let messages: Vec<_> = replies.iter().map(protobuf::reply).collect();
    (lines.join(&b'\n'), messages.concat())
}

#[test]
fn commands_of_the_official_client_in_json() {
    for (name, expected) in commands() {
        let frame = read(&format!("commands/{name}.json"));
        let commands: Result<Vec<_>, _> = json::commands(&frame).collect();
        assert_eq!(commands.unwrap(), expected, "{name}");
    }
}

#[test]
fn commands_of_the_official_client_in_protobuf() {
    for (name, expected) in commands() {
        let frame = read(&format!("commands/{name}.bin"));
        let commands: Result<Vec<_>, _> = protobuf::commands(frame.clone()).collect();
        assert_eq!(commands.unwrap(), expected, "{name}");
        // Field numbers and forms are the client's: written again, they are the same bytes.
        let written: Vec<_> = expected.into_iter().map(|command| protobuf::command(&command.into())).collect();
        assert_eq!(written.concat(), frame, "{name}");
    }
}

#[test]
fn replies_are_written_as_ever() {
    for (name, lines, messages) in frames() {
        assert_eq!(lines, read(&format!("replies/{name}.json")), "{name}");
        assert_eq!(messages, read(&format!("replies/{name}.bin")), "{name}");
    }
}

#[test]
fn replies_can_be_read_back() {
    for (name, replies) in replies() {
        let (lines, messages) = print(&replies);
        assert_eq!(json::replies(&lines).unwrap(), replies, "{name}");
        assert_eq!(protobuf::replies(messages.into()).unwrap(), replies, "{name}");
    }
}

#[test]
fn the_official_client_understood_our_replies() {
    let all: Value = serde_json::from_slice(&read("heard.json")).unwrap();
    for form in ["json", "protobuf"] {
        for (name, expected) in heard().as_object().unwrap() {
            let actual = &all[form][name];
            assert!(includes(actual, expected), "{form} {name}\nheard    {actual}\nexpected {expected}");
        }
    }
}

#[test]
#[ignore = "writes the golden replies anew; see golden/centrifuge/README.md"]
fn write_replies() {
    for (name, lines, messages) in frames() {
        fs::write(folder().join(format!("replies/{name}.json")), lines).unwrap();
        fs::write(folder().join(format!("replies/{name}.bin")), messages).unwrap();
    }
}
