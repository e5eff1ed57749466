//! What browsers are told of requests across origins (<https://fetch.spec.whatwg.org/#http-cors-protocol>):
//! whether a page may read what it is answered, and whether it may ask with more than the plainest request. It
//! keeps nobody out; that is [`origin`](super::origin)'s task, which judges before.

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::origin::Standing;

/// What clients' routes are asked by.
const METHODS: HeaderValue = HeaderValue::from_static("GET");

/// What may go along: a token.
const HEADERS: HeaderValue = HeaderValue::from_static("authorization");

/// Seconds for which a browser need not ask again.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Whether pages may ask with what the browser keeps for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// They may, where their origin is listed: `client.token_cookie` is on.
    Cookies,
    /// They may not.
    None,
}

/// Answers preflights, and lets pages read answers; behind [`origin::guard`](super::origin::guard).
pub async fn share(State(credentials): State<Credentials>, request: Request, next: Next) -> Response {
    let standing = request.extensions().get::<Standing>().copied();
    let origin = request.headers().get(ORIGIN).cloned();
    let mut response = if is_preflight(&request) { preflight() } else { next.run(request).await };
    // A WebSocket is nothing that a page could read without us.
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        permit(response.headers_mut(), standing, origin, credentials);
    }
    response
}

/// Whether a browser asks on its own behalf what it may send.
fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn permit(headers: &mut HeaderMap, standing: Option<Standing>, origin: Option<HeaderValue>, credentials: Credentials) {
    // Caches must not give one page's answer to another.
    headers.append(VARY, HeaderValue::from_static("origin"));
    if let (Some(standing @ (Standing::Listed | Standing::Any)), Some(origin)) = (standing, origin) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if standing == Standing::Listed && credentials == Credentials::Cookies {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use axum::{Router, middleware};
    use tower::ServiceExt;

    use super::*;
    use crate::server::origin::{self, AllowedOrigins};

    async fn ask(method: Method, origin: &str, listed: &str, credentials: Credentials) -> (u16, Vec<String>) {
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .layer(middleware::from_fn_with_state(credentials, share))
            .layer(middleware::from_fn_with_state(AllowedOrigins::new(&[listed.to_owned()]), origin::guard));
        let request = Request::builder()
            .method(method)
            .header("host", "gateway")
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .body(Body::empty())
            .unwrap();
        let response = router.oneshot(request).await.unwrap();
        let told = |(name, value): (&axum::http::HeaderName, &HeaderValue)| {
            let name = name.as_str().strip_prefix("access-control-allow-")?;
            Some(format!("{name}: {}", value.to_str().unwrap()))
        };
        assert_eq!(response.headers()[VARY], "origin");
        let mut told: Vec<String> = response.headers().iter().filter_map(told).collect();
        told.sort();
        (response.status().as_u16(), told)
    }

    #[tokio::test]
    async fn a_listed_page_may_read_and_a_foreign_one_may_not() {
        use Credentials::{Cookies, None};
        let (page, pages) = ("https://a.example.com", "https://*.example.com");
        let foreign = "https://evil.net";
        let origin = || format!("origin: {page}");
        let with_cookies = || vec!["credentials: true".to_owned(), origin()];
        assert_eq!(ask(Method::GET, page, pages, None).await, (200, vec![origin()]));
        assert_eq!(ask(Method::GET, page, pages, Cookies).await, (200, with_cookies()));
        assert_eq!(ask(Method::GET, foreign, pages, Cookies).await, (403, vec![]));
        assert_eq!(ask(Method::GET, "null", pages, Cookies).await, (403, vec![]));
        // Its own pages need no leave.
        assert_eq!(ask(Method::GET, "http://gateway", pages, Cookies).await, (200, vec![]));
    }

    #[tokio::test]
    async fn everyone_may_read_without_cookies_only() {
        for credentials in [Credentials::None, Credentials::Cookies] {
            let told = ask(Method::GET, "https://evil.net", "*", credentials).await;
            assert_eq!(told, (200, vec!["origin: https://evil.net".to_owned()]));
        }
    }

    #[tokio::test]
    async fn preflights_are_answered_to_those_who_may_ask() {
        let (page, foreign) = ("https://example.com", "https://evil.net");
        let (status, told) = ask(Method::OPTIONS, page, page, Credentials::None).await;
        assert_eq!(status, 204);
        assert_eq!(told, ["headers: authorization", "methods: GET", "origin: https://example.com"]);
        assert_eq!(ask(Method::OPTIONS, foreign, page, Credentials::None).await, (403, vec![]));
    }
}
