//! Who signed it, and with what. Every algorithm once as it should be, and every confusion of them.

use serde_json::json;

use super::{GOOD, INVALID, Row, row};
use crate::draft::{Draft, OURS, THEIRS};

pub(crate) const ROWS: &[Row] = &[
    row("RS256", |d| d.algorithm = "RS256", GOOD),
    row("RS384", |d| d.algorithm = "RS384", GOOD),
    row("RS512", |d| d.algorithm = "RS512", GOOD),
    row("PS256", |d| d.algorithm = "PS256", GOOD),
    row("PS384", |d| d.algorithm = "PS384", GOOD),
    row("PS512", |d| d.algorithm = "PS512", GOOD),
    row("ES256", |d| d.algorithm = "ES256", GOOD),
    row("ES384", |d| d.algorithm = "ES384", GOOD),
    row("ES512", |d| d.algorithm = "ES512", GOOD),
    row("EdDSA", |d| d.algorithm = "EdDSA", GOOD),
    row("HS384", |d| d.algorithm = "HS384", GOOD),
    row("another secret", |d| d.secret = b"another-secret-that-is-long-enough-too".to_vec(), INVALID),
    row("the empty secret", |d| d.secret = Vec::new(), INVALID),
    row("the secret and a line end", |d| d.secret.push(b'\n'), INVALID),
    // The same key: HMAC fills short ones up with zeros (RFC 2104, 2).
    row("the secret and a NUL", |d| d.secret.push(0), GOOD),
    row("the secret of every example", |d| d.secret = b"secret".to_vec(), INVALID),
    row("HS256 with the public RSA key as its secret", |d| d.secret = OURS.rsa_pem().into_bytes(), INVALID),
    row(
        "HS256 with the public RSA key as its secret, without the last line end",
        |d| d.secret = OURS.rsa_pem().trim_end().as_bytes().to_vec(),
        INVALID,
    ),
    row(
        "HS256 with the public RSA key as its secret, in DER",
        |d| d.secret = pem::parse(OURS.rsa_pem()).unwrap().contents().to_vec(),
        INVALID,
    ),
    row(
        "HS256 with the name of the RSA key, whose PEM is its secret",
        |d| {
            d.secret = OURS.rsa_pem().into_bytes();
            d.kid = Some(json!("rsa"));
        },
        INVALID,
    ),
    row(
        "HS256 with a public key of P-256 as its secret",
        |d| d.secret = OURS.pems()[1].1.clone().into_bytes(),
        INVALID,
    ),
    row("RS256, somebody else's key", |d| theirs(d, "RS256"), INVALID),
    row("PS256, somebody else's key", |d| theirs(d, "PS256"), INVALID),
    row("ES256, somebody else's key", |d| theirs(d, "ES256"), INVALID),
    row("ES384, somebody else's key", |d| theirs(d, "ES384"), INVALID),
    row("ES512, somebody else's key", |d| theirs(d, "ES512"), INVALID),
    row("EdDSA, somebody else's key", |d| theirs(d, "EdDSA"), INVALID),
    row("RS256 that says PS256", |d| lying(d, "PS256", "RS256"), INVALID),
    row("PS256 that says RS256", |d| lying(d, "RS256", "PS256"), INVALID),
    row("RS256 that says RS512", |d| lying(d, "RS512", "RS256"), INVALID),
    row("RS256 that says ES256", |d| lying(d, "ES256", "RS256"), INVALID),
    row("RS256 that says HS256", |d| lying(d, "HS256", "RS256"), INVALID),
    row("HS256 that says RS256", |d| lying(d, "RS256", "HS256"), INVALID),
    row("HS256 that says EdDSA", |d| lying(d, "EdDSA", "HS256"), INVALID),
    row("ES256 that says ES384", |d| lying(d, "ES384", "ES256"), INVALID),
    row("ES384 that says ES256", |d| lying(d, "ES256", "ES384"), INVALID),
    row("EdDSA that says ES256", |d| lying(d, "ES256", "EdDSA"), INVALID),
    row("HS384 that says HS256", |d| lying(d, "HS256", "HS384"), INVALID),
    row("ES256 of zeros (CVE-2022-21449)", |d| made_up(d, "ES256", |_| vec![0; 64]), INVALID),
    row("ES256 with r zero", |d| made_up(d, "ES256", |s| [&[0; 32], &s[32..]].concat()), INVALID),
    row("ES256 with s zero", |d| made_up(d, "ES256", |s| [&s[..32], &[0; 32]].concat()), INVALID),
    row("ES256 with r and s of all ones", |d| made_up(d, "ES256", |_| vec![0xff; 64]), INVALID),
    row("ES256 with r the order of the curve", |d| made_up(d, "ES256", |s| [&P256_ORDER, &s[32..]].concat()), INVALID),
    // Another valid form of the same signature: nothing here takes the token's text for its identity.
    row("ES256 with the other s", |d| made_up(d, "ES256", |s| [&s[..32], &order_less(&s[32..])].concat()), GOOD),
    row("ES256 in ASN.1", |d| made_up(d, "ES256", |s| asn1(&s)), INVALID),
    row("ES256, a byte short", |d| made_up(d, "ES256", |s| s[..63].to_vec()), INVALID),
    row("ES256, a byte more", |d| made_up(d, "ES256", |s| [&s[..], &[0]].concat()), INVALID),
    row("ES384 of zeros", |d| made_up(d, "ES384", |_| vec![0; 96]), INVALID),
    row("ES512 of zeros", |d| made_up(d, "ES512", |_| vec![0; 132]), INVALID),
    row("EdDSA of zeros", |d| made_up(d, "EdDSA", |_| vec![0; 64]), INVALID),
    row("EdDSA with s too large", |d| made_up(d, "EdDSA", |s| [&s[..32], &[0xff; 32]].concat()), INVALID),
    row("RS256 of zeros", |d| made_up(d, "RS256", |s| vec![0; s.len()]), INVALID),
    row("RS256 of one, which is its own power", |d| made_up(d, "RS256", |s| one(s.len())), INVALID),
    row("RS256, a byte short", |d| made_up(d, "RS256", |s| s[1..].to_vec()), INVALID),
    row("RS256 with a zero in front", |d| made_up(d, "RS256", |s| [&[0], &s[..]].concat()), INVALID),
    row("RS256 of an RSA key of 512 bits", |d| made_up(d, "RS256", |s| s[..64].to_vec()), INVALID),
    row("HS256, a byte short", |d| d.signature = |s| s[..31].to_vec(), INVALID),
    row("HS256, half of it", |d| d.signature = |s| s[..16].to_vec(), INVALID),
    row("HS256, a byte more", |d| d.signature = |s| [&s[..], &[0]].concat(), INVALID),
    row(
        "HS256, one bit other",
        |d| {
            d.signature = |mut s| {
                s[0] ^= 1;
                s
            }
        },
        INVALID,
    ),
    row("no signature at all", |d| d.signature = |_| Vec::new(), INVALID),
];

