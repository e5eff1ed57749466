//! Which web pages may connect: the defence against cross-site WebSocket hijacking. Browsers let any
//! page open a WebSocket to anywhere, but they do say which page it was.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, HeaderName, ORIGIN, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::transport::websocket::ListedOrigin;

/// The pages that may connect, besides those of the gateway's own host.
#[derive(Clone, Debug)]
pub struct AllowedOrigins(Arc<[String]>);

/// How a page stands to us. In the extensions of requests that may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is no page: no browser says where it comes from.
    NoPage,
    /// It is from our own host, as far as the request says which that is.
    Own,
    /// Its origin is listed.
    Listed,
    /// Only `*` lets it in.
    Any,
    /// Nothing lets it in.
    Foreign,
}

impl AllowedOrigins {
    /// `patterns` as in `client.allowed_origins`.
    #[must_use]
    pub fn new(patterns: &[String]) -> Self {
        Self(patterns.iter().map(|pattern| pattern.to_ascii_lowercase()).collect())
    }

    /// Judges by `Origin` and `Host`.
    #[must_use]
    pub fn judge(&self, origin: Option<&str>, host: Option<&str>) -> Standing {
        let Some(origin) = origin else { return Standing::NoPage };
        let origin = origin.to_ascii_lowercase();
        if self.0.iter().any(|pattern| pattern != "*" && matches(pattern, &origin)) {
            return Standing::Listed;
        }
        let origin_host = ["http://", "https://"].iter().find_map(|scheme| origin.strip_prefix(scheme));
        if origin_host.is_some() && origin_host == host.map(str::to_ascii_lowercase).as_deref() {
            return Standing::Own;
        }
        if self.0.iter().any(|pattern| pattern == "*") { Standing::Any } else { Standing::Foreign }
    }
}

/// `*` stands for one label of the host (`https://*.example.com`) or for the port (`http://localhost:*`).
fn matches(pattern: &str, origin: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == origin };
    let label = origin.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    label.is_some_and(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
}

/// How much of a refused origin is logged: enough for any host, whatever somebody else sends.
const LOGGED_CHARS_MAX: usize = 200;

/// Refuses foreign pages with 403, before the upgrade.
pub async fn guard(State(allowed): State<AllowedOrigins>, mut request: Request, next: Next) -> Response {
    let standing = standing(&allowed, request.headers());
    match standing {
        Standing::Foreign => {
            let origin = shown(request.headers());
            tracing::debug!(origin, "refused a page that client.allowed_origins does not list");
            let text = "this origin may not connect: see client.allowed_origins\n";
            return (StatusCode::FORBIDDEN, [(VARY, HeaderValue::from_static("origin"))], text).into_response();
        }
        Standing::Listed => {
            request.extensions_mut().insert(ListedOrigin);
        }
        Standing::NoPage | Standing::Own | Standing::Any => {}
    }
    request.extensions_mut().insert(standing);
    next.run(request).await
}

fn standing(allowed: &AllowedOrigins, headers: &HeaderMap) -> Standing {
    match texts(headers, &ORIGIN)[..] {
        [] => allowed.judge(None, None),
        [origin] => match texts(headers, &HOST)[..] {
            [host] => allowed.judge(Some(origin), Some(host)),
            // Which of several counts, a proxy may see otherwise.
            _ => allowed.judge(Some(origin), None),
        },
        // No browser does that.
        _ => Standing::Foreign,
    }
}

fn texts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("unreadable")).collect()
}

