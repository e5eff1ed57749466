//! The keys about tokens: whose are good, and how they are read.

use std::time::Duration;

use crate::config::manual::{Key, Section, Unset, show};
use crate::config::moment::Moment;
use crate::config::secret::Secret;
use crate::config::section::auth::{Algorithm, ClaimPath, KeyFile};
use crate::config::settings::Reader;
use crate::config::value::Value;
use crate::config::web_url::WebUrl;

section! {
    /// Whose connection tokens are good.
    RawToken at "auth.token" {
        /// What tokens may be signed with: "HS256", "RS256", "PS256", "ES256", the same with 384 and 512, "EdDSA".
        /// Never taken from the token.
        algorithms: Vec<Algorithm>, default r#"["HS256"]"#;
        /// The secret that tokens are signed with; 32 random bytes or more. Better set by
        /// FANFARE_AUTH__TOKEN__HMAC_SECRET_FILE than here.
        hmac_secret: Secret, example "change-me";
        /// The secret before that, while tokens signed with it are still around.
        hmac_previous_secret: Secret, example "change-me";
        /// Until when the previous secret is good: "2026-12-01T00:00:00Z", or seconds since 1970.
        hmac_previous_valid_until: Moment, example "2026-12-01T00:00:00Z";
        /// Files with public keys, in PEM or as a JWK or a JWK set in JSON: "app.pem", or with the name by which
        /// tokens call the key (`kid`) "2026-11=app.pem". A token that names no key is tried with 8 at most.
        public_keys: Vec<KeyFile>, default "[]";
        /// Where the issuer publishes its keys, a JWK set. Nothing of a token is ever put into it.
        jwks_url: WebUrl, example "https://auth.example.com/.well-known/jwks.json";
        /// `jwks_url` may be http://. Whoever is on the way can then make tokens: for tests.
        jwks_allow_http: bool, default "false";
        /// `jwks_url` may lead into a private network.
        jwks_allow_private_addresses: bool, default "false";
        /// Authorities in PEM that may vouch for the server of `jwks_url`, besides the machine's own.
        jwks_ca_file: String, example "/etc/ssl/private-ca.pem";
        /// When set, a token's `aud` must name it.
        audience: String, example "fanfare";
        /// When set, a token's `iss` must be it.
        issuer: String, example "https://example.com";
        /// How far the clocks of those who make tokens may be from ours, for `exp`, `nbf` and `iat`; at most 5m.
        leeway: Duration, default "0s";
        /// The claim that names the user; a dot leads into an object ("user.id"), `\.` is a dot in a name.
        user_id_claim: ClaimPath, default "sub";
    }
}

section! {
    /// Whose subscription tokens are good. What is not set here is as in `auth.token`; a key of its own
    /// (`hmac_secret`, `public_keys` or `jwks_url`) stands in the place of all keys there.
    RawSubscriptionToken at "auth.subscription_token" {
        /// As `auth.token.algorithms`.
        algorithms: Vec<Algorithm>, example r#"["HS256"]"#;
        /// As `auth.token.hmac_secret`.
        hmac_secret: Secret, example "change-me";
        /// As `auth.token.hmac_previous_secret`.
        hmac_previous_secret: Secret, example "change-me";
        /// As `auth.token.hmac_previous_valid_until`.
        hmac_previous_valid_until: Moment, example "2026-12-01T00:00:00Z";
        /// As `auth.token.public_keys`.
        public_keys: Vec<KeyFile>, default "[]";
        /// As `auth.token.jwks_url`.
        jwks_url: WebUrl, example "https://auth.example.com/.well-known/jwks.json";
        /// As `auth.token.jwks_allow_http`.
        jwks_allow_http: bool, default "false";
        /// As `auth.token.jwks_allow_private_addresses`.
        jwks_allow_private_addresses: bool, default "false";
        /// As `auth.token.jwks_ca_file`.
        jwks_ca_file: String, example "/etc/ssl/private-ca.pem";
        /// As `auth.token.audience`.
        audience: String, example "fanfare";
        /// As `auth.token.issuer`.
        issuer: String, example "https://example.com";
        /// As `auth.token.leeway`.
        leeway: Duration, example "10s";
        /// As `auth.token.user_id_claim`.
        user_id_claim: ClaimPath, example "user.id";
    }
}

section! {
    /// One of several issuers, for tokens of both kinds whose `iss` is its own. Its keys verify nobody
    /// else's tokens, and nobody else's verify its; tokens of no issuer are those of `auth.token`.
    RawIssuer at "auth.issuer" {
        /// What logs call it.
        name: String, example "staff";
        /// The `iss` of its tokens, to the letter.
        issuer: String, example "https://staff.example.com";
        /// As `auth.token.algorithms`.
        algorithms: Vec<Algorithm>, default r#"["HS256"]"#;
        /// As `auth.token.hmac_secret`.
        hmac_secret: Secret, example "change-me";
        /// As `auth.token.hmac_previous_secret`.
        hmac_previous_secret: Secret, example "change-me";
        /// As `auth.token.hmac_previous_valid_until`.
        hmac_previous_valid_until: Moment, example "2026-12-01T00:00:00Z";
        /// As `auth.token.public_keys`.
        public_keys: Vec<KeyFile>, default "[]";
        /// As `auth.token.jwks_url`.
        jwks_url: WebUrl, example "https://staff.example.com/.well-known/jwks.json";
        /// As `auth.token.jwks_allow_http`.
        jwks_allow_http: bool, default "false";
        /// As `auth.token.jwks_allow_private_addresses`.
        jwks_allow_private_addresses: bool, default "false";
        /// As `auth.token.jwks_ca_file`.
        jwks_ca_file: String, example "/etc/ssl/private-ca.pem";
        /// As `auth.token.audience`.
        audience: String, example "fanfare";
        /// As `auth.token.leeway`.
        leeway: Duration, default "0s";
        /// As `auth.token.user_id_claim`.
        user_id_claim: ClaimPath, default "sub";
        /// What is put before the ids of its users, so that they are nobody else's: "staff-".
        user_prefix: String, example "staff-";
    }
}
