//! Tokens that are not good.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::gateway::HMAC_SECRET;
use crate::room::{Room, SECURE};
use crate::token;
use crate::ws::Socket;

const INVALID_TOKEN: u16 = 3500;

/// Connecting with this token ends with 3500.
async fn refused(room: &Room, bad: &str) {
    let mut stranger = room.stranger().await;
    stranger.text(json!({ "id": 1, "connect": { "token": bad } }).to_string()).await;
    stranger.expect_close(INVALID_TOKEN).await;
}

/// The same for each of these claims, signed as they should be.
async fn claims_refused(claims: &[Value]) {
    let room = Room::open(SECURE).await;
    for claims in claims {
        let mut stranger = room.stranger().await;
        stranger.text(json!({ "id": 1, "connect": { "token": token::mint(claims) } }).to_string()).await;
        let closed = stranger.closed().await;
        assert_eq!(closed.code, Some(INVALID_TOKEN), "{claims}");
    }
    room.close().await;
}

/// The error code in the answer to connecting with this token.
async fn error(room: &Room, token: &str) -> u64 {
    let reply = room.stranger().await.connect(&json!({ "token": token })).await;
    reply["error"]["code"].as_u64().unwrap_or(0)
}

#[tokio::test]
async fn expired() {
    let room = Room::open(SECURE).await;
    assert_eq!(error(&room, &token::mint(&json!({ "sub": "42", "exp": token::now() - 1 }))).await, 109);
    assert_eq!(error(&room, &token::mint(&json!({ "sub": "42", "exp": 1 }))).await, 109);
    room.close().await;
}

#[tokio::test]
async fn not_yet_valid() {
    let room = Room::open(SECURE).await;
    assert_eq!(error(&room, &token::mint(&json!({ "sub": "42", "nbf": token::now() + 600 }))).await, 109);
    room.close().await;
}

#[tokio::test]
async fn algorithm_none() {
    let room = Room::open(SECURE).await;
    let payload = URL_SAFE_NO_PAD.encode(r#"{"sub":"42"}"#);
    for algorithm in ["none", "None", "NONE", ""] {
        let header = URL_SAFE_NO_PAD.encode(json!({ "alg": algorithm, "typ": "JWT" }).to_string());
        refused(&room, &format!("{header}.{payload}.")).await;
        refused(&room, &format!("{header}.{payload}")).await;
    }
    room.close().await;
}

#[tokio::test]
async fn another_algorithm() {
    let room = Room::open(SECURE).await;
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        refused(&room, &token::mint_with(&json!({ "sub": "42" }), algorithm, HMAC_SECRET)).await;
    }
    room.close().await;
}

#[tokio::test]
async fn another_key() {
    let room = Room::open(SECURE).await;
    for secret in ["another-secret-that-is-long-enough-too", "", "secret"] {
        refused(&room, &token::mint_with(&json!({ "sub": "42" }), Algorithm::HS256, secret)).await;
    }
    room.close().await;
}

#[tokio::test]
async fn not_a_token() {
    let room = Room::open(SECURE).await;
    let good = token::mint(&json!({ "sub": "42" }));
    let (unsigned, signature) = good.rsplit_once('.').unwrap();
    let foreign = token::mint(&json!({ "sub": "43" }));
    let crossed = format!("{}.{signature}", foreign.rsplit_once('.').unwrap().0);
    for bad in ["nonsense", ".", "..", "...", unsigned, &format!("{good}."), &format!("{good} "), &crossed] {
        refused(&room, bad).await;
    }
    room.close().await;
}

#[tokio::test]
async fn times_of_wrong_types() {
    claims_refused(&[
        json!({ "sub": "42", "exp": "4102444800" }),
        json!({ "sub": "42", "exp": true }),
        json!({ "sub": "42", "exp": [1] }),
        json!({ "sub": "42", "exp": {} }),
        json!({ "sub": "42", "nbf": "0" }),
        json!({ "sub": "42", "expire_at": "soon" }),
    ])
    .await;
}

#[tokio::test]
async fn other_claims_of_wrong_types() {
    claims_refused(&[
        json!({ "sub": 42 }),
        json!({ "sub": ["42"] }),
        json!({ "sub": "42", "channels": "news" }),
        json!({ "sub": "42", "channels": [1] }),
        json!({ "sub": "42", "subs": ["news"] }),
        json!({ "sub": "42", "b64info": 1 }),
        json!(["42"]),
        json!("42"),
    ])
    .await;
}

#[tokio::test]
async fn a_subscription_token() {
    claims_refused(&[json!({ "sub": "42", "channel": "news" })]).await;
}

#[tokio::test]
async fn one_mib_long() {
    let room = Room::open(SECURE).await;
    let stranger = room.stranger().await;
    let long = token::mint(&json!({ "sub": "42", "info": "x".repeat(768 * 1024) }));
    assert!(long.len() >= 1024 * 1024);
    let command = json!({ "id": 1, "connect": { "token": long } }).to_string();
    let closed = stranger.flood(tokio_tungstenite::tungstenite::Message::text(command)).await;
    assert_eq!(closed.code, Some(1009), "{closed:?}");
    room.close().await;
}

#[tokio::test]
async fn in_the_header() {
    let room = Room::open(SECURE).await;
    let listen = room.gateway.listen;
    let good = format!("Bearer {}", token::mint(&json!({ "sub": "42" })));

    let mut alone = Socket::open_with(listen, &[("Authorization", &good)]).await;
    assert!(alone.connect(&json!({})).await["error"].is_null());

    let mut nonsense = Socket::open_with(listen, &[("Authorization", "Bearer nonsense")]).await;
    nonsense.text(r#"{"id":1,"connect":{}}"#).await;
    nonsense.expect_close(INVALID_TOKEN).await;

    let mut equal = Socket::open_with(listen, &[("Authorization", &good)]).await;
    assert!(equal.connect(&json!({ "token": good.trim_start_matches("Bearer ") })).await["error"].is_null());

    let mut different = Socket::open_with(listen, &[("Authorization", &good)]).await;
    let other = token::mint(&json!({ "sub": "43" }));
    different.text(json!({ "id": 1, "connect": { "token": other } }).to_string()).await;
    different.expect_close(INVALID_TOKEN).await;
    room.close().await;
}
