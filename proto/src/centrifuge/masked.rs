//! How messages look that hold tokens, and payloads for hooks only: who prints a command to find a mistake must
//! not find somebody's keys.

use std::fmt;

use super::schema::{ConnectRequest, RefreshRequest, SubRefreshRequest, SubscribeRequest};

/// Whether there is a token, in place of it.
fn masked(token: &str) -> &'static str {
    if token.is_empty() { "" } else { "***" }
}

impl fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectRequest")
            .field("token", &masked(&self.token))
            .field("name", &self.name)
            .field("version", &self.version)
            .field("subs", &self.subs)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SubscribeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscribeRequest")
            .field("channel", &self.channel)
            .field("token", &masked(&self.token))
            .field("recover", &self.recover)
            .field("offset", &self.offset)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RefreshRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshRequest").field("token", &masked(&self.token)).finish()
    }
}

impl fmt::Debug for SubRefreshRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubRefreshRequest")
            .field("channel", &self.channel)
            .field("token", &masked(&self.token))
            .finish()
    }
}
