//! Which web pages may connect: the defence against cross-site WebSocket hijacking. Browsers let any
//! page open a WebSocket to anywhere, but they do say which page it was.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// The pages that may connect, besides those of the gateway's own host.
#[derive(Clone, Debug)]
pub struct AllowedOrigins(Arc<[String]>);

impl AllowedOrigins {
    /// `patterns` as in `client.allowed_origins`.
    #[must_use]
    pub fn new(patterns: &[String]) -> Self {
        Self(patterns.iter().map(|pattern| pattern.to_ascii_lowercase()).collect())
    }

    /// No Origin passes: it is no browser. The same host as `Host` passes. Others must be listed.
    #[must_use]
    pub fn allow(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        let origin = origin.to_ascii_lowercase();
        let origin_host = origin.split_once("://").map(|(_, host)| host);
        let own = origin_host.is_some() && origin_host == host.map(str::to_ascii_lowercase).as_deref();
        own || self.0.iter().any(|pattern| matches(pattern, &origin))
    }
}

/// `*` stands for one label of the host (`https://*.example.com`), or alone for everything.
fn matches(pattern: &str, origin: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let Some((before, after)) = pattern.split_once('*') else { return pattern == origin };
    let label = origin.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    label.is_some_and(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
}

/// How much of a refused origin is logged: enough for any host, whatever somebody else sends.
const LOGGED_CHARS_MAX: usize = 200;

/// Refuses foreign pages with 403, before the upgrade.
pub async fn guard(State(allowed): State<AllowedOrigins>, request: Request, next: Next) -> Response {
    match foreign(&allowed, request.headers()) {
        None => next.run(request).await,
        Some(origin) => {
            tracing::debug!(origin, "refused a page that client.allowed_origins does not list");
            (StatusCode::FORBIDDEN, "this origin may not connect: see client.allowed_origins\n").into_response()
        }
    }
}

/// The request's origin, or its first [`LOGGED_CHARS_MAX`], if it may not connect.
fn foreign(allowed: &AllowedOrigins, headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let origin = text(header::ORIGIN);
    if allowed.allow(origin, text(header::HOST)) {
        return None;
    }
    origin.map(|origin| origin.chars().take(LOGGED_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_connect() {
        let listed = ["https://app.example.com".to_owned(), "https://*.example.org".to_owned()];
        let allowed = AllowedOrigins::new(&listed);
        for (origin, host, expected) in [
            (None, Some("gateway"), true),
            (Some("http://gateway:8080"), Some("gateway:8080"), true),
            (Some("http://GATEWAY:8080"), Some("gateway:8080"), true),
            (Some("http://gateway:8081"), Some("gateway:8080"), false),
            (Some("https://app.example.com"), Some("gateway"), true),
            (Some("https://APP.example.com"), Some("gateway"), true),
            (Some("http://app.example.com"), Some("gateway"), false),
            (Some("https://app.example.com.evil.net"), Some("gateway"), false),
            (Some("https://evilapp.example.com"), Some("gateway"), false),
            (Some("https://a.example.org"), Some("gateway"), true),
            (Some("https://a.b.example.org"), Some("gateway"), false),
            (Some("https://.example.org"), Some("gateway"), false),
            (Some("https://evil.net/.example.org"), Some("gateway"), false),
            (Some("null"), Some("gateway"), false),
            (Some(""), None, false),
            (Some("unreadable"), Some("gateway"), false),
        ] {
            assert_eq!(allowed.allow(origin, host), expected, "{origin:?} {host:?}");
        }
        assert!(AllowedOrigins::new(&["*".to_owned()]).allow(Some("null"), None));
        assert!(!AllowedOrigins::new(&[]).allow(Some("https://x"), Some("y")));
    }

    #[test]
    fn of_a_long_foreign_origin_only_the_beginning_is_kept() {
        let origin = format!("https://{}", "x".repeat(10_000));
        let headers = [(header::ORIGIN, origin.parse().unwrap())].into_iter().collect();
        let kept = foreign(&AllowedOrigins::new(&[]), &headers).unwrap();
        assert_eq!((kept.len(), origin.starts_with(&kept)), (LOGGED_CHARS_MAX, true));
    }
}
