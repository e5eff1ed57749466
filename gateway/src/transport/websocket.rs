//! WebSocket (RFC 6455): the upgrade, and a [`Link`] over tungstenite with small buffers, size limits and
//! close codes of our own.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Sink, SinkExt, StreamExt};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame as WireFrame, Utf8Bytes};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::client::Client;
use super::drive::{Ended, drive};
use super::{Gone, Link, Received};
use crate::codec::Codec;
use crate::model::wire::Frame;
use crate::model::{ByteSize, Close};
use crate::session::{self, Session};
use crate::task::Tasks;
use crate::telemetry::Metrics;

/// How long hyper may take to hand the socket over.
const HANDOVER: Duration = Duration::from_secs(5);

/// How much is read and thrown away so that the other end, still sending, hears the goodbye.
const DRAIN_MAX: usize = 16 * 1024 * 1024;

/// A close code that is never sent: whoever ends a connection with it wants the client to see a line
/// that went dead, as Centrifugo does it.
const WITHOUT_A_WORD: u16 = 3000;

/// Sizes of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Read buffer; small, because most connections are idle.
    pub read_buffer: ByteSize,
    /// How much is gathered before a write to the socket.
    pub write_buffer: ByteSize,
    /// Largest message that is taken.
    pub message_max: ByteSize,
}

/// What `/connection/websocket` needs.
#[derive(Debug)]
pub struct Door {
    /// What sessions share.
    pub shared: Arc<session::Shared>,
    /// The wire of clients that ask for no other.
    pub json: Arc<dyn Codec>,
    /// The wire of clients that ask for Protobuf.
    pub protobuf: Arc<dyn Codec>,
    /// Sizes of each connection.
    pub sizes: Sizes,
    /// Where connections run.
    pub tasks: Tasks,
}

/// Keeps a place among `server.connections_max` for as long as it lives; travels in the request's
/// extensions from the listener to the connection's task.
#[derive(Clone, Debug)]
pub struct Seat(pub Arc<tokio::sync::OwnedSemaphorePermit>);

/// The handler of `/connection/websocket`.
pub async fn connect(State(door): State<Arc<Door>>, mut request: Request) -> Response {
    let (codec, protocol) = door.choose_codec(&request);
    let token = door.token(&request);
    let upgrade = match Upgrade::take(&mut request, protocol) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refusal,
    };
    let response = upgrade.response();
    let tasks = door.tasks.clone();
    tasks.spawn("connection", async move {
        let metrics = Arc::clone(door.shared.node.metrics());
        // Boxed, as all that is needed for a moment only: an idle connection keeps its task's largest state.
        let Some(link) = Box::pin(upgrade.link(door.sizes)).await else { return };
        let _open = Open::count(&metrics);
        let (session, reader) = Session::new(Arc::clone(&door.shared), codec.clone(), token);
        let ended = drive(link, Client::new(codec, session), reader, door.sizes.write_buffer).await;
        if let Ended::Closed(close) = ended {
            metrics.count_disconnect(close.code);
            tracing::debug!(code = close.code, reason = %close.reason, "closed a connection");
        }
    });
    response
}

/// Counts a socket as open for as long as it lives, however its task ends.
struct Open(Arc<Metrics>);

impl Open {
    fn count(metrics: &Arc<Metrics>) -> Self {
        metrics.sockets.inc();
        Self(Arc::clone(metrics))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.sockets.dec();
    }
}

impl Door {
    /// By subprotocol first, then by the query parameters that stock clients send.
    fn choose_codec(&self, request: &Request) -> (Arc<dyn Codec>, Option<&'static str>) {
        for offered in comma_separated(request.headers(), &header::SEC_WEBSOCKET_PROTOCOL) {
            match offered {
                "centrifuge-protobuf" => return (Arc::clone(&self.protobuf), Some("centrifuge-protobuf")),
                "centrifuge-json" => return (Arc::clone(&self.json), Some("centrifuge-json")),
                _ => {}
            }
        }
        let protobuf = query(request).any(|pair| matches!(pair, ("cf_protocol" | "format", "protobuf")));
        (Arc::clone(if protobuf { &self.protobuf } else { &self.json }), None)
    }

    /// From `Authorization: Bearer`, or from the query where that is allowed; empty if none.
    fn token(&self, request: &Request) -> String {
        let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if let Some(token) = header.and_then(|value| value.strip_prefix("Bearer ")) {
            return token.trim().to_owned();
        }
        let Some(parameter) = &self.shared.config.token_query_parameter else { return String::new() };
        // Tokens are base64url and dots: nothing in them is percent-encoded.
        query(request).find(|(name, _)| name == parameter).map_or_else(String::new, |(_, token)| token.to_owned())
    }
}

fn query(request: &Request) -> impl Iterator<Item = (&str, &str)> {
    request.uri().query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='))
}

fn comma_separated<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

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

    /// Waits until the answer is out and makes the socket a link; none if the client left meanwhile.
    pub async fn link(self, sizes: Sizes) -> Option<WebSocket> {
        let upgraded = tokio::time::timeout(HANDOVER, self.on_upgrade).await.ok()?.ok()?;
        let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
        let config = WebSocketConfig::default()
            .read_buffer_size(sizes.read_buffer.bytes())
            .write_buffer_size(sizes.write_buffer.bytes())
            // Bounded by us: no frame goes in while the buffer waits for the socket (`poll_ready`), none
            // is larger than the buffer (`Rest`), and no pong is owed twice (`owes_pong`).
            .max_write_buffer_size(usize::MAX)
            .max_message_size(Some(sizes.message_max.bytes()))
            .max_frame_size(Some(sizes.message_max.bytes()));
        let early = parts.read_buf.to_vec();
        let socket =
            WebSocketStream::from_partially_read(parts.io.into_inner(), early, Role::Server, Some(config)).await;
        let piece = sizes.write_buffer.bytes().max(1);
        Some(WebSocket { socket, piece, rest: None, owes_pong: false, broken: false, _seat: self.seat })
    }
}

