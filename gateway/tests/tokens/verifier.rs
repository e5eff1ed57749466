//! The verifier itself: what it says of tokens, word for word, and when.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fanfare_gateway::auth::{Auth, Header, Key, KeyError, KeySource, Refusal, TokenError};
use fanfare_gateway::config::secret::Secret;
use fanfare_gateway::config::section::auth::Algorithm;
use fanfare_gateway::config::section::{AuthConfig, TokenConfig};
use fanfare_gateway::model::{ChannelName, UserId};
use fanfare_proto::claims::ClaimsError;
use futures_util::future::{BoxFuture, FutureExt, ready};
use jsonwebtoken::EncodingKey;

const SECRET: &str = "a-secret-of-at-least-thirty-two-bytes";
const OTHER_SECRET: &str = "another-secret-of-more-than-32-bytes";
const NOW: i64 = 1_700_000_000;

fn config() -> AuthConfig {
    let token = TokenConfig {
        algorithms: vec![Algorithm::Hs256],
        hmac_secret: Some(Secret::new(SECRET)),
        ..TokenConfig::default()
    };
    AuthConfig { token, ..AuthConfig::default() }
}

/// Signs any two texts, JSON or not.
fn sign(header: &str, payload: impl AsRef<[u8]>, secret: &str, algorithm: jsonwebtoken::Algorithm) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).expect("HMAC signs anything");
    format!("{message}.{signature}")
}

