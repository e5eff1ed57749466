//! From the protocol's commands to the model's.

use std::sync::Arc;

use fanfare_proto::centrifuge::command::{self as wire, CommandError, Request};
use fanfare_proto::centrifuge::schema;
use fanfare_proto::code::CloseCode;
use fanfare_proto::limits::{COMMANDS_PER_MESSAGE_MAX, EPOCH_BYTES_MAX};

use super::Decoded;
use crate::model::ClientHeaders;
use crate::model::command::{Ask, Command, Connect, HistoryAsk, Since, Subscribe};

/// In a subscribe request's `flag`: an error rather than a subscription that has lost something.
const REJECT_UNRECOVERED: i64 = 2;

/// An epoch that no stream has: ours are longer.
const NO_EPOCH: &str = "?";

/// Takes commands as long as they are good. The first bad one ends the connection, after those before it
/// were carried out: the client has no other way to learn which one it was.
pub(super) fn all(commands: impl Iterator<Item = Result<wire::Command, CommandError>>) -> Decoded {
    let mut decoded = Decoded::default();
    for command in commands {
        match command.ok().and_then(one) {
            Some(command) if decoded.commands.len() < COMMANDS_PER_MESSAGE_MAX => decoded.commands.push(command),
            Some(_) | None => {
                decoded.then = Some(CloseCode::BadRequest.into());
                break;
            }
        }
    }
    decoded
}

/// None if the client breaks the protocol with it.
fn one(wire::Command { id, request }: wire::Command) -> Option<Command> {
    let ask = ask(request)?;
    // Without an id there is nothing to answer to. Only these two want no answer.
    let needs_id = !matches!(ask, Ask::Send { .. } | Ask::Pong);
    (id != 0 || !needs_id).then_some(Command { id, ask })
}

fn ask(request: Request) -> Option<Ask> {
    Some(match request {
        Request::Connect(request) => Ask::Connect(connect(request)),
        Request::Subscribe(request) => Ask::Subscribe(subscribe(request)),
        Request::Unsubscribe(request) => Ask::Unsubscribe { channel: request.channel },
        Request::Publish(request) => Ask::Publish { channel: request.channel, data: request.data },
        Request::Presence(request) => Ask::Presence { channel: request.channel },
        Request::PresenceStats(request) => Ask::PresenceStats { channel: request.channel },
        Request::History(request) => history(request),
        Request::Rpc(request) => Ask::Rpc { method: request.method, data: request.data },
        Request::Send(request) => Ask::Send { data: request.data },
        Request::Refresh(request) => Ask::Refresh { token: request.token.into() },
        Request::SubRefresh(request) => Ask::SubRefresh { channel: request.channel, token: request.token.into() },
        Request::Pong => Ask::Pong,
        // In version 2 the server pings.
        Request::Ping(_) => return None,
    })
}

fn connect(request: schema::ConnectRequest) -> Connect {
    let subs = request.subs.into_iter().map(|(channel, request)| {
        // The key names the channel; what the request says of it is not sent by clients.
        let subscribe = Subscribe { channel: channel.clone(), ..subscribe(request) };
        (channel, subscribe)
    });
    Connect {
        token: request.token.into(),
        data: request.data,
        name: request.name,
        version: request.version,
        headers: ClientHeaders::new(request.headers),
        subs: subs.collect(),
    }
}

fn subscribe(request: schema::SubscribeRequest) -> Subscribe {
    Subscribe {
        channel: request.channel,
        token: request.token.into(),
        data: request.data,
        recover: request.recover.then(|| since(request.offset, &request.epoch)),
        positioned: request.positioned,
        recoverable: request.recoverable,
        join_leave: request.join_leave,
        delta: request.delta,
        reject_unrecovered: request.flag & REJECT_UNRECOVERED != 0,
    }
}

fn history(request: schema::HistoryRequest) -> Ask {
    let since = request.since.map(|position| since(position.offset, &position.epoch));
    Ask::History {
        channel: request.channel,
        query: HistoryAsk { limit: request.limit, since, reverse: request.reverse },
    }
}

/// A position that a client names. An epoch that cannot be one of ours must not become an empty one, which
/// stands for whatever epoch the stream has; and nobody after this has to wonder how long it may be.
fn since(offset: u64, epoch: &str) -> Since {
    let could_be_ours = epoch.len() <= EPOCH_BYTES_MAX && epoch.bytes().all(|byte| byte.is_ascii_graphic());
    Since { offset, epoch: Arc::from(if could_be_ours { epoch } else { NO_EPOCH }) }
}
