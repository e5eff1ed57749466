//! The bytes that gateways and workers of different versions meet in: whoever changes one of these files
//! changes the layout of `docs/protocol/redis.md`, and owes it a new version.
//!
//! `FANFARE_GOLDEN=write cargo test -p fanfare-proto --test golden_envelope` writes them anew.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use bytes::Bytes;
use fanfare_proto::envelope::{
    ClientInfo, Control, Disconnect, Envelope, EnvelopeError, IssuedBefore, Membership, Order, Publication, Refresh,
    Revocation, Since, Subscribe, Target, Unsubscribe, What,
};
use fanfare_proto::keys::Keys;
use fanfare_proto::pattern::Pattern;
use fanfare_proto::rules::{Ack, ChannelRules, CommonRules, DataFormat, History, Rules};
use fanfare_proto::script::{self, LogId};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/envelope").join(name)
}

/// The file's text; first written, if asked.
fn golden(name: &str, text: &str) -> String {
    if std::env::var_os("FANFARE_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(path(name), text).unwrap();
    }
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Sixteen bytes a line.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(16) {
        let words: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{}", words.join(" ")).unwrap();
    }
    text
}

fn unhex(text: &str) -> Bytes {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect::<Vec<u8>>().into()
}

fn target() -> Option<Target> {
    Some(Target { user: "42".into(), client: "c-1".into(), session: "s-1".into() })
}

fn control(order: Order) -> Envelope {
    Envelope::Control(Control { sender: "node-1".into(), time_ms: 1_700_000_000_123, order: Some(order) })
}

