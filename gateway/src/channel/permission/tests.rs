use proptest::prelude::*;

use std::time::Duration;

use super::*;
use crate::config::section::{HistoryOptions, PublishAck};

mod capabilities;
mod claims;

const CLOSED: ChannelOptions = ChannelOptions::CLOSED;
const SUB: ChannelOptions = ChannelOptions { allow_subscribe_for_client: true, ..CLOSED };
const SUB_ANON: ChannelOptions = ChannelOptions { allow_subscribe_for_anonymous: true, ..SUB };
const SUB_ANON_ONLY: ChannelOptions = ChannelOptions { allow_subscribe_for_anonymous: true, ..CLOSED };
const LIMITED: ChannelOptions = ChannelOptions { allow_user_limited_channels: true, ..CLOSED };
const LIMITED_SUB: ChannelOptions = ChannelOptions { allow_user_limited_channels: true, ..SUB_ANON };
const PUB: ChannelOptions = ChannelOptions { allow_publish_for_client: true, ..CLOSED };
const PUB_SUBSCRIBER: ChannelOptions = ChannelOptions { allow_publish_for_subscriber: true, ..CLOSED };
const PUB_ANON: ChannelOptions = ChannelOptions { allow_publish_for_anonymous: true, ..PUB };
const PUB_SUBSCRIBER_ANON: ChannelOptions = ChannelOptions { allow_publish_for_anonymous: true, ..PUB_SUBSCRIBER };
const PUB_ANON_ONLY: ChannelOptions = ChannelOptions { allow_publish_for_anonymous: true, ..CLOSED };

const KEPT: HistoryOptions = HistoryOptions {
    size: 10,
    ttl: Duration::from_secs(60),
    meta_ttl: Duration::from_secs(600),
    ack: PublishAck::Stored,
};
const HISTORY: ChannelOptions = ChannelOptions { history: Some(KEPT), ..CLOSED };
const PRESENCE: ChannelOptions = ChannelOptions { presence: true, ..CLOSED };

fn may_subscribe(user: &str, trust: Trust, channel: &str, options: &ChannelOptions, grant: Grant) -> bool {
    let channel = ChannelName::parse(channel).unwrap();
    match subscribe(Asker { user: &UserId::new(user), trust, rights: Rights::NONE }, &channel, options, grant) {
        Decision::Allow => true,
        Decision::Deny(code) => {
            assert_eq!(code, ErrorCode::PermissionDenied);
            false
        }
    }
}

fn may_publish(user: &str, trust: Trust, options: &ChannelOptions, standing: Standing) -> bool {
    match publish(Asker { user: &UserId::new(user), trust, rights: Rights::NONE }, options, standing) {
        Decision::Allow => true,
        Decision::Deny(code) => {
            assert_eq!(code, ErrorCode::PermissionDenied);
            false
        }
    }
}

#[test]
fn subscribing() {
    use Trust::{Insecure, Rules};
    // Channel, options, user -> without a token, insecure without a token. With one: always.
    let table: &[(&str, &ChannelOptions, &str, bool, bool)] = &[
        // Nothing is switched on.
        ("news", &CLOSED, "42", false, true),
        ("news", &CLOSED, "", false, true),
        // Clients, anonymous ones only where switched on as well.
        ("news", &SUB, "42", true, true),
        ("news", &SUB, "", false, true),
        ("news", &SUB_ANON, "42", true, true),
        ("news", &SUB_ANON, "", true, true),
        ("news", &SUB_ANON_ONLY, "", false, true),
        ("news", &SUB_ANON_ONLY, "42", false, true),
        // Private channels open to tokens only, whatever else is switched on.
        ("$news", &SUB_ANON, "42", false, false),
        ("$news", &LIMITED_SUB, "42", false, false),
        ("$news#42", &LIMITED_SUB, "42", false, false),
        ("x$news", &SUB, "42", true, true),
        // User-limited channels: those who are listed, nobody else.
        ("chat#42", &LIMITED, "42", true, true),
        ("chat#42,43", &LIMITED, "43", true, true),
        ("chat#42,43", &LIMITED, "4", false, false),
        ("chat#42,43", &LIMITED, "42,43", false, false),
        ("chat#42", &LIMITED_SUB, "43", false, false),
        ("chat#42", &LIMITED_SUB, "", false, false),
        ("chat#", &LIMITED_SUB, "", false, false),
        ("chat#42,", &LIMITED_SUB, "", false, false),
        ("#42", &LIMITED, "42", true, true),
        // Only what follows the last '#' counts.
        ("chat#42#43", &LIMITED, "42", false, false),
        ("chat#42#43", &LIMITED, "43", true, true),
        // Without the option a '#' is a character.
        ("chat#42", &CLOSED, "42", false, true),
        ("chat#42", &SUB, "43", true, true),
        // Without a '#' the option says nothing.
        ("chat", &LIMITED, "42", false, true),
        ("chat", &LIMITED_SUB, "42", true, true),
    ];
    for (channel, options, user, plain, insecure) in table {
        let row = format!("{channel} by {user:?} with {options:?}");
        assert_eq!(may_subscribe(user, Rules, channel, options, Grant::None), *plain, "{row}");
        assert_eq!(may_subscribe(user, Insecure, channel, options, Grant::None), *insecure, "insecure: {row}");
        assert!(may_subscribe(user, Rules, channel, options, Grant::Token), "with a token: {row}");
    }
}