/// Of P-256 (SEC 2, 2.4.2).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The order less a number below it, byte by byte.
fn order_less(number: &[u8]) -> [u8; 32] {
    let mut rest = P256_ORDER;
    let mut borrowed = false;
    for (digit, taken) in rest.iter_mut().zip(number).rev() {
        let (less, first) = digit.overflowing_sub(*taken);
        let (less, second) = less.overflowing_sub(u8::from(borrowed));
        (*digit, borrowed) = (less, first || second);
    }
    assert!(!borrowed, "s is below the order");
    rest
}

/// `SEQUENCE { INTEGER r, INTEGER s }`, as TLS has signatures.
fn asn1(fixed: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let mut digits: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        if digits.first().is_none_or(|first| first & 0x80 != 0) {
            digits.insert(0, 0);
        }
        [&[2, u8::try_from(digits.len()).unwrap()], &digits[..]].concat()
    };
    let both = [integer(&fixed[..32]), integer(&fixed[32..])].concat();
    [&[0x30, u8::try_from(both.len()).unwrap()], &both[..]].concat()
}

fn one(bytes: usize) -> Vec<u8> {
    let mut one = vec![0; bytes];
    one[bytes - 1] = 1;
    one
}

fn theirs(draft: &mut Draft, algorithm: &'static str) {
    draft.algorithm = algorithm;
    draft.keys = &THEIRS;
}

fn lying(draft: &mut Draft, says: &'static str, is: &'static str) {
    draft.algorithm = says;
    draft.signed_as = Some(is);
}

fn made_up(draft: &mut Draft, algorithm: &'static str, signature: fn(Vec<u8>) -> Vec<u8>) {
    draft.algorithm = algorithm;
    draft.signature = signature;
}
