//! What a client sends, in either form.

use super::delimit::DelimitError;
use super::schema::{
    self, ConnectRequest, HistoryRequest, PingRequest, PresenceRequest, PresenceStatsRequest, PublishRequest,
    RefreshRequest, RpcRequest, SendRequest, SubRefreshRequest, SubscribeRequest, UnsubscribeRequest,
};

/// One command.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Chosen by the client and echoed in the reply; 0 if it wants none.
    pub id: u32,
    /// What it wants.
    pub request: Request,
}

/// What a client can want.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the schema says what each request is")]
pub enum Request {
    Connect(ConnectRequest),
    Subscribe(SubscribeRequest),
    Unsubscribe(UnsubscribeRequest),
    Publish(PublishRequest),
    Presence(PresenceRequest),
    PresenceStats(PresenceStatsRequest),
    History(HistoryRequest),
    Ping(PingRequest),
    Send(SendRequest),
    Rpc(RpcRequest),
    Refresh(RefreshRequest),
    SubRefresh(SubRefreshRequest),
    /// The answer to a ping: a command without any content.
    Pong,
}

/// Why bytes are no command. The client's fault.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// No command in the frame.
    #[error("the frame holds no command")]
    Empty,
    /// Not JSON, or a field of the wrong type.
    #[error("malformed command: {0}")]
    Json(#[from] serde_json::Error),
    /// Not Protobuf, or a field of the wrong type.
    #[error("malformed command: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// Messages cannot be told apart.
    #[error("malformed frame: {0}")]
    Delimit(#[from] DelimitError),
    /// Over 32 bits; also what a negative number looks like in Protobuf.
    #[error("a command's id has 32 bits at most")]
    Id,
    /// No request that the protocol has.
    #[error("unknown command")]
    Unknown,
    /// More than one request.
    #[error("two commands in one")]
    Several,
}

impl Command {
    /// Checks a parsed message. `empty` says that it had no content at all, known or unknown.
    pub(super) fn check(message: schema::Command, empty: bool) -> Result<Self, CommandError> {
        let id = u32::try_from(message.id).map_err(|_| CommandError::Id)?;
        let request = match requests(&message) {
            0 if empty => Request::Pong,
            0 => return Err(CommandError::Unknown),
            1 => the_request(message).ok_or(CommandError::Unknown)?,
            _ => return Err(CommandError::Several),
        };
        Ok(Self { id, request })
    }
}

/// How many requests the command holds.
fn requests(command: &schema::Command) -> usize {
    let set = [
        command.connect.is_some(),
        command.subscribe.is_some(),
        command.unsubscribe.is_some(),
        command.publish.is_some(),
        command.presence.is_some(),
        command.presence_stats.is_some(),
        command.history.is_some(),
        command.ping.is_some(),
        command.send.is_some(),
        command.rpc.is_some(),
        command.refresh.is_some(),
        command.sub_refresh.is_some(),
    ];
    set.into_iter().filter(|set| *set).count()
}

/// The first of them; lazily, since requests are large.
fn the_request(command: schema::Command) -> Option<Request> {
    let request = command.publish.map(Request::Publish);
    let request = request.or_else(|| command.subscribe.map(Request::Subscribe));
    let request = request.or_else(|| command.unsubscribe.map(Request::Unsubscribe));
    let request = request.or_else(|| command.connect.map(Request::Connect));
    let request = request.or_else(|| command.rpc.map(Request::Rpc));
    let request = request.or_else(|| command.send.map(Request::Send));
    let request = request.or_else(|| command.presence.map(Request::Presence));
    let request = request.or_else(|| command.presence_stats.map(Request::PresenceStats));
    let request = request.or_else(|| command.history.map(Request::History));
    let request = request.or_else(|| command.refresh.map(Request::Refresh));
    let request = request.or_else(|| command.sub_refresh.map(Request::SubRefresh));
    request.or_else(|| command.ping.map(Request::Ping))
}

impl From<Command> for schema::Command {
    fn from(Command { id, request }: Command) -> Self {
        let command = Self { id: id.into(), ..Self::default() };
        match request {
            Request::Connect(connect) => Self { connect: Some(connect), ..command },
            Request::Subscribe(subscribe) => Self { subscribe: Some(subscribe), ..command },
            Request::Unsubscribe(unsubscribe) => Self { unsubscribe: Some(unsubscribe), ..command },
            Request::Publish(publish) => Self { publish: Some(publish), ..command },
            Request::Presence(presence) => Self { presence: Some(presence), ..command },
            Request::PresenceStats(stats) => Self { presence_stats: Some(stats), ..command },
            Request::History(history) => Self { history: Some(history), ..command },
            Request::Ping(ping) => Self { ping: Some(ping), ..command },
            Request::Send(send) => Self { send: Some(send), ..command },
            Request::Rpc(rpc) => Self { rpc: Some(rpc), ..command },
            Request::Refresh(refresh) => Self { refresh: Some(refresh), ..command },
            Request::SubRefresh(refresh) => Self { sub_refresh: Some(refresh), ..command },
            Request::Pong => command,
        }
    }
}
