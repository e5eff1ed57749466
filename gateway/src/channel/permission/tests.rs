use proptest::prelude::*;

use super::*;

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

fn may_subscribe(user: &str, trust: Trust, channel: &str, options: &ChannelOptions, grant: Grant) -> bool {
    let channel = ChannelName::parse(channel).unwrap();
    match subscribe(Asker { user: &UserId::new(user), trust }, &channel, options, grant) {
        Decision::Allow => true,
        Decision::Deny(code) => {
            assert_eq!(code, ErrorCode::PermissionDenied);
            false
        }
    }
}

fn may_publish(user: &str, trust: Trust, options: &ChannelOptions, standing: Standing) -> bool {
    match publish(Asker { user: &UserId::new(user), trust }, options, standing) {
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
