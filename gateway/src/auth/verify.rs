//! Holding a signature against a key. A key has a verifier for each algorithm that it may be used with, and none for
//! the others: that a public key is not taken for a shared secret, or an RSA key for an elliptic one, is a matter of
//! what is there and cannot be forgotten by whoever asks.
//!
//! Keys are read and held against the rules for their kind once, when they come; from then on a signature costs
//! its arithmetic only.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, EcdsaVerificationAlgorithm,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, RsaSubjectPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::secret::Secret;
use crate::config::section::auth::Algorithm;

/// Shorter moduli can be factored, longer ones make each token an attack (RFC 7518, 3.3, and what the library takes).
const RSA_BITS_MIN: usize = 2048;
const RSA_BITS_MAX: usize = 8192;
/// Beyond this an exponent only costs time.
const EXPONENT_BYTES_MAX: usize = 4;
/// An Ed25519 public key as it is (RFC 8032, 5.1.5).
const ED25519_BYTES: usize = 32;
/// The tag with which a DER-encoded structure begins.
const DER_SEQUENCE: u8 = 0x30;

const RSA: [(Algorithm, &RsaParameters); 6] = [
    (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::Rs512, &RSA_PKCS1_2048_8192_SHA512),
    (Algorithm::Ps256, &RSA_PSS_2048_8192_SHA256),
    (Algorithm::Ps384, &RSA_PSS_2048_8192_SHA384),
    (Algorithm::Ps512, &RSA_PSS_2048_8192_SHA512),
];

/// A key that verifies signatures. Cloning shares it; `Debug` does not show it.
#[derive(Clone)]
pub struct Key(Arc<[(Algorithm, Verifier)]>);

#[derive(Clone)]
enum Verifier {
    Secret(hmac::Key),
    Public(ParsedPublicKey),
}

/// A curve whose keys are taken (RFC 7518, 6.2.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

/// Why a key is not taken. Its owner's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// The modulus is too short to be safe or too long to be borne.
    #[error("it is an RSA key of {0} bits: {RSA_BITS_MIN} to {RSA_BITS_MAX} are taken")]
    RsaBits(usize),
    /// Such numbers are no RSA key.
    #[error("its modulus is even, or its exponent is even, 1 or over 32 bits: it is no RSA key")]
    RsaNumbers,
    /// The coordinates fit no point of the curve, or have another length than the curve's.
    #[error("it is not a point on its curve")]
    Point,
    /// Another kind of key.
    #[error("it is not an RSA, P-256, P-384, P-521 or Ed25519 public key")]
    Kind,
}

impl Curve {
    pub(crate) const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// The curve's one algorithm (RFC 7518, 3.4).
    fn algorithm(self) -> (Algorithm, &'static EcdsaVerificationAlgorithm) {
        match self {
            Self::P256 => (Algorithm::Es256, &ECDSA_P256_SHA256_FIXED),
            Self::P384 => (Algorithm::Es384, &ECDSA_P384_SHA384_FIXED),
            Self::P521 => (Algorithm::Es512, &ECDSA_P521_SHA512_FIXED),
        }
    }

    /// Bytes of a coordinate, leading zeros included.
    fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

impl Key {
    /// A shared secret, for the HS algorithms.
    #[must_use]
    pub fn hmac(secret: &Secret) -> Self {
        Self::shared(secret.expose().as_bytes())
    }

    /// A shared secret of any bytes, for the HS algorithms.
    pub(crate) fn shared(secret: &[u8]) -> Self {
        let verifiers = [
            (Algorithm::Hs256, hmac::HMAC_SHA256),
            (Algorithm::Hs384, hmac::HMAC_SHA384),
            (Algorithm::Hs512, hmac::HMAC_SHA512),
        ];
        Self(verifiers.map(|(algorithm, hash)| (algorithm, Verifier::Secret(hmac::Key::new(hash, secret)))).into())
    }

