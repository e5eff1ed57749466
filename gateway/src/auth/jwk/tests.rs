use serde_json::{Value, json};

use super::super::signer::Signer;
use super::*;

const MESSAGE: &str = "header.payload";

fn read(jwk: &Value) -> Result<NamedKey, JwkError> {
    parse_key(jwk.to_string().as_bytes())
}

/// The same key with one member changed, or without it if that is null.
fn with(jwk: &Value, member: &str, value: Value) -> Value {
    let mut jwk = jwk.clone();
    let members = jwk.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(member)
    } else {
        members.insert(member.to_owned(), value)
    };
    jwk
}

#[test]
fn a_key_verifies_what_its_kind_can_and_nothing_else() {
    for signer in Signer::all() {
        let NamedKey { kid, key } = read(&signer.jwk("k")).unwrap();
        assert_eq!(kid.as_deref(), Some("k"));
        assert!(key.algorithms().eq(signer.algorithms()), "{key:?}");
        for signed in signer.algorithms() {
            let signature = signer.sign(MESSAGE, signed);
            let verifies = |message: &str, algorithm| key.verifies(message.as_bytes(), &signature, algorithm);
            for algorithm in Algorithm::ALL {
                assert_eq!(verifies(MESSAGE, algorithm), algorithm == signed, "{signed:?} {algorithm:?}");
            }
            assert!(!verifies("header.other", signed));
            let signature = &signature;
            for wrong in [&[][..], &signature[1..], &[signature, &[0][..]].concat(), &vec![0; signature.len()]] {
                assert!(!key.verifies(MESSAGE.as_bytes(), wrong, signed), "{signed:?}");
            }
        }
    }
}

#[test]
fn alg_narrows_a_key() {
    let rsa = Signer::rsa();
    let key = read(&with(&rsa.jwk("k"), "alg", json!("PS256"))).unwrap().key;
    assert!(key.algorithms().eq([Algorithm::Ps256]));
    assert!(key.verifies(MESSAGE.as_bytes(), &rsa.sign(MESSAGE, Algorithm::Ps256), Algorithm::Ps256));
    assert!(!key.verifies(MESSAGE.as_bytes(), &rsa.sign(MESSAGE, Algorithm::Rs256), Algorithm::Rs256));
    // A public key is never a secret, whatever it says of itself: RS256 to HS256 confusion.
    for alg in ["HS256", "ES256", "RSA-OAEP", "none", ""] {
        assert_eq!(read(&with(&rsa.jwk("k"), "alg", json!(alg))).unwrap_err(), JwkError::Algorithm, "{alg}");
    }
    let edwards = Signer::edwards().jwk("k");
    for alg in ["EdDSA", "Ed25519"] {
        assert!(read(&with(&edwards, "alg", json!(alg))).is_ok(), "{alg}");
    }
}

/// RFC 7515 A.3 and RFC 8037 A.4: keys and signatures that others made.
#[test]
fn the_examples_of_the_standards() {
    let p256 = json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
    let es256 = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
        cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA\
        pmWQxfKTUJqPP3-Kg6NU1Q";
    let ed25519 = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let eddsa = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PG\
        cvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    for (jwk, token, algorithm) in [(p256, es256, Algorithm::Es256), (ed25519, eddsa, Algorithm::EdDsa)] {
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(read(&jwk).unwrap().key.verifies(message.as_bytes(), &signature, algorithm), "{algorithm:?}");
    }
}

#[test]
fn what_a_key_says_of_its_use_is_obeyed() {
    let jwk = Signer::edwards().jwk("k");
    for (member, value, outcome) in [
        ("use", json!("sig"), None),
        ("use", json!("enc"), Some(JwkError::Use)),
        ("use", json!(1), Some(JwkError::Shape)),
        ("key_ops", json!(["sign", "verify"]), None),
        ("key_ops", json!(["sign"]), Some(JwkError::Operations)),
        ("key_ops", json!([]), Some(JwkError::Operations)),
        ("key_ops", json!("verify"), Some(JwkError::Shape)),
        ("d", json!("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"), Some(JwkError::Private)),
        ("d", json!(0), Some(JwkError::Private)),
        ("x5u", json!("http://169.254.169.254/"), None),
        ("kid", json!(7), Some(JwkError::Shape)),
        ("kid", Value::Null, None),
        ("kty", json!("EC"), Some(JwkError::Curve)),
        ("kty", json!("RSA"), Some(JwkError::Member("n"))),
        ("kty", json!("okp"), Some(JwkError::Kind)),
        ("kty", Value::Null, Some(JwkError::Shape)),
        ("crv", json!("X25519"), Some(JwkError::Curve)),
        ("crv", json!("Ed448"), Some(JwkError::Curve)),
        ("x", Value::Null, Some(JwkError::Member("x"))),
        ("x", json!("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUR="), Some(JwkError::Member("x"))),
        ("x", json!("AAAA"), Some(JwkError::Fault(KeyFault::Point))),
    ] {
        assert_eq!(read(&with(&jwk, member, value.clone())).err(), outcome, "{member} {value}");
    }
    for text in ["", "null", "[]", "{", r#"["OKP"]"#, r#"{"kty":"OKP","kty":"oct"}"#] {
        assert_eq!(parse_key(text.as_bytes()).unwrap_err(), JwkError::Shape, "{text}");
    }
}

