//! What subscribers get besides publications.

use super::*;

const POSITIONED: u8 = 1;
const RECOVERABLE: u8 = 2;
const JOIN_LEAVE: u8 = 4;
const DELTA: u8 = 8;

fn asked(wish: u8) -> Subscribe {
    Subscribe {
        positioned: wish & POSITIONED != 0,
        recoverable: wish & RECOVERABLE != 0,
        join_leave: wish & JOIN_LEAVE != 0,
        delta: if wish & DELTA == 0 { String::new() } else { "fossil".into() },
        ..Subscribe::default()
    }
}

fn granted(user: &str, trust: Trust, options: &ChannelOptions, asked: &Subscribe) -> u8 {
    let granted = claims(Asker { user: &UserId::new(user), trust, rights: Rights::NONE }, options, asked);
    u8::from(granted.positioned) * POSITIONED
        + u8::from(granted.recoverable) * RECOVERABLE
        + u8::from(granted.join_leave) * JOIN_LEAVE
        + u8::from(granted.delta) * DELTA
}

const NOTHING: u8 = 0;
const ALL: u8 = POSITIONED | RECOVERABLE | JOIN_LEAVE | DELTA;
const BOTH: u8 = POSITIONED | RECOVERABLE;

const FOSSIL: ChannelOptions = ChannelOptions { allowed_delta: Some(DeltaType::Fossil), ..HISTORY };
const TELLING: ChannelOptions = ChannelOptions { join_leave: true, ..PRESENCE };

#[test]
fn claiming() {
    let reader = ChannelOptions { allow_history_for_subscriber: true, ..HISTORY };
    let any_reader = ChannelOptions { allow_history_for_anonymous: true, ..reader.clone() };
    let seer = ChannelOptions { allow_presence_for_subscriber: true, ..TELLING };
    // Options, user, what is asked -> what is granted, what is granted in insecure mode.
    let table: &[(ChannelOptions, &str, u8, u8, u8)] = &[
        // Where nothing is kept or known there is nothing to give, whatever else is switched on.
        (CLOSED, "42", ALL, NOTHING, NOTHING),
        (ChannelOptions { force_recovery: true, force_positioning: true, ..CLOSED }, "42", ALL, NOTHING, NOTHING),
        (ChannelOptions { history: None, ..FOSSIL }, "42", ALL, NOTHING, NOTHING),
        (ChannelOptions { presence: false, force_push_join_leave: true, ..TELLING }, "42", ALL, NOTHING, NOTHING),
        // History alone gives nothing.
        (HISTORY, "42", ALL, NOTHING, BOTH),
        (HISTORY, "42", NOTHING, NOTHING, NOTHING),
        // Forced: asked for or not.
        (ChannelOptions { force_positioning: true, ..HISTORY }, "", NOTHING, POSITIONED, POSITIONED),
        (ChannelOptions { force_positioning: true, ..HISTORY }, "", RECOVERABLE, POSITIONED, BOTH),
        (ChannelOptions { force_recovery: true, ..HISTORY }, "", NOTHING, BOTH, BOTH),
        // Allowed: when asked for. Who recovers has a position, even without asking for it.
        (ChannelOptions { allow_positioning: true, ..HISTORY }, "42", NOTHING, NOTHING, NOTHING),
        (ChannelOptions { allow_positioning: true, ..HISTORY }, "42", BOTH, POSITIONED, BOTH),
        (ChannelOptions { allow_recovery: true, ..HISTORY }, "42", NOTHING, NOTHING, NOTHING),
        (ChannelOptions { allow_recovery: true, ..HISTORY }, "42", RECOVERABLE, BOTH, BOTH),
        (ChannelOptions { allow_recovery: true, ..HISTORY }, "42", POSITIONED, NOTHING, POSITIONED),
        (ChannelOptions { allow_recovery: true, ..HISTORY }, "", RECOVERABLE, BOTH, BOTH),
        // Who may read the history may claim both.
        (reader.clone(), "42", NOTHING, NOTHING, NOTHING),
        (reader.clone(), "42", POSITIONED, POSITIONED, POSITIONED),
        (reader.clone(), "42", RECOVERABLE, BOTH, BOTH),
        (reader.clone(), "", BOTH, NOTHING, BOTH),
        (any_reader, "", BOTH, BOTH, BOTH),
        (ChannelOptions { allow_history_for_client: true, ..HISTORY }, "42", BOTH, BOTH, BOTH),
        // Patches only on top of positions.
        (FOSSIL, "42", DELTA, NOTHING, NOTHING),
        (FOSSIL, "42", DELTA | POSITIONED, NOTHING, DELTA | POSITIONED),
        (ChannelOptions { force_positioning: true, ..FOSSIL }, "42", NOTHING, POSITIONED, POSITIONED),
        (ChannelOptions { force_positioning: true, ..FOSSIL }, "42", DELTA, POSITIONED | DELTA, POSITIONED | DELTA),
        (ChannelOptions { allow_recovery: true, ..FOSSIL }, "42", DELTA | RECOVERABLE, BOTH | DELTA, BOTH | DELTA),
        (ChannelOptions { force_recovery: true, ..HISTORY }, "42", DELTA, BOTH, BOTH),
        // Joins and leaves: forced, or asked for by those who may ask who is there.
        (PRESENCE, "42", JOIN_LEAVE, NOTHING, NOTHING),
        (TELLING, "42", JOIN_LEAVE, NOTHING, JOIN_LEAVE),
        (TELLING, "42", NOTHING, NOTHING, NOTHING),
        (ChannelOptions { force_push_join_leave: true, ..TELLING }, "", NOTHING, JOIN_LEAVE, JOIN_LEAVE),
        (ChannelOptions { force_push_join_leave: true, ..PRESENCE }, "", JOIN_LEAVE, NOTHING, NOTHING),
        (seer.clone(), "42", JOIN_LEAVE, JOIN_LEAVE, JOIN_LEAVE),
        (seer.clone(), "42", NOTHING, NOTHING, NOTHING),
        (seer, "", JOIN_LEAVE, NOTHING, JOIN_LEAVE),
    ];
    for (options, user, wish, plain, insecure) in table {
        let row = format!("{user:?} asks {wish:04b} with {options:?}");
        assert_eq!(granted(user, Trust::Rules, options, &asked(*wish)), *plain, "{row}");
        assert_eq!(granted(user, Trust::Insecure, options, &asked(*wish)), *insecure, "insecure: {row}");
    }
}

