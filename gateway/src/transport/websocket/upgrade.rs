//! From an HTTP request to a socket that speaks WebSocket (RFC 6455, section 4).

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::link::WebSocket;
use super::{Seat, Sizes};
use crate::hub::Pipe;

/// How long hyper may take to hand the socket over.
const HANDOVER: Duration = Duration::from_secs(5);

/// A request to become a WebSocket, found to be a good one.
#[derive(Debug)]
pub struct Upgrade {
    on_upgrade: OnUpgrade,
    accept: String,
    protocol: Option<&'static str>,
    seat: Option<Seat>,
}

impl Upgrade {
    /// Takes the upgrade out of a request.
    ///
    /// # Errors
    /// The answer to a request that is no WebSocket handshake of version 13: 400, 405 or 426.
    #[allow(clippy::result_large_err, reason = "the response is the point")]
    pub fn take(request: &mut Request, protocol: Option<&'static str>) -> Result<Self, Response> {
        let refuse = |status: StatusCode, text: &'static str| Err((status, text).into_response());
        if request.method() != Method::GET || request.version() != Version::HTTP_11 {
            return refuse(StatusCode::METHOD_NOT_ALLOWED, "a WebSocket handshake is a GET over HTTP/1.1\n");
        }
        let headers = request.headers();
        let has = |name, word: &str| comma_separated(headers, &name).any(|value| value.eq_ignore_ascii_case(word));
        if !has(header::CONNECTION, "upgrade") || !has(header::UPGRADE, "websocket") {
            let text = "this address speaks WebSocket: send Connection: Upgrade and Upgrade: websocket\n";
            let upgrade = [(header::UPGRADE, HeaderValue::from_static("websocket"))];
            return Err((StatusCode::UPGRADE_REQUIRED, upgrade, text).into_response());
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            let version = [(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))];
            return Err((StatusCode::UPGRADE_REQUIRED, version, "WebSocket version 13 only\n").into_response());
        }
        // 16 bytes in base64 (RFC 6455, 4.1).
        let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
        let Some(accept) = key.map(|key| derive_accept_key(key.as_bytes())) else {
            return refuse(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key is missing or malformed\n");
        };
        let seat = request.extensions().get::<Seat>().cloned();
        match request.extensions_mut().remove::<OnUpgrade>() {
            Some(on_upgrade) => Ok(Self { on_upgrade, accept, protocol, seat }),
            None => refuse(StatusCode::BAD_REQUEST, "this connection cannot be upgraded\n"),
        }
    }

    /// The answer that makes the connection a WebSocket.
    #[must_use]
    pub fn response(&self) -> Response {
        let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        // base64 is always a legal header value.
        if let Ok(accept) = HeaderValue::from_str(&self.accept) {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        if let Some(protocol) = self.protocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        response
    }

    /// Waits until the answer is out and makes the socket a link and the way out; none if the client left
    /// meanwhile.
    pub async fn link(self, sizes: Sizes) -> Option<(WebSocket, Box<dyn Pipe>)> {
        let upgraded = tokio::time::timeout(HANDOVER, self.on_upgrade).await.ok()?.ok()?;
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => Some(WebSocket::new(parts.io.into_inner(), &parts.read_buf, sizes, self.seat)),
            Err(upgraded) => {
                let parts = upgraded.downcast::<TokioIo<TlsStream<TcpStream>>>().ok()?;
                Some(WebSocket::over_tls(parts.io.into_inner(), &parts.read_buf, sizes, self.seat))
            }
        }
    }
}

pub(super) fn comma_separated<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}
