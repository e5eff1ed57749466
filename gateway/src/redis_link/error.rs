//! What can go wrong with Redis, in the three kinds that callers treat differently.

use deadpool_redis::PoolError;
use redis::{ErrorKind, RedisError};

/// Why Redis did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// No link, or it broke before the answer came. Retry later.
    #[error("no link: {0}")]
    Unreachable(String),
    /// No answer in time: it may have been done.
    #[error("no answer in time")]
    Timeout,
    /// Redis answered that it will not. Nothing was done.
    #[error("{0}")]
    Refused(String),
}

impl LinkError {
    /// The cause alone, to be told as the reason of something else.
    #[must_use]
    pub fn why(self) -> String {
        match self {
            Self::Unreachable(why) | Self::Refused(why) => why,
            Self::Timeout => self.to_string(),
        }
    }
}

/// Why a link cannot even be tried. The operator's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The URL cannot be read.
    #[error("the broker's URL is malformed: {0}")]
    Url(String),
    /// The URL asks for something that is not built.
    #[error("the broker's URL asks for {0}, which is not supported")]
    Unsupported(&'static str),
    /// The pool could not be built.
    #[error("the connection pool cannot be built: {0}")]
    Pool(String),
}

impl From<RedisError> for LinkError {
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        match error.kind() {
            // Answers of a server that is alive: READONLY, OOM, NOPERM, WRONGTYPE, LOADING, BUSY ...
            ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::UnexpectedReturnType => {
                Self::Refused(error.to_string())
            }
            _ => Self::Unreachable(error.to_string()),
        }
    }
}

impl From<PoolError> for LinkError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Timeout(_) => Self::Timeout,
            PoolError::Backend(error) => error.into(),
            error @ (PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_)) => {
                Self::Unreachable(error.to_string())
            }
        }
    }
}