#[test]
fn only_kinds_of_patches_that_are_known_are_granted() {
    let options = ChannelOptions { force_recovery: true, ..FOSSIL };
    for delta in ["", "Fossil", "fossil ", "xdelta", &"f".repeat(1 << 20)] {
        let asked = Subscribe { delta: delta.to_owned(), ..Subscribe::default() };
        assert_eq!(granted("42", Trust::Rules, &options, &asked), BOTH, "{} bytes", delta.len());
    }
}

/// How many switches [`options`] has.
const SWITCHES: usize = 16;

fn options(on: [bool; SWITCHES]) -> ChannelOptions {
    let [history, fossil, presence, join_leave, force_push_join_leave, rest @ ..] = on;
    let [force_positioning, allow_positioning, force_recovery, allow_recovery, delta_publish, rest @ ..] = rest;
    let [history_client, history_subscriber, history_anonymous, rest @ ..] = rest;
    let [presence_client, presence_subscriber, presence_anonymous] = rest;
    ChannelOptions {
        history: history.then_some(KEPT),
        allowed_delta: fossil.then_some(DeltaType::Fossil),
        presence,
        join_leave,
        force_push_join_leave,
        force_positioning,
        allow_positioning,
        force_recovery,
        allow_recovery,
        delta_publish,
        allow_history_for_client: history_client,
        allow_history_for_subscriber: history_subscriber,
        allow_history_for_anonymous: history_anonymous,
        allow_presence_for_client: presence_client,
        allow_presence_for_subscriber: presence_subscriber,
        allow_presence_for_anonymous: presence_anonymous,
        ..CLOSED
    }
}

fn rights(user: &str, trust: Trust, channel: &str, options: &ChannelOptions, standing: Standing) -> [bool; 2] {
    let channel = ChannelName::parse(channel).unwrap();
    let user = UserId::new(user);
    let asker = Asker { user: &user, trust, rights: Rights::NONE };
    [history(asker, &channel, options, standing) == ALLOW, presence(asker, &channel, options, standing) == ALLOW]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn switching_something_on_takes_nothing_away(
        on: [bool; SWITCHES],
        switch in 0..SWITCHES,
        user in "[4]?",
        channel in "\\$?[a4#]{1,4}",
        insecure: bool,
        wish in 0..=ALL,
        wanted in 0..4u32,
    ) {
        let trust = if insecure { Trust::Insecure } else { Trust::Rules };
        let less = options(on);
        let mut more = on;
        more[switch] = true;
        let more = options(more);
        for standing in [Standing::Outsider, Standing::Subscriber] {
            let before = rights(&user, trust, &channel, &less, standing);
            let after = rights(&user, trust, &channel, &more, standing);
            prop_assert!(before.into_iter().zip(after).all(|(before, after)| after || !before));
        }
        // Neither does asking for more, nor being trusted.
        let before = granted(&user, trust, &less, &asked(wish));
        for after in [
            granted(&user, trust, &more, &asked(wish)),
            granted(&user, trust, &less, &asked(wish | (1 << wanted))),
            granted(&user, Trust::Insecure, &less, &asked(wish)),
        ] {
            prop_assert_eq!(before & !after, 0, "{:04b}, then {:04b}", before, after);
        }
    }

    #[test]
    fn a_grant_stands_on_what_it_needs(on: [bool; SWITCHES], user in "[4]?", insecure: bool, wish in 0..=ALL) {
        let trust = if insecure { Trust::Insecure } else { Trust::Rules };
        let options = options(on);
        let got = granted(&user, trust, &options, &asked(wish));
        let has = |what| got & what != 0;
        prop_assert!(has(POSITIONED) || !(has(RECOVERABLE) || has(DELTA)));
        prop_assert!(options.history.is_some() || !has(POSITIONED));
        prop_assert!((options.presence && options.join_leave) || !has(JOIN_LEAVE));
        // Nobody gets what was neither asked for nor forced.
        let forced = granted(&user, Trust::Rules, &ChannelOptions {
            allow_positioning: false,
            allow_recovery: false,
            allow_history_for_client: false,
            allow_history_for_subscriber: false,
            allow_presence_for_client: false,
            allow_presence_for_subscriber: false,
            ..options.clone()
        }, &asked(NOTHING));
        let implied = if wish & RECOVERABLE == 0 { NOTHING } else { POSITIONED };
        prop_assert_eq!(got & !(wish | implied | forced), 0);
        // What a subscriber may find out by asking it may also claim.
        let [reads, sees] = rights(&user, trust, "news", &options, Standing::Subscriber);
        prop_assert!(!reads || got & BOTH & wish == BOTH & wish);
        prop_assert!(!(sees && options.join_leave) || got & JOIN_LEAVE & wish == JOIN_LEAVE & wish);
    }
}