/// A WebSocket as a [`Link`].
#[derive(Debug)]
pub struct WebSocket {
    socket: WebSocketStream<TcpStream>,
    /// Messages over this many bytes go out in fragments: tungstenite copies what it is given and keeps
    /// the room for ever, and a large publication must not cost each of its readers a copy.
    piece: usize,
    /// What is still to be given of such a message.
    rest: Option<Bytes>,
    /// A ping came. Nothing more is read before the pong is out: whoever pings and does not read would
    /// fill the write buffer without end.
    owes_pong: bool,
    /// The other end broke the transport's rules: nothing more can be read.
    broken: bool,
    _seat: Option<Seat>,
}

impl Link for WebSocket {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        loop {
            if self.owes_pong {
                if ready!(self.socket.poll_flush_unpin(cx)).is_err() {
                    return Poll::Ready(Received::Gone);
                }
                self.owes_pong = false;
            }
            let received = match ready!(self.socket.poll_next_unpin(cx)) {
                Some(Ok(Message::Text(text))) => Received::Message(Frame::Text(text.into())),
                Some(Ok(Message::Binary(bytes))) => Received::Message(Frame::Binary(bytes)),
                // tungstenite answers pings and closes by itself; after a close the stream ends.
                Some(Ok(Message::Ping(_))) => {
                    self.owes_pong = true;
                    continue;
                }
                Some(Ok(Message::Pong(_) | Message::Close(_) | Message::Frame(_))) => continue,
                Some(Err(error)) => self.explain(&error),
                None => Received::Gone,
            };
            return Poll::Ready(received);
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        loop {
            ready!(self.socket.poll_ready_unpin(cx)).map_err(|_| Gone)?;
            let Some(mut rest) = self.rest.take() else { return Poll::Ready(Ok(())) };
            let next = rest.split_to(self.piece.min(rest.len()));
            let last = rest.is_empty();
            if !last {
                self.rest = Some(rest);
            }
            self.give(WireFrame::message(next, OpCode::Data(Data::Continue), last))?;
        }
    }

    fn start_send(&mut self, frame: Frame) -> Result<(), Gone> {
        // As raw frames: text of ours is UTF-8 by construction and need not be checked for each reader.
        let (mut bytes, kind) = match frame {
            Frame::Text(bytes) => (bytes, Data::Text),
            Frame::Binary(bytes) => (bytes, Data::Binary),
        };
        if bytes.len() > self.piece {
            self.rest = Some(bytes.split_off(self.piece));
        }
        self.give(WireFrame::message(bytes, OpCode::Data(kind), self.rest.is_none()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        if self.rest.is_some() {
            ready!(self.poll_ready(cx))?;
        }
        self.socket.poll_flush_unpin(cx).map_err(|_| Gone)
    }

    async fn close(mut self, close: Close, patience: Duration) {
        let goodbye = tokio::time::timeout(patience, async {
            if close.code == WITHOUT_A_WORD {
                self.socket.flush().await.ok()?;
            } else {
                self.say_goodbye(close).await?;
            }
            let socket = self.socket.get_mut();
            socket.shutdown().await.ok()?;
            drain(socket).await;
            Some(())
        });
        if !matches!(goodbye.await, Ok(Some(()))) {
            // Nobody listens: what the kernel still holds for it is not worth keeping.
            let _ = self.socket.get_ref().set_zero_linger();
        }
    }
}

impl WebSocket {
    /// Says why, and waits until the client has taken notice.
    async fn say_goodbye(&mut self, close: Close) -> Option<()> {
        let reason = Utf8Bytes::from(close.reason.as_ref());
        self.socket.send(Message::Close(Some(CloseFrame { code: close.code.into(), reason }))).await.ok()?;
        while !self.broken {
            match self.socket.next().await {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            }
        }
        Some(())
    }

    fn give(&mut self, frame: WireFrame) -> Result<(), Gone> {
        Sink::start_send(std::pin::Pin::new(&mut self.socket), Message::Frame(frame)).map_err(|_| Gone)
    }

    fn explain(&mut self, error: &Error) -> Received {
        let (code, reason) = match error {
            Error::Capacity(_) => (1009, "message too big"),
            Error::Utf8(_) => (1007, "text is not UTF-8"),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return Received::Gone,
            Error::Protocol(_) => (1002, "protocol error"),
            _ => return Received::Gone,
        };
        self.broken = true;
        Received::Broken(Close { code, reason: reason.into() })
    }
}

/// Reads what the other end still sends, so that the kernel does not answer it with a reset, which would
/// overtake the goodbye.
async fn drain(socket: &mut TcpStream) {
    let mut scratch = vec![0; 4096];
    let mut drained = 0;
    while drained < DRAIN_MAX {
        match socket.read(&mut scratch).await {
            Ok(count) if count > 0 => drained += count,
            _ => return,
        }
    }
}