    /// An RSA key by its modulus and exponent, both big-endian; for the RS and PS algorithms.
    pub(crate) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyFault> {
        let (n, e) = (without_zeros(modulus), without_zeros(exponent));
        let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
        if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
            return Err(KeyFault::RsaBits(bits));
        }
        let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        if !odd(n) || !odd(e) || e == [1] || e.len() > EXPONENT_BYTES_MAX {
            return Err(KeyFault::RsaNumbers);
        }
        let parsed = RSA.map(|(algorithm, parameters)| {
            let key = RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters);
            Ok((algorithm, Verifier::Public(key.map_err(|_| KeyFault::RsaNumbers)?)))
        });
        Ok(Self(parsed.into_iter().collect::<Result<Vec<_>, KeyFault>>()?.into()))
    }

    /// A point on a curve by its coordinates, each of the curve's length; for the curve's ES algorithm.
    pub(crate) fn elliptic(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, KeyFault> {
        if [x, y].iter().any(|coordinate| coordinate.len() != curve.coordinate_bytes()) {
            return Err(KeyFault::Point);
        }
        // Uncompressed (SEC 1, 2.3.3). The library refuses points that are not on the curve.
        let point = [&[4], x, y].concat();
        let (algorithm, parameters) = curve.algorithm();
        let key = ParsedPublicKey::new(parameters, point).map_err(|_| KeyFault::Point)?;
        Ok(Self::public(algorithm, key))
    }

    /// An Ed25519 key, for `EdDSA`.
    pub(crate) fn ed25519(bytes: &[u8]) -> Result<Self, KeyFault> {
        let bytes = Some(bytes).filter(|bytes| bytes.len() == ED25519_BYTES).ok_or(KeyFault::Point)?;
        let key = ParsedPublicKey::new(&ED25519, bytes).map_err(|_| KeyFault::Point)?;
        Ok(Self::public(Algorithm::EdDsa, key))
    }

    /// What a PEM file holds, of any kind that is taken: a `SubjectPublicKeyInfo` ("PUBLIC KEY") or, for RSA, an
    /// `RSAPublicKey` ("RSA PUBLIC KEY"), in DER.
    ///
    /// # Errors
    /// See [`KeyFault`].
    pub fn der(der: &[u8]) -> Result<Self, KeyFault> {
        // The library would take a bare point, too.
        if der.first() != Some(&DER_SEQUENCE) {
            return Err(KeyFault::Kind);
        }
        if let Ok(key) = RsaSubjectPublicKey::from_der(der) {
            let (n, e) = (key.modulus(), key.exponent());
            return Self::rsa(n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
        }
        for (algorithm, parameters) in Curve::ALL.map(Curve::algorithm) {
            if let Ok(key) = ParsedPublicKey::new(parameters, der) {
                return Ok(Self::public(algorithm, key));
            }
        }
        let ed25519 = ParsedPublicKey::new(&ED25519, der).map_err(|_| KeyFault::Kind)?;
        Ok(Self::public(Algorithm::EdDsa, ed25519))
    }

    fn public(algorithm: Algorithm, key: ParsedPublicKey) -> Self {
        Self([(algorithm, Verifier::Public(key))].into())
    }

    /// The same key for one algorithm only; none if it could not be used with that.
    #[must_use]
    pub fn only(&self, algorithm: Algorithm) -> Option<Self> {
        let (_, verifier) = self.0.iter().find(|(own, _)| *own == algorithm)?;
        Some(Self([(algorithm, verifier.clone())].into()))
    }

    /// Whether it may be used with this algorithm.
    #[must_use]
    pub fn takes(&self, algorithm: Algorithm) -> bool {
        self.0.iter().any(|(own, _)| *own == algorithm)
    }

    /// The algorithms that it may be used with; never none.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.0.iter().map(|(algorithm, _)| *algorithm)
    }

    /// Whether who can verify with it can also sign.
    pub(crate) fn is_shared(&self) -> bool {
        self.0.iter().any(|(_, verifier)| matches!(verifier, Verifier::Secret(_)))
    }

    /// Whether `signature` (base64url) is this key's for `message`. With an algorithm of another family it is not. For
    /// secrets it takes the same time wherever the first difference is.
    pub(super) fn verifies(&self, message: &str, signature: &str, algorithm: Algorithm) -> bool {
        let Some((_, verifier)) = self.0.iter().find(|(own, _)| *own == algorithm) else { return false };
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        match verifier {
            Verifier::Secret(key) => hmac::verify(key, message.as_bytes(), &signature).is_ok(),
            Verifier::Public(key) => key.verify_sig(message.as_bytes(), &signature).is_ok(),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

/// A number as the library wants it. Some issuers write the sign's zero, too (RFC 7518, 6.3.1.1).
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
