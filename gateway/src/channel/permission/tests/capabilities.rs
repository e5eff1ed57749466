//! What capabilities add to the rules, and what stands on them.

use super::*;

fn asker(user: &UserId, rights: Rights) -> Asker<'_> {
    Asker { user, trust: Trust::Rules, rights }
}

#[test]
fn a_right_opens_what_the_rules_keep_shut_and_nothing_else() {
    const KEEPS_ALL: ChannelOptions = ChannelOptions { presence: true, ..HISTORY };
    let rights = [Rights::SUBSCRIBE, Rights::PUBLISH, Rights::HISTORY, Rights::PRESENCE];
    for user in ["", "42"].map(UserId::new) {
        for name in ["news", "$news", "chat#7", "$chat#7"] {
            let channel = ChannelName::parse(name).unwrap();
            let options = ChannelOptions { allow_user_limited_channels: true, ..KEEPS_ALL };
            for held in rights {
                let asker = asker(&user, held);
                let opened = [
                    subscribe(asker, &channel, &options, Grant::None),
                    publish(asker, &options, Standing::Outsider),
                    history(asker, &channel, &options, Standing::Outsider),
                    presence(asker, &channel, &options, Standing::Outsider),
                ];
                assert_eq!(
                    opened.map(|decision| decision == ALLOW),
                    rights.map(|right| right == held),
                    "{name} {held:?}"
                );
            }
        }
    }
}

#[test]
fn where_a_hook_decides_the_options_open_nothing() {
    let (user, channel) = (UserId::new("42"), ChannelName::parse("news").unwrap());
    let options =
        ChannelOptions { allow_subscribe_for_client: true, subscribe_hook: HookChoice::Named("app".into()), ..CLOSED };
    for trust in [Trust::Rules, Trust::Insecure] {
        let without = Asker { trust, ..asker(&user, Rights::NONE) };
        assert_eq!(subscribe(without, &channel, &options, Grant::None), DENY);
        assert_eq!(subscribe(without, &channel, &options, Grant::Hook), ALLOW);
        let with = Asker { trust, ..asker(&user, Rights::SUBSCRIBE) };
        let stands = stands_on(with, &channel, &options, Grant::None, &Subscribe::default());
        assert_eq!(stands, Rights::SUBSCRIBE, "it ends with the right");
    }
}

#[test]
fn a_right_to_what_is_switched_off_is_worth_nothing() {
    let (user, channel) = (UserId::new("42"), ChannelName::parse("news").unwrap());
    assert_eq!(history(asker(&user, Rights::ALL), &channel, &CLOSED, Standing::Subscriber), OFF);
    assert_eq!(presence(asker(&user, Rights::ALL), &channel, &CLOSED, Standing::Subscriber), OFF);
    let asked = Subscribe { positioned: true, recoverable: true, join_leave: true, ..Subscribe::default() };
    assert_eq!(claims(asker(&user, Rights::ALL), &CLOSED, &asked), Granted::default());
}

#[test]
fn what_would_be_there_without_a_capability_does_not_stand_on_it() {
    const TELLING: ChannelOptions = ChannelOptions { presence: true, join_leave: true, ..HISTORY };
    let all = Subscribe { positioned: true, recoverable: true, join_leave: true, ..Subscribe::default() };
    let plain = Subscribe::default();
    // Options, grant, what is asked -> what it stands on with all rights.
    let table: &[(ChannelOptions, Grant, &Subscribe, Rights)] = &[
        (CLOSED, Grant::None, &all, Rights::SUBSCRIBE),
        (CLOSED, Grant::Token, &all, Rights::NONE),
        (SUB, Grant::None, &all, Rights::NONE),
        (TELLING, Grant::None, &plain, Rights::SUBSCRIBE),
        (TELLING, Grant::Token, &all, Rights::PRESENCE.and(Rights::HISTORY)),
        (TELLING, Grant::Token, &plain, Rights::NONE),
        (ChannelOptions { force_push_join_leave: true, ..TELLING }, Grant::Token, &all, Rights::HISTORY),
        (ChannelOptions { force_recovery: true, ..TELLING }, Grant::Token, &all, Rights::PRESENCE),
        (ChannelOptions { force_positioning: true, ..HISTORY }, Grant::Token, &all, Rights::HISTORY),
    ];
    let (user, channel) = (UserId::new("42"), ChannelName::parse("news").unwrap());
    for (options, grant, asked, expected) in table {
        let row = format!("{grant:?} asks {asked:?} with {options:?}");
        assert_eq!(stands_on(asker(&user, Rights::ALL), &channel, options, *grant, asked), *expected, "{row}");
    }
    // And never on what is not held.
    assert_eq!(stands_on(asker(&user, Rights::NONE), &channel, &SUB, Grant::None, &all), Rights::NONE);
}
