//! What the application gives a client with a channel.

use bytes::Bytes;

use super::Overrides;

/// The terms of one subscription, by a token or a hook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permit {
    /// What others on the channel see of the client: JSON on one line; empty if none.
    pub info: Bytes,
    /// For the client; empty if none. On a wire of JSON it is JSON on one line.
    pub data: Bytes,
    /// Where the channel's options do not hold.
    pub overrides: Overrides,
    /// When the subscription expires, in seconds since 1970; none for never.
    pub expires_at: Option<i64>,
}
