//! Who a client is: tokens in, identities out.
//!
//! A token passes three gates, cheapest first: its shape and size ([`jwt`]), its signature under a key
//! that the configuration names for its issuer ([`key`]), and its claims, which
//! [`fanfare_proto::claims`] reads and [`connect`] and [`subscribe`] hold against the clock. What comes
//! out is made of neutral nouns.
//!
//! This module must not know sessions, wires or channel rules: what a refusal means for the client is
//! decided by whoever asked.

pub mod connect;
pub mod explain;
mod issuer;
pub(crate) mod jwk;
pub mod jwks;
pub mod jwt;
pub mod key;
mod key_file;
mod key_ring;
pub mod mint;
#[cfg(test)]
mod signer;
mod sources;
pub mod subscribe;

use std::collections::HashMap;
use std::sync::Arc;

use fanfare_proto::claims::{self, ClaimsError};

use crate::config::section::AuthConfig;
use crate::model::Overrides;

pub use connect::ConnectionToken;
pub use key::{Header, Key, KeyError, KeyFault, KeySource};
pub use sources::KeySets;
pub use subscribe::SubscriptionToken;

use issuer::{Issuer, Secrets};
use jwt::Jwt;

/// Verifies tokens. Cheap to share.
#[derive(Debug)]
pub struct Auth {
    connection: Issuer,
    subscription: Issuer,
    /// By the `iss` of their tokens.
    issuers: HashMap<String, Issuer>,
}

/// What is wrong with configured keys. The operator's fault; holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {text}")]
pub struct KeyProblem {
    /// The key of the configuration.
    pub path: String,
    /// What is wrong, and the fix.
    pub text: String,
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
    /// Not three parts of strict, unpadded base64url with dots between, or the first is no JOSE header.
    #[error("not a JWT")]
    Malformed,
    /// An algorithm that the configuration does not name; `none` above all.
    #[error("an algorithm that is not allowed")]
    Algorithm,
    /// It demands an extension (`crit`), or is packed in another way (`b64`, `zip`, `enc`); we have none.
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
    /// `iss` is nobody whom the configuration knows.
    #[error("from another issuer")]
    Issuer,
    /// A claim names a channel that cannot exist.
    #[error("not a channel name in a claim")]
    Channel,
}

impl Auth {
    /// Takes the keys that the configuration holds and reads the files that it names. Without keys of
    /// their own, subscription tokens are verified like connection tokens. Key sets on the web are not
    /// fetched: their tokens are told that the key cannot be had.
    ///
    /// # Errors
    /// The first key that is no good, with the fix.
    pub fn new(config: &AuthConfig) -> Result<Self, KeyProblem> {
        Self::with_key_sets(config, &sources::offline)
    }

    /// The same with key sets on the web.
    ///
    /// # Errors
    /// As for [`Auth::new`], and those of `key_sets`.
    pub fn with_key_sets(config: &AuthConfig, key_sets: &KeySets<'_>) -> Result<Self, KeyProblem> {
        let (path, subscription) = if config.subscription_token.has_keys() {
            ("auth.subscription_token", &config.subscription_token)
        } else {
            ("auth.token", &config.token)
        };
        let mut issuers = HashMap::with_capacity(config.issuers.len());
        for each in &config.issuers {
            let issuer = sources::issuer(&format!("auth.issuer {:?}", each.name), &each.token, key_sets)?;
            issuers.insert(each.token.issuer.clone().unwrap_or_default(), issuer);
        }
        Ok(Self {
            connection: sources::issuer("auth.token", &config.token, key_sets)?,
            subscription: sources::issuer(path, subscription, key_sets)?,
            issuers,
        })
    }

    /// Takes keys from elsewhere; the rest from the configuration.
    #[must_use]
    pub fn with_keys(config: &AuthConfig, connection: Arc<dyn KeySource>, subscription: Arc<dyn KeySource>) -> Self {
        let issuer =
            |path: &str, config, source| Issuer::new(path.to_owned(), config, Secrets::default(), vec![source]);
        Self {
            connection: issuer("auth.token", &config.token, connection),
            subscription: issuer("auth.subscription_token", &config.subscription_token, subscription),
            issuers: HashMap::new(),
        }
    }

    /// Whether a connection token can be good at all.
    #[must_use]
    pub fn has_connection_keys(&self) -> bool {
        self.connection.has_keys() || !self.issuers.is_empty()
    }

    /// Verifies a connection token at the given moment (seconds since 1970).
    ///
    /// # Errors
    /// See [`TokenError`].
    ///
    /// # Cancel safety
    /// Safe: nothing is kept between calls.
    pub async fn verify_connection(&self, token: &str, now_unix_s: i64) -> Result<ConnectionToken, TokenError> {
        let (issuer, token) = self.verified(&self.connection, token, now_unix_s).await?;
        connect::read(issuer, &token.payload, now_unix_s)
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
        let (issuer, token) = self.verified(&self.subscription, token, now_unix_s).await?;
        subscribe::read(issuer, &token.payload, now_unix_s)
    }

    /// A token with a good signature, and whose it is.
    async fn verified<'a, 't>(
        &'a self,
        own: &'a Issuer,
        token: &'t str,
        now_unix_s: i64,
    ) -> Result<(&'a Issuer, Jwt<'t>), TokenError> {
        if !own.has_keys() && self.issuers.is_empty() {
            return Err(TokenError::NotConfigured);
        }
        let token = Jwt::parse(token)?;
        let issuer = self.issuer(own, &token)?;
        issuer.verify(&token, now_unix_s).await?;
        Ok((issuer, token))
    }

    /// Whose keys the token must be signed with. Its `iss` is not verified yet: it chooses among those
    /// whom the configuration knows, and that is all that is ever made of it.
    fn issuer<'a>(&'a self, own: &'a Issuer, token: &Jwt<'_>) -> Result<&'a Issuer, TokenError> {
        if self.issuers.is_empty() {
            return Ok(own);
        }
        let named = claims::issuer(&token.payload)?;
        match named.and_then(|name| self.issuers.get(&name)) {
            Some(issuer) => Ok(issuer),
            None if own.has_keys() => Ok(own),
            None => Err(Refusal::Issuer.into()),
        }
    }
}

impl From<ClaimsError> for TokenError {
    fn from(error: ClaimsError) -> Self {
        Self::Invalid(Refusal::Claims(error))
    }
}

fn overrides(claimed: claims::Overrides) -> Overrides {
    let claims::Overrides { presence, join_leave, force_push_join_leave, force_recovery, force_positioning } = claimed;
    Overrides { presence, join_leave, force_push_join_leave, force_recovery, force_positioning }
}
