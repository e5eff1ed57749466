//! What is said of options for history, recovery, presence and deltas.

use super::section::{DeltaType, HistoryOptions, PublishAck, RecoveryMode};
use super::*;

const KEEP: &str = "channel.default.history_size = 10\nchannel.default.history_ttl = \"5m\"\n";
const HISTORY: &str = "needs history: set history_size and history_ttl, too";
const PRESENCE: &str = "needs presence: set presence = true, too";

/// One option of `channel.default`.
fn option(text: &str) -> String {
    format!("channel.default.{text}\n")
}

fn on(key: &str) -> String {
    option(&format!("{key} = true"))
}

/// What is said of an option on the given line.
fn said(key: &str, line: usize, text: &str) -> String {
    format!("channel.default.{key} (gateway.toml:{line}): {text}")
}

#[test]
fn everything_switched_on() {
    let file = "
        [[channel.namespace]]
        name = \"all\"
        history_size = 100000
        history_ttl = \"30d\"
        history_meta_ttl = \"30d\"
        force_positioning = true
        allow_positioning = true
        force_recovery = true
        allow_recovery = true
        force_recovery_mode = \"cache\"
        allow_history_for_client = true
        allow_history_for_subscriber = true
        allow_history_for_anonymous = true
        publish_ack = \"replicated\"
        allowed_delta_types = [\"fossil\"]
        delta_publish = true
        presence = true
        join_leave = true
        force_push_join_leave = true
        leave_delay = \"60s\"
        allow_presence_for_client = true
        allow_presence_for_subscriber = true
        allow_presence_for_anonymous = true
        [history]
        recovery_max_publication_limit = 100000
        position_check_interval = \"1s\"
        idempotency_window = \"24h\"
        replicas = 10
        replicated_timeout = \"3s\"
        [presence]
        list_max = 1000000
    ";
    let loaded = load_from(Purpose::Serve, file, &[TOKEN, ("FANFARE_BROKER__URL", "redis://redis")]).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let options = &loaded.config.channel.namespaces[0].options;
    let month = Duration::from_secs(30 * 24 * 3600);
    let kept = HistoryOptions { size: 100_000, ttl: month, meta_ttl: month, ack: PublishAck::Replicated };
    assert_eq!((options.history, options.force_recovery_mode), (Some(kept), RecoveryMode::Cache));
    assert_eq!((options.allowed_delta, options.leave_delay), (Some(DeltaType::Fossil), Duration::from_secs(60)));
    let switches = [
        options.force_positioning,
        options.allow_positioning,
        options.force_recovery,
        options.allow_recovery,
        options.allow_history_for_client,
        options.allow_history_for_subscriber,
        options.allow_history_for_anonymous,
        options.delta_publish,
        options.presence,
        options.join_leave,
        options.force_push_join_leave,
        options.allow_presence_for_client,
        options.allow_presence_for_subscriber,
        options.allow_presence_for_anonymous,
    ];
    assert_eq!(switches, [true; 14]);
    let history = &loaded.config.history;
    assert_eq!((history.recovery_max_publication_limit, history.replicas), (Some(100_000), 10));
    assert_eq!(loaded.config.presence.list_max, 1_000_000);
}

#[test]
fn what_needs_history_says_so() {
    for key in [
        "force_positioning",
        "allow_positioning",
        "force_recovery",
        "allow_recovery",
        "allow_history_for_client",
        "allow_history_for_subscriber",
        "allow_history_for_anonymous",
        "delta_publish",
    ] {
        assert_eq!(problems(&on(key), &[]), [said(key, 1, HISTORY)]);
        assert!(problems(&format!("{KEEP}{}", on(key)), &[]).is_empty(), "{key}");
    }
    for (key, value) in [("publish_ack", "\"replicated\""), ("allowed_delta_types", "[\"fossil\"]")] {
        let file = option(&format!("{key} = {value}"));
        assert_eq!(problems(&file, &[]), [said(key, 1, HISTORY)]);
        assert!(problems(&format!("{KEEP}{file}"), &[]).is_empty(), "{key}");
    }
}

#[test]
fn history_is_on_or_off() {
    let size = "is 0, so that nothing is kept in spite of history_ttl, 5m: set both, or neither";
    let ttl = "is 0, so that nothing is kept in spite of history_size, 10: set both, or neither";
    // The lack is complained about once, whatever needs it.
    let rest = on("force_recovery");
    let cases = [
        (option("history_ttl = \"5m\""), format!("channel.default.history_size: {size}")),
        (option("history_size = 10"), format!("channel.default.history_ttl: {ttl}")),
        (option("history_size = 0") + &option("history_ttl = \"5m\""), said("history_size", 1, size)),
        (
            option("history_size = 100001") + &option("history_ttl = \"5m\""),
            said("history_size", 1, "100001 is out of range: write 1 to 100000"),
        ),
        (
            option("history_size = 10") + &option("history_ttl = \"999ms\""),
            said("history_ttl", 2, "999ms is too short to come back in: write \"1s\" or more"),
        ),
        (
            format!("{KEEP}{}", option("history_meta_ttl = \"299s\"")),
            said(
                "history_meta_ttl",
                3,
                "4m59s is less than history_ttl, 5m, so that the numbering would end before what is numbered: \
                 lengthen it",
            ),
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(problems(&format!("{file}{rest}"), &[]), [expected], "{file}");
    }
    let config = good(KEEP, &[]).config;
    assert_eq!(config.channel.default.history.map(|history| history.size), Some(10));
    assert_eq!(good("", &[]).config.channel.default.history, None);
}

#[test]
fn what_needs_presence_says_so() {
    let cases = [
        (on("join_leave"), vec![said("join_leave", 1, PRESENCE)]),
        (on("allow_presence_for_client"), vec![said("allow_presence_for_client", 1, PRESENCE)]),
        (on("allow_presence_for_subscriber"), vec![said("allow_presence_for_subscriber", 1, PRESENCE)]),
        (on("allow_presence_for_anonymous"), vec![said("allow_presence_for_anonymous", 1, PRESENCE)]),
        (
            on("force_push_join_leave"),
            vec![said("force_push_join_leave", 1, "needs join_leave: set join_leave = true, too")],
        ),
        (on("join_leave") + &on("force_push_join_leave"), vec![said("join_leave", 1, PRESENCE)]),
        (
            on("presence") + &option("leave_delay = \"61s\""),
            vec![said(
                "leave_delay",
                2,
                "1m1s is too long for somebody who is gone to be shown: write \"60s\" or less",
            )],
        ),
        (on("presence") + &on("join_leave") + &on("force_push_join_leave"), vec![]),
        (on("presence") + &option("leave_delay = \"0s\""), vec![]),
    ];
    for (file, expected) in cases {
        assert_eq!(problems(&file, &[]), expected, "{file}");
    }
}

#[test]
fn deltas_and_caches() {
    let cache = option("force_recovery_mode = \"cache\"");
    let twice = option("allowed_delta_types = [\"fossil\", \"fossil\"]");
    let cases = [
        (
            format!("{KEEP}{cache}"),
            said("force_recovery_mode", 3, "\"cache\" needs recovery: set force_recovery or allow_recovery, too"),
        ),
        (
            format!("{KEEP}{twice}"),
            said("allowed_delta_types", 3, "names \"fossil\" more than once: write [\"fossil\"]"),
        ),
        (
            option("allowed_delta_types = [\"xdelta\"]"),
            said("allowed_delta_types", 1, "\"xdelta\" in the list is not \"fossil\""),
        ),
        (
            option("force_recovery_mode = \"all\""),
            said("force_recovery_mode", 1, "\"all\" is not \"stream\" or \"cache\""),
        ),
        (option("publish_ack = \"sent\""), said("publish_ack", 1, "\"sent\" is not \"stored\" or \"replicated\"")),
    ];
    for (file, expected) in cases {
        assert_eq!(problems(&file, &[]), [expected], "{file}");
    }
    for key in ["force_recovery", "allow_recovery", "allow_history_for_subscriber", "allow_history_for_client"] {
        assert!(problems(&format!("{KEEP}{cache}{}", on(key)), &[]).is_empty(), "{key}");
    }
}

#[test]
fn limits_of_all_channels() {
    let cases = [
        ("history.recovery_max_publication_limit = 0", "0 is out of range: write 1 to 100000"),
        ("history.recovery_max_publication_limit = 100001", "100001 is out of range: write 1 to 100000"),
        ("history.position_check_interval = \"999ms\"", "999ms is out of range: write 1s to 1h"),
        ("history.position_check_interval = \"61m\"", "1h1m is out of range: write 1s to 1h"),
        ("history.idempotency_window = \"0s\"", "0s is out of range: write 1s to 1day"),
        ("history.idempotency_window = \"25h\"", "1day1h is out of range: write 1s to 1day"),
        ("history.replicas = 0", "0 is out of range: write 1 to 10"),
        ("history.replicas = 11", "11 is out of range: write 1 to 10"),
        ("history.replicated_timeout = \"0s\"", "0s is out of range: write 1ms to 1m"),
        ("presence.list_max = 0", "0 is out of range: write 1 to 1000000"),
        ("presence.list_max = 1000001", "1000001 is out of range: write 1 to 1000000"),
    ];
    for (file, text) in cases {
        let path = file.split(' ').next().unwrap();
        assert_eq!(problems(file, &[]), [format!("{path} (gateway.toml:1): {text}")], "{file}");
    }
}

#[test]
fn replicas_need_redis() {
    let file = format!(
        "{KEEP}channel.default.publish_ack = \"replicated\"\n[[channel.namespace]]\nname = \"paid\"\nhistory_size = 1\n\
         history_ttl = \"1m\"\npublish_ack = \"replicated\"\n"
    );
    let text = "\"replicated\" needs Redis, and broker.url is \"memory://\": set broker.url, or write \"stored\"";
    let expected = [
        format!("channel.default.publish_ack (gateway.toml:3): {text}"),
        format!("channel.namespace[0].publish_ack (gateway.toml:8): {text}"),
    ];
    let memory = ("FANFARE_BROKER__URL", "memory://");
    assert_eq!(load_from(Purpose::Serve, &file, &[TOKEN]).unwrap_err(), expected);
    assert_eq!(load_from(Purpose::Dev, &file, &[]).unwrap_err(), expected);
    assert_eq!(problems(&file, &[memory]), expected);
    // Where Redis is may be in the variables of another process.
    assert!(problems(&file, &[]).is_empty());
    assert!(problems(&file, &[("FANFARE_BROKER__URL", "redis://redis")]).is_empty());
}

#[test]
fn what_does_nothing_is_warned_of() {
    let patches = "does nothing: only subscribers with positioning or recovery get patches";
    let seen = on("presence");
    let alone =
        "does nothing: who is not made to be told by force_push_join_leave has to be allowed to ask for presence";
    let cases = [
        (option("history_meta_ttl = \"1d\""), "history_meta_ttl", "does nothing without history_size and history_ttl"),
        (
            format!("{KEEP}{}", on("allow_history_for_anonymous")),
            "allow_history_for_anonymous",
            "does nothing without allow_history_for_client or allow_history_for_subscriber",
        ),
        (
            format!("{seen}{}", on("allow_presence_for_anonymous")),
            "allow_presence_for_anonymous",
            "does nothing without allow_presence_for_client or allow_presence_for_subscriber",
        ),
        (format!("{KEEP}{}", option("allowed_delta_types = [\"fossil\"]")), "allowed_delta_types", patches),
        (format!("{KEEP}{}", on("delta_publish")), "delta_publish", "does nothing without allowed_delta_types"),
        (option("leave_delay = \"2s\""), "leave_delay", "does nothing without presence"),
        (format!("{seen}{}", on("join_leave")), "join_leave", alone),
    ];
    for (file, key, text) in cases {
        let line = file.lines().count();
        assert_eq!(serve_warnings(&file, &[TOKEN]), [said(key, line, text)], "{file}");
    }
    // Defaults that are written out are no news.
    let quiet = option("history_meta_ttl = \"720h\"") + &option("leave_delay = \"3000ms\"");
    assert!(serve_warnings(&quiet, &[TOKEN]).is_empty());
}

#[test]
fn what_opens_the_channels_of_other_users() {
    let limited = on("allow_user_limited_channels");
    let open = |what: &str| on(&format!("allow_{what}_for_client"));
    let cases = [
        (format!("{limited}{KEEP}{}", open("history")), "history", "read the history of"),
        (format!("{limited}{}{}", on("presence"), open("presence")), "presence", "ask who is on"),
    ];
    for (file, what, may) in cases {
        let text = format!(
            "lets every user {may} user-limited channels: allow_{what}_for_subscriber lets only those whom they list"
        );
        let expected = said(&format!("allow_{what}_for_client"), file.lines().count(), &text);
        assert_eq!(serve_warnings(&file, &[TOKEN]), [expected], "{file}");
    }
    let personal = "client.subscribe_to_user_personal_channel.enabled = true\n";
    let cases = [
        (format!("{KEEP}{}", open("history")), "history", "read the history of"),
        (format!("{}{}", on("presence"), open("presence")), "presence", "ask who is on"),
    ];
    for (file, what, could) in cases {
        let expected = format!(
            "client.subscribe_to_user_personal_channel.enabled (gateway.toml:1): by \
             channel.default.allow_{what}_for_client every user could {could} the personal channels of all others: set \
             channel.default.allow_{what}_for_subscriber = true instead"
        );
        assert_eq!(problems(&format!("{personal}{file}"), &[]), [expected], "{file}");
        assert!(problems(&format!("{personal}{file}").replace("_for_client", "_for_subscriber"), &[]).is_empty());
    }
    let elsewhere = format!(
        "{personal}client.subscribe_to_user_personal_channel.namespace = \"own\"\n[[channel.namespace]]\nname = \
         \"own\"\npresence = true\nallow_presence_for_client = true\n"
    );
    let expected = "client.subscribe_to_user_personal_channel.enabled (gateway.toml:1): by allow_presence_for_client of \
                    the namespace \"own\" every user could ask who is on the personal channels of all others: set \
                    allow_presence_for_subscriber = true there instead";
    assert_eq!(problems(&elsewhere, &[]), [expected]);
}

#[test]
fn all_that_is_wrong_with_a_namespace_is_said_at_once() {
    let file = "
        [[channel.namespace]]
        name = \"chat\"
        force_recovery = true
        force_recovery_mode = \"cache\"
        join_leave = true
        force_push_join_leave = true
        leave_delay = \"2m\"
        allowed_delta_types = [\"fossil\", \"fossil\"]
    ";
    let said: Vec<String> = problems(file, &[]).iter().map(|text| text.split(": ").next().unwrap().into()).collect();
    let keys = [
        ("force_recovery", 4),
        ("allowed_delta_types", 9),
        ("allowed_delta_types", 9),
        ("join_leave", 6),
        ("leave_delay", 8),
    ];
    assert_eq!(said, keys.map(|(key, line)| format!("channel.namespace[0].{key} (gateway.toml:{line})")));
}

#[test]
fn names_of_centrifugo_for_history_and_presence() {
    let cases = [
        (
            "client.recovery_max_publication_limit = 1",
            "here it is history.recovery_max_publication_limit (one limit for both)",
        ),
        (
            "client.history_max_publication_limit = 1",
            "here it is history.recovery_max_publication_limit (one limit for both)",
        ),
        (
            "client.channel_position_check_delay = 1",
            "here it is history.position_check_interval (one check for a channel and node)",
        ),
        (
            "channel.history_meta_ttl = 1",
            "here it is channel.default.history_meta_ttl (and in each `[[channel.namespace]]`)",
        ),
        ("client.presence_update_interval = 1", "here it is broker.heartbeat_interval (one for all members of a node)"),
        ("engine.redis.presence_ttl = 1", "here it is broker.node_lease (presence ends with its node's lease)"),
        ("presence_manager.type = 1", "presence is in the broker: see broker.url; remove it"),
    ];
    for (file, text) in cases {
        let path = file.split(' ').next().unwrap();
        assert_eq!(problems(file, &[]), [format!("{path} (gateway.toml:1): is Centrifugo's name: {text}")], "{file}");
    }
    for option in ["history_size", "force_recovery", "allowed_delta_types", "presence", "join_leave"] {
        let expected = format!(
            "channel.without_namespace.{option} (gateway.toml:1): is Centrifugo's name: here it is channel.default.{option}"
        );
        assert_eq!(problems(&format!("channel.without_namespace.{option} = 1"), &[]), [expected]);
    }
    let known = |option: &&str| raw::RawChannelOptions::MANUAL.keys.iter().any(|key| key.name == *option);
    assert!(!centrifugo::OPTIONS_LATER.iter().any(known), "what exists is not later");
    assert!(centrifugo::OPTIONS_NEW.iter().all(known));
}