#[test]
fn rsa_keys_that_protect_nothing() {
    let jwk = Signer::rsa().jwk("k");
    let number = |bytes: &[u8]| json!(URL_SAFE_NO_PAD.encode(bytes));
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    let longer = |bytes: usize| [&[0xff], vec![1; bytes - 1].as_slice()].concat();
    let mut even = modulus.clone();
    *even.last_mut().unwrap() &= 0xfe;
    let exponent = JwkError::Fault(KeyFault::RsaExponent);
    let bits = |bits| JwkError::Fault(KeyFault::RsaBits(bits));
    for (member, value, outcome) in [
        ("e", number(&[1]), Some(exponent)),
        ("e", number(&[0, 0, 1]), Some(exponent)),
        ("e", number(&[0]), Some(exponent)),
        ("e", number(&[]), Some(exponent)),
        ("e", number(&[1, 0, 0]), Some(exponent)),
        ("e", number(&[1, 0, 0, 0, 1]), Some(exponent)),
        ("e", number(&[3]), None),
        ("n", number(&even), Some(JwkError::Fault(KeyFault::Kind))),
        ("n", number(&longer(128)), Some(bits(1024))),
        ("n", number(&modulus[1..]), Some(bits(bit_length(&modulus[1..])))),
        ("n", number(&[&[0], modulus.as_slice()].concat()), None),
        ("n", number(&longer(1025)), Some(bits(8200))),
        ("n", number(&[]), Some(bits(0))),
    ] {
        assert_eq!(read(&with(&jwk, member, value)).err(), outcome, "{member}");
    }
}

fn bit_length(number: &[u8]) -> usize {
    let zeros: usize = number.iter().take_while(|byte| **byte == 0).count();
    (number.len() - zeros) * 8 - number[zeros].leading_zeros() as usize
}

#[test]
fn points_that_are_not_on_the_curve() {
    for curve in Signer::CURVES {
        let jwk = Signer::ec(curve).jwk("k");
        let mut off = URL_SAFE_NO_PAD.decode(jwk["y"].as_str().unwrap()).unwrap();
        *off.last_mut().unwrap() ^= 1;
        let point = Some(JwkError::Fault(KeyFault::Point));
        for (member, value, outcome) in [
            ("y", json!(URL_SAFE_NO_PAD.encode(&off)), point),
            ("x", json!(""), point),
            ("y", json!(URL_SAFE_NO_PAD.encode([&[0], off.as_slice()].concat())), point),
            ("crv", json!("secp256k1"), Some(JwkError::Curve)),
            ("y", Value::Null, Some(JwkError::Member("y"))),
        ] {
            assert_eq!(read(&with(&jwk, member, value)).err(), outcome, "{curve:?} {member}");
        }
    }
}

/// As Authlib publishes them.
#[test]
fn coordinates_without_their_leading_zeros() {
    let (signer, jwk, x) = loop {
        let signer = Signer::ec(Family::P521);
        let jwk = signer.jwk("k");
        let x = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap();
        if x[0] == 0 {
            break (signer, jwk, x);
        }
    };
    let key = read(&with(&jwk, "x", json!(URL_SAFE_NO_PAD.encode(&x[1..])))).unwrap().key;
    assert!(key.verifies(MESSAGE.as_bytes(), &signer.sign(MESSAGE, Algorithm::Es512), Algorithm::Es512));
}

#[test]
fn secrets() {
    let secret = URL_SAFE_NO_PAD.encode([7; 32]);
    let key = read(&json!({"kty": "oct", "k": secret, "alg": "HS256"})).unwrap().key;
    assert!(key.algorithms().eq([Algorithm::Hs256]));
    let short = URL_SAFE_NO_PAD.encode([7; 31]);
    assert_eq!(read(&json!({"kty": "oct", "k": short})).unwrap_err(), JwkError::Secret(31));
    assert_eq!(read(&json!({"kty": "oct", "k": ""})).unwrap_err(), JwkError::Secret(0));
    assert_eq!(read(&json!({"kty": "oct", "k": secret, "alg": "RS256"})).unwrap_err(), JwkError::Algorithm);
}

#[test]
fn in_a_set_what_cannot_be_used_is_left_out() {
    let signers = Signer::all();
    let mut keys: Vec<_> = signers.iter().map(|signer| signer.jwk("k")).collect();
    keys.insert(1, json!({"kty": "RSA", "use": "enc"}));
    keys.insert(2, json!("no key at all"));
    keys.push(with(&keys[0], "d", json!("x")));
    let set = parse_set(json!({"keys": keys, "more": 1}).to_string().as_bytes()).unwrap();
    assert_eq!(set.keys.len(), signers.len());
    assert_eq!(set.skipped, [JwkError::Use, JwkError::Shape, JwkError::Private]);
    assert!(parse_set(br#"{"keys":[]}"#).unwrap().keys.is_empty());
    for text in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]"#, r#"[[{}]]"#, r#"{"keys":[],"keys":[]}"#] {
        assert_eq!(parse_set(text.as_bytes()).unwrap_err(), JwkError::SetShape, "{text}");
    }
    let many = json!({"keys": vec![json!({}); 100_000]}).to_string();
    assert_eq!(parse_set(many.as_bytes()).unwrap_err(), JwkError::TooMany(100_000));
}
