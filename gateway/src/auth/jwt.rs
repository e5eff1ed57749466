//! The shape of a signed token (RFC 7515, compact form): three parts, of which the first says how it
//! is signed. What is read here is read from a stranger: nothing is verified yet.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::Refusal;

/// The longest token, in bytes: what fits into the largest message by default. Longer ones cost no
/// cryptography.
pub const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// A token, taken apart.
#[derive(Debug)]
pub(super) struct Jwt<'a> {
    /// What is signed: header and payload as they came.
    pub(super) message: &'a [u8],
    /// The name of the algorithm, known or not.
    pub(super) algorithm: String,
    /// The name of the key, if it has one.
    pub(super) kid: Option<String>,
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl<'a> Jwt<'a> {
    /// Takes a token apart. Header fields that would make us fetch or trust what the token brings along
    /// (`jku`, `x5u`, `jwk`, `x5c`) are not even read.
    pub(super) fn parse(token: &'a str) -> Result<Self, Refusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(Refusal::Malformed)?;
        // Strict: no padding, no other alphabet, no white space, no stray bits; so a fourth dot, too.
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed);
        let header = RawHeader::read(&decode(header)?)?;
        Ok(Self {
            message: message.as_bytes(),
            algorithm: header.alg,
            kid: header.kid,
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }
}

#[derive(Deserialize)]
struct RawHeader {
    alg: String,
    #[serde(default, deserialize_with = "present")]
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    b64: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    zip: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    enc: Option<IgnoredAny>,
}

/// For fields that may be missing but not `null`.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl RawHeader {
    fn read(json: &[u8]) -> Result<Self, Refusal> {
        // serde would read an array as the struct's fields in order.
        if json.first() != Some(&b'{') {
            return Err(Refusal::Malformed);
        }
        let header: Self = serde_json::from_slice(json).map_err(|_| Refusal::Malformed)?;
        // Each of these says that the payload is not simply the second part.
        let changes_the_payload = header.b64 == Some(false) || header.zip.is_some() || header.enc.is_some();
        if header.crit.is_some() || changes_the_payload { Err(Refusal::Critical) } else { Ok(header) }
    }
}