fn envelopes() -> Vec<(&'static str, Envelope)> {
    let small = Publication { data: r#"{"a":1}"#.into(), ..Publication::default() };
    let full = Publication {
        data: r#"{"text":"hi"}"#.into(),
        info: Some(ClientInfo {
            user: "42".into(),
            client: "6f1c1a3e-4c56-4b8e-9d3a-0a1b2c3d4e5f".into(),
            connection_info: r#"{"name":"Ann"}"#.into(),
            channel_info: "[1]".into(),
        }),
        tags: BTreeMap::from([("a".into(), "1".into()), ("b".into(), "2".into())]),
        time_ms: 1_700_000_000_123,
        exclude_client: "6f1c1a3e-4c56-4b8e-9d3a-0a1b2c3d4e5f".into(),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        offset: 7,
        epoch: "ep".into(),
        delta: false,
    };
    let disconnect =
        Disconnect { target: target(), code: 3503, reason: "force disconnect".into(), whitelist: vec!["c-2".into()] };
    let subscribe = Subscribe {
        target: target(),
        channel: "chat:1".into(),
        info: "{}".into(),
        data: "1".into(),
        expire_at: 1_700_000_060,
        recover: None,
    };
    vec![
        ("publication-small.hex", Envelope::Publication(small)),
        ("publication-full.hex", Envelope::Publication(full)),
        ("control-disconnect.hex", control(Order::Disconnect(disconnect))),
        (
            "control-unsubscribe.hex",
            control(Order::Unsubscribe(Unsubscribe { target: target(), channel: "chat:1".into() })),
        ),
        ("control-subscribe.hex", control(Order::Subscribe(subscribe))),
        (
            "control-refresh.hex",
            control(Order::Refresh(Refresh { target: target(), expired: true, expire_at: 1_700_000_060 })),
        ),
    ]
}

/// What came with streams, presence and revocations, in the same version: who does not know it ignores it.
fn newer_envelopes() -> Vec<(&'static str, Envelope)> {
    let delta = Publication { data: r#"{"a":1}"#.into(), delta: true, ..Publication::default() };
    let who = ClientInfo { user: "42".into(), client: "c-1".into(), ..ClientInfo::default() };
    let revocation = |what, expire_at| control(Order::Revocation(Revocation { what: Some(what), expire_at }));
    let before = IssuedBefore { user: "42".into(), time: 1_700_000_000 };
    let since = Subscribe {
        target: target(),
        channel: "chat:1".into(),
        recover: Some(Since { offset: 300, epoch: "ep".into() }),
        ..Subscribe::default()
    };
    vec![
        ("publication-delta.hex", Envelope::Publication(delta)),
        ("membership-joined.hex", Envelope::Membership(Membership { who: Some(who.clone()), left: false })),
        ("membership-left.hex", Envelope::Membership(Membership { who: Some(who), left: true })),
        ("control-subscribe-since.hex", control(Order::Subscribe(since))),
        ("control-revoke-token.hex", revocation(What::Token("t-1".into()), 1_700_000_060)),
        ("control-revoke-before.hex", revocation(What::IssuedBefore(before), 0)),
        ("control-block.hex", revocation(What::Block("42".into()), 1_700_000_060)),
        ("control-unblock.hex", revocation(What::Unblock("42".into()), 0)),
    ]
}

#[test]
fn envelopes_are_written_and_read_as_ever() {
    for (name, envelope) in envelopes().into_iter().chain(newer_envelopes()) {
        let text = golden(name, &hex(&envelope.encode()));
        assert_eq!(hex(&envelope.encode()), text, "{name}");
        assert_eq!(Envelope::decode(unhex(&text)).unwrap(), envelope, "{name}");
    }
}

#[test]
fn fields_of_a_newer_version_are_ignored() {
    for (name, envelope) in envelopes().into_iter().chain(newer_envelopes()) {
        let mut bytes = envelope.encode().to_vec();
        // Field 100, length-delimited, three bytes.
        bytes.extend_from_slice(&[0xa2, 0x06, 0x03, 1, 2, 3]);
        assert_eq!(Envelope::decode(bytes.into()).unwrap(), envelope, "{name}");
    }
}

/// What the script sends: the envelope as it is stored, with a position put behind it.
#[test]
fn a_position_is_put_behind_a_stored_envelope() {
    let stored = Publication { data: r#"{"a":1}"#.into(), delta: true, ..Publication::default() };
    let mut sent = Envelope::Publication(stored.clone()).encode().to_vec();
    sent.extend_from_slice(&[0x38, 0xac, 0x02, 0x42, 0x02, b'e', b'p']);
    let text = golden("publication-sent.hex", &hex(&sent));
    assert_eq!(hex(&sent), text);
    let expected = Publication { offset: 300, epoch: "ep".into(), ..stored };
    assert_eq!(Envelope::decode(unhex(&text)).unwrap(), Envelope::Publication(expected));
}

#[test]
fn what_is_no_envelope_is_told_from_what_is() {
    let decode = |bytes: &'static [u8]| Envelope::decode(Bytes::from_static(bytes)).unwrap_err();
    assert!(matches!(decode(b""), EnvelopeError::Short));
    assert!(matches!(decode(b"\x01"), EnvelopeError::Short));
    assert!(matches!(decode(b"\x02p"), EnvelopeError::Version(2)));
    assert!(matches!(decode(b"{\"a\":1}"), EnvelopeError::Version(b'{')));
    assert!(matches!(decode(b"\x01z"), EnvelopeError::Kind('z')));
    assert!(matches!(decode(b"\x01p\x0a\x05abc"), EnvelopeError::Malformed(_)));
}

#[test]
fn names_are_as_ever() {
    let keys = Keys::new("fanfare", 3);
    let mut text = String::new();
    for channel in ["news", "chat:room#1,2", "{}", "a%b"] {
        writeln!(text, "channel {channel} = {}", keys.channel(channel)).unwrap();
        writeln!(text, "stream {channel} = {}", keys.stream(channel)).unwrap();
        writeln!(text, "meta {channel} = {}", keys.meta(channel)).unwrap();
        writeln!(text, "once {channel} k:1 = {}", keys.once(channel, "k:1")).unwrap();
    }
    for (what, name) in [
        ("control", keys.control()),
        ("probe node-1", keys.probe("node-1")),
        ("control_log", keys.control_log()),
        ("nodes", keys.nodes()),
        ("node node-1", keys.node("node-1")),
        ("node_channels node-1", keys.node_channels("node-1")),
        ("node_channels_next node-1", keys.node_channels_next("node-1")),
        ("rules", keys.rules()),
        ("revoked_tokens", keys.revoked_tokens()),
        ("revoked_users", keys.revoked_users()),
        ("revoked_before", keys.revoked_before()),
        ("blocked_users", keys.blocked_users()),
        ("dev_secrets", keys.dev_secrets()),
    ] {
        writeln!(text, "{what} = {name}").unwrap();
    }
    assert_eq!(text, golden("keys.txt", &text));
}

#[test]
fn rules_are_written_and_read_as_ever() {
    let binary = ChannelRules {
        data_format: DataFormat::Binary,
        publication_size_limit: 1_048_576,
        history: Some(History { size: 100, ttl_ms: 60_000, meta_ttl_ms: 2_592_000_000 }),
        ack: Ack::Replicated,
        delta_publish: true,
    };
    let json = ChannelRules { publication_size_limit: 65_536, ..ChannelRules::default() };
    let common = CommonRules { idempotency_window_ms: 120_000, replicas: 2, replicated_timeout_ms: 500 };
    let namespaces = BTreeMap::from([("files".into(), binary), ("chat".into(), json)]);
    let rules = Rules::new(json, namespaces).with_common(common);
    let text = golden("rules.json", &format!("{}\n", rules.print()));
    assert_eq!(format!("{}\n", rules.print()), text);
    assert_eq!(Rules::parse(text.as_bytes()).unwrap(), rules);
}

#[test]
fn rules_with_patterns_have_a_version_of_their_own() {
    let pattern = |text: &str| (Pattern::parse(text).unwrap(), ChannelRules::default());
    let patterns = [pattern("/users/:id"), pattern("/users/me")].into();
    let rules = Rules::new(ChannelRules::default(), BTreeMap::new()).with_patterns(patterns);
    let text = golden("rules-3.json", &format!("{}\n", rules.print()));
    assert_eq!(format!("{}\n", rules.print()), text);
    let read = Rules::parse(text.as_bytes()).unwrap();
    assert_eq!((read.version, &read), (3, &rules));
}

/// The file is what version 1 wrote, and is never written again.
#[test]
fn rules_of_the_version_before_are_read_and_keep_no_history() {
    let rules = Rules::parse(&std::fs::read(path("rules-1.json")).unwrap()).unwrap();
    let json = ChannelRules { publication_size_limit: 65_536, ..ChannelRules::default() };
    let binary = ChannelRules { data_format: DataFormat::Binary, publication_size_limit: 1_048_576, ..json };
    assert_eq!((rules.version, rules.default, rules.common), (1, json, CommonRules::default()));
    assert_eq!(rules.namespaces, BTreeMap::from([("files".into(), binary), ("chat".into(), json)]));
}

#[test]
fn announcements_of_orders_are_as_ever() {
    let (id, envelope) = (LogId { ms: 1_700_000_000_123, sequence: 4 }, envelopes().swap_remove(3).1.encode());
    let announcement = script::announce_control(id, &envelope);
    let text = golden("control-announcement.hex", &hex(&announcement));
    assert_eq!(hex(&announcement), text);
    assert_eq!(script::parse_control(unhex(&text)), Some((id, envelope)));
}
