//! What is about a channel's stream and its members: positions, recovery, history, patches, presence.

use crate::model::event::{PresenceStats, Recovery, Standing};
use crate::model::{Change, Membership, Retained};

use super::*;

fn subscribe(fields: &str) -> Subscribe {
    match asked(&format!(r#"{{"id":1,"subscribe":{{"channel":"news"{fields}}}}}"#)) {
        Ask::Subscribe(subscribe) => subscribe,
        other => panic!("{fields}: {other:?}"),
    }
}

fn since(offset: u64, epoch: &str) -> Option<Since> {
    Some(Since { offset, epoch: epoch.into() })
}

#[test]
fn subscribe_says_what_it_wants_of_the_stream() {
    let plain = || Subscribe { channel: "news".into(), ..Subscribe::default() };
    for (fields, wants) in [
        ("", plain()),
        (r#","positioned":true"#, Subscribe { positioned: true, ..plain() }),
        (r#","recoverable":true"#, Subscribe { recoverable: true, ..plain() }),
        (r#","join_leave":true"#, Subscribe { join_leave: true, ..plain() }),
        (r#","delta":"fossil""#, Subscribe { delta: "fossil".into(), ..plain() }),
        (r#","flag":1"#, plain()),
        (r#","flag":2"#, Subscribe { reject_unrecovered: true, ..plain() }),
        (r#","flag":3"#, Subscribe { reject_unrecovered: true, ..plain() }),
        (r#","flag":-3"#, plain()),
        (r#","recover":true"#, Subscribe { recover: since(0, ""), ..plain() }),
        (r#","recover":true,"offset":9,"epoch":"e""#, Subscribe { recover: since(9, "e"), ..plain() }),
        // A position is nothing without the wish.
        (r#","offset":9,"epoch":"e""#, plain()),
    ] {
        assert_eq!(subscribe(fields), wants, "{fields}");
    }
}

#[test]
fn offsets_have_64_bits() {
    let fields = r#","recover":true,"offset":18446744073709551615"#;
    assert_eq!(subscribe(fields).recover, since(u64::MAX, ""));
    for offset in ["-1", "1.5", "18446744073709551616", "\"1\""] {
        let frame = format!(r#"{{"id":1,"subscribe":{{"channel":"news","recover":true,"offset":{offset}}}}}"#);
        assert_eq!(from_json(&frame).then, bad_request(), "{offset}");
    }
}

#[test]
fn an_epoch_that_cannot_be_ours_is_kept_short_and_matches_none() {
    let recover = |epoch: &str| subscribe(&format!(r#","recover":true,"epoch":"{epoch}""#)).recover.unwrap().epoch;
    let longest = "e".repeat(64);
    for epoch in ["", "_", "abcd", "0123-ABCD", &longest] {
        assert_eq!(&*recover(epoch), epoch);
    }
    for epoch in ["e".repeat(65), "e".repeat(1 << 20), "é".into(), "a b".into(), "\\u0000".into(), "a\\r\\nb".into()] {
        assert_eq!(&*recover(&epoch), "?");
    }
}

#[test]
fn history_says_which_part() {
    for (fields, query) in [
        ("", HistoryAsk::default()),
        (r#","limit":-1"#, HistoryAsk { limit: -1, ..HistoryAsk::default() }),
        (r#","limit":-2147483648"#, HistoryAsk { limit: i32::MIN, ..HistoryAsk::default() }),
        (r#","since":{}"#, HistoryAsk { since: since(0, ""), ..HistoryAsk::default() }),
        (
            r#","limit":10,"since":{"offset":18446744073709551615,"epoch":"e"},"reverse":true"#,
            HistoryAsk { limit: 10, since: since(u64::MAX, "e"), reverse: true },
        ),
        (r#","since":{"offset":1,"epoch":"é"}"#, HistoryAsk { since: since(1, "?"), ..HistoryAsk::default() }),
    ] {
        let ask = asked(&format!(r#"{{"id":1,"history":{{"channel":"news"{fields}}}}}"#));
        assert_eq!(ask, Ask::History { channel: "news".into(), query }, "{fields}");
    }
    let frame = r#"{"id":1,"history":{"channel":"news","limit":2147483648}}"#;
    assert_eq!(from_json(frame).then, bad_request());
}

// ---- events -------------------------------------------------------------------------------------

fn retained(offset: u64) -> Arc<Retained> {
    let position = Some(Position { offset, epoch: "abcd".into() });
    let publication = Publication { data: data(r#"{"q":"\n"}"#), position, ..Publication::default() };
    Arc::new(Retained::new(publication).unwrap())
}

fn standing(recovery: Option<Recovery>) -> Standing {
    let position = Position { offset: 3, epoch: "abcd".into() };
    Standing { positioned: true, recoverable: true, position, recovery }
}

fn subscribed(standing: Standing, delta: bool) -> Reply {
    Reply::Subscribe(Subscribed { standing: Some(standing), delta, ..Subscribed::default() })
}

#[test]
fn a_subscription_says_where_it_stands() {
    assert_eq!(
        replied(&subscribed(standing(None), false)),
        r#"{"id":3,"subscribe":{"recoverable":true,"epoch":"abcd","offset":3,"positioned":true}}"#
    );
    let unasked = Standing { positioned: false, recoverable: false, ..standing(None) };
    assert_eq!(replied(&subscribed(unasked, false)), r#"{"id":3,"subscribe":{"epoch":"abcd","offset":3}}"#);
}

#[test]
fn what_was_missed_comes_with_the_answer() {
    let missed = || Some(Recovery::Recovered(vec![retained(4), retained(5)]));
    let expected = concat!(
        r#"{"id":3,"subscribe":{"recoverable":true,"epoch":"abcd","#,
        r#""publications":[{"data":{"q":"\n"},"offset":4},{"data":{"q":"\n"},"offset":5}],"#,
        r#""recovered":true,"offset":3,"positioned":true,"was_recovering":true}}"#
    );
    assert_eq!(replied(&subscribed(standing(missed()), false)), expected);
    let nothing = Some(Recovery::Recovered(Vec::new()));
    assert!(
        replied(&subscribed(standing(nothing), false))
            .ends_with(r#""recovered":true,"offset":3,"positioned":true,"was_recovering":true}}"#)
    );
    assert!(
        replied(&subscribed(standing(Some(Recovery::Unrecovered)), false))
            .ends_with(r#""epoch":"abcd","offset":3,"positioned":true,"was_recovering":true}}"#)
    );
}

#[test]
fn server_side_subscriptions_recover_with_connect() {
    let news = Subscribed {
        standing: Some(standing(Some(Recovery::Recovered(vec![retained(4)])))),
        data: data("[1]"),
        ..Subscribed::default()
    };
    let connected = Connected {
        client: ConnectionId::parse(CLIENT).unwrap(),
        version: "0",
        ttl: None,
        data: Bytes::new(),
        subs: BTreeMap::from([(ChannelName::parse("news").unwrap(), news)]),
        ping_interval: Duration::ZERO,
        pong: false,
        session: None,
        node: NodeId::parse(CLIENT).unwrap(),
        time_ms: 0,
    };
    let subs = concat!(
        r#""subs":{"news":{"recoverable":true,"epoch":"abcd","publications":[{"data":{"q":"\n"},"offset":4}],"#,
        r#""recovered":true,"offset":3,"positioned":true,"data":[1],"was_recovering":true}}"#
    );
    let written = replied(&Reply::Connect(Box::new(connected)));
    assert!(written.contains(subs), "{written}");
}

#[test]
fn a_pushed_subscription_says_where_it_stands() {
    let subscribed = Subscribed { data: data("[7]"), standing: Some(standing(None)), ..Subscribed::default() };
    assert_eq!(
        pushed(Some("#42"), &Push::Subscribe(subscribed)),
        r##"{"push":{"channel":"#42","subscribe":{"recoverable":true,"epoch":"abcd","offset":3,"positioned":true,"data":[7]}}}"##
    );
}

#[test]
fn history_has_publications_and_the_top() {
    let top = || Position { offset: u64::MAX, epoch: "abcd".into() };
    let reply = |publications| Reply::History { publications, top: top() };
    assert_eq!(
        replied(&reply(vec![])),
        r#"{"id":3,"history":{"publications":[],"epoch":"abcd","offset":18446744073709551615}}"#
    );
    let newest_first = reply(vec![retained(2), retained(1)]);
    assert_eq!(
        replied(&newest_first),
        concat!(
            r#"{"id":3,"history":{"publications":[{"data":{"q":"\n"},"offset":2},"#,
            r#"{"data":{"q":"\n"},"offset":1,"epoch":"abcd"}],"epoch":"abcd","offset":18446744073709551615}}"#
        )
    );
}

#[test]
fn a_publication_in_answers_is_written_once_for_each_wire_and_form() {
    let said = retained(4);
    let recovered = |delta| subscribed(standing(Some(Recovery::Recovered(vec![Arc::clone(&said)]))), delta);
    for reply in &[recovered(false), recovered(true)] {
        Json.encode(&Event::Reply { id: 3, reply });
        Protobuf.encode(&Event::Reply { id: 3, reply });
    }
    for (wire, form) in [
        (WireKey::CentrifugeJson, Form::Plain),
        (WireKey::CentrifugeJson, Form::Delta),
        // One form: bytes are bytes.
        (WireKey::CentrifugeProtobuf, Form::Plain),
    ] {
        said.written(wire, form, |_| panic!("written a second time"));
    }
}

// ---- patches ------------------------------------------------------------------------------------

#[test]
fn after_agreeing_to_patches_data_is_a_string() {
    let missed = Some(Recovery::Recovered(vec![retained(4)]));
    let reply = subscribed(standing(missed), true);
    let Frame::Text(text) = Json.encode(&Event::Reply { id: 3, reply: &reply }) else { panic!("text") };
    assert_eq!(
        text,
        concat!(
            r#"{"id":3,"subscribe":{"recoverable":true,"epoch":"abcd","#,
            r#""publications":[{"data":"{\"q\":\"\\n\"}","offset":4}],"#,
            r#""recovered":true,"offset":3,"positioned":true,"was_recovering":true,"delta":true}}"#
        )
    );
    let Frame::Binary(binary) = Protobuf.encode(&Event::Reply { id: 3, reply: &reply }) else { panic!("binary") };
    let result = protobuf::replies(binary).unwrap().remove(0).subscribe.unwrap();
    assert!(result.delta && !result.publications[0].delta);
    assert_eq!(result.publications[0].data, r#"{"q":"\n"}"#);
}

#[test]
fn a_patch_is_marked_and_a_whole_is_not() {
    let channel = ChannelName::parse("news").unwrap();
    let said = retained(4);
    let patch = Bytes::from_static("2\n2:\"é1;".as_bytes());
    let both = |patch| {
        let event = Event::Delta { channel: &channel, publication: said.publication(), patch };
        let (text, binary) = (Json.encode(&event), Protobuf.encode(&event));
        let binary = protobuf::replies(binary.bytes().clone()).unwrap().remove(0).push.unwrap().r#pub.unwrap();
        (String::from_utf8(text.bytes().to_vec()).unwrap(), binary.data, binary.delta)
    };
    let (text, bytes, is_patch) = both(Some(&patch));
    assert_eq!(text, r#"{"push":{"channel":"news","pub":{"data":"2\n2:\"é1;","offset":4,"delta":true}}}"#);
    assert_eq!((bytes, is_patch), (patch.clone(), true));
    let (text, bytes, is_patch) = both(None);
    assert_eq!(text, r#"{"push":{"channel":"news","pub":{"data":"{\"q\":\"\\n\"}","offset":4}}}"#);
    assert_eq!((bytes, is_patch), (data(r#"{"q":"\n"}"#), false));
}

// ---- members ------------------------------------------------------------------------------------

fn member(user: &str, client: &str) -> ClientInfo {
    ClientInfo {
        user: UserId::new(user),
        client: client.into(),
        connection_info: data(r#"{"name":"Ann"}"#),
        channel_info: data("[1]"),
    }
}

#[test]
fn joining_and_leaving_are_pushed() {
    let push = |change| pushed(Some("news"), &Push::Membership(Membership { change, who: member("42", CLIENT) }));
    let info = format!(r#"{{"user":"42","client":"{CLIENT}","conn_info":{{"name":"Ann"}},"chan_info":[1]}}"#);
    assert_eq!(push(Change::Joined), format!(r#"{{"push":{{"channel":"news","join":{{"info":{info}}}}}}}"#));
    assert_eq!(push(Change::Left), format!(r#"{{"push":{{"channel":"news","leave":{{"info":{info}}}}}}}"#));
}

#[test]
fn presence_is_told_by_client() {
    let presence = Reply::Presence(vec![member("42", "b"), member("", "a")]);
    assert_eq!(
        replied(&presence),
        concat!(
            r#"{"id":3,"presence":{"presence":{"a":{"client":"a","conn_info":{"name":"Ann"},"chan_info":[1]},"#,
            r#""b":{"user":"42","client":"b","conn_info":{"name":"Ann"},"chan_info":[1]}}}}"#
        )
    );
    assert_eq!(replied(&Reply::Presence(vec![])), r#"{"id":3,"presence":{"presence":{}}}"#);
    let stats = |clients, users| replied(&Reply::PresenceStats(PresenceStats { clients, users }));
    assert_eq!(stats(3, 2), r#"{"id":3,"presence_stats":{"num_clients":3,"num_users":2}}"#);
    assert_eq!(stats(1 << 40, 0), r#"{"id":3,"presence_stats":{"num_clients":4294967295,"num_users":0}}"#);
    assert_eq!(stats(0, 0), r#"{"id":3,"presence_stats":{"num_clients":0,"num_users":0}}"#);
}
