//! Tokens as a backend would make them, good and bad.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::Value;

use crate::gateway::HMAC_SECRET;

/// An HS256 token with these claims, signed with the tests' secret.
pub fn mint(claims: &Value) -> String {
    mint_with(claims, Algorithm::HS256, HMAC_SECRET)
}

/// A token of another algorithm or secret.
pub fn mint_with(claims: &Value, algorithm: Algorithm, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
}

/// Now, in seconds since 1970, as `exp` and `nbf` count.
pub fn now() -> u64 {
    #[allow(clippy::disallowed_methods, reason = "the real gateway's clock cannot be moved from here")]
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
