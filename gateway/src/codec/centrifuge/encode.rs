//! From the model's events to the protocol's replies and pushes.

use std::time::Duration;

use fanfare_proto::centrifuge::{self as wire, schema};
use fanfare_proto::code::ErrorCode;

use crate::model::event::{Connected, Event, Push, Reply, Subscribed};
use crate::model::{ChannelName, Publication};

/// What goes out, not written yet.
#[expect(clippy::large_enum_variant, reason = "lives for one step, between the mapping and the writer")]
pub(super) enum Outgoing<'a> {
    /// A message without content.
    Ping,
    /// The one that must be written fast: nothing is copied on its way.
    Publication(wire::Publication<'a>),
    /// All others.
    Reply(schema::Reply),
}

pub(super) fn outgoing<'a>(event: &Event<'a>) -> Outgoing<'a> {
    match *event {
        Event::Ping => Outgoing::Ping,
        Event::Publication { channel, publication: said } | Event::Delta { channel, publication: said, .. } => {
            Outgoing::Publication(publication(channel, said))
        }
        Event::Push { channel, push } => Outgoing::Reply(schema::Reply {
            push: Some(schema::Push { channel: name(channel).to_owned(), ..body(push) }),
            ..schema::Reply::default()
        }),
        Event::Reply { id, reply } => Outgoing::Reply(schema::Reply { id, ..answer(reply) }),
        Event::Error { id, code } => {
            Outgoing::Reply(schema::Reply { id, error: Some(error(code)), ..schema::Reply::default() })
        }
    }
}

fn name(channel: Option<&ChannelName>) -> &str {
    channel.map_or("", ChannelName::as_str)
}

fn publication<'a>(channel: &'a ChannelName, said: &'a Publication) -> wire::Publication<'a> {
    let info = said.info.as_ref().map(|info| wire::ClientInfo {
        user: info.user.as_str(),
        client: &info.client,
        conn_info: &info.connection_info,
        chan_info: &info.channel_info,
    });
    // Clients know the epoch of their stream; only with the first publication may it be a new one.
    let (offset, epoch) = match &said.position {
        Some(position) if position.offset == 1 => (1, &*position.epoch),
        Some(position) => (position.offset, ""),
        None => (0, ""),
    };
    wire::Publication {
        channel: channel.as_str(),
        data: &said.data,
        info,
        offset,
        tags: &said.tags,
        time: said.time_ms,
        epoch,
    }
}

/// A push without its channel.
fn body(push: &Push) -> schema::Push {
    let empty = schema::Push::default();
    match push {
        Push::Membership(_) => empty,
        Push::Subscribe(subscribed) => {
            let subscribe = schema::Subscribe { data: subscribed.data.clone(), ..schema::Subscribe::default() };
            schema::Push { subscribe: Some(subscribe), ..empty }
        }
        Push::Unsubscribe { code, reason } => {
            let unsubscribe = schema::Unsubscribe { code: *code, reason: (*reason).to_owned() };
            schema::Push { unsubscribe: Some(unsubscribe), ..empty }
        }
        Push::Message { data } => schema::Push { message: Some(schema::Message { data: data.clone() }), ..empty },
        Push::Refresh { ttl } => {
            let refresh = schema::Refresh { expires: ttl.is_some(), ttl: seconds_left(*ttl) };
            schema::Push { refresh: Some(refresh), ..empty }
        }
    }
}

/// A reply without its id.
fn answer(reply: &Reply) -> schema::Reply {
    let empty = schema::Reply::default();
    match reply {
        Reply::Connect(connected) => schema::Reply { connect: Some(connect(connected)), ..empty },
        Reply::Subscribe(subscribed) => schema::Reply { subscribe: Some(subscribe(subscribed)), ..empty },
        Reply::Unsubscribe => schema::Reply { unsubscribe: Some(schema::UnsubscribeResult {}), ..empty },
        Reply::Publish => schema::Reply { publish: Some(schema::PublishResult {}), ..empty },
        Reply::Presence(_) | Reply::PresenceStats(_) | Reply::History { .. } => empty,
        Reply::Refresh { client, ttl } => {
            let refresh = schema::RefreshResult {
                client: client.to_string(),
                expires: ttl.is_some(),
                ttl: seconds_left(*ttl),
                ..schema::RefreshResult::default()
            };
            schema::Reply { refresh: Some(refresh), ..empty }
        }
        Reply::SubRefresh { ttl } => {
            let refresh = schema::SubRefreshResult {
                expires: ttl.is_some(),
                ttl: seconds_left(*ttl),
                ..schema::SubRefreshResult::default()
            };
            schema::Reply { sub_refresh: Some(refresh), ..empty }
        }
    }
}

fn error(code: ErrorCode) -> schema::Error {
    schema::Error { code: code.code(), message: code.message().to_owned(), temporary: code.is_temporary() }
}

fn connect(connected: &Connected) -> schema::ConnectResult {
    let subs = connected.subs.iter().map(|(channel, subscribed)| (channel.to_string(), subscribe(subscribed)));
    schema::ConnectResult {
        client: connected.client.to_string(),
        version: connected.version.to_owned(),
        expires: connected.ttl.is_some(),
        ttl: seconds_left(connected.ttl),
        data: connected.data.clone(),
        subs: subs.collect(),
        ping: seconds(connected.ping_interval),
        pong: connected.pong,
        session: connected.session.map(|session| session.to_string()).unwrap_or_default(),
        node: connected.node.to_string(),
        time: connected.time_ms,
        ..schema::ConnectResult::default()
    }
}

fn subscribe(subscribed: &Subscribed) -> schema::SubscribeResult {
    schema::SubscribeResult {
        expires: subscribed.ttl.is_some(),
        ttl: seconds_left(subscribed.ttl),
        data: subscribed.data.clone(),
        ..schema::SubscribeResult::default()
    }
}

/// At least one where there is an end: clients take 0 for "no refresh needed".
fn seconds_left(ttl: Option<Duration>) -> u32 {
    ttl.map_or(0, |ttl| seconds(ttl).max(1))
}

/// Rounded up, so that a client never acts before its time.
fn seconds(duration: Duration) -> u32 {
    let started = u64::from(duration.subsec_nanos() > 0);
    u32::try_from(duration.as_secs().saturating_add(started)).unwrap_or(u32::MAX)
}
