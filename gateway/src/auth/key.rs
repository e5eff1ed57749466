//! Keys that verify signatures. The cryptography is AWS-LC's, called without a layer between: which
//! algorithm a key is for is decided here, when the key is made, and never by a token.
//!
//! [`KeySource`] is the seam for keys that change while we run (JWKS): a source is asked for each token
//! and may take its time. Must not know claims.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::rsa::{PublicKey, PublicKeyComponents};
use aws_lc_rs::signature::{self as lc, ParsedPublicKey, RsaParameters, VerificationAlgorithm};
use futures_util::future::BoxFuture;

use crate::config::secret::Secret;
use crate::config::section::auth::{Algorithm, Family};

/// Shorter moduli can be factored (RFC 7518, 3.3); longer ones cost more time than tokens may.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The largest public exponent that there is in use has 17 bits; AWS-LC takes up to 33.
const RSA_EXPONENT_BYTES_MAX: usize = 4;

/// How many keys are tried for one token that names none.
pub const KEYS_TRIED_MAX: usize = 8;

/// The byte before an uncompressed point (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// What verifies signatures: one key, or several of which any will do. Each is tied to its algorithms,
/// those of its kind or fewer, and verifies nothing else. Cloning shares it; `Debug` does not show it.
#[derive(Clone)]
pub struct Key(Arc<[Verifying]>);

#[derive(Clone)]
struct Verifying {
    algorithm: Algorithm,
    material: Material,
}

#[derive(Clone)]
enum Material {
    /// Apart, because it holds the state of a digest: ten times what a public key takes here.
    Secret(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

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
    /// The key that a token with this header must be signed with, or all that it may be signed with
    /// ([`Key::any_of`]) if it names none. A key of another family than the header's algorithm verifies
    /// nothing.
    ///
    /// # Errors
    /// See [`KeyError`].
    fn key<'a>(&'a self, header: &'a Header) -> BoxFuture<'a, Result<Key, KeyError>>;

    /// Why keys cannot be fetched, in words for the operator; none if they can, or need not be.
    fn trouble(&self) -> Option<String> {
        None
    }
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

/// Why there is no key in what should be one. The operator's fault, or the issuer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Too weak, or too slow.
    #[error("has an RSA modulus of {0} bits: take a key of 2048 to 8192 bits")]
    RsaBits(usize),
    /// With an exponent of 1 everybody can sign; an even one belongs to no key.
    #[error("has an RSA exponent that no good key has: make another key, with the usual exponent 65537")]
    RsaExponent,
    /// The coordinates are not those of a point of its curve.
    #[error("is no point of its curve: export it again")]
    Point,
    /// None of the kinds that we know, or not a key at all.
    #[error("is neither an RSA key nor one of P-256, P-384, P-521 or Ed25519")]
    Kind,
}

impl Key {
    /// A shared secret, for the HS algorithms.
    #[must_use]
    pub fn hmac(secret: &Secret) -> Self {
        Self::shared(secret.expose().as_bytes())
    }

    /// A shared secret of any bytes, for the HS algorithms.
    #[must_use]
    pub fn shared(secret: &[u8]) -> Self {
        let verifying = |(algorithm, digest)| Verifying {
            algorithm,
            material: Material::Secret(Box::new(hmac::Key::new(digest, secret))),
        };
        let algorithms = [
            (Algorithm::Hs256, hmac::HMAC_SHA256),
            (Algorithm::Hs384, hmac::HMAC_SHA384),
            (Algorithm::Hs512, hmac::HMAC_SHA512),
        ];
        Self(algorithms.into_iter().map(verifying).collect())
    }

    /// An RSA key, for the RS and PS algorithms: modulus and exponent, big-endian.
    ///
    /// # Errors
    /// When it is too small, too large, or has an exponent that makes it no key.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyFault> {
        let (n, e) = (without_zeros(modulus), without_zeros(exponent));
        let bits = bits(n);
        if !RSA_BITS.contains(&bits) {
            return Err(KeyFault::RsaBits(bits));
        }
        let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
        if !odd(e) || e == [1] || e.len() > RSA_EXPONENT_BYTES_MAX {
            return Err(KeyFault::RsaExponent);
        }
        if !odd(n) {
            return Err(KeyFault::Kind);
        }
        let verifying = |(algorithm, parameters): (_, &'static RsaParameters)| {
            let parsed = PublicKeyComponents { n, e }.to_parsed_public_key(parameters).map_err(|_| KeyFault::Kind)?;
            Ok(Verifying { algorithm, material: Material::Public(parsed) })
        };
        let algorithms: [(_, &'static RsaParameters); 6] = [
            (Algorithm::Rs256, &lc::RSA_PKCS1_2048_8192_SHA256),
            (Algorithm::Rs384, &lc::RSA_PKCS1_2048_8192_SHA384),
            (Algorithm::Rs512, &lc::RSA_PKCS1_2048_8192_SHA512),
            (Algorithm::Ps256, &lc::RSA_PSS_2048_8192_SHA256),
            (Algorithm::Ps384, &lc::RSA_PSS_2048_8192_SHA384),
            (Algorithm::Ps512, &lc::RSA_PSS_2048_8192_SHA512),
        ];
        Ok(Self(algorithms.into_iter().map(verifying).collect::<Result<_, _>>()?))
    }

