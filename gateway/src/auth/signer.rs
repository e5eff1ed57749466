//! An issuer's side, for tests: key pairs, what is published of them, and signatures by them.

use aws_lc_rs::encoding::{AsBigEndian, EcPublicKeyUncompressedBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::config::section::auth::{Algorithm, Family};

/// A key pair.
pub(super) enum Signer {
    Rsa(Box<RsaKeyPair>),
    Ec(Family, EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
}

impl Signer {
    pub(super) const CURVES: [Family; 3] = [Family::P256, Family::P384, Family::P521];

    pub(super) fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    pub(super) fn ec(curve: Family) -> Self {
        let algorithm = match curve {
            Family::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Family::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            _ => &ECDSA_P521_SHA512_FIXED_SIGNING,
        };
        Self::Ec(curve, EcdsaKeyPair::generate(algorithm).unwrap())
    }

    pub(super) fn edwards() -> Self {
        Self::Edwards(Ed25519KeyPair::generate().unwrap())
    }

    /// One of each kind.
    pub(super) fn all() -> Vec<Self> {
        Self::CURVES.map(Self::ec).into_iter().chain([Self::rsa(), Self::edwards()]).collect()
    }

    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let family = match self {
            Self::Rsa(_) => Family::Rsa,
            Self::Ec(curve, _) => *curve,
            Self::Edwards(_) => Family::Ed25519,
        };
        family.algorithms().collect()
    }

    /// The public half, as published.
    pub(super) fn jwk(&self, kid: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa(pair) => {
                let public = pair.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
                json!({"kty": "RSA", "kid": kid, "n": text(n), "e": text(e)})
            }
            Self::Ec(curve, pair) => {
                let point: EcPublicKeyUncompressedBin<'_> = pair.public_key().as_be_bytes().unwrap();
                let (x, y) = point.as_ref()[1..].split_at(point.as_ref().len() / 2);
                let curve = match curve {
                    Family::P256 => "P-256",
                    Family::P384 => "P-384",
                    _ => "P-521",
                };
                json!({"kty": "EC", "crv": curve, "kid": kid, "x": text(x), "y": text(y)})
            }
            Self::Edwards(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": text(pair.public_key().as_ref())})
            }
        }
    }

    /// The signature, as it is before base64url.
    pub(super) fn sign(&self, message: &str, algorithm: Algorithm) -> Vec<u8> {
        let (random, message) = (SystemRandom::new(), message.as_bytes());
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(rsa_encoding(algorithm), &random, message, &mut signature).unwrap();
                signature
            }
            Self::Ec(_, pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Edwards(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

fn rsa_encoding(algorithm: Algorithm) -> &'static dyn RsaEncoding {
    match algorithm {
        Algorithm::Rs256 => &RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &RSA_PSS_SHA256,
        Algorithm::Ps384 => &RSA_PSS_SHA384,
        Algorithm::Ps512 => &RSA_PSS_SHA512,
        other => panic!("{other:?} is not RSA's"),
    }
}
