//! Tokens that a backend would have signed for its users.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// A JWT with these claims, signed by HS256.
pub(super) fn hs256(secret: &str, claims: &Value) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let unsigned = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), unsigned.as_bytes());
    format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_what_others_sign() {
        // From `printf '%s' HEADER.CLAIMS | openssl dgst -sha256 -hmac secret -binary | basenc --base64url`.
        let token = hs256("secret", &json!({ "sub": "7" }));
        assert_eq!(
            token,
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI3In0.YNVm3kTUe0hHLISakU4cmk8MSvtML_GbFX1hBFiznF0"
        );
    }
}
