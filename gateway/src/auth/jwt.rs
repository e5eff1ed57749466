//! A signed token's way to its payload (RFC 7515, compact form).
//!
//! The signature is [`Key`](super::Key)'s affair. Splitting, header and claims are read here and in
//! [`fanfare_proto::claims`], so that no default of a library decides whether a token is good: such libraries read the
//! machine's clock, and pass over claims of types that they do not expect unless told otherwise.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fanfare_proto::claims::Registered;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::key::{Header, KeyError, KeySource};
use super::{Refusal, TokenError};
use crate::config::section::TokenConfig;
use crate::config::section::auth::Algorithm;

/// The longest token, in bytes: what fits into the largest message by default. Longer ones cost no
/// cryptography.
pub const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// Verifies tokens of one kind.
#[derive(Debug)]
pub(super) struct Verifier {
    keys: Option<Arc<dyn KeySource>>,
    algorithms: Vec<Algorithm>,
    audience: Option<String>,
    issuer: Option<String>,
}

impl Verifier {
    pub(super) fn new(config: &TokenConfig, keys: Option<Arc<dyn KeySource>>) -> Self {
        Self {
            keys,
            algorithms: config.algorithms.clone(),
            audience: config.audience.clone(),
            issuer: config.issuer.clone(),
        }
    }

    pub(super) fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// The payload of a token with a good signature. Nothing in it was looked at.
    pub(super) async fn payload(&self, token: &str) -> Result<Vec<u8>, TokenError> {
        let keys = self.keys.as_ref().ok_or(TokenError::NotConfigured)?;
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::TooLong.into());
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(Refusal::Malformed)?;
        let header = self.header(header)?;
        let key = keys.key(&header).await.map_err(|error| match error {
            KeyError::Unknown => TokenError::Invalid(Refusal::Key),
            KeyError::Unavailable => TokenError::Unavailable,
        })?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refusal::Signature)?;
        if !key.verifies(message.as_bytes(), &signature, header.algorithm) {
            return Err(Refusal::Signature.into());
        }
        Ok(URL_SAFE_NO_PAD.decode(payload).map_err(|_| Refusal::Malformed)?)
    }

    /// Checks `aud` and `iss`, where configured.
    pub(super) fn check_origin(&self, registered: &Registered) -> Result<(), Refusal> {
        if self.audience.as_ref().is_some_and(|audience| !registered.aud.contains(audience)) {
            return Err(Refusal::Audience);
        }
        if self.issuer.is_some() && self.issuer != registered.iss {
            return Err(Refusal::Issuer);
        }
        Ok(())
    }

    fn header(&self, encoded: &str) -> Result<Header, Refusal> {
        let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| Refusal::Malformed)?;
        // serde would read an array as the struct's fields in order.
        if json.first() != Some(&b'{') {
            return Err(Refusal::Malformed);
        }
        let raw: RawHeader = serde_json::from_slice(&json).map_err(|_| Refusal::Malformed)?;
        let algorithm = Algorithm::named(&raw.alg).filter(|algorithm| self.algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or(Refusal::Algorithm)?;
        if raw.crit.is_some() { Err(Refusal::Critical) } else { Ok(Header { algorithm, kid: raw.kid }) }
    }
}

#[derive(Deserialize)]
struct RawHeader {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}
