//! The application's backend: where it is told what happens ([`webhook`]), and where it is asked (hooks): who somebody is, what they may have, what they may say. One
//! [`Backend`] is one hook of the configuration, over HTTP or gRPC; [`Hooks`] finds it by what it is for.
//!
//! Whoever waits for a backend waits at most for the hook's `timeout`: for a place among its calls and for the answer
//! together. A backend that does not answer is left alone for a while ([`breaker`]). What a backend says comes out in
//! neutral nouns, checked; this module must not know sessions, tokens or channel rules.

pub mod answer;
mod breaker;
mod failure;
mod grpc;
mod headers;
mod hook;
mod hooks;
mod http;
pub mod webhook;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
pub use futures_util::future::BoxFuture;

use crate::model::wire::WireKey;
use crate::model::{Address, ChannelName, Close, ConnectionId, CustomError, Permit, Renewed, UserId};

pub use answer::{Amendment, Identity};
pub use headers::Brought;
pub use hooks::{Hooks, SetupError};

/// One hook: the application answers. Each call fails as [`HookError`] says and holds nothing between calls.
///
/// # Cancel safety
/// Every call may be dropped; whether it has reached the application is not known then.
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// Who is it, who shows no token? None: the application does not know them.
    fn connect<'a>(&'a self, caller: Caller, hello: Hello<'a>) -> BoxFuture<'a, Result<Option<Identity>, HookError>>;

    /// May an expired connection go on?
    fn refresh(&self, caller: Caller) -> BoxFuture<'_, Result<Renewed, HookError>>;

    /// May they have the channel? `data` is what the client says about it.
    fn subscribe<'a>(
        &'a self,
        caller: Caller,
        channel: &'a ChannelName,
        data: Bytes,
    ) -> BoxFuture<'a, Result<Permit, HookError>>;

    /// May an expired subscription go on?
    fn sub_refresh<'a>(&'a self, caller: Caller, channel: &'a ChannelName)
    -> BoxFuture<'a, Result<Renewed, HookError>>;

    /// May they say this, and how?
    fn publish<'a>(
        &'a self,
        caller: Caller,
        channel: &'a ChannelName,
        data: Bytes,
    ) -> BoxFuture<'a, Result<Amendment, HookError>>;

    /// What does the application answer to a call of its own?
    fn rpc<'a>(&'a self, caller: Caller, method: &'a str, data: Bytes) -> BoxFuture<'a, Result<Bytes, HookError>>;
}

/// About whom the application is asked.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The connection.
    pub client: ConnectionId,
    /// Its user; anonymous as long as nobody knows.
    pub user: UserId,
    /// The wire that it speaks.
    pub wire: WireKey,
    /// What came with it, where hooks are asked.
    pub brought: Option<Arc<Brought>>,
    /// What the application has left for itself: JSON on one line; empty if nothing.
    pub meta: Bytes,
}

impl Caller {
    /// Whose doing it may be if a call fails: the user's, or as long as nobody knows one, whoever is at this address.
    fn culprit(&self) -> Culprit {
        let address = || self.brought.as_ref().and_then(|brought| brought.address);
        if self.user.is_anonymous() { Culprit::Address(address()) } else { Culprit::User(self.user.clone()) }
    }
}

/// Who may have brought a failure about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Culprit {
    User(UserId),
    /// None: nobody has said where they are, all of them together.
    Address(Option<Address>),
}

/// What somebody says of themselves when they connect.
#[derive(Clone, Copy, Debug)]
pub struct Hello<'a> {
    /// For the application.
    pub data: &'a Bytes,
    /// The client library.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
}

/// Why there is no good answer, for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// The application refuses the request.
    #[error("the application refuses it with {}", .0.code)]
    Refused(CustomError),
    /// The application ends the connection.
    #[error("the application ends the connection with {}", .0.code)]
    Closed(Close),
    /// The client's payload is no JSON, and the hook takes only that. The client's fault.
    #[error("the payload is no JSON")]
    NotJson,
    /// The application has not answered, or not so that one could use it; temporary. Logged already.
    #[error("the application has not answered")]
    Failed,
}
