//! Why a request was not done.

use std::borrow::Cow;

use fanfare_proto::code::ErrorCode;

use crate::broker::BrokerError;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code:?})")]
pub struct ApiError {
    /// What kind of refusal.
    pub code: ErrorCode,
    /// For people: what was wrong and where.
    pub message: Cow<'static, str>,
}

impl ApiError {
    /// A refusal.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    /// The request makes no sense: the backend's fault, trying again will not help.
    #[must_use]
    pub fn bad(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    /// More than a request may ask for: the backend's fault, several smaller requests would do.
    #[must_use]
    pub fn too_many(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::LimitExceeded, message)
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.code.is_temporary()
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.message())
    }
}

/// The broker's own words stay in our log: they may name hosts.
impl From<BrokerError> for ApiError {
    fn from(error: BrokerError) -> Self {
        // Debug, because the broker tells once that it is down; this would be a line for each request.
        tracing::debug!(%error, "a request of the server API failed at the broker");
        let message = match &error {
            BrokerError::Unreachable(_) => "the broker cannot be reached now; try again",
            BrokerError::Timeout => "the broker did not answer in time; the request may have been carried out",
            BrokerError::Refused(_) => "the broker refuses now; try again",
            BrokerError::NotReplicated { .. } => {
                "stored and sent, but not confirmed by enough replicas; try again with the same idempotency_key"
            }
        };
        Self::new(error.code(), message)
    }
}
