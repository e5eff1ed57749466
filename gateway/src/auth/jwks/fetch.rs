//! One fetch of a key set: what comes back is the keys that verify tokens, or why there are none.

use std::time::Duration;

use super::super::jwk::{self, JwkError, NamedKey};
use crate::config::section::auth::Family;
use crate::outbound::{Body, Call, CallError, HeaderMap, Outbound, Url};

/// The status of an answer that has what was asked for. Others have something else, or are meant for caches.
const OK: u16 = 200;

#[derive(Debug)]
pub(super) struct Fetched {
    /// At least one.
    pub(super) keys: Vec<NamedKey>,
    /// Why others of the set are not taken.
    pub(super) skipped: Vec<String>,
    /// How long the issuer says that it is good.
    pub(super) max_age: Option<Duration>,
}

/// Why there are no keys. The issuer's fault, the network's, or the URL's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0}")]
    Call(#[from] CallError),
    #[error("it answers with a redirect ({0}), which is not followed: configure the URL where the set is")]
    Redirect(u16),
    #[error("it answers with the status {0}, not with {OK}")]
    Status(u16),
    #[error("its answer is no key set: {0}")]
    Set(#[from] JwkError),
    #[error("none of its {0} keys can verify tokens")]
    Empty(usize),
}

impl FetchError {
    /// A word for metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Call(CallError::Timeout(_)) => "timeout",
            Self::Call(CallError::TooLarge(_)) => "too_large",
            Self::Call(CallError::Scheme(_) | CallError::Address) => "forbidden",
            Self::Call(_) => "unreachable",
            Self::Redirect(_) => "redirect",
            Self::Status(_) => "status",
            Self::Set(_) | Self::Empty(_) => "invalid",
        }
    }
}

pub(super) async fn fetch(outbound: &Outbound, url: &Url) -> Result<Fetched, FetchError> {
    let call = Call { url: url.clone(), body: Body::None, headers: HeaderMap::new() };
    let answer = outbound.call(call).await?;
    match answer.status {
        OK => {}
        redirect @ 300..400 => return Err(FetchError::Redirect(redirect)),
        status => return Err(FetchError::Status(status)),
    }
    let set = jwk::parse_set(&answer.body)?;
    let mut skipped: Vec<String> = set.skipped.iter().map(ToString::to_string).collect();
    let found = set.keys.len() + skipped.len();
    // A secret that everybody can read is nobody's.
    let (shared, keys): (Vec<_>, Vec<_>) =
        set.keys.into_iter().partition(|named| named.key.algorithms().any(|each| each.family() == Family::Hmac));
    skipped.extend(shared.iter().map(|_| "it is a secret, published".to_owned()));
    if keys.is_empty() {
        return Err(FetchError::Empty(found));
    }
    Ok(Fetched { keys, skipped, max_age: max_age(&answer.headers) })
}

/// How much of the answer's life is left (RFC 9111, 4.2): nothing if it is not to be kept.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let number = |text: &str| text.trim_matches('"').parse().ok().map(Duration::from_secs);
    let mut life = None;
    for value in headers.get_all("cache-control") {
        for directive in value.to_str().ok()?.split(',') {
            let (name, argument) = directive.trim().split_once('=').unwrap_or((directive.trim(), ""));
            match name.to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => return Some(Duration::ZERO),
                "max-age" => life = number(argument),
                _ => {}
            }
        }
    }
    let age = headers.get("age").and_then(|age| number(age.to_str().ok()?));
    Some(life?.saturating_sub(age.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_an_answer_is_good() {
        let life = |headers: &[(&'static str, &'static str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().unwrap());
            }
            max_age(&map).map(|life| life.as_secs())
        };
        let of = |cache_control| life(&[("cache-control", cache_control)]);
        assert_eq!(of("max-age=300"), Some(300));
        assert_eq!(of("public, Max-Age=\"300\", must-revalidate"), Some(300));
        assert_eq!(of("max-age=300, no-store"), Some(0));
        assert_eq!(of("no-cache"), Some(0));
        assert_eq!(of("public"), None);
        assert_eq!(of("max-age=soon"), None);
        assert_eq!(of("max-age=-1"), None);
        assert_eq!(of("s-maxage=5"), None);
        assert_eq!(life(&[]), None);
        assert_eq!(life(&[("cache-control", "public"), ("cache-control", "max-age=60")]), Some(60));
        assert_eq!(life(&[("cache-control", "max-age=300"), ("age", "100")]), Some(200));
        assert_eq!(life(&[("cache-control", "max-age=300"), ("age", "400")]), Some(0));
    }
}
