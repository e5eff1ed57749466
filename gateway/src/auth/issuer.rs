//! Whoever makes tokens, as the configuration knows them: their algorithms, their keys, and how their
//! claims are read. The keys of one never verify the tokens of another.
//!
//! jsonwebtoken only makes tokens here; none of its defaults decides whether one is good.

use std::sync::Arc;

use fanfare_proto::claims::{ClaimsError, Registered, can_be_user, user_at};

use super::jwt::Jwt;
use super::key::{Header, Key, KeyError, KeySource};
use super::{Refusal, TokenError};
use crate::config::section::TokenConfig;
use crate::config::section::auth::{Algorithm, ClaimPath, Family};
use crate::model::UserId;

/// How far a token's `iat` may be ahead of our clock, in seconds, besides the leeway: nobody's clock is
/// exact, and a token is often shown in the second in which it is made.
const IAT_AHEAD_MAX_S: i64 = 60;

/// Verifies the tokens of one issuer.
#[derive(Debug)]
pub(super) struct Issuer {
    /// The path of its section, for people.
    name: String,
    algorithms: Vec<Algorithm>,
    secrets: Secrets,
    sources: Vec<Arc<dyn KeySource>>,
    audience: Option<String>,
    issuer: Option<String>,
    leeway_s: i64,
    user: ClaimPath,
    user_prefix: Option<String>,
}

/// Shared secrets: the one in use, and the one before until a moment in seconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    current: Option<Key>,
    previous: Option<(Key, i64)>,
}

impl Secrets {
    pub(super) fn configured(config: &TokenConfig) -> Self {
        // Everyone knows the empty secret.
        let secret = config.hmac_secret.as_ref().filter(|secret| !secret.expose().is_empty());
        let previous = config.hmac_previous.as_ref().filter(|previous| !previous.secret.expose().is_empty());
        Self {
            current: secret.map(Key::hmac),
            previous: previous.map(|previous| (Key::hmac(&previous.secret), previous.valid_until_unix_s)),
        }
    }

    fn at(&self, now_unix_s: i64) -> impl Iterator<Item = &Key> {
        let previous = self.previous.as_ref().filter(|(_, until)| now_unix_s < *until).map(|(key, _)| key);
        self.current.iter().chain(previous)
    }
}

impl Issuer {
    pub(super) fn new(name: String, config: &TokenConfig, secrets: Secrets, sources: Vec<Arc<dyn KeySource>>) -> Self {
        Self {
            name,
            algorithms: config.algorithms.clone(),
            secrets,
            sources,
            audience: config.audience.clone(),
            issuer: config.issuer.clone(),
            leeway_s: i64::try_from(config.leeway.as_secs()).unwrap_or(i64::MAX),
            user: config.user_id_claim.clone(),
            user_prefix: config.user_prefix.clone(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    pub(super) fn has_keys(&self) -> bool {
        self.secrets.current.is_some() || !self.sources.is_empty()
    }

    /// What keeps its key sets from being had, in words; none if nothing does.
    pub(super) fn trouble(&self) -> Option<String> {
        self.sources.iter().find_map(|source| source.trouble())
    }

    /// Checks that a key of this issuer has signed the token. Nothing in its payload was looked at.
    pub(super) async fn verify(&self, token: &Jwt<'_>, now_unix_s: i64) -> Result<(), TokenError> {
        let algorithm = Algorithm::named(&token.algorithm).filter(|algorithm| self.algorithms.contains(algorithm));
        let header = Header { algorithm: algorithm.ok_or(Refusal::Algorithm)?, kid: token.kid.clone() };
        let signed_by = |key: &Key| key.verifies(token.message, &token.signature, header.algorithm);
        let mut failed = TokenError::from(Refusal::Key);
        if header.algorithm.family() == Family::Hmac {
            for key in self.secrets.at(now_unix_s) {
                if signed_by(key) {
                    return Ok(());
                }
                failed = Refusal::Signature.into();
            }
        }
        for source in &self.sources {
            match source.key(&header).await {
                Ok(key) if signed_by(&key) => return Ok(()),
                // That another source may yet have the key is the better answer.
                Ok(_) if failed != TokenError::Unavailable => failed = Refusal::Signature.into(),
                Err(KeyError::Unavailable) => failed = TokenError::Unavailable,
                Ok(_) | Err(KeyError::Unknown) => {}
            }
        }
        Err(failed)
    }

    /// Checks `aud` and `iss`, where configured.
    pub(super) fn check_origin(&self, registered: &Registered) -> Result<(), Refusal> {
        if self.audience.as_ref().is_some_and(|audience| !registered.aud.contains(audience)) {
            return Err(Refusal::Audience);
        }
        if self.issuer.is_some() && self.issuer != registered.iss {
            return Err(Refusal::Issuer);
        }
        Ok(())
    }

    /// Whom the token is about; nobody if it does not say.
    pub(super) fn user(&self, registered: &Registered, payload: &[u8]) -> Result<UserId, ClaimsError> {
        let named = if self.user.is_sub() { None } else { user_at(payload, self.user.names())? };
        let own = if self.user.is_sub() { registered.sub.as_str() } else { named.as_deref().unwrap_or_default() };
        match &self.user_prefix {
            Some(prefix) if !own.is_empty() => {
                let id = format!("{prefix}{own}");
                if can_be_user(&id) { Ok(UserId::new(&id)) } else { Err(ClaimsError::User) }
            }
            _ => Ok(UserId::new(own)),
        }
    }

    /// When what a token opens ends, in seconds since 1970; none for never. `expire_at` wins over `exp`.
    ///
    /// The first moment of `exp` is too late already (RFC 7519, 4.1.4), but for the leeway; a client with
    /// an expired token just brings a new one. An `expire_at` in the past opens nothing, either: it is
    /// about our clock and has no leeway.
    pub(super) fn expiry(
        &self,
        registered: &Registered,
        expire_at: Option<i64>,
        now_unix_s: i64,
    ) -> Result<Option<i64>, TokenError> {
        let passed = |moment: Option<i64>| moment.is_some_and(|moment| now_unix_s >= moment);
        let ahead = |moment: Option<i64>, by: i64| moment.is_some_and(|moment| now_unix_s.saturating_add(by) < moment);
        let exp = registered.exp.map(|exp| exp.saturating_add(self.leeway_s));
        let end = match expire_at {
            Some(0) => None,
            Some(moment) => Some(moment),
            None => exp,
        };
        let too_early = ahead(registered.nbf, self.leeway_s)
            || ahead(registered.iat, self.leeway_s.saturating_add(IAT_AHEAD_MAX_S));
        if too_early || passed(exp) || passed(end) { Err(TokenError::Expired) } else { Ok(end) }
    }
}
