//! Tokens put together piece by piece, so that each piece can be wrong alone, and the keys that sign them:
//! made anew in each run.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{self as lc, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

/// The private keys of an application, one of each kind.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) rsa: RsaKeyPair,
    pub(crate) p256: EcdsaKeyPair,
    pub(crate) p384: EcdsaKeyPair,
    pub(crate) p521: EcdsaKeyPair,
    pub(crate) ed25519: Ed25519KeyPair,
}

/// Whose tokens are good.
pub(crate) static OURS: LazyLock<Keys> = LazyLock::new(Keys::generate);
/// Somebody else's, whose are not.
pub(crate) static THEIRS: LazyLock<Keys> = LazyLock::new(Keys::generate);

impl Keys {
    fn generate() -> Self {
        let ec = |algorithm| EcdsaKeyPair::generate(algorithm).unwrap();
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            p256: ec(&lc::ECDSA_P256_SHA256_FIXED_SIGNING),
            p384: ec(&lc::ECDSA_P384_SHA384_FIXED_SIGNING),
            p521: ec(&lc::ECDSA_P521_SHA512_FIXED_SIGNING),
            ed25519: Ed25519KeyPair::generate().unwrap(),
        }
    }

    /// The public keys with a name each, in PEM.
    pub(crate) fn pems(&self) -> [(&'static str, String); 5] {
        fn pem(der: PublicKeyX509Der<'_>) -> String {
            pem::encode(&pem::Pem::new("PUBLIC KEY", der.as_ref()))
        }
        [
            ("rsa", pem(self.rsa.public_key().as_der().unwrap())),
            ("p256", pem(self.p256.public_key().as_der().unwrap())),
            ("p384", pem(self.p384.public_key().as_der().unwrap())),
            ("p521", pem(self.p521.public_key().as_der().unwrap())),
            ("ed25519", pem(self.ed25519.public_key().as_der().unwrap())),
        ]
    }

    /// The public RSA key as everybody can see it: what a confused verifier would take for a secret.
    pub(crate) fn rsa_pem(&self) -> String {
        let [(_, pem), ..] = self.pems();
        pem
    }
}

/// Signs a message with the key of an algorithm.
pub(crate) fn sign(keys: &Keys, algorithm: &str, secret: &[u8], message: &[u8]) -> Vec<u8> {
    let hmac = |algorithm| hmac::sign(&hmac::Key::new(algorithm, secret), message).as_ref().to_vec();
    let rsa = |encoding: &'static dyn lc::RsaEncoding| {
        let mut signature = vec![0; keys.rsa.public_modulus_len()];
        keys.rsa.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    };
    let ec = |key: &EcdsaKeyPair| key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec();
    match algorithm {
        "HS256" => hmac(hmac::HMAC_SHA256),
        "HS384" => hmac(hmac::HMAC_SHA384),
        "HS512" => hmac(hmac::HMAC_SHA512),
        "RS256" => rsa(&lc::RSA_PKCS1_SHA256),
        "RS384" => rsa(&lc::RSA_PKCS1_SHA384),
        "RS512" => rsa(&lc::RSA_PKCS1_SHA512),
        "PS256" => rsa(&lc::RSA_PSS_SHA256),
        "PS384" => rsa(&lc::RSA_PSS_SHA384),
        "PS512" => rsa(&lc::RSA_PSS_SHA512),
        "ES256" => ec(&keys.p256),
        "ES384" => ec(&keys.p384),
        "ES512" => ec(&keys.p521),
        "EdDSA" => keys.ed25519.sign(message).as_ref().to_vec(),
        other => panic!("no key for {other}"),
    }
}

/// A token before it is one. A new one makes a good token.
pub(crate) struct Draft {
    /// The header's text, if it is not made of `algorithm` and `kid`.
    pub(crate) header: Option<String>,
    /// What the header says.
    pub(crate) algorithm: &'static str,
    /// What the header says, if anything.
    pub(crate) kid: Option<Value>,
    /// Further members of the header.
    pub(crate) more: Map<String, Value>,
    /// What it is signed with, if it is not what the header says.
    pub(crate) signed_as: Option<&'static str>,
    /// Of the HS algorithms.
    pub(crate) secret: Vec<u8>,
    /// Of the others.
    pub(crate) keys: &'static Keys,
    pub(crate) claims: Map<String, Value>,
    /// The payload, if it is not made of the claims: made of their text.
    pub(crate) payload: Option<fn(String) -> Vec<u8>>,
    /// Changes the signature.
    pub(crate) signature: fn(Vec<u8>) -> Vec<u8>,
    /// Changes the whole token.
    pub(crate) token: fn(String) -> String,
}

impl Draft {
    /// Of these claims, signed with this secret.
    pub(crate) fn new(claims: Value, secret: &str) -> Self {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        Self {
            header: None,
            algorithm: "HS256",
            kid: None,
            more: Map::new(),
            signed_as: None,
            secret: secret.into(),
            keys: &OURS,
            claims,
            payload: None,
            signature: |signature| signature,
            token: |token| token,
        }
    }

    /// With a claim changed or added.
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.claims.insert(name.to_owned(), value);
    }

    /// The token.
    pub(crate) fn finish(&self) -> String {
        let header = self.header.clone().unwrap_or_else(|| {
            let mut header = self.more.clone();
            header.insert("alg".to_owned(), json!(self.algorithm));
            if let Some(kid) = &self.kid {
                header.insert("kid".to_owned(), kid.clone());
            }
            Value::Object(header).to_string()
        });
        let claims = Value::Object(self.claims.clone()).to_string();
        let payload = self.payload.map_or_else(|| claims.clone().into_bytes(), |made_of| made_of(claims.clone()));
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let algorithm = self.signed_as.unwrap_or(self.algorithm);
        let signature = (self.signature)(sign(self.keys, algorithm, &self.secret, message.as_bytes()));
        (self.token)(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
