//! `[client]`: what a client may do to us.

use std::time::Duration;

use crate::model::ByteSize;

/// Limits and habits of client connections.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches, as the configuration names them")]
pub struct ClientConfig {
    /// Everyone may do what no rule speaks about, tokens or not. For tests.
    pub insecure: bool,
    /// Clients without a token are let in as the anonymous user.
    pub allow_anonymous: bool,
    /// Tokens that name no user are refused.
    pub disallow_anonymous_connection_tokens: bool,
    /// Origins of web pages that may connect, besides the gateway's own host: `https://example.com`,
    /// with `*` for one label or the whole host (`https://*.example.com`, `*`).
    pub allowed_origins: Vec<String>,
    /// The name of a query parameter that may carry the connection token; none by default, because
    /// URLs reach logs.
    pub token_query_parameter: Option<String>,
    /// The name of a cookie that may carry the connection token, where the page's origin is listed.
    pub token_cookie: Option<String>,
    /// How often an idle client is pinged.
    pub ping_interval: Duration,
    /// How long it may take to answer.
    pub pong_timeout: Duration,
    /// How long a client may take to say who it is.
    pub stale_close_delay: Duration,
    /// How long after its expiry a connection waits for a new token.
    pub expired_close_delay: Duration,
    /// The same for subscriptions.
    pub expired_sub_close_delay: Duration,
    /// What may wait for a slow reader before it is cut off.
    pub queue_max_size: ByteSize,
    /// Largest message from a client.
    pub message_size_limit: ByteSize,
    /// Channels of one connection, personal and server-side ones included.
    pub channel_limit: usize,
    /// Whether each user's connections are subscribed to a channel of their own.
    pub subscribe_to_user_personal_channel: PersonalChannel,
}

/// The channel that reaches one user wherever they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonalChannel {
    /// Off by default.
    pub enabled: bool,
    /// The namespace the channel is in; the default one if none. The channel is `#USER` or `NS:#USER`.
    pub namespace: Option<String>,
}

impl PersonalChannel {
    /// The name of a user's channel.
    #[must_use]
    pub fn name(&self, user: &str) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}:#{user}"),
            None => format!("#{user}"),
        }
    }
}
