//! JSON Web Keys and sets of them (RFC 7517) to keys. Pure. What a key says of its use is obeyed; what it says of
//! certificates (`x5c`, `x5u`) is passed over: whoever gave us the key vouches for it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::key::{Key, KeyFault};
use crate::config::section::auth::{Algorithm, Family};

/// Keys of one set. Issuers have a handful, and a few more while they rotate; reading thousands would hold up
/// others.
pub(crate) const KEYS_MAX: usize = 256;
/// Shorter secrets can be guessed offline from one token (RFC 7518, 3.2).
const SECRET_BYTES_MIN: usize = 32;

/// A key and what it is called.
#[derive(Clone, Debug)]
pub(crate) struct NamedKey {
    /// Tokens name it in their header. Need not be unique: keys of different kinds may share it.
    pub(crate) kid: Option<String>,
    pub(crate) key: Key,
}

/// The keys of a set.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeySet {
    /// Those that verify signatures, in the order of the set.
    pub(crate) keys: Vec<NamedKey>,
    /// What was wrong with the others. Not always wrong: keys for encryption are among them.
    pub(crate) skipped: Vec<JwkError>,
}

/// Why it is no key of ours. Repeats nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JwkError {
    #[error("it is not a JSON object with the members of a key (RFC 7517)")]
    Shape,
    #[error("it is not a JSON object with a list `keys` (RFC 7517, 5)")]
    SetShape,
    #[error("the set has {0} keys: at most {KEYS_MAX} are read")]
    TooMany(usize),
    #[error("its `kty` is none of RSA, EC, OKP, oct")]
    Kind,
    #[error("its `crv` is none that is taken: P-256, P-384, P-521, Ed25519")]
    Curve,
    #[error("its `{0}` is missing or not base64url")]
    Member(&'static str),
    #[error("it has private parts (`d`): publish and configure public keys only, and replace this one")]
    Private,
    #[error("its `use` is not \"sig\"")]
    Use,
    #[error("its `key_ops` do not have \"verify\"")]
    Operations,
    #[error("its `alg` is not one that a key of its kind can verify")]
    Algorithm,
    #[error("its secret has {0} bytes and can be guessed: take {SECRET_BYTES_MIN} random ones or more")]
    Secret(usize),
    #[error("it {0}")]
    Fault(#[from] KeyFault),
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
    d: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct RawSet<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// Reads one key.
///
/// # Errors
/// If it cannot be used for verifying signatures: see [`JwkError`].
pub(crate) fn parse_key(json: &[u8]) -> Result<NamedKey, JwkError> {
    let raw: RawKey = object(json).ok_or(JwkError::Shape)?;
    if raw.d.is_some() {
        return Err(JwkError::Private);
    }
    if raw.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
        return Err(JwkError::Use);
    }
    if raw.key_ops.as_ref().is_some_and(|operations| !operations.iter().any(|operation| operation == "verify")) {
        return Err(JwkError::Operations);
    }
    let mut key = raw.key()?;
    if let Some(name) = &raw.alg {
        // RFC 9864 calls EdDSA by its curve.
        let name = if name == "Ed25519" { Algorithm::EdDsa.name() } else { name };
        key = Algorithm::named(name).and_then(|algorithm| key.only(algorithm)).ok_or(JwkError::Algorithm)?;
    }
    Ok(NamedKey { kid: raw.kid, key })
}

/// Reads a set. Keys that cannot be used are left out: a set is for many, and some of its keys may be for encryption.
///
/// # Errors
/// If it is no set, or too large a one.
pub(crate) fn parse_set(json: &[u8]) -> Result<KeySet, JwkError> {
    let raw: RawSet<'_> = object(json).ok_or(JwkError::SetShape)?;
    if raw.keys.len() > KEYS_MAX {
        return Err(JwkError::TooMany(raw.keys.len()));
    }
    let mut set = KeySet::default();
    for key in raw.keys {
        match parse_key(key.get().as_bytes()) {
            Ok(key) => set.keys.push(key),
            Err(error) => set.skipped.push(error),
        }
    }
    Ok(set)
}

impl RawKey {
    fn key(&self) -> Result<Key, JwkError> {
        match self.kty.as_str() {
            "RSA" => Ok(Key::rsa(&bytes("n", self.n.as_ref())?, &bytes("e", self.e.as_ref())?)?),
            "EC" => {
                let (curve, length) = match self.crv.as_deref() {
                    Some("P-256") => (Family::P256, 32),
                    Some("P-384") => (Family::P384, 48),
                    Some("P-521") => (Family::P521, 66),
                    _ => return Err(JwkError::Curve),
                };
                let coordinate = |member, text| bytes(member, text).map(|bytes| with_zeros(&bytes, length));
                Ok(Key::ec(curve, &coordinate("x", self.x.as_ref())?, &coordinate("y", self.y.as_ref())?)?)
            }
            "OKP" if self.crv.as_deref() == Some("Ed25519") => Ok(Key::ed25519(&bytes("x", self.x.as_ref())?)?),
            "OKP" => Err(JwkError::Curve),
            "oct" => {
                let secret = bytes("k", self.k.as_ref())?;
                if secret.len() < SECRET_BYTES_MIN {
                    Err(JwkError::Secret(secret.len()))
                } else {
                    Ok(Key::shared(&secret))
                }
            }
            _ => Err(JwkError::Kind),
        }
    }
}

/// A JSON object as a struct. serde alone would take an array of its fields in order, too.
fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    let json = json.trim_ascii_start();
    if json.first() == Some(&b'{') { serde_json::from_slice(json).ok() } else { None }
}

/// A coordinate at its curve's length. Some libraries leave its leading zeros out, against RFC 7518, 6.2.1.2; of P-521
/// that is every other one.
fn with_zeros(number: &[u8], length: usize) -> Vec<u8> {
    [&vec![0; length.saturating_sub(number.len())], number].concat()
}

fn bytes(member: &'static str, text: Option<&String>) -> Result<Vec<u8>, JwkError> {
    text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or(JwkError::Member(member))
}

#[cfg(test)]
mod tests;
