//! From the protocol's commands to the model's.

use fanfare_proto::centrifuge::command::{self as wire, CommandError, Request};
use fanfare_proto::centrifuge::schema;
use fanfare_proto::code::CloseCode;
use fanfare_proto::limits::COMMANDS_PER_MESSAGE_MAX;

use super::Decoded;
use crate::model::command::{Ask, Command, Connect, HistoryAsk, Subscribe};

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
        Request::History(request) => Ask::History { channel: request.channel, query: HistoryAsk::default() },
        Request::Rpc(request) => Ask::Rpc { method: request.method, data: request.data },
        Request::Send(request) => Ask::Send { data: request.data },
        Request::Refresh(request) => Ask::Refresh { token: request.token },
        Request::SubRefresh(request) => Ask::SubRefresh { channel: request.channel, token: request.token },
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
        token: request.token,
        data: request.data,
        name: request.name,
        version: request.version,
        subs: subs.collect(),
    }
}

fn subscribe(request: schema::SubscribeRequest) -> Subscribe {
    Subscribe { channel: request.channel, token: request.token, data: request.data, ..Subscribe::default() }
}
