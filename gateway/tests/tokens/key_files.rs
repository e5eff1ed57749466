//! Files with public keys: what is taken, and what stops the start with a word about the fix.

use fanfare_gateway::auth::{Auth, Refusal, TokenError};
use fanfare_gateway::config::section::auth::{Algorithm, KeyFile};
use fanfare_gateway::config::section::{AuthConfig, TokenConfig};
use serde_json::json;
use tempfile::TempDir;

use crate::draft::{Draft, OURS, THEIRS};

const NOW: i64 = 1_700_000_000;

/// Keys for tests only, made by openssl: too weak to be taken.
const RSA_512: &str = "-----BEGIN PUBLIC KEY-----
MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBANJq/pLTZy6JaWGdJQ4YnJ87pVvWMzEh
DE3TiwRtlb3Lxqr1C2I1e2YDK7AIIYdbZSluz0XuDFUSu04oThgVrMcCAwEAAQ==
-----END PUBLIC KEY-----
";
const RSA_1024: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCvrke5/PM89l8sAylV+0cZqDTW
ciITwbc9caq0xa+4KkQy1XYbGZaUzlnQ7SO+okkst6/LXzSZVxsnYjMIZiqdYYn/
cK6nyM71sOh2zJsftc5kgHianNzwsBLI28gpyrODu6t7Dz5B/FkjgElKzE9EVpCH
mdVqvo4JPrqkjRx8hwIDAQAB
-----END PUBLIC KEY-----
";

fn config(files: &[(&TempDir, &str, Option<&str>)]) -> AuthConfig {
    let file = |(directory, name, kid): &(&TempDir, &str, Option<&str>)| KeyFile {
        path: directory.path().join(name).display().to_string(),
        kid: kid.map(str::to_owned),
    };
    let algorithms = Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.name().starts_with("HS")).collect();
    let token = TokenConfig { algorithms, public_keys: files.iter().map(file).collect(), ..TokenConfig::default() };
    AuthConfig { token, ..AuthConfig::default() }
}

fn write(text: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("key"), text).unwrap();
    directory
}

/// What is said of a file with this text, after its name.
fn complaint(text: &str, kid: Option<&str>) -> String {
    let directory = write(text);
    let problem = Auth::new(&config(&[(&directory, "key", kid)])).unwrap_err();
    assert_eq!(problem.path, "auth.token.public_keys");
    let name = directory.path().join("key").display().to_string();
    problem.text.strip_prefix(&format!("{name} ")).unwrap().to_owned()
}

#[tokio::test]
async fn a_key_of_each_kind_is_taken_in_pem() {
    for (algorithm, at) in [("RS256", 0), ("PS512", 0), ("ES256", 1), ("ES384", 2), ("ES512", 3), ("EdDSA", 4)] {
        let directory = write(&OURS.pems()[at].1);
        let auth = Auth::new(&config(&[(&directory, "key", None)])).unwrap();
        let mut draft = Draft::new(json!({ "sub": "42" }), "");
        draft.algorithm = algorithm;
        assert!(auth.verify_connection(&draft.finish(), NOW).await.is_ok(), "{algorithm}");
        draft.keys = &THEIRS;
        let refused = Err(TokenError::Invalid(Refusal::Signature));
        assert_eq!(auth.verify_connection(&draft.finish(), NOW).await.map(|_| ()), refused, "{algorithm}");
    }
}

#[tokio::test]
async fn tokens_choose_among_several_keys_by_name() {
    let (ours, theirs) = (write(&OURS.rsa_pem()), write(&THEIRS.rsa_pem()));
    let files = [(&ours, "key", Some("ours")), (&theirs, "key", Some("theirs"))];
    let auth = Auth::new(&config(&files)).unwrap();
    let refused = Err(TokenError::Invalid(Refusal::Signature));
    for (keys, kid, outcome) in [
        (&OURS, Some("ours"), Ok(())),
        (&THEIRS, Some("theirs"), Ok(())),
        (&OURS, None, Ok(())),
        (&THEIRS, None, Ok(())),
        (&OURS, Some("theirs"), refused),
        (&OURS, Some("nobody"), Err(TokenError::Invalid(Refusal::Key))),
    ] {
        let mut draft = Draft::new(json!({ "sub": "42" }), "");
        (draft.algorithm, draft.keys, draft.kid) = ("RS256", keys, kid.map(|kid| json!(kid)));
        assert_eq!(auth.verify_connection(&draft.finish(), NOW).await.map(|_| ()), outcome, "{kid:?}");
    }
    // A key without a name is meant for tokens that call it by any.
    let auth = Auth::new(&config(&[(&ours, "key", None)])).unwrap();
    let mut draft = Draft::new(json!({ "sub": "42" }), "");
    (draft.algorithm, draft.kid) = ("RS256", Some(json!("whatever")));
    assert!(auth.verify_connection(&draft.finish(), NOW).await.is_ok());
}

#[test]
fn several_keys_in_one_file() {
    let all: String = OURS.pems().into_iter().map(|(_, pem)| pem).collect();
    let directory = write(&all);
    assert!(Auth::new(&config(&[(&directory, "key", None)])).is_ok());
    assert_eq!(complaint(&all, Some("k")), "holds 5 keys, but has one name for them: take a file for each");
}

#[test]
fn weak_keys_stop_the_start() {
    let weak = |bits| format!("holds a key that has an RSA modulus of {bits} bits: take a key of 2048 to 8192 bits");
    assert_eq!(complaint(RSA_512, None), weak(512));
    assert_eq!(complaint(RSA_1024, None), weak(1024));
    let modulus = "_".repeat(341) + "w";
    let exponent_1 = json!({ "kty": "RSA", "n": modulus, "e": "AQ" }).to_string();
    let text = complaint(&exponent_1, None);
    assert!(text.contains("an RSA exponent that no good key has"), "{text}");
}

#[test]
fn what_is_no_public_key_stops_the_start() {
    for (text, expected) in [
        ("", "holds no key:"),
        ("not a key", "holds no key:"),
        (
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "holds a key that is neither an RSA key nor one",
        ),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "holds a private key,"),
        ("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", "holds a private key,"),
        ("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", "holds a private key,"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds a certificate: write `openssl x509"),
        (r#"{"kty":"oct","k":"YS1zZWNyZXQtb2YtYXQtbGVhc3QtdGhpcnR5LXR3by1ieXRlcw"}"#, "holds a shared secret,"),
        (r#"{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}"#, "holds a JWK that cannot be used: it has private parts"),
        (r#"{"kty":"OKP"}"#, "holds a JWK that cannot be used:"),
        (r#"{"keys":[{"kty":"OKP"}]}"#, "holds a JWK that cannot be used:"),
        (r#"{"keys":[]}"#, "holds no key:"),
    ] {
        let complaint = complaint(text, None);
        assert!(complaint.starts_with(expected), "{text}: {complaint}");
    }
    let nowhere = tempfile::tempdir().unwrap();
    let problem = Auth::new(&config(&[(&nowhere, "missing.pem", None)])).unwrap_err();
    assert!(problem.text.contains("missing.pem cannot be read"), "{problem}");
}

#[test]
fn a_key_that_no_allowed_algorithm_takes_stops_the_start() {
    let directory = write(&OURS.rsa_pem());
    let mut config = config(&[(&directory, "key", None)]);
    config.token.algorithms = vec![Algorithm::Hs256, Algorithm::Es256];
    let problem = Auth::new(&config).unwrap_err().to_string();
    assert!(problem.contains("holds an RSA key, but auth.token.algorithms names none of \"RS256\""), "{problem}");
}
