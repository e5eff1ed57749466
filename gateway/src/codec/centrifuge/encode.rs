//! From the model's events to the protocol's replies and pushes.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fanfare_proto::centrifuge::reply::{Connected as WireConnected, History, Subscribed as WireSubscribed};
use fanfare_proto::centrifuge::{self as wire, Answer, Data, schema};
use fanfare_proto::code::ErrorCode;

use crate::model::event::{Connected, Event, Push, Recovery, Reply, Subscribed};
use crate::model::wire::{Form, Frame, WireKey};
use crate::model::{Change, ChannelName, ClientInfo, CustomError, Publication, Retained};

/// What goes out, not written yet.
#[expect(clippy::large_enum_variant, reason = "lives for one step, between the mapping and the writer")]
pub(super) enum Outgoing<'a> {
    /// A message without content.
    Ping,
    /// What must be written fast, on a channel: nothing is copied on its way.
    Publication(&'a str, wire::Publication<'a>),
    /// To a command, with publications that are written once for all: they are only copied.
    Answer(u32, Answer<'a>),
    /// All others.
    Reply(schema::Reply),
}

/// Frames as one message: messages of this protocol are lists.
pub(super) fn joined(frames: &[Frame], between: &[u8]) -> Bytes {
    let bytes: usize = frames.iter().map(|frame| frame.len() + between.len()).sum();
    let mut message = BytesMut::with_capacity(bytes);
    for (index, frame) in frames.iter().enumerate() {
        if index > 0 {
            message.extend_from_slice(between);
        }
        message.extend_from_slice(frame.bytes());
    }
    message.freeze()
}

/// How publications within answers are written.
#[derive(Clone, Copy)]
pub(super) struct Lists {
    pub(super) wire: WireKey,
    /// The form of those that patches may follow.
    pub(super) patched: Form,
    pub(super) write: fn(&wire::Publication<'_>) -> Bytes,
}

impl Lists {
    fn all(self, publications: &[Arc<Retained>], form: Form) -> Vec<&[u8]> {
        let write = |said: &Publication| {
            let data = match form {
                Form::Plain => Data::Plain(&said.data),
                Form::Delta => Data::Whole(&said.data),
            };
            (self.write)(&publication(said, data))
        };
        publications.iter().map(|retained| &retained.written(self.wire, form, write)[..]).collect()
    }
}

pub(super) fn outgoing<'a>(event: &Event<'a>, lists: Lists) -> Outgoing<'a> {
    match *event {
        Event::Ping => Outgoing::Ping,
        Event::Publication { channel, publication: said } => {
            Outgoing::Publication(channel.as_str(), publication(said, Data::Plain(&said.data)))
        }
        Event::Delta { channel, publication: said, patch } => {
            let data = patch.map_or(Data::Whole(&said.data), |patch| Data::Patch(patch));
            Outgoing::Publication(channel.as_str(), publication(said, data))
        }
        Event::Push { channel, push } => Outgoing::Reply(schema::Reply {
            push: Some(schema::Push { channel: name(channel).to_owned(), ..body(push) }),
            ..schema::Reply::default()
        }),
        Event::Reply { id, reply } => answer(id, reply, lists),
        Event::Refusal { id, error } => {
            Outgoing::Reply(schema::Reply { id, error: Some(refusal(error)), ..schema::Reply::default() })
        }
        Event::Error { id, code } => {
            Outgoing::Reply(schema::Reply { id, error: Some(error(code)), ..schema::Reply::default() })
        }
    }
}

fn refusal(refused: &CustomError) -> schema::Error {
    schema::Error { code: refused.code, message: refused.message.clone(), temporary: refused.temporary }
}

fn name(channel: Option<&ChannelName>) -> &str {
    channel.map_or("", ChannelName::as_str)
}

fn publication<'a>(said: &'a Publication, data: Data<'a>) -> wire::Publication<'a> {
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
    wire::Publication { data, info, offset, tags: &said.tags, time: said.time_ms, epoch }
}

