//! What a run is made of: a house with rules, and a sequence of steps. Few names, so that they meet often.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// The clients of a run, by number.
pub(crate) const CLIENTS: usize = 3;

/// Users; the first is the anonymous one.
pub(crate) const USERS: &[&str] = &["", "u1", "u2"];

/// Channels that somebody may ask for: open, private, user-limited, in namespaces, paths, and unknown.
pub(crate) const CHANNELS: &[&str] = &[
    "a",
    "$a",
    "a#u1",
    "ns:x",
    "ns:7",
    "$ns:x",
    "ns:x#u1,u2",
    "$ns:7#u2",
    "/p/x",
    "/p/me",
    "$/p/x",
    "/p/x#u1",
    "/p/x/y",
    "p:x",
    "no:x",
    "/q",
];

/// What capabilities name.
const NAMED: &[&str] = &["a", "$a", "a#u1", "ns:7", "$ns:x", "/p/x", "/p/me", "no:x"];
const PATTERNS: &[&str] = &["*", "ns:*", "$*", "*:x*", "/p/*", "*#u1", "a*"];

/// `default`, `ns`, `/p/:id` and `/p/me`, in this order.
pub(crate) const PLACES: usize = 4;

/// The rules of all channels.
#[derive(Clone, Debug)]
pub(crate) struct House {
    pub(crate) places: [Options; PLACES],
}

/// The options of one place.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "as the configuration has them")]
pub(crate) struct Options {
    pub(crate) subscribe_client: bool,
    pub(crate) subscribe_anonymous: bool,
    pub(crate) publish_client: bool,
    pub(crate) publish_subscriber: bool,
    pub(crate) publish_anonymous: bool,
    pub(crate) user_limited: bool,
    /// Names must have a digit in their own part.
    pub(crate) digits: bool,
    pub(crate) kept: bool,
    pub(crate) history_client: bool,
    pub(crate) history_subscriber: bool,
    pub(crate) history_anonymous: bool,
    pub(crate) allow_recovery: bool,
    pub(crate) presence: bool,
    pub(crate) presence_client: bool,
    pub(crate) presence_subscriber: bool,
    pub(crate) presence_anonymous: bool,
}

/// One entry of the claim `caps`.
#[derive(Clone, Debug)]
pub(crate) struct Cap {
    pub(crate) channels: Vec<&'static str>,
    pub(crate) wildcard: bool,
    pub(crate) allow: Vec<&'static str>,
}

/// A connection token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) user: &'static str,
    pub(crate) caps: Vec<Cap>,
    /// Server-side subscriptions.
    pub(crate) channels: Vec<&'static str>,
    /// `jti`, from a few.
    pub(crate) id: Option<u8>,
}

/// A subscription token.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) user: &'static str,
    pub(crate) channel: &'static str,
    pub(crate) id: Option<u8>,
}

/// What happens next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Connect {
        client: usize,
        token: Option<Token>,
    },
    Refresh {
        client: usize,
        token: Token,
    },
    Subscribe {
        client: usize,
        channel: &'static str,
        ticket: Option<Ticket>,
        recover: bool,
    },
    Unsubscribe {
        client: usize,
        channel: &'static str,
    },
    Publish {
        client: usize,
        channel: &'static str,
    },
    History {
        client: usize,
        channel: &'static str,
    },
    Presence {
        client: usize,
        channel: &'static str,
    },
    /// By a backend, which may publish on every channel that exists.
    Say {
        channel: &'static str,
    },
    /// By an operator.
    Revoke {
        id: u8,
    },
    Block {
        user: &'static str,
    },
    Unblock {
        user: &'static str,
    },
}

pub(crate) fn house() -> impl Strategy<Value = House> {
    proptest::array::uniform4(options()).prop_map(|places| House { places })
}

