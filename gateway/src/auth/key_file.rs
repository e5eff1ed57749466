//! Files with public keys, as `public_keys` names them: PEM, or JSON with a key or a key set.

use std::fs::File;
use std::io::Read;

use super::jwk::{self, JwkError, NamedKey};
use super::key::{Key, KeyFault};
use crate::config::section::auth::{Algorithm, KeyFile};

/// Largest file that is read: keys are small; a mistaken path may not be.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why a file gives no keys. The operator's fault. Goes on after the file's name.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileFault {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("is larger than 1MiB: is it the right file?")]
    TooLarge,
    #[error("holds no key: write one in PEM (-----BEGIN PUBLIC KEY-----), or a JWK or a JWK set in JSON")]
    Nothing,
    #[error("holds a private key, which only those may have who make tokens: write `openssl pkey -pubout` of it")]
    Private,
    #[error("holds a shared secret, which is no public key: set hmac_secret instead")]
    Secret,
    #[error("holds a certificate: write `openssl x509 -pubkey -noout` of it")]
    Certificate,
    #[error("holds {0} keys, but has one name for them: take a file for each")]
    OneNameForMany(usize),
    #[error("holds a key that {0}")]
    Key(#[from] KeyFault),
    #[error("holds a JWK that cannot be used: {0}")]
    Jwk(#[from] JwkError),
}

/// All keys of a file, at least one.
pub(super) fn read(file: &KeyFile) -> Result<Vec<NamedKey>, FileFault> {
    let mut bytes = Vec::new();
    let length = File::open(&file.path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if length as u64 > FILE_BYTES_MAX {
        return Err(FileFault::TooLarge);
    }
    let is_json = bytes.trim_ascii_start().first() == Some(&b'{');
    let mut keys = if is_json { from_json(&bytes)? } else { from_pem(&bytes)? };
    if keys.iter().any(|named| named.key.takes(Algorithm::Hs256)) {
        return Err(FileFault::Secret);
    }
    match (keys.as_mut_slice(), &file.kid) {
        ([], _) => return Err(FileFault::Nothing),
        (_, None) => {}
        ([only], Some(kid)) => only.kid = Some(kid.clone()),
        (many, Some(_)) => return Err(FileFault::OneNameForMany(many.len())),
    }
    Ok(keys)
}

/// A key, or a set of them. Whoever writes a file means each key of it, so a bad one is not passed over
/// as in a set of the web; but for those that are there for encryption.
fn from_json(text: &[u8]) -> Result<Vec<NamedKey>, FileFault> {
    let set = match jwk::parse_set(text) {
        Err(JwkError::SetShape) => return Ok(vec![jwk::parse_key(text)?]),
        set => set?,
    };
    match set.skipped.into_iter().find(|fault| *fault != JwkError::Use) {
        Some(fault) => Err(fault.into()),
        None => Ok(set.keys),
    }
}

fn from_pem(text: &[u8]) -> Result<Vec<NamedKey>, FileFault> {
    let blocks = pem::parse_many(text).map_err(|_| FileFault::Nothing)?;
    let key = |block: &pem::Pem| match block.tag() {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => Ok(NamedKey { kid: None, key: Key::from_der(block.contents())? }),
        tag if tag.ends_with("PRIVATE KEY") => Err(FileFault::Private),
        "CERTIFICATE" => Err(FileFault::Certificate),
        _ => Err(FileFault::Nothing),
    };
    blocks.iter().map(key).collect()
}
