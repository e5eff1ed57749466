//! Where verification keys come from. The seam for keys that change while we run (JWKS): a source is
//! asked for each token and may take its time.

use std::fmt;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt, ready};

use super::verify::Key;
use crate::config::section::TokenConfig;
use crate::config::section::auth::Algorithm;

/// What an unverified token says of its own signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Allowed by the configuration, or the key source is not asked.
    pub algorithm: Algorithm,
    /// The name of the key, if it has one.
    pub kid: Option<String>,
}

/// Gives the key for a token.
pub trait KeySource: fmt::Debug + Send + Sync + 'static {
    /// The key that a token with this header must be signed with. A key of another family than the
    /// header's algorithm verifies nothing.
    ///
    /// # Errors
    /// See [`KeyError`].
    fn key<'a>(&'a self, header: &'a Header) -> BoxFuture<'a, Result<Key, KeyError>>;
}

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is none of this name, for good.
    #[error("no such key")]
    Unknown,
    /// It could not be fetched. Temporary.
    #[error("the key cannot be had at the moment")]
    Unavailable,
}

/// The keys that a configuration section holds, if any. An empty secret is none: everyone knows it.
pub(super) fn configured(config: &TokenConfig) -> Option<Arc<dyn KeySource>> {
    let secret = config.hmac_secret.as_ref().filter(|secret| !secret.expose().is_empty())?;
    Some(Arc::new(SharedSecret(Key::hmac(secret))))
}

/// One secret for every token.
#[derive(Debug)]
struct SharedSecret(Key);

impl KeySource for SharedSecret {
    fn key<'a>(&'a self, _header: &'a Header) -> BoxFuture<'a, Result<Key, KeyError>> {
        ready(Ok(self.0.clone())).boxed()
    }
}

/// Our algorithm of this JOSE name; none for all others, `none` among them.
pub(super) fn named(name: &str) -> Option<Algorithm> {
    match name {
        "HS256" => Some(Algorithm::Hs256),
        "HS384" => Some(Algorithm::Hs384),
        "HS512" => Some(Algorithm::Hs512),
        "RS256" => Some(Algorithm::Rs256),
        "RS384" => Some(Algorithm::Rs384),
        "RS512" => Some(Algorithm::Rs512),
        "PS256" => Some(Algorithm::Ps256),
        "PS384" => Some(Algorithm::Ps384),
        "PS512" => Some(Algorithm::Ps512),
        "ES256" => Some(Algorithm::Es256),
        "ES384" => Some(Algorithm::Es384),
        "ES512" => Some(Algorithm::Es512),
        // RFC 9864 calls it by its curve, the only one of EdDSA's that is taken.
        "EdDSA" | "Ed25519" => Some(Algorithm::EdDsa),
        _ => None,
    }
}
