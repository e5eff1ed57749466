//! Why a hook has no answer: for the operator, who learns which hook it was, and never what was in a body.

use std::sync::Arc;
use std::time::Duration;

use fanfare_proto::hook::AnswerError;

use crate::model::ByteSize;

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum Failure {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("it cannot be reached: {0}")]
    Unreachable(Arc<str>),
    /// The connection ended before the answer did.
    #[error("no answer: {0}")]
    Broken(Arc<str>),
    #[error("its answer is over {0}")]
    TooLarge(ByteSize),
    #[error("it answers with the HTTP status {0}")]
    Status(u16),
    #[error("it answers with the gRPC status {0}")]
    GrpcStatus(Arc<str>),
    #[error("its answer cannot be read: {0}")]
    Unreadable(#[from] AnswerError),
    /// Well written, and cannot be meant.
    #[error("its answer cannot be used: {0}")]
    Unusable(&'static str),
    #[error("it is left alone after too many failures")]
    Open,
    #[error("too many calls wait for it already")]
    Full,
    #[error("the user has too many calls of it already")]
    Share,
}

/// What a failure says about the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Nobody is there.
    Outage,
    /// Nobody answers just now, or a request of this one client was too much.
    Doubt,
    /// It is there.
    Life,
}

impl Failure {
    /// What one client's request can bring about (a status 500, an answer that is too large) must not take the hook
    /// away from all others.
    pub(super) fn sign(&self) -> Sign {
        match self {
            Self::Unreachable(_) => Sign::Outage,
            Self::Timeout(_) | Self::Broken(_) | Self::Status(502..=504) => Sign::Doubt,
            Self::TooLarge(_)
            | Self::Status(_)
            | Self::GrpcStatus(_)
            | Self::Unreadable(_)
            | Self::Unusable(_)
            | Self::Open
            | Self::Full
            | Self::Share => Sign::Life,
        }
    }

    /// The metric's word.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            Self::Unreachable(_) | Self::Broken(_) => "unreachable",
            Self::TooLarge(_) => "too_large",
            Self::Status(_) | Self::GrpcStatus(_) => "status",
            Self::Unreadable(_) | Self::Unusable(_) => "bad_answer",
            Self::Open => "open",
            Self::Full => "full",
            Self::Share => "user_full",
        }
    }
}
