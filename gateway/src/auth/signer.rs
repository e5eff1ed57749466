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

use super::verify::Curve;
use crate::config::section::auth::Algorithm;

/// A key pair.
pub(super) enum Signer {
    Rsa(Box<RsaKeyPair>),
    Elliptic(Curve, EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
}

impl Signer {
    pub(super) fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    pub(super) fn elliptic(curve: Curve) -> Self {
        let algorithm = match curve {
            Curve::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Curve::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            Curve::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
        };
        Self::Elliptic(curve, EcdsaKeyPair::generate(algorithm).unwrap())
    }

    pub(super) fn edwards() -> Self {
        Self::Edwards(Ed25519KeyPair::generate().unwrap())
    }

    /// One of each kind.
    pub(super) fn all() -> Vec<Self> {
        Curve::ALL.map(Self::elliptic).into_iter().chain([Self::rsa(), Self::edwards()]).collect()
    }

    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        use Algorithm::{EdDsa, Es256, Es384, Es512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match self {
            Self::Rsa(_) => vec![Rs256, Rs384, Rs512, Ps256, Ps384, Ps512],
            Self::Elliptic(Curve::P256, _) => vec![Es256],
            Self::Elliptic(Curve::P384, _) => vec![Es384],
            Self::Elliptic(Curve::P521, _) => vec![Es512],
            Self::Edwards(_) => vec![EdDsa],
        }
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
            Self::Elliptic(curve, pair) => {
                let point: EcPublicKeyUncompressedBin<'_> = pair.public_key().as_be_bytes().unwrap();
                let (x, y) = point.as_ref()[1..].split_at(point.as_ref().len() / 2);
                let curve = match curve {
                    Curve::P256 => "P-256",
                    Curve::P384 => "P-384",
                    Curve::P521 => "P-521",
                };
                json!({"kty": "EC", "crv": curve, "kid": kid, "x": text(x), "y": text(y)})
            }
            Self::Edwards(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": text(pair.public_key().as_ref())})
            }
        }
    }

    /// The signature, in base64url.
    pub(super) fn sign(&self, message: &str, algorithm: Algorithm) -> String {
        let (random, message) = (SystemRandom::new(), message.as_bytes());
        let signature = match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(rsa_encoding(algorithm), &random, message, &mut signature).unwrap();
                signature
            }
            Self::Elliptic(_, pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Edwards(pair) => pair.sign(message).as_ref().to_vec(),
        };
        URL_SAFE_NO_PAD.encode(signature)
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