fn token(payload: impl AsRef<[u8]>) -> String {
    sign(r#"{"alg":"HS256","typ":"JWT"}"#, payload, SECRET, jsonwebtoken::Algorithm::HS256)
}

/// Verifies as a connection token, keeping of the outcome what the tables compare.
async fn connect(token: &str) -> Result<UserId, TokenError> {
    Auth::new(&config()).unwrap().verify_connection(token, NOW).await.map(|token| token.user)
}

async fn subscribe(token: &str) -> Result<String, TokenError> {
    Auth::new(&config()).unwrap().verify_subscription(token, NOW).await.map(|token| token.channel)
}

fn claim(name: &'static str) -> TokenError {
    TokenError::Invalid(Refusal::Claims(ClaimsError::Claim(name)))
}

const PAYLOAD: TokenError = TokenError::Invalid(Refusal::Claims(ClaimsError::Payload));

#[tokio::test]
async fn a_good_connection_token_says_who() {
    let payload = r#"{"sub":"42","exp":1700000001,"nbf":1700000000,"iat":1,"jti":"t1","info":{"name":
        "Ada"},"meta":{"plan":1},"channels":["news","chat"],"subs":{"chat":{"info":{"role":"x"},"data":[1]}}}"#;
    let good = Auth::new(&config()).unwrap().verify_connection(&token(payload), NOW).await.unwrap();
    assert_eq!(good.user, UserId::new("42"));
    assert_eq!(good.expires_at, Some(NOW + 1));
    assert_eq!(good.jti, "t1");
    assert_eq!(good.info, r#"{"name":        "Ada"}"#);
    assert_eq!(good.meta, r#"{"plan":1}"#);
    let names: Vec<_> = good.subs.keys().map(ChannelName::as_str).collect();
    assert_eq!(names, ["chat", "news"]);
    let chat = &good.subs[&ChannelName::parse("chat").unwrap()];
    assert_eq!((&chat.info[..], &chat.data[..]), (&br#"{"role":"x"}"#[..], &b"[1]"[..]), "subs win over channels");
}

#[tokio::test]
async fn a_good_subscription_token_says_what() {
    let payload =
        r#"{"sub":"42","channel":"$chat:1","client":"c","info":1,"b64data":"eyJhIjoxfQ","expire_at":1800000000}"#;
    let good = Auth::new(&config()).unwrap().verify_subscription(&token(payload), NOW).await.unwrap();
    assert_eq!(good.user, UserId::new("42"));
    assert_eq!((good.channel.as_str(), good.client.as_deref()), ("$chat:1", Some("c")));
    assert_eq!((&good.info[..], &good.data[..]), (&b"1"[..], &br#"{"a":1}"#[..]));
    assert_eq!(good.expires_at, Some(1_800_000_000));
}

#[tokio::test]
async fn every_configured_algorithm_is_taken() {
    let mut config = config();
    config.token.algorithms = vec![Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512];
    let auth = Auth::new(&config).unwrap();
    for algorithm in ["HS256", "HS384", "HS512"] {
        let header = format!(r#"{{"alg":"{algorithm}","kid":"k"}}"#);
        let token = sign(&header, r#"{"sub":"42"}"#, SECRET, algorithm.parse().unwrap());
        assert_eq!(auth.verify_connection(&token, NOW).await.unwrap().user, UserId::new("42"), "{algorithm}");
        let lying = sign(&header, r#"{"sub":"42"}"#, SECRET, other_than(algorithm));
        assert_eq!(auth.verify_connection(&lying, NOW).await, Err(TokenError::Invalid(Refusal::Signature)));
    }
}

fn other_than(algorithm: &str) -> jsonwebtoken::Algorithm {
    if algorithm == "HS256" { jsonwebtoken::Algorithm::HS384 } else { jsonwebtoken::Algorithm::HS256 }
}

/// Shape, header and signature: each row is refused before any claim is read.
#[tokio::test]
async fn tokens_that_nobody_signed() {
    use Refusal::{Algorithm, Critical, Malformed, Signature, TooLong};
    let good = token(r#"{"sub":"42"}"#);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    let hs256 = jsonwebtoken::Algorithm::HS256;
    let with_header = |header: &str| sign(header, r#"{"sub":"42"}"#, SECRET, hs256);
    let unsigned =
        |header: &str| format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(r#"{"sub":"42"}"#));
    let table: Vec<(&str, String, Refusal)> = vec![
        ("empty", String::new(), Malformed),
        ("no dots", "token".to_owned(), Malformed),
        ("one dot", message.to_owned(), Malformed),
        ("dots only", "..".to_owned(), Malformed),
        ("four parts", format!("{good}.x"), Malformed),
        ("white space around", format!(" {good}"), Malformed),
        ("a line end after", format!("{good}\n"), Malformed),
        ("not base64", format!("{header}.%%.{signature}"), Malformed),
        ("padded header", format!("{header}=.{payload}.{signature}"), Malformed),
        ("not ASCII", format!("é.{payload}.{signature}"), Malformed),
        ("header is not JSON", with_header("alg: HS256"), Malformed),
        ("header is an array", with_header(r#"["HS256",null,null]"#), Malformed),
        ("header is null", with_header("null"), Malformed),
        ("no alg", with_header(r#"{"typ":"JWT"}"#), Malformed),
        ("alg is a number", with_header(r#"{"alg":256}"#), Malformed),
        ("alg is null", with_header(r#"{"alg":null}"#), Malformed),
        ("alg twice", with_header(r#"{"alg":"HS256","alg":"none"}"#), Malformed),
        ("kid is a number", with_header(r#"{"alg":"HS256","kid":1}"#), Malformed),
        ("alg none, unsigned", unsigned(r#"{"alg":"none"}"#), Algorithm),
        ("alg NONE, unsigned", unsigned(r#"{"alg":"NONE"}"#), Algorithm),
        ("alg empty, unsigned", unsigned(r#"{"alg":""}"#), Algorithm),
        ("alg none, signed", with_header(r#"{"alg":"none"}"#), Algorithm),
        ("alg hs256", with_header(r#"{"alg":"hs256"}"#), Algorithm),
        ("alg RS256 over the secret", with_header(r#"{"alg":"RS256"}"#), Algorithm),
        (
            "alg HS512, not configured",
            sign(r#"{"alg":"HS512"}"#, r#"{"sub":"42"}"#, SECRET, jsonwebtoken::Algorithm::HS512),
            Algorithm,
        ),
        ("critical extension", with_header(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#), Critical),
        ("unsigned", unsigned(r#"{"alg":"HS256"}"#), Signature),
        ("another key", sign(r#"{"alg":"HS256"}"#, r#"{"sub":"42"}"#, OTHER_SECRET, hs256), Signature),
        ("an empty key", sign(r#"{"alg":"HS256"}"#, r#"{"sub":"42"}"#, "", hs256), Signature),
        ("another payload", format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(r#"{"sub":"43"}"#)), Signature),
        ("signature of something else", format!("{message}.{}", token("{}").rsplit_once('.').unwrap().1), Signature),
        ("1 MiB of letters", "x".repeat(1024 * 1024), TooLong),
        ("1 MiB of dots", ".".repeat(1024 * 1024), TooLong),
        ("1 MiB, well signed", token(format!(r#"{{"sub":"42","x":"{}"}}"#, "x".repeat(1024 * 1024))), TooLong),
        ("a header 10,000 deep", unsigned(&format!(r#"{{"a":{}"#, "[".repeat(10_000))), Malformed),
    ];
    for (row, token, refusal) in &table {
        assert_eq!(connect(token).await, Err(TokenError::Invalid(*refusal)), "connection token: {row}");
        assert_eq!(subscribe(token).await, Err(TokenError::Invalid(*refusal)), "subscription token: {row}");
    }
}

/// Well signed, but not to be believed.
#[tokio::test]
async fn claims_that_are_wrong() {
    let deep = format!(r#"{{"info":{}{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    let channel = TokenError::Invalid(Refusal::Channel);
    let mixed_up = TokenError::Invalid(Refusal::Claims(ClaimsError::ChannelInConnectionToken));
    let table: Vec<(&str, TokenError)> = vec![
        ("", PAYLOAD),
        ("not JSON", PAYLOAD),
        ("null", PAYLOAD),
        (r#""42""#, PAYLOAD),
        (r#"["42"]"#, PAYLOAD),
        (r#"{"sub":"42""#, PAYLOAD),
        (r#"{"sub":"42"}{"sub":"43"}"#, PAYLOAD),
        (r#"{"sub":"42","sub":"43"}"#, PAYLOAD),
        (r#"{"exp":1800000000,"exp":1}"#, PAYLOAD),
        (r#"{"exp":NaN}"#, PAYLOAD),
        (r#"{"sub":42}"#, claim("sub")),
        (r#"{"sub":null}"#, claim("sub")),
        (r#"{"sub":["42"]}"#, claim("sub")),
        (r#"{"exp":"1800000000"}"#, claim("exp")),
        (r#"{"exp":null}"#, claim("exp")),
        (r#"{"exp":true}"#, claim("exp")),
        (r#"{"exp":[1800000000]}"#, claim("exp")),
        (r#"{"exp":{}}"#, claim("exp")),
        (r#"{"exp":-1}"#, claim("exp")),
        (r#"{"exp":1e400}"#, claim("exp")),
        (r#"{"exp":1800000000000}"#, claim("exp")),
        (r#"{"exp":18446744073709551616}"#, claim("exp")),
        (r#"{"nbf":"1"}"#, claim("nbf")),
        (r#"{"nbf":null}"#, claim("nbf")),
        (r#"{"iat":"1"}"#, claim("iat")),
        (r#"{"jti":1}"#, claim("jti")),
        (r#"{"iss":1}"#, claim("iss")),
        (r#"{"aud":1}"#, claim("aud")),
        (r#"{"aud":["a",1]}"#, claim("aud")),
        (r#"{"expire_at":"0"}"#, claim("expire_at")),
        (r#"{"expire_at":-1}"#, claim("expire_at")),
        (r#"{"channels":"news"}"#, claim("channels")),
        (r#"{"channels":[1]}"#, claim("channels")),
        (r#"{"channels":null}"#, claim("channels")),
        (r#"{"subs":["news"]}"#, claim("subs")),
        (r#"{"subs":{"news":null}}"#, claim("subs")),
        (r#"{"subs":{"news":{"override":{"presence":true}}}}"#, claim("subs")),
        (r#"{"b64info":"!"}"#, claim("b64info")),
        (&deep, claim("info")),
        (r#"{"channels":[""]}"#, channel),
        (r#"{"channels":["a b"]}"#, channel),
        (r#"{"subs":{"a*":{}}}"#, channel),
        (r#"{"sub":"42","channel":"news"}"#, mixed_up),
    ];
    for (payload, error) in &table {
        let row = &payload[..payload.len().min(80)];
        assert_eq!(connect(&token(payload)).await, Err(*error), "{row}");
    }
    assert_eq!(connect(&token(b"{\"sub\":\"\xff\"}")).await, Err(PAYLOAD));
    let missing = TokenError::Invalid(Refusal::Claims(ClaimsError::Missing("channel")));
    assert_eq!(subscribe(&token(r#"{"sub":"42"}"#)).await, Err(missing));
    assert_eq!(subscribe(&token(r#"{"channel":1}"#)).await, Err(claim("channel")));
    assert_eq!(subscribe(&token(r#"{"channel":"a","client":1}"#)).await, Err(claim("client")));
}

#[tokio::test]
async fn unknown_claims_are_ignored_whatever_they_hold() {
    let deep = format!(r#"{{"sub":"42","roles":{}{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    assert_eq!(connect(&token(deep)).await, Ok(UserId::new("42")));
}

#[tokio::test]
async fn a_token_is_good_from_nbf_until_before_exp() {
    let expired = Err(TokenError::Expired);
    let never = Ok(None);
    // Claims -> when what the token opens ends.
    let table: Vec<(&str, Result<Option<i64>, TokenError>)> = vec![
        ("{}", never),
        (r#"{"exp":1700000001}"#, Ok(Some(NOW + 1))),
        (r#"{"exp":1700000000}"#, expired),
        (r#"{"exp":1700000000.9}"#, expired),
        (r#"{"exp":1699999999}"#, expired),
        (r#"{"exp":0}"#, expired),
        (r#"{"nbf":1700000000}"#, never),
        (r#"{"nbf":1700000001}"#, expired),
        (r#"{"nbf":1700000000.1}"#, expired),
        (r#"{"iat":1700000060}"#, never),
        (r#"{"iat":1700000061}"#, expired),
        // expire_at is the connection's, exp the token's.
        (r#"{"exp":1700000001,"expire_at":1700000900}"#, Ok(Some(NOW + 900))),
        (r#"{"exp":1700000001,"expire_at":0}"#, never),
        (r#"{"exp":1700000000,"expire_at":0}"#, expired),
        (r#"{"expire_at":1700000000}"#, expired),
    ];
    let auth = Auth::new(&config()).unwrap();
    for (payload, expected) in table {
        let outcome = auth.verify_connection(&token(payload), NOW).await;
        assert_eq!(outcome.map(|token| token.expires_at), expected, "{payload}");
        let payload = payload.replacen('{', r#"{"channel":"news","#, 1).replace(",}", "}");
        let outcome = auth.verify_subscription(&token(&payload), NOW).await;
        assert_eq!(outcome.map(|token| token.expires_at), expected, "{payload}");
    }
}

#[tokio::test]
async fn audience_and_issuer_count_when_configured() {
    let mut config = config();
    let any = token(r#"{"aud":"somebody","iss":"someone"}"#);
    assert!(Auth::new(&config).unwrap().verify_connection(&any, NOW).await.is_ok(), "not configured: not looked at");
    config.token.audience = Some("fanfare".to_owned());
    config.token.issuer = Some("app".to_owned());
    let auth = Auth::new(&config).unwrap();
    let audience = Err(TokenError::Invalid(Refusal::Audience));
    let issuer = Err(TokenError::Invalid(Refusal::Issuer));
    let table = [
        (r#"{"aud":"fanfare","iss":"app"}"#, Ok(())),
        (r#"{"aud":["x","fanfare"],"iss":"app"}"#, Ok(())),
        (r#"{"aud":["x"],"iss":"app"}"#, audience),
        (r#"{"aud":[],"iss":"app"}"#, audience),
        (r#"{"iss":"app"}"#, audience),
        (r#"{"aud":"fanfare"}"#, issuer),
        (r#"{"aud":"fanfare","iss":"App"}"#, issuer),
    ];
    for (payload, expected) in table {
        assert_eq!(auth.verify_connection(&token(payload), NOW).await.map(|_| ()), expected, "{payload}");
    }
}

#[tokio::test]
async fn subscription_tokens_may_have_keys_of_their_own() {
    let mut config = config();
    let with_shared = token(r#"{"channel":"news"}"#);
    assert!(Auth::new(&config).unwrap().verify_subscription(&with_shared, NOW).await.is_ok(), "the same unless set");
    config.subscription_token.algorithms = vec![Algorithm::Hs256];
    config.subscription_token.hmac_secret = Some(Secret::new(OTHER_SECRET));
    let auth = Auth::new(&config).unwrap();
    let refused = Err(TokenError::Invalid(Refusal::Signature));
    assert_eq!(auth.verify_subscription(&with_shared, NOW).await, refused);
    let own = sign(r#"{"alg":"HS256"}"#, r#"{"channel":"news"}"#, OTHER_SECRET, jsonwebtoken::Algorithm::HS256);
    assert!(auth.verify_subscription(&own, NOW).await.is_ok());
    assert_eq!(auth.verify_connection(&own, NOW).await.map(|_| ()), Err(TokenError::Invalid(Refusal::Signature)));
}

#[tokio::test]
async fn without_a_key_no_token_is_good() {
    let with_empty_key = sign(r#"{"alg":"HS256"}"#, "{}", "", jsonwebtoken::Algorithm::HS256);
    for secret in [None, Some(Secret::new(""))] {
        let mut config = config();
        config.token.hmac_secret = secret;
        let auth = Auth::new(&config).unwrap();
        assert!(!auth.has_connection_keys());
        for token in [&token("{}"), &with_empty_key, ""] {
            assert_eq!(auth.verify_connection(token, NOW).await, Err(TokenError::NotConfigured));
            assert_eq!(auth.verify_subscription(token, NOW).await, Err(TokenError::NotConfigured));
        }
    }
}

#[tokio::test]
async fn without_algorithms_no_token_is_good() {
    let mut config = config();
    config.token.algorithms.clear();
    let outcome = Auth::new(&config).unwrap().verify_connection(&token("{}"), NOW).await;
    assert_eq!(outcome, Err(TokenError::Invalid(Refusal::Algorithm)));
}

/// A key source as JWKS will be one: keys by name, and not always at hand.
#[derive(Debug)]
struct ByName;

impl KeySource for ByName {
    fn key<'a>(&'a self, header: &'a Header) -> BoxFuture<'a, Result<Key, KeyError>> {
        match header.kid.as_deref() {
            Some("good") => async {
                tokio::task::yield_now().await;
                Ok(Key::hmac(&Secret::new(SECRET)))
            }
            .boxed(),
            Some("late") => ready(Err(KeyError::Unavailable)).boxed(),
            _ => ready(Err(KeyError::Unknown)).boxed(),
        }
    }
}

#[tokio::test]
async fn keys_may_come_by_name_late_or_never() {
    let auth = Auth::with_keys(&config(), Arc::new(ByName), Arc::new(ByName));
    let with_kid =
        |kid: &str| sign(&format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#), "{}", SECRET, jsonwebtoken::Algorithm::HS256);
    assert!(auth.verify_connection(&with_kid("good"), NOW).await.is_ok());
    assert_eq!(auth.verify_connection(&with_kid("late"), NOW).await, Err(TokenError::Unavailable));
    let unknown = Err(TokenError::Invalid(Refusal::Key));
    assert_eq!(auth.verify_connection(&with_kid("other"), NOW).await, unknown);
    assert_eq!(auth.verify_connection(&token("{}"), NOW).await, unknown);
}

#[tokio::test]
async fn nothing_prints_secrets_or_tokens() {
    let auth = Auth::new(&config()).unwrap();
    let key = Key::hmac(&Secret::new(SECRET));
    let bad = token(r#"{"sub":{"secret":"hunter2"}}"#);
    let error = auth.verify_connection(&bad, NOW).await.unwrap_err();
    let printed = format!("{auth:?} {auth:#?} {key:?} {:?} {error} {error:?}", config());
    assert!(!printed.contains(SECRET) && !printed.contains("hunter2") && !printed.contains(&bad[..40]), "{printed}");
    let as_numbers = format!("{:?}", SECRET.as_bytes());
    assert!(!printed.contains(as_numbers.trim_matches(['[', ']'])), "{printed}");
}
