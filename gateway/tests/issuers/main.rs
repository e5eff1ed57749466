//! Tokens and key sets of the libraries that issuers are made of: PyPI's PyJWT and Authlib, and npm's jose. Each signs
//! with every algorithm, publishes its keys over HTTPS and rotates them, and knows nothing of us.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod issuer;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use fanfare_gateway::auth::jwks::{Jwks, JwksConfig};
use fanfare_gateway::auth::{Auth, Refusal, TokenError};
use fanfare_gateway::config::section::auth::Algorithm;
use fanfare_gateway::config::section::{AuthConfig, TokenConfig};
use fanfare_gateway::model::UserId;
use fanfare_gateway::model::time::TestClock;
use fanfare_gateway::task::Tasks;
use fanfare_gateway::telemetry::Metrics;

use issuer::{Issuer, Tokens};

/// Before the tokens' `exp`.
const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://issuer.example";
const PATIENCE: Duration = Duration::from_secs(10);
/// After this an unknown key causes a fetch again.
const COOL_DOWN: Duration = Duration::from_secs(31);
const AUTHORITY: &[u8] = include_bytes!("../certificates/authority.pem");

/// A gateway's part that verifies tokens, with an issuer's keys.
struct Room {
    auth: Auth,
    clock: Arc<TestClock>,
    tasks: Tasks,
}

impl Room {
    fn new(url: &str) -> Self {
        let metrics = Arc::new(Metrics::new());
        let (tasks, clock) = (Tasks::new(Arc::clone(&metrics)), TestClock::at_unix_ms(1_000));
        let config =
            JwksConfig { allow_private_addresses: true, authorities: Some(AUTHORITY.to_vec()), ..JwksConfig::new(url) };
        let keys = Jwks::start(config, &tasks, clock.clone(), metrics).unwrap();
        let token = TokenConfig {
            algorithms: Algorithm::ALL.to_vec(),
            issuer: Some(ISSUER.to_owned()),
            ..TokenConfig::default()
        };
        let config = AuthConfig { token: token.clone(), subscription_token: token, ..AuthConfig::default() };
        Self { auth: Auth::with_keys(&config, keys.clone(), keys), clock, tasks }
    }

    async fn verify(&self, token: &str) -> Result<UserId, TokenError> {
        self.auth.verify_connection(token, NOW).await.map(|token| token.user)
    }

    async fn all_are_good(&self, tokens: &Tokens) {
        for (algorithm, token) in tokens {
            assert_eq!(self.verify(token).await, Ok(UserId::new("42")), "{algorithm}: {token}");
        }
    }
}

/// The life of an issuer's keys, as seen from a gateway.
async fn sees_an_issuer(mut issuer: Issuer) {
    let room = Room::new(&issuer.url);
    let first = issuer.sign();
    assert_eq!(first.len(), 10, "{first:?}");
    room.all_are_good(&first).await;
    the_program_says_the_same(&issuer.url, &first);
    for (algorithm, token) in &first {
        let forged = forged(token, first.values().find(|other| *other != token).unwrap());
        assert_eq!(room.verify(&forged).await, Err(TokenError::Invalid(Refusal::Signature)), "{algorithm}");
    }

    issuer.rotate();
    let second = issuer.sign();
    room.all_are_good(&second).await;
    room.all_are_good(&first).await;

    issuer.retire();
    issuer.rotate();
    let third = issuer.sign();
    room.clock.advance(COOL_DOWN);
    room.all_are_good(&third).await;
    room.all_are_good(&second).await;
    for token in first.values() {
        assert!(room.verify(token).await.is_err());
    }
    // Now that all were asked for, one fetch says of all that they are gone.
    room.clock.advance(COOL_DOWN);
    for (algorithm, token) in &first {
        assert_eq!(room.verify(token).await, Err(TokenError::Invalid(Refusal::Key)), "{algorithm}");
    }
    issuer.end();
    assert_eq!(room.tasks.shutdown(PATIENCE).await, Ok(()));
}

/// The gateway's own program, with the issuer in its configuration.
fn the_program_says_the_same(url: &str, tokens: &Tokens) {
    let authority = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates/authority.pem");
    let algorithms: Vec<&String> = tokens.keys().collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = format!(
        "[auth.token]\nalgorithms = {algorithms:?}\nissuer = {ISSUER:?}\njwks_url = {url:?}\n\
         jwks_ca_file = {authority:?}\njwks_allow_private_addresses = true\n"
    );
    std::fs::write(file.path(), config).unwrap();
    let check = |token: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_fanfare-gateway"));
        let output = program.args(["check-token", token, "-c"]).arg(file.path()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    for (algorithm, token) in tokens {
        let (code, said) = check(token);
        assert_eq!(code, Some(0), "{algorithm}: {said}");
    }
    let (one, other) = (&tokens["ES256"], &tokens["RS256"]);
    let (code, said) = check(&forged(one, other));
    assert_eq!(code, Some(1), "{said}");
}

/// The token with another's signature.
fn forged(token: &str, other: &str) -> String {
    let (message, _) = token.rsplit_once('.').unwrap();
    let (_, signature) = other.rsplit_once('.').unwrap();
    format!("{message}.{signature}")
}

#[tokio::test(flavor = "multi_thread")]
async fn pyjwt_of_pypi() {
    sees_an_issuer(Issuer::python("with_pyjwt.py")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn authlib_of_pypi() {
    sees_an_issuer(Issuer::python("with_authlib.py")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jose_of_npm() {
    sees_an_issuer(Issuer::node("with_jose.mjs")).await;
}
