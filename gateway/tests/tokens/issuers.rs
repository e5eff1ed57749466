//! Several issuers at once, secrets that change, clocks that differ, and users by other claims.

use std::time::Duration;

use fanfare_gateway::auth::{Auth, Refusal, TokenError};
use fanfare_gateway::config::secret::Secret;
use fanfare_gateway::config::section::auth::{Algorithm, ClaimPath, IssuerConfig, KeyFile, PreviousSecret};
use fanfare_gateway::config::section::{AuthConfig, TokenConfig};
use fanfare_proto::claims::ClaimsError;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::draft::{Draft, Keys, OURS, THEIRS};

const NOW: i64 = 1_700_000_000;
const SECRET: &str = "a-secret-of-at-least-thirty-two-bytes";
const OTHER_SECRET: &str = "another-secret-of-more-than-32-bytes";

fn by_secret(secret: &str) -> TokenConfig {
    TokenConfig { algorithms: vec![Algorithm::Hs256], hmac_secret: Some(Secret::new(secret)), ..TokenConfig::default() }
}

/// With the public RSA key of a pair, by this name.
fn by_file(directory: &TempDir, file: &str, kid: Option<&str>, keys: &Keys) -> TokenConfig {
    let path = directory.path().join(file);
    std::fs::write(&path, keys.rsa_pem()).unwrap();
    TokenConfig {
        algorithms: vec![Algorithm::Rs256],
        public_keys: vec![KeyFile { path: path.display().to_string(), kid: kid.map(str::to_owned) }],
        ..TokenConfig::default()
    }
}

fn issuer(name: &str, token: TokenConfig) -> IssuerConfig {
    let issuer = Some(format!("https://{name}.example"));
    IssuerConfig { name: name.to_owned(), token: TokenConfig { issuer, ..token } }
}

async fn user(auth: &Auth, draft: &Draft) -> Result<String, TokenError> {
    auth.verify_connection(&draft.finish(), NOW).await.map(|token| token.user.as_str().to_owned())
}

fn signed_by(keys: &'static Keys, kid: Option<&str>, claims: Value) -> Draft {
    let mut draft = Draft::new(claims, "");
    (draft.algorithm, draft.keys, draft.kid) = ("RS256", keys, kid.map(|kid| json!(kid)));
    draft
}

const REFUSED: Result<String, TokenError> = Err(TokenError::Invalid(Refusal::Signature));

fn is(user: &str) -> Result<String, TokenError> {
    Ok(user.to_owned())
}

/// Two issuers call their key the same. Had the name alone chosen the key, each could sign for the other.
#[tokio::test]
async fn keys_of_one_issuer_never_verify_anothers_tokens() {
    let files = tempfile::tempdir().unwrap();
    let config = AuthConfig {
        issuers: vec![
            issuer("a", by_file(&files, "a.pem", Some("key-1"), &OURS)),
            issuer("b", by_file(&files, "b.pem", Some("key-1"), &THEIRS)),
        ],
        ..AuthConfig::default()
    };
    let auth = Auth::new(&config).unwrap();
    let claims = |issuer: &str| json!({ "sub": "42", "iss": format!("https://{issuer}.example") });
    for kid in [Some("key-1"), None] {
        assert_eq!(user(&auth, &signed_by(&OURS, kid, claims("a"))).await, is("42"));
        assert_eq!(user(&auth, &signed_by(&THEIRS, kid, claims("b"))).await, is("42"));
        assert_eq!(user(&auth, &signed_by(&OURS, kid, claims("b"))).await, REFUSED);
        assert_eq!(user(&auth, &signed_by(&THEIRS, kid, claims("a"))).await, REFUSED);
        let stranger = Err(TokenError::Invalid(Refusal::Issuer));
        assert_eq!(user(&auth, &signed_by(&OURS, kid, claims("c"))).await, stranger);
        assert_eq!(user(&auth, &signed_by(&OURS, kid, json!({ "sub": "42" }))).await, stranger);
    }
    let unknown = Err(TokenError::Invalid(Refusal::Key));
    assert_eq!(user(&auth, &signed_by(&OURS, Some("key-2"), claims("a"))).await, unknown);
}

