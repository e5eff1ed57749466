//! Makes tokens, for the `token` command, `dev` and tests; the other side of what is verified here.
//! Applications make their own.

use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::config::section::auth::Algorithm;
use crate::config::section::{AuthConfig, TokenConfig};

/// What a token says.
#[derive(Clone, Debug)]
pub struct Ticket<'a> {
    /// Whom it is for; empty for an anonymous one.
    pub user: &'a str,
    /// With a channel it is a subscription token for it, else a connection token.
    pub channel: Option<&'a str>,
    /// Channels that the connection is subscribed to by the server.
    pub channels: &'a [String],
    /// What others see of the user.
    pub info: Option<&'a RawValue>,
    /// Now, in seconds since 1970.
    pub issued_at: i64,
    /// Until when it is good; for ever if none. Counted in whole seconds, rounded up.
    pub ttl: Option<Duration>,
}

/// Why there is no token. The operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// Nothing to sign with.
    #[error("no secret is configured")]
    NoSecret,
    /// The configuration names no algorithm for it.
    #[error("no algorithm for a secret is configured: HS256, HS384 or HS512")]
    NoAlgorithm,
    /// The library refuses the claims or the key.
    #[error("the token cannot be signed: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    channels: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<&'a RawValue>,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
}

/// Signs a token that the same configuration accepts: with the first of its algorithms that takes the
/// secret, for its audience, as its issuer. Private keys are nowhere here, so there is no other kind.
///
/// # Errors
/// If the configuration for this kind of token has no secret or no algorithm for it.
pub fn mint(config: &AuthConfig, ticket: &Ticket<'_>) -> Result<String, MintError> {
    let TokenConfig { algorithms, hmac_secret, audience, issuer, .. } =
        if ticket.channel.is_some() { &config.subscription_token } else { &config.token };
    let secret = hmac_secret.as_ref().ok_or(MintError::NoSecret)?;
    let algorithm = algorithms.iter().find_map(|algorithm| match algorithm {
        Algorithm::Hs256 => Some(jsonwebtoken::Algorithm::HS256),
        Algorithm::Hs384 => Some(jsonwebtoken::Algorithm::HS384),
        Algorithm::Hs512 => Some(jsonwebtoken::Algorithm::HS512),
        _ => None,
    });
    let algorithm = algorithm.ok_or(MintError::NoAlgorithm)?;
    let claims = Claims {
        sub: ticket.user,
        channel: ticket.channel,
        channels: ticket.channels,
        info: ticket.info,
        iat: ticket.issued_at,
        exp: ticket.ttl.map(|ttl| ticket.issued_at.saturating_add(whole_seconds(ttl))),
        aud: audience.as_deref(),
        iss: issuer.as_deref(),
    };
    let key = EncodingKey::from_secret(secret.expose().as_bytes());
    Ok(jsonwebtoken::encode(&Header::new(algorithm), &claims, &key)?)
}

fn whole_seconds(ttl: Duration) -> i64 {
    let rounded = ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0));
    i64::try_from(rounded).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;
    use crate::config::secret::Secret;

    fn config() -> AuthConfig {
        let token = TokenConfig {
            algorithms: vec![Algorithm::Hs384, Algorithm::Hs256],
            hmac_secret: Some(Secret::new("connections")),
            ..TokenConfig::default()
        };
        let subscription_token = TokenConfig {
            algorithms: vec![Algorithm::Hs256],
            hmac_secret: Some(Secret::new("subscriptions")),
            audience: Some("a".into()),
            issuer: Some("i".into()),
            ..TokenConfig::default()
        };
        AuthConfig { token, subscription_token, ..AuthConfig::default() }
    }

    fn ticket() -> Ticket<'static> {
        Ticket { user: "42", channel: None, channels: &[], info: None, issued_at: 1000, ttl: None }
    }

    fn parts(token: &str) -> (Value, Value) {
        let part = |index| {
            let text = token.split('.').nth(index).unwrap();
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
        };
        (part(0), part(1))
    }

    fn is_signed_with(token: &str, secret: &str, algorithm: jsonwebtoken::Algorithm) -> bool {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let key = jsonwebtoken::DecodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key, algorithm).unwrap()
    }

    #[test]
    fn a_connection_token_says_no_more_than_it_was_told() {
        let token = mint(&config(), &ticket()).unwrap();
        assert_eq!(parts(&token), (json!({"alg": "HS384", "typ": "JWT"}), json!({"sub": "42", "iat": 1000})));
        assert!(is_signed_with(&token, "connections", jsonwebtoken::Algorithm::HS384));
        assert!(!is_signed_with(&token, "subscriptions", jsonwebtoken::Algorithm::HS384));
    }

    #[test]
    fn all_claims() {
        let info: Box<RawValue> = serde_json::from_str(r#"{"big":12345678901234567890123}"#).unwrap();
        let channels = ["news".to_owned()];
        let ttl = Some(Duration::from_millis(1500));
        let token = mint(&config(), &Ticket { channels: &channels, info: Some(&info), ttl, ..ticket() }).unwrap();
        let claims = token.split('.').nth(1).unwrap();
        let claims = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        let expected =
            r#"{"sub":"42","channels":["news"],"info":{"big":12345678901234567890123},"iat":1000,"exp":1002}"#;
        assert_eq!(claims, expected);
    }

    #[test]
    fn a_channel_makes_a_subscription_token() {
        let token = mint(&config(), &Ticket { channel: Some("$news"), ..ticket() }).unwrap();
        let claims = json!({"sub": "42", "channel": "$news", "iat": 1000, "aud": "a", "iss": "i"});
        assert_eq!(parts(&token), (json!({"alg": "HS256", "typ": "JWT"}), claims));
        assert!(is_signed_with(&token, "subscriptions", jsonwebtoken::Algorithm::HS256));
    }

    #[test]
    fn without_a_secret_there_is_no_token() {
        let mut config = config();
        config.token.hmac_secret = None;
        assert!(matches!(mint(&config, &ticket()), Err(MintError::NoSecret)));
        config.subscription_token.algorithms = vec![Algorithm::Es256];
        assert!(matches!(mint(&config, &Ticket { channel: Some("x"), ..ticket() }), Err(MintError::NoAlgorithm)));
    }
}