/// A push without its channel.
fn body(push: &Push) -> schema::Push {
    let empty = schema::Push::default();
    match push {
        Push::Membership(membership) => {
            let info = Some(client_info(&membership.who));
            match membership.change {
                Change::Joined => schema::Push { join: Some(schema::Join { info }), ..empty },
                Change::Left => schema::Push { leave: Some(schema::Leave { info }), ..empty },
            }
        }
        Push::Subscribe(subscribed) => schema::Push { subscribe: Some(subscribe_push(subscribed)), ..empty },
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

fn answer(id: u32, reply: &Reply, lists: Lists) -> Outgoing<'_> {
    let empty = schema::Reply { id, ..schema::Reply::default() };
    Outgoing::Reply(match reply {
        Reply::Connect(connected) => return Outgoing::Answer(id, Answer::Connect(Box::new(connect(connected, lists)))),
        Reply::Subscribe(subscribed) => return Outgoing::Answer(id, Answer::Subscribe(subscribe(subscribed, lists))),
        Reply::History { publications, top } => {
            let publications = lists.all(publications, Form::Plain);
            let history = History { publications, epoch: &top.epoch, offset: top.offset };
            return Outgoing::Answer(id, Answer::History(history));
        }
        Reply::Unsubscribe => schema::Reply { unsubscribe: Some(schema::UnsubscribeResult {}), ..empty },
        Reply::Publish => schema::Reply { publish: Some(schema::PublishResult {}), ..empty },
        Reply::Presence(clients) => {
            let presence = clients.iter().map(|info| (info.client.as_ref().to_owned(), client_info(info))).collect();
            schema::Reply { presence: Some(schema::PresenceResult { presence }), ..empty }
        }
        Reply::PresenceStats(stats) => {
            let number = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
            let stats =
                schema::PresenceStatsResult { num_clients: number(stats.clients), num_users: number(stats.users) };
            schema::Reply { presence_stats: Some(stats), ..empty }
        }
        Reply::Refresh { client, ttl } => {
            let refresh = schema::RefreshResult {
                client: client.to_string(),
                expires: ttl.is_some(),
                ttl: seconds_left(*ttl),
                ..schema::RefreshResult::default()
            };
            schema::Reply { refresh: Some(refresh), ..empty }
        }
        Reply::Rpc { data } => schema::Reply { rpc: Some(schema::RpcResult { data: data.clone() }), ..empty },
        Reply::SubRefresh { ttl } => {
            let refresh = schema::SubRefreshResult {
                expires: ttl.is_some(),
                ttl: seconds_left(*ttl),
                ..schema::SubRefreshResult::default()
            };
            schema::Reply { sub_refresh: Some(refresh), ..empty }
        }
    })
}

fn error(code: ErrorCode) -> schema::Error {
    schema::Error { code: code.code(), message: code.message().to_owned(), temporary: code.is_temporary() }
}

fn client_info(info: &ClientInfo) -> schema::ClientInfo {
    schema::ClientInfo {
        user: info.user.as_str().to_owned(),
        client: info.client.as_ref().to_owned(),
        conn_info: info.connection_info.clone(),
        chan_info: info.channel_info.clone(),
    }
}

fn connect(connected: &Connected, lists: Lists) -> WireConnected<'_> {
    let subs = connected.subs.iter().map(|(channel, subscribed)| (channel.as_str(), subscribe(subscribed, lists)));
    WireConnected {
        client: connected.client.to_string(),
        version: connected.version,
        expires: connected.ttl.is_some(),
        ttl: seconds_left(connected.ttl),
        data: connected.data.clone(),
        subs: subs.collect(),
        ping: seconds(connected.ping_interval),
        pong: connected.pong,
        session: connected.session.map(|session| session.to_string()).unwrap_or_default(),
        node: connected.node.to_string(),
        time: connected.time_ms,
    }
}

fn subscribe(subscribed: &Subscribed, lists: Lists) -> WireSubscribed<'_> {
    let mut result = WireSubscribed {
        expires: subscribed.ttl.is_some(),
        ttl: seconds_left(subscribed.ttl),
        data: subscribed.data.clone(),
        delta: subscribed.delta,
        ..WireSubscribed::default()
    };
    let Some(standing) = &subscribed.standing else { return result };
    result.recoverable = standing.recoverable;
    result.positioned = standing.positioned;
    result.epoch = &standing.position.epoch;
    result.offset = standing.position.offset;
    result.was_recovering = standing.recovery.is_some();
    if let Some(Recovery::Recovered(publications)) = &standing.recovery {
        result.recovered = true;
        // All of them whole: wherever a client begins, they are the same bytes.
        let form = if subscribed.delta { lists.patched } else { Form::Plain };
        result.publications = lists.all(publications, form);
    }
    result
}

/// The protocol has no room for recovered publications here: they are pushed one by one.
fn subscribe_push(subscribed: &Subscribed) -> schema::Subscribe {
    let push = schema::Subscribe { data: subscribed.data.clone(), ..schema::Subscribe::default() };
    match &subscribed.standing {
        None => push,
        Some(standing) => schema::Subscribe {
            recoverable: standing.recoverable,
            epoch: standing.position.epoch.as_ref().to_owned(),
            offset: standing.position.offset,
            positioned: standing.positioned,
            ..push
        },
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
