//! What a backend may do. Requests come from a door, checked for form only; what they mean is decided
//! here, and done by the node. Must not know any wire: no JSON, no HTTP, no gRPC.

mod allowance;
mod batch;
mod cluster;
mod connection;
mod error;
mod history;
mod payload;
mod presence;
mod publish;
pub mod request;
mod revoke;

use std::collections::BTreeMap;
use std::sync::Arc;

use fanfare_proto::code::ErrorCode;

use crate::config::section::{ChannelOptions, DataFormat};
use crate::model::event::PresenceStats;
use crate::model::{ChannelName, ClientInfo, Position, Retained};
use crate::node::Node;

pub use crate::broker::roster::NodeRecord;
pub use error::ApiError;
pub use request::Request;

use allowance::Allowance;

/// Carries out backends' requests. Shared by all doors.
#[derive(Debug)]
pub struct Api {
    node: Arc<Node>,
}

/// What comes with a request, whatever it asks.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// W3C trace context of the caller; empty if none. Checked by the door.
    pub traceparent: String,
}

/// What was done, one for each [`Request`].
#[derive(Clone, Debug)]
pub enum Response {
    /// The broker has the publication; where it stands, on channels with history.
    Publish(Option<Position>),
    /// What became of each channel's publication, in the order of the request.
    Broadcast(Vec<Result<Option<Position>, ApiError>>),
    /// All nodes have the order, or find it in the control log.
    Subscribe,
    /// The same.
    Unsubscribe,
    /// The same.
    Disconnect,
    /// The same.
    Refresh,
    /// It is written down, and all nodes have the order or find it in the control log.
    RevokeToken,
    /// The same.
    InvalidateUserTokens,
    /// The same.
    BlockUser,
    /// The same.
    UnblockUser,
    /// A part of what was said on a channel.
    History(Page),
    /// What was said is forgotten.
    HistoryRemove,
    /// Everybody on a channel.
    Presence(Vec<ClientInfo>),
    /// How many are on a channel.
    PresenceStats(PresenceStats),
    /// All nodes, stale by at most one heartbeat.
    Info(Vec<NodeRecord>),
    /// Channels with subscribers and how many, stale by at most one heartbeat.
    Channels(BTreeMap<String, u64>),
    /// What became of each call, in the order of the request.
    Batch(Vec<Result<Self, ApiError>>),
}

/// A part of what was said on a channel.
#[derive(Clone, Debug)]
pub struct Page {
    /// In the order asked for.
    pub publications: Vec<Arc<Retained>>,
    /// Where the stream's newest publication stands.
    pub top: Position,
    /// What the channel's payloads are.
    pub format: DataFormat,
}

impl Api {
    /// An API that acts through this node.
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    /// Does what is asked. Ends within the broker's deadlines: one for each call of a batch in sequence.
    ///
    /// # Errors
    /// Why it was not done. [`ErrorCode::Internal`] may mean that it was done and the answer was lost.
    ///
    /// # Cancel safety
    /// Dropping the future leaves a broadcast or batch done in part.
    pub async fn call(&self, request: Request, context: &Context) -> Result<Response, ApiError> {
        match request {
            // Boxed, because a batch calls back here.
            Request::Batch(batch) => Box::pin(self.batch(batch, context)).await.map(Response::Batch),
            request => self.single(request, context, &Allowance::alone()).await,
        }
    }

    /// Does what is asked, but for batches.
    async fn single(&self, request: Request, context: &Context, room: &Allowance) -> Result<Response, ApiError> {
        match request {
            Request::Publish(publish) => self.publish(publish, context).await.map(Response::Publish),
            Request::Broadcast(broadcast) => self.broadcast(broadcast, context).await.map(Response::Broadcast),
            Request::Subscribe(subscribe) => self.subscribe(subscribe).await.map(|()| Response::Subscribe),
            Request::Unsubscribe(unsubscribe) => self.unsubscribe(unsubscribe).await.map(|()| Response::Unsubscribe),
            Request::Disconnect(disconnect) => self.disconnect(disconnect).await.map(|()| Response::Disconnect),
            Request::Refresh(refresh) => self.refresh(refresh).await.map(|()| Response::Refresh),
            Request::RevokeToken { uid, expire_at } => {
                self.revoke_token(uid, expire_at).await.map(|()| Response::RevokeToken)
            }
            Request::InvalidateUserTokens { user, issued_before, expire_at } => {
                let done = self.invalidate_user_tokens(user, issued_before, expire_at).await;
                done.map(|()| Response::InvalidateUserTokens)
            }
            Request::BlockUser { user, expire_at } => {
                self.block_user(user, expire_at).await.map(|()| Response::BlockUser)
            }
            Request::UnblockUser { user } => self.unblock_user(user).await.map(|()| Response::UnblockUser),
            Request::Info => self.info().await.map(Response::Info),
            Request::Channels { pattern } => self.channels(&pattern).await.map(Response::Channels),
            Request::History { channel, ask } => self.history(&channel, ask, room).await.map(Response::History),
            Request::HistoryRemove { channel } => self.history_remove(&channel).await.map(|()| Response::HistoryRemove),
            Request::Presence { channel } => self.presence(&channel, room).await.map(Response::Presence),
            Request::PresenceStats { channel } => self.presence_stats(&channel).await.map(Response::PresenceStats),
            Request::Batch(_) => Err(ApiError::bad("a batch cannot hold a batch")),
        }
    }

    /// Checks a channel's name and finds its rules.
    fn channel(&self, name: &str) -> Result<(ChannelName, &ChannelOptions), ApiError> {
        let channel = ChannelName::parse(name).map_err(|wrong| ApiError::bad(wrong.to_string()))?;
        match self.node.rules().require(&channel) {
            Ok(options) => Ok((channel, options)),
            Err(ErrorCode::BadRequest) => Err(ApiError::bad("channel: its namespace's channel_regex does not take it")),
            Err(code) => Err(ApiError::new(code, "no namespace of this name, and no pattern that fits, is configured")),
        }
    }
}
