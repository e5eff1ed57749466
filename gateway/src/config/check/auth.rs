//! What was written about tokens. Files with keys are read where keys are made, in `auth`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Checker;
use crate::config::Purpose;
use crate::config::manual::variable;
use crate::config::moment::Moment;
use crate::config::raw::{RawClient, RawIssuer, RawSubscriptionToken, RawToken};
use crate::config::secret::Secret;
use fanfare_proto::name::can_be_user;

use crate::config::section::auth::{Algorithm, Family, IssuerConfig, JwksConfig, KeyFile, PreviousSecret};
use crate::config::section::{AuthConfig, TokenConfig};
use crate::config::web_url::WebUrl;

/// Shorter secrets can be guessed offline from one token (RFC 7518, 3.2).
const SECRET_BYTES_MIN: usize = 32;
/// Clocks further apart than this want to be set, not excused.
const LEEWAY_MAX: Duration = Duration::from_secs(300);

/// The keys of one section, as they were written.
struct Keys {
    hmac_secret: Option<Secret>,
    previous: (Option<Secret>, Option<Moment>),
    public_keys: Vec<KeyFile>,
    jwks_url: Option<WebUrl>,
    allow_http: bool,
    allow_private_addresses: bool,
    ca_file: Option<String>,
}

/// The keys of a raw section: three types have them under the same names.
macro_rules! keys {
    ($raw:ident) => {
        Keys {
            hmac_secret: $raw.hmac_secret,
            previous: ($raw.hmac_previous_secret, $raw.hmac_previous_valid_until),
            public_keys: $raw.public_keys,
            jwks_url: $raw.jwks_url,
            allow_http: $raw.jwks_allow_http,
            allow_private_addresses: $raw.jwks_allow_private_addresses,
            ca_file: $raw.jwks_ca_file,
        }
    };
}