/// The beginning of a refused origin.
fn shown(headers: &HeaderMap) -> String {
    texts(headers, &ORIGIN).join(", ").chars().take(LOGGED_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::Standing::{Any, Foreign, Listed, NoPage, Own};
    use super::*;

    fn allowed(patterns: &[&str]) -> AllowedOrigins {
        AllowedOrigins::new(&patterns.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn who_may_connect() {
        let allowed = allowed(&["https://app.example.com", "https://*.example.org", "http://localhost:*"]);
        for (origin, host, expected) in [
            (None, Some("gateway"), NoPage),
            (Some("http://gateway:8080"), Some("gateway:8080"), Own),
            (Some("https://gateway:8080"), Some("gateway:8080"), Own),
            (Some("http://GATEWAY:8080"), Some("gateway:8080"), Own),
            (Some("http://gateway:8080"), Some("GATEWAY:8080"), Own),
            (Some("http://gateway:8081"), Some("gateway:8080"), Foreign),
            (Some("http://gateway"), Some("gateway:8080"), Foreign),
            (Some("http://gateway"), None, Foreign),
            (Some("foo://gateway"), Some("gateway"), Foreign),
            (Some("gateway"), Some("gateway"), Foreign),
            (Some("http://gateway.evil.net"), Some("gateway"), Foreign),
            (Some("http://evil.net#gateway"), Some("gateway"), Foreign),
            (Some("https://app.example.com"), Some("gateway"), Listed),
            (Some("https://APP.example.com"), Some("gateway"), Listed),
            (Some("https://app.example.com"), Some("app.example.com"), Listed),
            (Some("http://app.example.com"), Some("gateway"), Foreign),
            (Some("https://app.example.com:8443"), Some("gateway"), Foreign),
            (Some("https://app.example.com:443"), Some("gateway"), Foreign),
            (Some("https://app.example.com.evil.net"), Some("gateway"), Foreign),
            (Some("https://app.example.com@evil.net"), Some("gateway"), Foreign),
            (Some("https://app.example.com."), Some("gateway"), Foreign),
            (Some("https://app.example.com/"), Some("gateway"), Foreign),
            (Some("https://evilapp.example.com"), Some("gateway"), Foreign),
            (Some(" https://app.example.com"), Some("gateway"), Foreign),
            (Some("https://app.example.com https://evil.net"), Some("gateway"), Foreign),
            (Some("https://a.example.org"), Some("gateway"), Listed),
            (Some("https://a.b.example.org"), Some("gateway"), Foreign),
            (Some("https://.example.org"), Some("gateway"), Foreign),
            (Some("https://example.org"), Some("gateway"), Foreign),
            (Some("https://a.example.org.evil.net"), Some("gateway"), Foreign),
            (Some("https://a.example.org:8443"), Some("gateway"), Foreign),
            (Some("https://evil.net/.example.org"), Some("gateway"), Foreign),
            (Some("https://evil.net?.example.org"), Some("gateway"), Foreign),
            (Some("https://evil.net:1.example.org"), Some("gateway"), Foreign),
            (Some("http://localhost:3000"), Some("gateway"), Listed),
            (Some("http://localhost"), Some("gateway"), Foreign),
            (Some("http://localhost:3000.evil.net"), Some("gateway"), Foreign),
            // To come from this machine is no merit: every page that is opened here does.
            (Some("http://127.0.0.1:9"), Some("127.0.0.1:8080"), Foreign),
            (Some("http://evil.net"), Some("127.0.0.1:8080"), Foreign),
            (Some("null"), Some("gateway"), Foreign),
            (Some("null"), Some("null"), Foreign),
            (Some(""), None, Foreign),
            (Some(""), Some(""), Foreign),
            (Some("unreadable"), Some("gateway"), Foreign),
        ] {
            assert_eq!(allowed.judge(origin, host), expected, "{origin:?} {host:?}");
        }
    }

    #[test]
    fn a_star_lets_everyone_in_and_lists_nobody() {
        let open = allowed(&["*", "https://example.com"]);
        assert_eq!(open.judge(Some("null"), None), Any);
        assert_eq!(open.judge(Some("https://evil.net"), Some("gateway")), Any);
        assert_eq!(open.judge(Some("https://example.com"), Some("gateway")), Listed);
        assert_eq!(allowed(&[]).judge(Some("https://x"), Some("y")), Foreign);
    }

    #[test]
    fn two_origins_are_none_and_two_hosts_are_nobodys() {
        let listed = allowed(&["https://example.com"]);
        let headers = |lines: &[(HeaderName, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(name, HeaderValue::from_static(value));
            }
            headers
        };
        let doubled = headers(&[(ORIGIN, "https://example.com"), (ORIGIN, "https://example.com")]);
        assert_eq!(standing(&listed, &doubled), Foreign);
        let hosts = headers(&[(ORIGIN, "http://gateway"), (HOST, "gateway"), (HOST, "gateway")]);
        assert_eq!(standing(&listed, &hosts), Foreign);
    }

    #[test]
    fn of_a_long_foreign_origin_only_the_beginning_is_kept() {
        let origin = format!("https://{}", "x".repeat(10_000));
        let headers = [(ORIGIN, origin.parse().unwrap())].into_iter().collect();
        let kept = shown(&headers);
        assert_eq!((kept.len(), origin.starts_with(&kept)), (LOGGED_CHARS_MAX, true));
    }
}
