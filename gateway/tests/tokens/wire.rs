//! The table, told to the real gateway: what clients see of each row.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::draft::{Draft, OURS};
use crate::gateway::{Gateway, HMAC_SECRET};
use crate::table::{Outcome, Row, rows};
use crate::token::now;
use crate::ws::Socket;

/// Room for the longest row.
const SIZES: &str = "[client]\nmessage_size_limit = \"16MiB\"\nqueue_max_size = \"32MiB\"\n";

/// With a key of each kind, and every check that can be switched on. Goes on with `[auth.token]`.
fn config(directory: &tempfile::TempDir) -> String {
    let files = OURS.pems().map(|(name, pem)| {
        let path = directory.path().join(format!("{name}.pem"));
        std::fs::write(&path, pem).unwrap();
        format!("{name}={}", path.display())
    });
    let algorithms =
        ["HS256", "HS384", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];
    let mut config = format!("algorithms = {algorithms:?}\npublic_keys = {files:?}\n");
    config.push_str("audience = \"fanfare\"\nissuer = \"https://app.example\"\n");
    writeln!(config, "{SIZES}disallow_anonymous_connection_tokens = true").unwrap();
    config
}

fn good_claims() -> Value {
    json!({ "sub": "42", "exp": now() + 600, "aud": "fanfare", "iss": "https://app.example" })
}

fn connection_token(row: Option<&Row>) -> String {
    made(good_claims(), row)
}

fn subscription_token(row: &Row) -> String {
    let mut claims = good_claims();
    claims["channel"] = json!("$news");
    made(claims, Some(row))
}

fn made(claims: Value, row: Option<&Row>) -> String {
    let mut draft = Draft::new(claims, HMAC_SECRET);
    if let Some(row) = row {
        (row.change)(&mut draft);
    }
    draft.finish()
}

/// What a client is told that sends this.
async fn told(socket: &mut Socket, command: Value) -> Outcome {
    socket.text(command.to_string()).await;
    match socket.line().await {
        Some(reply) => reply["error"]["code"].as_u64().map_or(Outcome::Good, Outcome::Error),
        None => Outcome::Close(socket.closed().await.code.unwrap_or_default()),
    }
}

async fn connect(gateway: &Gateway, token: &str) -> (Socket, Outcome) {
    let mut socket = Socket::open(gateway.listen).await;
    let outcome = told(&mut socket, json!({ "id": 1, "connect": { "token": token } })).await;
    (socket, outcome)
}

#[tokio::test]
async fn each_row_of_the_table_has_its_outcome() {
    let directory = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::start_without_api_key(&config(&directory)).await;
    let mut wrong = String::new();
    let mut count = 0;
    for row in rows() {
        let (_, of_connection) = connect(&gateway, &connection_token(Some(row))).await;
        let (mut socket, welcome) = connect(&gateway, &connection_token(None)).await;
        assert_eq!(welcome, Outcome::Good, "the token that rows are compared with");
        let subscribe = json!({ "channel": "$news", "token": subscription_token(row) });
        let of_subscription = told(&mut socket, json!({ "id": 2, "subscribe": subscribe })).await;
        let outcomes = [of_connection, of_subscription];
        if outcomes != row.outcomes {
            writeln!(wrong, "{}: {outcomes:?} and not {:?}", row.name, row.outcomes).unwrap();
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count >= 120, "{count} rows");
    let log = gateway.log();
    assert!(!log.contains("panicked") && !log.contains(HMAC_SECRET), "{log}");
    gateway.assert_running();
}

#[test]
fn rows_have_names_of_their_own() {
    let mut names: Vec<_> = rows().map(|row| row.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