impl Checker<'_> {
    pub(super) fn auth(
        &mut self,
        token: RawToken,
        subscription: RawSubscriptionToken,
        issuers: Vec<(String, RawIssuer)>,
        client: &RawClient,
    ) -> AuthConfig {
        let token = self.token(token);
        let subscription_token = self.subscription_token(subscription, &token);
        let issuers = self.issuers(issuers);
        self.users_are_apart(&token, &issuers);
        self.prefixes_are_apart(&issuers);
        self.somebody_can_connect(&token, &issuers, client);
        AuthConfig { token, subscription_token, issuers }
    }

    fn token(&mut self, raw: RawToken) -> TokenConfig {
        let path = "auth.token";
        let keys = keys!(raw);
        self.algorithms(path, &raw.algorithms);
        self.leeway(path, raw.leeway);
        let rest = TokenConfig {
            algorithms: raw.algorithms,
            audience: raw.audience,
            issuer: raw.issuer,
            leeway: raw.leeway,
            user_id_claim: raw.user_id_claim,
            ..TokenConfig::default()
        };
        self.with_keys(path, rest, keys)
    }

    /// What was not set is the connection tokens'; so are the keys, if there are none.
    fn subscription_token(&mut self, raw: RawSubscriptionToken, token: &TokenConfig) -> TokenConfig {
        let path = "auth.subscription_token";
        let keys = keys!(raw);
        if let Some(algorithms) = &raw.algorithms {
            self.algorithms(path, algorithms);
        }
        if let Some(leeway) = raw.leeway {
            self.leeway(path, leeway);
        }
        let rest = TokenConfig {
            algorithms: raw.algorithms.unwrap_or_else(|| token.algorithms.clone()),
            audience: raw.audience.or_else(|| token.audience.clone()),
            issuer: raw.issuer.or_else(|| token.issuer.clone()),
            leeway: raw.leeway.unwrap_or(token.leeway),
            user_id_claim: raw.user_id_claim.unwrap_or_else(|| token.user_id_claim.clone()),
            ..TokenConfig::default()
        };
        let own = self.with_keys(path, rest, keys);
        if own.has_keys() {
            return own;
        }
        TokenConfig {
            hmac_secret: token.hmac_secret.clone(),
            hmac_previous: token.hmac_previous.clone(),
            public_keys: token.public_keys.clone(),
            jwks: token.jwks.clone(),
            ..own
        }
    }

    fn issuers(&mut self, raw: Vec<(String, RawIssuer)>) -> Vec<IssuerConfig> {
        let (mut names, mut known) = (BTreeSet::new(), BTreeSet::new());
        let mut issuers = Vec::with_capacity(raw.len());
        for (path, raw) in raw {
            let issuer = self.issuer(&path, raw);
            if !names.insert(issuer.name.clone()) {
                self.problem(&format!("{path}.name"), format!("there is another issuer {:?}: rename one", issuer.name));
            }
            if !known.insert(issuer.token.issuer.clone()) {
                let text = "is another issuer's, too, so a token could be either's: join them, or correct one";
                self.problem(&format!("{path}.issuer"), text);
            }
            issuers.push(issuer);
        }
        issuers
    }

    /// One issuer's "42" must not be another's by chance.
    fn users_are_apart(&mut self, token: &TokenConfig, issuers: &[IssuerConfig]) {
        let plain: Vec<_> = (0..).zip(issuers).filter(|(_, issuer)| issuer.token.user_prefix.is_none()).collect();
        if plain.len() + usize::from(token.has_keys()) < 2 {
            return;
        }
        for (index, issuer) in plain {
            let text = format!(
                "is not set, so its user \"42\" is the same as that of other issuers: set \"{}-\", say, if they are not",
                issuer.name
            );
            self.warn(&format!("auth.issuer[{index}].user_prefix"), text);
        }
    }

    /// Nor if a prefix and an id together are another prefix and another id.
    fn prefixes_are_apart(&mut self, issuers: &[IssuerConfig]) {
        let prefixes = issuers.iter().enumerate().filter_map(|(index, issuer)| {
            Some((format!("auth.issuer[{index}].user_prefix"), issuer.token.user_prefix.as_deref()?))
        });
        let prefixes: Vec<_> = prefixes.collect();
        for (at, (path, prefix)) in prefixes.iter().enumerate() {
            if !can_be_user(prefix) {
                self.problem(path, "is no beginning of an id: at most 512 bytes, without control characters");
            }
            if prefix.contains([',', '#']) {
                let text = format!(
                    "{prefix:?} has `,` or `#` in it, so that its users can have no channels by name: write \"a-\""
                );
                self.warn(path, text);
            } else if prefix.contains(':') {
                let text =
                    format!("{prefix:?} has `:` in it, so that its users have channels by name in namespaces only");
                self.warn(path, text);
            }
            if prefixes[..at].iter().any(|(_, before)| before == prefix) {
                self.warn(path, format!("{prefix:?} is another issuer's, too: users of both with one id are the same"));
            }
            let longer = |(_, other): &&(String, &str)| other.len() > prefix.len() && other.starts_with(prefix);
            if let Some((_, longer)) = prefixes.iter().find(longer) {
                let text = format!("{longer:?} begins with {prefix:?}, so users of both can be the same: take others");
                self.problem(path, text);
            }
        }
    }

    fn issuer(&mut self, path: &str, raw: RawIssuer) -> IssuerConfig {
        for (key, missing) in [("name", raw.name.is_none()), ("issuer", raw.issuer.is_none())] {
            let at = format!("{path}.{key}");
            if missing && self.settings.get(&at).is_none() {
                self.problem(&at, "is missing: every issuer has one");
            }
        }
        let keys = keys!(raw);
        self.algorithms(path, &raw.algorithms);
        self.leeway(path, raw.leeway);
        let rest = TokenConfig {
            algorithms: raw.algorithms,
            audience: raw.audience,
            issuer: raw.issuer,
            leeway: raw.leeway,
            user_id_claim: raw.user_id_claim,
            user_prefix: raw.user_prefix,
            ..TokenConfig::default()
        };
        let token = self.with_keys(path, rest, keys);
        if !token.has_keys() && self.settings.get(&format!("{path}.hmac_secret")).is_none() {
            self.problem(path, "has no key: set hmac_secret, public_keys or jwks_url");
        }
        IssuerConfig { name: raw.name.unwrap_or_default(), token }
    }

    fn with_keys(&mut self, path: &str, rest: TokenConfig, keys: Keys) -> TokenConfig {
        self.secret(&format!("{path}.hmac_secret"), keys.hmac_secret.as_ref());
        self.secret(&format!("{path}.hmac_previous_secret"), keys.previous.0.as_ref());
        if keys.hmac_secret.as_ref().is_some_and(|secret| secret.expose().contains("-----BEGIN ")) {
            let text =
                "is a key in PEM: whoever has a public one could sign. Name its file in public_keys, or take a secret";
            self.problem(&format!("{path}.hmac_secret"), text);
        }
        let shared = rest.algorithms.iter().any(|algorithm| algorithm.family() == Family::Hmac);
        if keys.hmac_secret.is_some() && !shared {
            let text = format!("is of no use, because {path}.algorithms names none of HS256, HS384, HS512: remove it");
            self.problem(&format!("{path}.hmac_secret"), text);
        }
        let hmac_previous = self.previous(path, keys.hmac_secret.is_some(), keys.previous);
        let jwks = keys.jwks_url.map(|url| {
            self.jwks_url(path, url.expose(), keys.allow_http, &rest.algorithms);
            JwksConfig {
                url,
                allow_http: keys.allow_http,
                allow_private_addresses: keys.allow_private_addresses,
                ca_file: keys.ca_file,
            }
        });
        TokenConfig { hmac_secret: keys.hmac_secret, hmac_previous, public_keys: keys.public_keys, jwks, ..rest }
    }

    fn previous(
        &mut self,
        path: &str,
        is_followed: bool,
        (secret, until): (Option<Secret>, Option<Moment>),
    ) -> Option<PreviousSecret> {
        let [secret_at, until_at] = ["secret", "valid_until"].map(|key| format!("{path}.hmac_previous_{key}"));
        // What was written and could not be read was told already.
        let written = |path: &str| self.settings.get(path).is_some();
        let (is_secret, is_until) = (written(&secret_at), written(&until_at));
        let is_followed = is_followed || written(&format!("{path}.hmac_secret"));
        if is_secret && !is_until {
            self.problem(&secret_at, format!("would be good for ever: say until when by {until_at}"));
        }
        if is_until && !is_secret {
            self.problem(&until_at, format!("is about {secret_at}, which is not set: set it, or remove this"));
        }
        if is_secret && !is_followed {
            self.problem(
                &secret_at,
                format!("comes before {path}.hmac_secret, which is not set: set it to the new one"),
            );
        }
        Some(PreviousSecret { secret: secret?, valid_until_unix_s: until?.0 })
    }

    fn jwks_url(&mut self, path: &str, url: &str, allow_http: bool, algorithms: &[Algorithm]) {
        let at = format!("{path}.jwks_url");
        let host = |rest: &str| !rest.is_empty() && !rest.starts_with('/') && !rest.contains([' ', '{', '}', '@', '#']);
        match url.split_once("://") {
            Some(("https", rest)) if host(rest) => {}
            Some(("http", rest)) if host(rest) && allow_http => {}
            Some(("http", rest)) if host(rest) => {
                let text = "is not https, so whoever is on the way could make tokens: write https://, or for tests set";
                self.problem(&at, format!("{text} {path}.jwks_allow_http = true"));
            }
            _ => {
                // It may hold a password, and is not repeated.
                let text = "is not a URL that can be fetched, or names a user: write \"https://host/path\"";
                self.problem(&at, text);
            }
        }
        if algorithms.iter().all(|algorithm| algorithm.family() == Family::Hmac) {
            let text =
                format!("its keys are of no use, because {path}.algorithms names only HS ones: add \"RS256\", say");
            self.warn(&at, text);
        }
    }

    fn algorithms(&mut self, path: &str, algorithms: &[Algorithm]) {
        if algorithms.is_empty() {
            self.problem(&format!("{path}.algorithms"), "is empty, so no token could be good: name at least one");
        }
    }

    fn leeway(&mut self, path: &str, leeway: Duration) {
        if leeway > LEEWAY_MAX || leeway.subsec_nanos() != 0 {
            self.problem(&format!("{path}.leeway"), "is counted in whole seconds, at most 5m: write \"10s\", say");
        }
    }

    fn somebody_can_connect(&mut self, token: &TokenConfig, issuers: &[IssuerConfig], client: &RawClient) {
        let path = "auth.token.hmac_secret";
        let somebody = client.insecure || client.allow_anonymous || token.has_keys() || !issuers.is_empty();
        let somebody = somebody || self.settings.get("hook.connect").is_some();
        if self.sources.purpose == Purpose::Serve && !somebody && self.settings.get(path).is_none() {
            let text = format!(
                "is not set, so nobody could connect: set it in the file, by {v} or by {v}_FILE; \
                 or let clients in without tokens by client.allow_anonymous = true",
                v = variable(path)
            );
            self.problem(path, text);
        }
    }

    pub(super) fn secret(&mut self, path: &str, secret: Option<&Secret>) {
        if let Some(bytes) = secret.map(|secret| secret.expose().len())
            && bytes < SECRET_BYTES_MIN
        {
            self.warn(
                path,
                format!("has {bytes} bytes and can be guessed: take {SECRET_BYTES_MIN} random ones or more"),
            );
        }
    }
}
