//! Why a request was not done.

use std::borrow::Cow;

use fanfare_proto::code::ErrorCode;

use crate::broker::{BrokerError, LedgerError};
use crate::node::HistoryError;
use crate::presence::PresenceError;

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
            BrokerError::Unreachable(_) => "the broker cannot be reached now; try again".into(),
            BrokerError::Timeout => "the broker did not answer in time; the request may have been carried out".into(),
            BrokerError::Refused(_) => "the broker refuses now; try again".into(),
            BrokerError::NotReplicated { .. } => {
                Cow::Owned(format!("{error}; if it had an idempotency_key, try again with the same"))
            }
        };
        Self::new(error.code(), message)
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Broker(error) => error.into(),
            error => Self::new(error.code(), error.to_string()),
        }
    }
}

impl From<HistoryError> for ApiError {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Broker(error) => error.into(),
            error => Self::new(error.code(), error.to_string()),
        }
    }
}

/// The store's own words stay in our log, as the broker's do.
impl From<PresenceError> for ApiError {
    fn from(error: PresenceError) -> Self {
        match error {
            PresenceError::Unavailable(_) => {
                tracing::debug!(%error, "a request of the server API failed at the presence store");
                Self::new(error.code(), "the presence store cannot be reached now; try again")
            }
            PresenceError::TooMany { .. } => Self::new(error.code(), error.to_string()),
        }
    }
}