#[test]
fn publishing() {
    // Options, user -> as an outsider, as a subscriber. Insecure: always.
    let table: &[(&ChannelOptions, &str, bool, bool)] = &[
        (&CLOSED, "42", false, false),
        (&CLOSED, "", false, false),
        (&SUB_ANON, "42", false, false),
        (&PUB, "42", true, true),
        (&PUB, "", false, false),
        (&PUB_ANON, "42", true, true),
        (&PUB_ANON, "", true, true),
        (&PUB_SUBSCRIBER, "42", false, true),
        (&PUB_SUBSCRIBER, "", false, false),
        (&PUB_SUBSCRIBER_ANON, "42", false, true),
        (&PUB_SUBSCRIBER_ANON, "", false, true),
        (&PUB_ANON_ONLY, "", false, false),
        (&PUB_ANON_ONLY, "42", false, false),
    ];
    for (options, user, outsider, subscriber) in table {
        let row = format!("{user:?} with {options:?}");
        assert_eq!(may_publish(user, Trust::Rules, options, Standing::Outsider), *outsider, "outsider: {row}");
        assert_eq!(may_publish(user, Trust::Rules, options, Standing::Subscriber), *subscriber, "subscriber: {row}");
        assert!(may_publish(user, Trust::Insecure, options, Standing::Outsider), "insecure: {row}");
    }
}

/// History and presence, by options that say the same of both: `None` where they are off.
fn may_ask(user: &str, trust: Trust, channel: &str, options: &ChannelOptions, standing: Standing) -> Option<bool> {
    let channel = ChannelName::parse(channel).unwrap();
    let user = UserId::new(user);
    let asker = Asker { user: &user, trust, rights: Rights::NONE };
    let answer = history(asker, &channel, options, standing);
    assert_eq!(answer, presence(asker, &channel, options, standing), "{channel:?} by {user:?} with {options:?}");
    match answer {
        Decision::Allow => Some(true),
        Decision::Deny(ErrorCode::PermissionDenied) => Some(false),
        Decision::Deny(code) => {
            assert_eq!(code, ErrorCode::NotAvailable);
            None
        }
    }
}

/// Options that say the same of history and presence.
const fn both(client: bool, subscriber: bool, anonymous: bool) -> ChannelOptions {
    ChannelOptions {
        presence: true,
        allow_history_for_client: client,
        allow_history_for_subscriber: subscriber,
        allow_history_for_anonymous: anonymous,
        allow_presence_for_client: client,
        allow_presence_for_subscriber: subscriber,
        allow_presence_for_anonymous: anonymous,
        ..HISTORY
    }
}

#[test]
fn asking_for_history_and_presence() {
    // Options, user -> as an outsider, as a subscriber.
    let table: &[(ChannelOptions, &str, bool, bool)] = &[
        (both(false, false, false), "42", false, false),
        (both(false, false, false), "", false, false),
        (both(true, false, false), "42", true, true),
        (both(true, false, false), "", false, false),
        (both(true, false, true), "42", true, true),
        (both(true, false, true), "", true, true),
        (both(false, true, false), "42", false, true),
        (both(false, true, false), "", false, false),
        (both(false, true, true), "42", false, true),
        (both(false, true, true), "", false, true),
        (both(false, false, true), "42", false, false),
        (both(false, false, true), "", false, false),
    ];
    for (options, user, outsider, subscriber) in table {
        for channel in ["news", "$news", "news#7"] {
            let row = format!("{channel} by {user:?} with {options:?}");
            let ask = |trust, standing| may_ask(user, trust, channel, options, standing);
            assert_eq!(ask(Trust::Rules, Standing::Outsider), Some(*outsider), "outsider: {row}");
            assert_eq!(ask(Trust::Rules, Standing::Subscriber), Some(*subscriber), "subscriber: {row}");
            assert_eq!(ask(Trust::Insecure, Standing::Subscriber), Some(true), "insecure subscriber: {row}");
        }
    }
}

