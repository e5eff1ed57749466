//! Tokens that others took.

use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::room::{Room, SECURE};
use crate::token;

const INVALID_TOKEN: u16 = 3500;

async fn refused(room: &Room, token: &str) {
    let mut stranger = room.stranger().await;
    stranger.text(json!({ "id": 1, "connect": { "token": token } }).to_string()).await;
    stranger.expect_close(INVALID_TOKEN).await;
}

/// What `check-config` says of a configuration, and its exit code.
fn check_config(config: &str) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gateway.toml");
    std::fs::write(&file, config).unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_fanfare-gateway"));
    let output = check.args(["check-config", "-c"]).arg(&file).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Centrifugo: the address of the key set was put together of claims that nobody had verified. Here a
/// token's words are compared, and nothing is fetched because of them.
#[tokio::test]
async fn cve_2026_32301_no_claim_gets_into_an_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let room = Room::open(&format!(
        "{SECURE}[[auth.issuer]]\nname = \"a\"\nissuer = \"https://a.example\"\nhmac_secret = \"{}\"\n",
        "a".repeat(32)
    ))
    .await;
    let header = |more: Value| {
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
        header.kid = Some(url.clone());
        header.jku = more["jku"].as_str().map(str::to_owned);
        header.x5u = more["x5u"].as_str().map(str::to_owned);
        header
    };
    let key = jsonwebtoken::EncodingKey::from_secret(b"a secret of the one who tries it ...");
    for (more, claims) in [
        (json!({ "jku": url }), json!({ "sub": "42" })),
        (json!({ "x5u": url }), json!({ "sub": "42" })),
        (json!({}), json!({ "sub": "42", "iss": url })),
        (json!({}), json!({ "sub": "42", "iss": format!("https://a.example@{}", listener.local_addr().unwrap()) })),
    ] {
        let token = jsonwebtoken::encode(&header(more), &claims, &key).unwrap();
        refused(&room, &token).await;
    }
    let nobody = listener.accept().unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock, "somebody came");
    room.close().await;
}

/// Keys were kept by their name alone, so one issuer's key verified another's tokens.
#[tokio::test]
async fn cve_2026_49998_keys_are_kept_by_issuer() {
    let (a, b) = ("a".repeat(32), "b".repeat(32));
    let issuer = |name: &str, secret: &str| {
        format!("[[auth.issuer]]\nname = \"{name}\"\nissuer = \"https://{name}.example\"\nhmac_secret = \"{secret}\"\n")
    };
    let room = Room::open(&format!("{SECURE}{}{}", issuer("a", &a), issuer("b", &b))).await;
    let signed = |issuer: &str, secret: &str| {
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
        header.kid = Some("key-1".to_owned());
        let claims = json!({ "sub": "42", "iss": format!("https://{issuer}.example") });
        jsonwebtoken::encode(&header, &claims, &jsonwebtoken::EncodingKey::from_secret(secret.as_bytes())).unwrap()
    };
    for (issuer, own, other) in [("a", &a, &b), ("b", &b, &a)] {
        let reply = room.stranger().await.connect(&json!({ "token": signed(issuer, own) })).await;
        assert!(reply["error"].is_null(), "{reply}");
        refused(&room, &signed(issuer, other)).await;
    }
    room.close().await;
}

/// jsonwebtoken before 10.3: an `exp` or `nbf` of a wrong type counted as none at all.
#[tokio::test]
async fn cve_2026_25537_a_wrong_type_is_not_an_absence() {
    let room = Room::open(SECURE).await;
    for wrong in [json!("1"), json!([1]), json!({}), json!(true), json!(null), json!("")] {
        refused(&room, &token::mint(&json!({ "sub": "42", "exp": wrong }))).await;
        refused(&room, &token::mint(&json!({ "sub": "42", "nbf": wrong }))).await;
    }
    room.close().await;
}

/// jwt-simple, by its own audit: a negative moment wrapped around into the far future.
#[tokio::test]
async fn jwt_simple_negative_moments_do_not_wrap() {
    let room = Room::open(SECURE).await;
    for name in ["exp", "nbf", "iat", "expire_at"] {
        for moment in [json!(-1), json!(-1.5), json!(i64::MIN), json!(-1e300)] {
            refused(&room, &token::mint(&json!({ "sub": "42", name: moment }))).await;
        }
    }
    room.close().await;
}

/// `PyJWT`: its client for key sets fetched addresses of any scheme, files as well.
#[test]
fn cve_2026_48522_key_sets_are_not_files() {
    for url in ["file:///etc/passwd", "data:application/json,{}", "ftp://a.example/jwks", "jwks.json", "https:///jwks"]
    {
        let (code, said) = check_config(&format!("[auth.token]\njwks_url = \"{url}\"\n"));
        assert_eq!(code, Some(78), "{url}: {said}");
        assert!(said.contains("is not a URL that can be fetched"), "{url}: {said}");
    }
}

/// `PyJWT` again: what was fetched without encryption could be anybody's.
#[test]
fn cve_2026_102267_key_sets_come_over_https() {
    let (code, said) = check_config("[auth.token]\njwks_url = \"http://a.example/jwks.json\"\n");
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("is not https"), "{said}");
}

/// `SurrealDB`: a template in the address of the key set was filled in by whoever logged in.
#[test]
fn ghsa_h5rg_key_sets_have_no_templates() {
    let (code, said) = check_config("[auth.token]\njwks_url = \"https://{{tenant}}.a.example/jwks.json\"\n");
    assert_eq!(code, Some(78), "{said}");
}

/// Centrifugo 1.4.3: the socket of the operators let everybody in.
#[tokio::test]
async fn centrifugo_1_4_3_operators_doors_ask_who_it_is() {
    let gateway = Gateway::start(SECURE).await;
    for key in [None, Some(""), Some("x"), Some("test-api-ke"), Some("test-api-keyy"), Some("TEST-API-KEY")] {
        let (status, answer) = gateway.api_raw("info", key, "{}").await;
        assert_eq!(status, 401, "{key:?}: {answer}");
    }
    let public = reqwest::Client::new();
    for path in ["metrics", "debug/pprof", "admin", "admin/", "api"] {
        let answer = public.get(format!("http://{}/{path}", gateway.listen)).send().await.unwrap();
        assert!(!answer.status().is_success(), "{path}: {answer:?}");
    }
}
