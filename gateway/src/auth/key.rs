//! Where verification keys come from. The seam for keys that change while we run (JWKS): a source is
//! asked for each token and may take its time.

use std::fmt;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt, ready};
use jsonwebtoken::DecodingKey;

use crate::config::secret::Secret;
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

/// A key that verifies signatures. Cloning shares it; `Debug` does not show it.
#[derive(Clone)]
pub struct Key(Arc<DecodingKey>);

impl Key {
    /// A shared secret, for the HS algorithms.
    #[must_use]
    pub fn hmac(secret: &Secret) -> Self {
        Self(Arc::new(DecodingKey::from_secret(secret.expose().as_bytes())))
    }

    /// Whether `signature` (base64url) is this key's for `message`. Takes the same time wherever the
    /// first difference is.
    pub(super) fn verifies(&self, message: &str, signature: &str, algorithm: Algorithm) -> bool {
        // Errors are signatures that are no base64url and keys of another family.
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.0, jose(algorithm)).unwrap_or(false)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
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
        _ => None,
    }
}

fn jose(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
        Algorithm::Hs384 => jsonwebtoken::Algorithm::HS384,
        Algorithm::Hs512 => jsonwebtoken::Algorithm::HS512,
    }
}
