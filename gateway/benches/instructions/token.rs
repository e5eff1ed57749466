//! Who a client is.

use std::hint::black_box;
use std::time::Duration;

use fanfare_gateway::auth::Auth;
use fanfare_gateway::auth::mint::{Ticket, mint};
use fanfare_gateway::config::secret::Secret;
use fanfare_gateway::config::section::auth::Algorithm;
use fanfare_gateway::config::section::{AuthConfig, TokenConfig};
use futures_util::FutureExt;

use crate::measure::measured;

/// How often the token is verified.
pub(crate) const ROUNDS: usize = 100;

const NOW_UNIX_S: i64 = 1_700_000_000;

/// A good connection token: shape, signature, claims.
pub(crate) fn verify_hs256() {
    let token = TokenConfig {
        algorithms: vec![Algorithm::Hs256],
        hmac_secret: Some(Secret::new("a secret of thirty-two bytes ...")),
        ..TokenConfig::default()
    };
    let config = AuthConfig { token, ..AuthConfig::default() };
    let ticket = Ticket {
        user: "anna",
        channel: None,
        channels: &[],
        info: None,
        issued_at: NOW_UNIX_S,
        ttl: Some(Duration::from_secs(3600)),
    };
    let token = mint(&config, &ticket).expect("a secret and an algorithm are configured");
    let auth = Auth::new(&config).expect("a secret is no file");
    let verify = || auth.verify_connection(black_box(&token), NOW_UNIX_S).now_or_never().expect("the key is here");
    assert_eq!(verify().expect("the token is good").user.as_str(), "anna");
    measured(|| {
        for _ in 0..ROUNDS {
            black_box(verify()).expect("the token is good");
        }
    });
}
