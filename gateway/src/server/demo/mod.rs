//! The page of `dev`: a chat, a notification box and a ticker over this very gateway, embedded, without
//! a build step or anything from elsewhere. It is a client like any other and knows nothing of sessions
//! or brokers; what it needs beside its files is a token, which [`Demo::mint`] makes.
//!
//! Tokens are handed out to this machine only: the peer must be a loopback address, and the `Host` a
//! loopback name. The second check is against DNS rebinding: a foreign page whose name was made to point
//! to 127.0.0.1 comes from a loopback peer, too, but its browser sends the foreign name. A proxy on this
//! machine may write `Host` anew and so pass for somebody here: what names a proxy is refused.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, FORWARDED, HOST, REFERRER_POLICY, VIA};
use axum::http::header::{HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

const PAGE: &str = include_str!("assets/index.html");
const STYLE: &str = include_str!("assets/demo.css");
const SCRIPT: &str = include_str!("assets/demo.js");

/// Nothing but what this gateway serves; `'self'` includes the WebSocket of the same host.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Longest user name, in characters.
const USER_CHARS_MAX: usize = 32;

/// What the page cannot make by itself.
#[derive(Clone)]
pub struct Demo {
    /// Makes a connection token for a user. Called with names of letters, digits, `-` and `_` only.
    pub mint: Arc<dyn Fn(&str) -> String + Send + Sync>,
    /// A command that publishes a notification, ready to be pasted into a shell; `{user}` in it stands
    /// for the user's name.
    pub command_hint: String,
}

impl fmt::Debug for Demo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The hint holds the API key.
        f.debug_struct("Demo").finish_non_exhaustive()
    }
}

/// The page at `/`, its files, and `GET /demo/token?user=NAME`, which answers
/// `{"token":"...","command":"..."}`.
///
/// The listener has to put `ConnectInfo<SocketAddr>` into each request; without it, there are no tokens.
pub fn router(demo: Demo) -> Router {
    let token = get(token).layer(from_fn(only_this_machine)).with_state(demo);
    Router::new()
        .route("/", get(|| file("text/html; charset=utf-8", PAGE)))
        .route("/demo/demo.css", get(|| file("text/css; charset=utf-8", STYLE)))
        .route("/demo/demo.js", get(|| file("text/javascript; charset=utf-8", SCRIPT)))
        .route("/demo/token", token)
        .layer(from_fn(guard))
}

async fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, kind)], text)
}

#[derive(Deserialize)]
struct Wanted {
    user: String,
}

#[derive(Serialize)]
struct Granted {
    token: String,
    command: String,
}

async fn token(State(demo): State<Demo>, Query(wanted): Query<Wanted>) -> Response {
    if !is_user(&wanted.user) {
        return (StatusCode::BAD_REQUEST, "a user's name has 1 to 32 letters, digits, - and _").into_response();
    }
    let token = (demo.mint)(&wanted.user);
    // The name has no character that means anything to a shell.
    Json(Granted { token, command: demo.command_hint.replace("{user}", &wanted.user) }).into_response()
}

fn is_user(name: &str) -> bool {
    (1..=USER_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Refuses peers and names that are not this machine's.
async fn only_this_machine(request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer_is_here = peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback());
    if peer_is_here && names_loopback(request.headers()) && !names_proxy(request.headers()) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "tokens of the demo are for this machine only: open the page by localhost")
            .into_response()
    }
}

/// Whether the one `Host` is a loopback name, with or without a port. Any port: a page of another name
/// cannot choose the name, and a forwarded port (`ssh -L`) is this machine's, too.
fn names_loopback(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(host) = host.to_str() else { return false };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| match host.get(..name.len()) {
        Some(head) if head.eq_ignore_ascii_case(name) => {
            let rest = &host[name.len()..];
            rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
        }
        _ => false,
    })
}

/// Whether a proxy says that it speaks for somebody else.
fn names_proxy(headers: &HeaderMap) -> bool {
    [FORWARDED, VIA, HeaderName::from_static("x-forwarded-for")].iter().any(|name| headers.contains_key(name))
}

/// What every answer carries, refusals included.
async fn guard(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers: [(HeaderName, &'static str); 5] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