/// Whose tokens name nobody whom we know is `auth.token`, and it alone.
#[tokio::test]
async fn tokens_of_no_issuer_are_those_of_auth_token() {
    let files = tempfile::tempdir().unwrap();
    let config = AuthConfig {
        token: by_secret(SECRET),
        subscription_token: by_secret(OTHER_SECRET),
        issuers: vec![issuer("a", by_file(&files, "a.pem", None, &OURS))],
    };
    let auth = Auth::new(&config).unwrap();
    assert_eq!(user(&auth, &Draft::new(json!({ "sub": "42" }), SECRET)).await, is("42"));
    assert_eq!(user(&auth, &Draft::new(json!({ "sub": "42", "iss": "anybody" }), SECRET)).await, is("42"));
    let forged = Draft::new(json!({ "sub": "42", "iss": "https://a.example" }), SECRET);
    assert_eq!(user(&auth, &forged).await, Err(TokenError::Invalid(Refusal::Algorithm)));
    let astray = signed_by(&OURS, None, json!({ "sub": "42" }));
    assert_eq!(user(&auth, &astray).await, Err(TokenError::Invalid(Refusal::Algorithm)));
    // An issuer's subscription tokens are signed as its connection tokens are.
    let subscribe = json!({ "sub": "42", "channel": "$news", "iss": "https://a.example" });
    let token = signed_by(&OURS, None, subscribe.clone()).finish();
    assert!(auth.verify_subscription(&token, NOW).await.is_ok());
    let forged = Draft::new(subscribe, OTHER_SECRET).finish();
    assert_eq!(auth.verify_subscription(&forged, NOW).await, Err(TokenError::Invalid(Refusal::Algorithm)));
}