fn options() -> impl Strategy<Value = Options> {
    (any::<[bool; 15]>(), prop::bool::weighted(0.1)).prop_map(|(on, digits)| {
        let [subscribe_client, subscribe_anonymous, publish_client, publish_subscriber, publish_anonymous, rest @ ..] =
            on;
        let [user_limited, kept, history_client, history_subscriber, history_anonymous, rest @ ..] = rest;
        let [allow_recovery, presence, presence_client, presence_subscriber, presence_anonymous] = rest;
        Options {
            subscribe_client,
            subscribe_anonymous,
            publish_client,
            publish_subscriber,
            publish_anonymous,
            user_limited,
            digits,
            kept,
            history_client,
            history_subscriber,
            history_anonymous,
            allow_recovery,
            presence,
            presence_client,
            presence_subscriber,
            presence_anonymous,
        }
    })
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Everybody comes first: runs in which nobody is there say little.
    let begin = (token(), token(), token()).prop_map(|(a, b, c)| {
        let all = [a, b, c].into_iter().enumerate();
        all.map(|(client, token)| Step::Connect { client, token: Some(own(client, token)) }).collect::<Vec<_>>()
    });
    (begin, vec(step(), 0..60)).prop_map(|(begin, rest)| begin.into_iter().chain(rest).collect())
}

fn step() -> impl Strategy<Value = Step> {
    let client = || 0..CLIENTS;
    let channel = || select(CHANNELS);
    prop_oneof![
        2 => (client(), option::weighted(0.95, token())).prop_map(|(client, token)| {
            Step::Connect { client, token: token.map(|token| own(client, token)) }
        }),
        4 => (client(), token(), seldom()).prop_map(|(client, token, strange)| {
            Step::Refresh { client, token: if strange { token } else { own(client, token) } }
        }),
        14 => (client(), channel(), option::weighted(0.3, ticket()), any::<bool>(), seldom()).prop_map(
            |(client, channel, ticket, recover, strange)| {
                let own = |ticket| if strange { ticket } else { Ticket { user: USERS[client], channel, ..ticket } };
                Step::Subscribe { client, channel, ticket: ticket.map(own), recover }
            }
        ),
        2 => (client(), channel()).prop_map(|(client, channel)| Step::Unsubscribe { client, channel }),
        6 => (client(), channel()).prop_map(|(client, channel)| Step::Publish { client, channel }),
        5 => (client(), channel()).prop_map(|(client, channel)| Step::History { client, channel }),
        2 => (client(), channel()).prop_map(|(client, channel)| Step::Presence { client, channel }),
        8 => channel().prop_map(|channel| Step::Say { channel }),
        1 => (0..6_u8).prop_map(|id| Step::Revoke { id }),
        1 => select(&USERS[1..]).prop_map(|user| Step::Block { user }),
        1 => select(&USERS[1..]).prop_map(|user| Step::Unblock { user }),
    ]
}

/// Most clients bring what was made for them: whoever does not is closed, and then says nothing more.
fn own(client: usize, token: Token) -> Token {
    Token { user: USERS[client], ..token }
}

fn seldom() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.03)
}

fn token() -> impl Strategy<Value = Token> {
    let channels = option::weighted(0.2, select(&CHANNELS[..8])).prop_map(|one| one.into_iter().collect());
    (select(USERS), vec(cap(), 0..3), channels, option::weighted(0.5, 0..6_u8))
        .prop_map(|(user, caps, channels, id)| Token { user, caps, channels, id })
}

fn cap() -> impl Strategy<Value = Cap> {
    let rights = subsequence(&["sub", "pub", "prs", "hst"][..], 0..=4);
    let named = any::<bool>().prop_flat_map(|wildcard| {
        let from = if wildcard { PATTERNS } else { NAMED };
        vec(select(from), 1..3).prop_map(move |channels| (channels, wildcard))
    });
    (named, rights).prop_map(|((channels, wildcard), allow)| Cap { channels, wildcard, allow })
}

fn ticket() -> impl Strategy<Value = Ticket> {
    (select(USERS), select(CHANNELS), option::weighted(0.5, 0..6_u8)).prop_map(|(user, channel, id)| Ticket {
        user,
        channel,
        id,
    })
}