#[test]
fn what_is_off_is_off_for_everyone() {
    let wanted = ChannelOptions { history: None, presence: false, ..both(true, true, true) };
    for trust in [Trust::Rules, Trust::Insecure] {
        for standing in [Standing::Outsider, Standing::Subscriber] {
            assert_eq!(may_ask("42", trust, "news", &wanted, standing), None);
            assert_eq!(may_ask("42", trust, "$news", &CLOSED, standing), None);
        }
    }
    let channel = ChannelName::parse("news").unwrap();
    let user = UserId::new("42");
    let asker = Asker { user: &user, trust: Trust::Insecure, rights: Rights::NONE };
    assert_eq!(history(asker, &channel, &PRESENCE, Standing::Outsider), OFF);
    assert_eq!(history(asker, &channel, &HISTORY, Standing::Outsider), ALLOW);
    assert_eq!(presence(asker, &channel, &HISTORY, Standing::Outsider), OFF);
    assert_eq!(presence(asker, &channel, &PRESENCE, Standing::Outsider), ALLOW);
}

#[test]
fn insecure_tells_outsiders_nothing_of_private_channels() {
    let limited = ChannelOptions { allow_user_limited_channels: true, ..both(false, false, false) };
    // Channel, options, user -> as an outsider. As a subscriber: always.
    let table: &[(&str, &ChannelOptions, &str, bool)] = &[
        ("news", &both(false, false, false), "42", true),
        ("news", &both(false, false, false), "", true),
        ("$news", &both(false, false, false), "42", false),
        ("$news", &both(false, false, false), "", false),
        ("news#7", &both(false, false, false), "42", true),
        ("news#7", &limited, "42", false),
        ("news#7", &limited, "", false),
        ("news#7,42", &limited, "42", true),
        ("$news#42", &limited, "42", false),
    ];
    for (channel, options, user, outsider) in table {
        let row = format!("{channel} by {user:?} with {options:?}");
        let ask = |standing| may_ask(user, Trust::Insecure, channel, options, standing);
        assert_eq!(ask(Standing::Outsider), Some(*outsider), "{row}");
        assert_eq!(ask(Standing::Subscriber), Some(true), "{row}");
    }
}

#[test]
fn binary_channels_are_not_for_json_wires() {
    let binary = ChannelOptions { publication_data_format: DataFormat::Binary, ..CLOSED };
    assert_eq!(carry(&CLOSED, Carries::Json), Decision::Allow);
    assert_eq!(carry(&CLOSED, Carries::Bytes), Decision::Allow);
    assert_eq!(carry(&binary, Carries::Bytes), Decision::Allow);
    assert_eq!(carry(&binary, Carries::Json), Decision::Deny(ErrorCode::NotAvailable));
    assert_eq!(carry(&binary, Carries::Json).into_result(), Err(ErrorCode::NotAvailable));
}

/// The rules once more, as formulas over facts instead of steps: what each gate's opening depends on.
mod reference {
    use super::*;

    pub(super) fn subscribe(user: &str, insecure: bool, channel: &str, o: &ChannelOptions, token: bool) -> bool {
        let private = channel.starts_with('$');
        let limited = o.allow_user_limited_channels && channel.contains('#');
        let listed = !user.is_empty() && channel.split('#').next_back().unwrap().split(',').any(|each| each == user);
        let by_option = o.allow_subscribe_for_client && (o.allow_subscribe_for_anonymous || !user.is_empty());
        token || (!private && ((limited && listed) || (!limited && (by_option || insecure))))
    }

    pub(super) fn publish(user: &str, insecure: bool, o: &ChannelOptions, subscriber: bool) -> bool {
        let by_option = o.allow_publish_for_client || (subscriber && o.allow_publish_for_subscriber);
        insecure || (by_option && (o.allow_publish_for_anonymous || !user.is_empty()))
    }
}

fn any_options() -> impl Strategy<Value = ChannelOptions> {
    any::<[bool; 7]>().prop_map(|[a, b, c, d, e, f, g]| ChannelOptions {
        allow_subscribe_for_client: a,
        allow_subscribe_for_anonymous: b,
        allow_publish_for_client: c,
        allow_publish_for_subscriber: d,
        allow_publish_for_anonymous: e,
        allow_user_limited_channels: f,
        exclude_publisher: g,
        publication_data_format: DataFormat::Json,
        ..CLOSED
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn steps_and_formulas_agree(
        user in "[12,]{0,2}",
        channel in "\\$?[a1#:,]{1,8}",
        options in any_options(),
        insecure: bool,
        token: bool,
        subscriber: bool,
    ) {
        let trust = if insecure { Trust::Insecure } else { Trust::Rules };
        let grant = if token { Grant::Token } else { Grant::None };
        let standing = if subscriber { Standing::Subscriber } else { Standing::Outsider };
        prop_assert_eq!(
            may_subscribe(&user, trust, &channel, &options, grant),
            reference::subscribe(&user, insecure, &channel, &options, token)
        );
        prop_assert_eq!(
            may_publish(&user, trust, &options, standing),
            reference::publish(&user, insecure, &options, subscriber)
        );
    }
}
