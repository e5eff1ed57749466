//! What the gateway asks the application's backend (hooks), and what that answers: the same messages as JSON over
//! HTTP and as Protobuf over gRPC. Bodies and the gRPC service are those of Centrifugo's proxy protocol. What it is told is in [`event`].
//!
//! Reading is strict about types and tolerant about fields that it does not know. Must not know what an answer
//! means: that is the gateway's `backend`.

pub mod event;
mod field;

use std::fmt::Debug;

use bytes::Bytes;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::capability;

pub use schema::*;

/// The messages, generated from `schema/hook.proto`. JSON names are the fields' names.
#[allow(missing_docs, reason = "generated; the schema has the comments")]
#[allow(clippy::all, reason = "generated")]
mod schema {
    include!(concat!(env!("OUT_DIR"), "/centrifugal.centrifugo.proxy.rs"));
}

/// The gRPC service that backends offer.
pub const SERVICE: &str = "centrifugal.centrifugo.proxy.CentrifugoProxy";

/// One of the questions that a backend can be asked.
pub trait Question: Message + Serialize + Default + 'static {
    /// The method of [`SERVICE`].
    const METHOD: &'static str;

    /// What comes back.
    type Answer: Answer;
}

/// What a backend says: a result, an error or a disconnect. Without any of them the result is empty.
pub trait Answer: Message + DeserializeOwned + Default + 'static {
    /// What it holds if all is well.
    type Result: Debug + Send;

    /// Takes it apart. What ends the connection wins over what refuses the request, and that over the result.
    fn open(self) -> Verdict<Self::Result>;
}

/// What an answer comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict<T> {
    /// Yes; nothing where the backend has nothing to add.
    Result(Option<T>),
    /// The request is refused.
    Error(Error),
    /// The connection ends.
    Disconnect(Disconnect),
}

/// Bytes that are no answer. The backend's fault; holds nothing of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Not JSON, or a field of the wrong type; where.
    #[error("not an answer in JSON: wrong at line {line}, column {column}")]
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Not Protobuf, or a field of the wrong type.
    #[error("not an answer in Protobuf")]
    Protobuf,
}

/// Writes a question as JSON.
///
/// # Errors
/// When a payload in it is no JSON.
pub fn to_json<Q: Question>(question: &Q) -> Result<Bytes, serde_json::Error> {
    serde_json::to_vec(question).map(Bytes::from)
}

/// Writes a question as Protobuf.
#[must_use]
pub fn to_protobuf<Q: Question>(question: &Q) -> Bytes {
    question.encode_to_vec().into()
}

/// Reads an answer in JSON.
///
/// # Errors
/// See [`AnswerError`].
pub fn from_json<A: Answer>(bytes: &[u8]) -> Result<A, AnswerError> {
    let read = serde_json::from_slice::<field::Object<A>>(bytes);
    read.map(|field::Object(answer)| answer)
        .map_err(|error| AnswerError::Json { line: error.line(), column: error.column() })
}

/// Reads an answer in Protobuf.
///
/// # Errors
/// See [`AnswerError`].
pub fn from_protobuf<A: Answer>(bytes: Bytes) -> Result<A, AnswerError> {
    A::decode(bytes).map_err(|_| AnswerError::Protobuf)
}

macro_rules! hooks {
    ($($method:literal: $question:ident, $answer:ident, $result:ident;)+) => {
        $(
            impl Question for $question {
                const METHOD: &'static str = $method;
                type Answer = $answer;
            }

            impl Answer for $answer {
                type Result = $result;

                fn open(self) -> Verdict<$result> {
                    match (self.disconnect, self.error) {
                        (Some(disconnect), _) => Verdict::Disconnect(disconnect),
                        (None, Some(error)) => Verdict::Error(error),
                        (None, None) => Verdict::Result(self.result),
                    }
                }
            }
        )+
    };
}

hooks! {
    "Connect": ConnectRequest, ConnectResponse, ConnectResult;
    "Refresh": RefreshRequest, RefreshResponse, RefreshResult;
    "Subscribe": SubscribeRequest, SubscribeResponse, SubscribeResult;
    "Publish": PublishRequest, PublishResponse, PublishResult;
    "RPC": RpcRequest, RpcResponse, RpcResult;
    "SubRefresh": SubRefreshRequest, SubRefreshResponse, SubRefreshResult;
}

impl TryFrom<ChannelsCapability> for capability::Capability {
    type Error = capability::CapabilityError;

    /// Stricter than a token's claim: fields that are not there are empty here, and an entry without channels is
    /// most likely an exception with a slip of the pen.
    fn try_from(ChannelsCapability { channels, allow, r#match }: ChannelsCapability) -> Result<Self, Self::Error> {
        if channels.is_empty() {
            return Err(capability::CapabilityError);
        }
        let allow = allow.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
        Ok(Self { channels, matching: r#match.try_into()?, allow })
    }
}

#[cfg(test)]
mod tests;
