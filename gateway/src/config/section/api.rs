//! `[api]`: the server API.

use crate::config::secret::Secret;
use crate::model::ByteSize;

/// The server API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// The key that backends send; without one the API is off.
    pub key: Option<Secret>,
    /// Largest body of a request.
    pub body_size_limit: ByteSize,
}