/// CVE-2026-32301: an issuer's name is compared, and nothing else is ever made of it.
#[tokio::test]
async fn an_issuers_name_only_chooses() {
    let files = tempfile::tempdir().unwrap();
    let config =
        AuthConfig { issuers: vec![issuer("a", by_file(&files, "a.pem", None, &OURS))], ..AuthConfig::default() };
    let auth = Auth::new(&config).unwrap();
    for name in ["https://a.example/", "https://A.example", "https://a.example@evil.example", "a", "../a.pem", ""] {
        let outcome = user(&auth, &signed_by(&OURS, None, json!({ "iss": name }))).await;
        assert_eq!(outcome, Err(TokenError::Invalid(Refusal::Issuer)), "{name}");
    }
    let wrong = Err(TokenError::Invalid(Refusal::Claims(ClaimsError::Claim("iss"))));
    for name in [json!(null), json!(1), json!(["https://a.example"])] {
        assert_eq!(user(&auth, &signed_by(&OURS, None, json!({ "iss": name }))).await, wrong, "{name}");
    }
    let mut twice = signed_by(&OURS, None, json!({}));
    twice.payload = Some(|_| br#"{"iss":"https://a.example","iss":"https://b.example"}"#.to_vec());
    assert_eq!(user(&auth, &twice).await, Err(TokenError::Invalid(Refusal::Claims(ClaimsError::Payload))));
}

#[tokio::test]
async fn users_of_two_issuers_are_never_one() {
    let with_prefix = |token: TokenConfig, prefix: &str| TokenConfig { user_prefix: Some(prefix.to_owned()), ..token };
    let config = AuthConfig {
        issuers: vec![
            issuer("a", with_prefix(by_secret(SECRET), "a:")),
            issuer("b", with_prefix(by_secret(OTHER_SECRET), "b:")),
        ],
        ..AuthConfig::default()
    };
    let auth = Auth::new(&config).unwrap();
    let draft =
        |issuer: &str, secret| Draft::new(json!({ "sub": "42", "iss": format!("https://{issuer}.example") }), secret);
    assert_eq!(user(&auth, &draft("a", SECRET)).await, is("a:42"));
    assert_eq!(user(&auth, &draft("b", OTHER_SECRET)).await, is("b:42"));
    let anonymous = Draft::new(json!({ "iss": "https://a.example" }), SECRET);
    assert_eq!(user(&auth, &anonymous).await, is(""), "nobody has no prefix");
    let subscribe = Draft::new(json!({ "sub": "42", "channel": "$x", "iss": "https://a.example" }), SECRET).finish();
    let token = auth.verify_subscription(&subscribe, NOW).await.unwrap();
    assert_eq!(token.user.as_str(), "a:42", "as the connection's");
}

#[tokio::test]
async fn the_user_may_be_in_another_claim() {
    let auth = |path: &str| {
        let user_id_claim = ClaimPath::parse(path).unwrap();
        Auth::new(&AuthConfig { token: TokenConfig { user_id_claim, ..by_secret(SECRET) }, ..AuthConfig::default() })
            .unwrap()
    };
    let claims = json!({ "sub": "1", "uid": "7", "user": { "id": "42" }, "https://a.example/id": "9" });
    let wrong = Err(TokenError::Invalid(Refusal::Claims(ClaimsError::User)));
    for (path, outcome) in [
        ("sub", is("1")),
        ("uid", is("7")),
        ("user.id", is("42")),
        (r"https://a\.example/id", is("9")),
        ("user", wrong.clone()),
        ("uid.id", wrong),
        ("user.name", is("")),
        ("account.id", is("")),
    ] {
        assert_eq!(user(&auth(path), &Draft::new(claims.clone(), SECRET)).await, outcome, "{path}");
    }
    let numbered = Draft::new(json!({ "sub": 1, "uid": "7" }), SECRET);
    let sub = Err(TokenError::Invalid(Refusal::Claims(ClaimsError::Claim("sub"))));
    assert_eq!(user(&auth("uid"), &numbered).await, sub, "sub is a text, whoever reads it");
}

#[tokio::test]
async fn a_previous_secret_is_good_until_its_end() {
    let config = |valid_until_unix_s| AuthConfig {
        token: TokenConfig {
            hmac_previous: Some(PreviousSecret { secret: Secret::new(OTHER_SECRET), valid_until_unix_s }),
            ..by_secret(SECRET)
        },
        ..AuthConfig::default()
    };
    let (new, old) = (Draft::new(json!({ "sub": "42" }), SECRET), Draft::new(json!({ "sub": "42" }), OTHER_SECRET));
    let auth = Auth::new(&config(NOW + 1)).unwrap();
    assert_eq!((user(&auth, &new).await, user(&auth, &old).await), (is("42"), is("42")));
    let auth = Auth::new(&config(NOW)).unwrap();
    assert_eq!((user(&auth, &new).await, user(&auth, &old).await), (is("42"), REFUSED));
}

#[tokio::test]
async fn leeway_is_for_clocks_that_differ() {
    let auth = |seconds| {
        let leeway = Duration::from_secs(seconds);
        Auth::new(&AuthConfig { token: TokenConfig { leeway, ..by_secret(SECRET) }, ..AuthConfig::default() }).unwrap()
    };
    let expired = Err(TokenError::Expired);
    for (claims, without, with) in [
        (json!({ "exp": NOW + 1 }), Ok(Some(NOW + 1)), Ok(Some(NOW + 11))),
        (json!({ "exp": NOW }), expired, Ok(Some(NOW + 10))),
        (json!({ "exp": NOW - 9 }), expired, Ok(Some(NOW + 1))),
        (json!({ "exp": NOW - 10 }), expired, expired),
        (json!({ "nbf": NOW + 1 }), expired, Ok(None)),
        (json!({ "nbf": NOW + 10 }), expired, Ok(None)),
        (json!({ "nbf": NOW + 11 }), expired, expired),
        (json!({ "iat": NOW + 60 }), Ok(None), Ok(None)),
        (json!({ "iat": NOW + 70 }), expired, Ok(None)),
        (json!({ "iat": NOW + 71 }), expired, expired),
        // About our own clock.
        (json!({ "expire_at": NOW }), expired, expired),
        (json!({ "exp": NOW - 9, "expire_at": NOW + 5 }), expired, Ok(Some(NOW + 5))),
    ] {
        let token = Draft::new(claims.clone(), SECRET).finish();
        for (seconds, outcome) in [(0, without), (10, with)] {
            let ends = auth(seconds).verify_connection(&token, NOW).await.map(|token| token.expires_at);
            assert_eq!(ends, outcome, "{claims}, leeway {seconds}");
        }
    }
}