    /// A point of P-256, P-384 or P-521, for the ES algorithm of the curve: both coordinates,
    /// big-endian, at their full length.
    ///
    /// # Errors
    /// When it is no point of the curve, or the family has no such points.
    pub fn ec(curve: Family, x: &[u8], y: &[u8]) -> Result<Self, KeyFault> {
        let (algorithm, length) = match curve {
            Family::P256 => (Algorithm::Es256, 32),
            Family::P384 => (Algorithm::Es384, 48),
            Family::P521 => (Algorithm::Es512, 66),
            Family::Hmac | Family::Rsa | Family::Ed25519 => return Err(KeyFault::Kind),
        };
        if x.len() != length || y.len() != length {
            return Err(KeyFault::Point);
        }
        let point = [&[UNCOMPRESSED], x, y].concat();
        Self::single(algorithm, &point).ok_or(KeyFault::Point)
    }

    /// A point of Ed25519, for `EdDSA`: 32 bytes.
    ///
    /// # Errors
    /// When it is no point.
    pub fn ed25519(x: &[u8]) -> Result<Self, KeyFault> {
        // The library would take a longer one for a whole SubjectPublicKeyInfo.
        if x.len() != 32 {
            return Err(KeyFault::Point);
        }
        Self::single(Algorithm::EdDsa, x).ok_or(KeyFault::Point)
    }

    /// A public key of any kind as a `SubjectPublicKeyInfo` (RFC 5280, 4.1), or an RSA key as an
    /// `RSAPublicKey` (RFC 8017, A.1.1).
    ///
    /// # Errors
    /// When it is neither, or no good key.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyFault> {
        if let Ok(key) = PublicKey::from_der(der) {
            let (n, e) = (key.modulus(), key.exponent());
            return Self::rsa(n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
        }
        let others = [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512, Algorithm::EdDsa];
        others.into_iter().find_map(|algorithm| Self::single(algorithm, der)).ok_or(KeyFault::Kind)
    }

    /// Several keys, of which any will do; of each algorithm the first [`KEYS_TRIED_MAX`].
    #[must_use]
    pub fn any_of<'a>(keys: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut taken: Vec<Verifying> = Vec::new();
        for each in keys.into_iter().flat_map(|key| key.0.iter()) {
            if taken.iter().filter(|other| other.algorithm == each.algorithm).count() < KEYS_TRIED_MAX {
                taken.push(each.clone());
            }
        }
        Self(taken.into())
    }

    /// The same key, for this algorithm alone; none if it is of another kind.
    #[must_use]
    pub fn only(&self, algorithm: Algorithm) -> Option<Self> {
        self.takes(algorithm).then(|| Self(self.0.iter().filter(|each| each.algorithm == algorithm).cloned().collect()))
    }

    /// Whether it verifies signatures of this algorithm.
    #[must_use]
    pub fn takes(&self, algorithm: Algorithm) -> bool {
        self.algorithms().any(|each| each == algorithm)
    }

    /// What it verifies.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> + '_ {
        self.0.iter().map(|each| each.algorithm)
    }

    /// Whether the signature is this key's for the message. Of a shared secret's it takes the same time
    /// wherever the first difference is.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8], algorithm: Algorithm) -> bool {
        let good = |material: &Material| match material {
            Material::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            Material::Public(key) => key.verify_sig(message, signature).is_ok(),
        };
        self.0.iter().filter(|each| each.algorithm == algorithm).any(|each| good(&each.material))
    }

    fn single(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        let parameters: &'static dyn VerificationAlgorithm = match algorithm {
            Algorithm::Es256 => &lc::ECDSA_P256_SHA256_FIXED,
            Algorithm::Es384 => &lc::ECDSA_P384_SHA384_FIXED,
            Algorithm::Es512 => &lc::ECDSA_P521_SHA512_FIXED,
            Algorithm::EdDsa => &lc::ED25519,
            _ => return None,
        };
        let parsed = ParsedPublicKey::new(parameters, bytes).ok()?;
        Some(Self(Arc::from([Verifying { algorithm, material: Material::Public(parsed) }])))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    &number[number.iter().take_while(|byte| **byte == 0).count()..]
}

/// How long a number without leading zeros is.
fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}
