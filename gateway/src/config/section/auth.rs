//! `[auth]`: whose tokens are good.

use std::fmt;
use std::time::Duration;

use crate::config::secret::Secret;
use crate::config::web_url::WebUrl;

/// Whose tokens are good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthConfig {
    /// Connection tokens of no issuer below.
    pub token: TokenConfig,
    /// Subscription tokens of no issuer below; the same as connection tokens unless set.
    pub subscription_token: TokenConfig,
    /// Issuers with keys and rules of their own, for tokens of both kinds. Their `issuer` is set, and
    /// no two have the same.
    pub issuers: Vec<IssuerConfig>,
}

/// An issuer with a name for logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerConfig {
    /// What logs and complaints call it.
    pub name: String,
    /// How its tokens are verified.
    pub token: TokenConfig,
}

/// How the tokens of one kind, or of one issuer, are verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenConfig {
    /// Algorithms that are accepted. Never taken from the token.
    pub algorithms: Vec<Algorithm>,
    /// The shared secret of the HS algorithms.
    pub hmac_secret: Option<Secret>,
    /// The shared secret before that, while its tokens are still around.
    pub hmac_previous: Option<PreviousSecret>,
    /// Files with public keys.
    pub public_keys: Vec<KeyFile>,
    /// Where public keys can be fetched.
    pub jwks: Option<JwksConfig>,
    /// When set, `aud` must name it.
    pub audience: Option<String>,
    /// When set, `iss` must be it.
    pub issuer: Option<String>,
    /// How far the clocks of those who make tokens may be from ours.
    pub leeway: Duration,
    /// The claim that names the user.
    pub user_id_claim: ClaimPath,
    /// What is put before each user's id, so that the users of two issuers are never one.
    pub user_prefix: Option<String>,
}

impl TokenConfig {
    /// Whether there is any key, so that a token can be good.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        // Everyone knows the empty secret.
        self.hmac_secret.as_ref().is_some_and(|secret| !secret.expose().is_empty())
            || !self.public_keys.is_empty()
            || self.jwks.is_some()
    }
}

/// A secret that is on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousSecret {
    /// Itself.
    pub secret: Secret,
    /// The first moment at which it is no longer good, in seconds since 1970.
    pub valid_until_unix_s: i64,
}

/// A file with one public key or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    /// As it was written; from the working directory if relative.
    pub path: String,
    /// The name of its only key; none if tokens do not name it, or if the file does.
    pub kid: Option<String>,
}

/// A key set on the web.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksConfig {
    /// Where it is: an absolute URL. Nothing of a token ever gets into it.
    pub url: WebUrl,
    /// `http://` will do.
    pub allow_http: bool,
    /// Addresses of private networks will do.
    pub allow_private_addresses: bool,
    /// A file with authorities that may vouch for its server, besides the machine's own.
    pub ca_file: Option<String>,
}

/// Which claim names the user: names from the outside in. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

impl Default for ClaimPath {
    /// The registered claim `sub`.
    fn default() -> Self {
        Self(vec!["sub".to_owned()])
    }
}

impl ClaimPath {
    /// Deepest path.
    pub const DEPTH_MAX: usize = 8;

    /// Reads `sub`, `user.id`, or `https://example\.com/user`, where `\` keeps a dot in a name; none if
    /// a name is empty, or there are more than [`Self::DEPTH_MAX`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut names = vec![String::new()];
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let last = names.len() - 1;
            match c {
                '.' => names.push(String::new()),
                '\\' => names[last].push(chars.next().filter(|next| matches!(next, '.' | '\\'))?),
                c => names[last].push(c),
            }
        }
        let good = names.len() <= Self::DEPTH_MAX && names.iter().all(|name| !name.is_empty());
        good.then_some(Self(names))
    }

    /// From the outside in.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether it is the registered claim.
    #[must_use]
    pub fn is_sub(&self) -> bool {
        self.0 == ["sub"]
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = self.0.iter().map(|name| name.replace('\\', r"\\").replace('.', r"\."));
        f.write_str(&escaped.collect::<Vec<_>>().join("."))
    }
}

/// A signature algorithm (RFC 7518, 3.1; RFC 8037, 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// Ed25519.
    EdDsa,
}

/// The kind of key that an algorithm takes. A key of one kind verifies nothing of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// A shared secret.
    Hmac,
    /// RSA, in both paddings.
    Rsa,
    /// A point of P-256.
    P256,
    /// A point of P-384.
    P384,
    /// A point of P-521.
    P521,
    /// A point of Ed25519.
    Ed25519,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
    ];

    /// What tokens call it. Exact: `hs256` is nobody's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name; none for all others, `none` among them.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The kind of key that it takes.
    #[must_use]
    pub fn family(self) -> Family {
        match self {
            Self::Hs256 | Self::Hs384 | Self::Hs512 => Family::Hmac,
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => Family::Rsa,
            Self::Es256 => Family::P256,
            Self::Es384 => Family::P384,
            Self::Es512 => Family::P521,
            Self::EdDsa => Family::Ed25519,
        }
    }
}

impl Family {
    /// The algorithms that take such a key.
    pub fn algorithms(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.into_iter().filter(move |algorithm| algorithm.family() == self)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hmac => "a shared secret",
            Self::Rsa => "an RSA key",
            Self::P256 => "a key of P-256",
            Self::P384 => "a key of P-384",
            Self::P521 => "a key of P-521",
            Self::Ed25519 => "a key of Ed25519",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_have_one_name_and_one_kind_of_key() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::named(algorithm.name()), Some(algorithm));
            assert!(algorithm.family().algorithms().any(|other| other == algorithm));
        }
        for name in ["none", "None", "", "hs256", "HS256 ", "ES256K", "EdDSA25519", "RSA-OAEP", "dir"] {
            assert_eq!(Algorithm::named(name), None, "{name}");
        }
    }

    #[test]
    fn paths_of_claims() {
        let names = |text: &str| ClaimPath::parse(text).map(|path| path.names().join("|"));
        assert_eq!(names("sub").as_deref(), Some("sub"));
        assert_eq!(names("user.id").as_deref(), Some("user|id"));
        assert_eq!(names(r"https://example\.com/user").as_deref(), Some("https://example.com/user"));
        assert_eq!(names(r"a\\b.c").as_deref(), Some(r"a\b|c"));
        for wrong in ["", ".", "a.", ".a", "a..b", r"a\", r"a\b", "a.b.c.d.e.f.g.h.i"] {
            assert_eq!(names(wrong), None, "{wrong}");
        }
        for text in ["sub", "user.id", r"https://example\.com/user", r"a\\b.c"] {
            assert_eq!(ClaimPath::parse(text).unwrap().to_string(), text);
        }
    }
}
