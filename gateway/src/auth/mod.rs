//! Who a client is: tokens in, identities out.
//!
//! A token passes three gates, cheapest first: its shape and size ([`jwt`]), its signature under a key
//! that the configuration names ([`key`]), and its claims, which [`fanfare_proto::claims`] reads and
//! [`connect`] and [`subscribe`] hold against the clock. What comes out is made of neutral nouns.
//!
//! This module must not know sessions, wires or channel rules: what a refusal means for the client is
//! decided by whoever asked.

pub mod connect;
pub(crate) mod jwk;
pub mod jwks;
pub mod jwt;
pub mod key;
pub mod mint;
#[cfg(test)]
mod signer;
pub mod subscribe;

use std::sync::Arc;

use fanfare_proto::claims::{ClaimsError, Registered};

use crate::config::section::AuthConfig;

pub use connect::{ConnectionToken, ServerSub};
pub use key::{Header, Key, KeyError, KeyFault, KeySource};
pub use subscribe::SubscriptionToken;

use jwt::Verifier;

/// Verifies tokens. Cheap to share; holds no state that changes.
#[derive(Debug)]
pub struct Auth {
    connection: Verifier,
    subscription: Verifier,
}

/// Why a token is not taken.
///
/// | | connection token | subscription token |
/// | --- | --- | --- |
/// | [`Expired`](Self::Expired) | error 109 | error 109 |
/// | [`Invalid`](Self::Invalid), [`NotConfigured`](Self::NotConfigured) | close 3500 | error 103 |
/// | [`Unavailable`](Self::Unavailable) | error 100 | error 100 |
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was good once, or will be: `exp` has passed, or `nbf` has not. The client brings a new one.
    #[error("the token has expired or is not valid yet")]
    Expired,
    /// It will never be good. The application's fault, or somebody tries their luck.
    #[error("the token is invalid: {0}")]
    Invalid(#[from] Refusal),
    /// No key is configured, so no token can be good. The operator's affair.
    #[error("no token key is configured")]
    NotConfigured,
    /// The key could not be had just now. Temporary.
    #[error("the token's key cannot be had at the moment")]
    Unavailable,
}

/// What is wrong with an invalid token. For logs, not for clients; repeats nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Over [`jwt::TOKEN_BYTES_MAX`].
    #[error("too long")]
    TooLong,
    /// Not three parts of unpadded base64url with dots between, or the first is no JOSE header.
    #[error("not a JWT")]
    Malformed,
    /// An algorithm that the configuration does not name; `none` above all.
    #[error("an algorithm that is not allowed")]
    Algorithm,
    /// It demands an extension (`crit`); we have none.
    #[error("a critical header extension")]
    Critical,
    /// It names a key that nobody has.
    #[error("an unknown key")]
    Key,
    /// Signed with another key, or changed since.
    #[error("a wrong signature")]
    Signature,
    /// A claim is wrong.
    #[error("{0}")]
    Claims(#[from] ClaimsError),
    /// `aud` does not name `auth.token.audience`.
    #[error("for another audience")]
    Audience,
    /// `iss` is not `auth.token.issuer`.
    #[error("from another issuer")]
    Issuer,
    /// A claim names a channel that cannot exist.
    #[error("not a channel name in a claim")]
    Channel,
}

impl Auth {
    /// Takes the keys that the configuration holds. Without a secret of their own, subscription tokens
    /// are verified like connection tokens.
    #[must_use]
    pub fn new(config: &AuthConfig) -> Self {
        let subscription = match config.subscription_token.hmac_secret {
            Some(_) => &config.subscription_token,
            None => &config.token,
        };
        let connection_keys = key::configured(&config.token);
        let subscription_keys = key::configured(subscription);
        Self {
            connection: Verifier::new(&config.token, connection_keys),
            subscription: Verifier::new(subscription, subscription_keys),
        }
    }

    /// Takes keys from elsewhere; the rest from the configuration.
    #[must_use]
    pub fn with_keys(config: &AuthConfig, connection: Arc<dyn KeySource>, subscription: Arc<dyn KeySource>) -> Self {
        Self {
            connection: Verifier::new(&config.token, Some(connection)),
            subscription: Verifier::new(&config.subscription_token, Some(subscription)),
        }
    }

    /// Whether a connection token can be good at all.
    #[must_use]
    pub fn has_connection_keys(&self) -> bool {
        self.connection.has_keys()
    }

    /// Verifies a connection token at the given moment (seconds since 1970).
    ///
    /// # Errors
    /// See [`TokenError`].
    ///
    /// # Cancel safety
    /// Safe: nothing is kept between calls.
    pub async fn verify_connection(&self, token: &str, now_unix_s: i64) -> Result<ConnectionToken, TokenError> {
        let payload = self.connection.payload(token).await?;
        connect::read(&self.connection, &payload, now_unix_s)
    }

    /// Verifies a subscription token at the given moment (seconds since 1970). Whether user, channel
    /// and client are those of the request is for the caller to compare.
    ///
    /// # Errors
    /// See [`TokenError`].
    ///
    /// # Cancel safety
    /// Safe: nothing is kept between calls.
    pub async fn verify_subscription(&self, token: &str, now_unix_s: i64) -> Result<SubscriptionToken, TokenError> {
        let payload = self.subscription.payload(token).await?;
        subscribe::read(&self.subscription, &payload, now_unix_s)
    }
}

/// When what a token opens ends, in seconds since 1970; none for never. `expire_at` wins over `exp`.
///
/// The first moment of `exp` is too late already (RFC 7519, 4.1.4), without leeway: clocks are the
/// operator's affair, and a client with an expired token just brings a new one. An `expire_at` in the
/// past opens nothing, either.
fn expiry(registered: &Registered, expire_at: Option<i64>, now_unix_s: i64) -> Result<Option<i64>, TokenError> {
    let passed = |moment: Option<i64>| moment.is_some_and(|moment| now_unix_s >= moment);
    let end = match expire_at {
        Some(0) => None,
        Some(moment) => Some(moment),
        None => registered.exp,
    };
    let too_early = registered.nbf.is_some_and(|moment| now_unix_s < moment);
    if too_early || passed(registered.exp) || passed(end) { Err(TokenError::Expired) } else { Ok(end) }
}

impl From<ClaimsError> for TokenError {
    fn from(error: ClaimsError) -> Self {
        Self::Invalid(Refusal::Claims(error))
    }
}
