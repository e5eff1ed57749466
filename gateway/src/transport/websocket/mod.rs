//! WebSocket (RFC 6455): the upgrade, and a [`Link`](super::Link) with size limits and close codes of our
//! own that keeps no buffers for a connection at rest.

mod frame;
mod inbound;
mod link;
mod upgrade;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::Response;

use super::client::Client;
use super::drive::{Connection, Ended};
use crate::codec::Codec;
use crate::model::{ByteSize, TransportHeaders};
use crate::session::{self, Session};
use crate::task::Tasks;
use crate::telemetry::Metrics;

pub use link::WebSocket;
pub use upgrade::Upgrade;
use upgrade::comma_separated;

/// Sizes of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// How much is read from a socket at once; threads have such a buffer, connections have none.
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
    let headers = door.headers(&request);
    let upgrade = match Upgrade::take(&mut request, protocol) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refusal,
    };
    let response = upgrade.response();
    let tasks = door.tasks.clone();
    let metrics = Arc::clone(door.shared.node.metrics());
    // Boxed, as all that is needed for a moment only: an idle connection keeps its task's largest state.
    let opening = Box::pin(open(door, upgrade, codec, token, headers));
    tasks.spawn("connection", async move {
        let Some(mut connection) = opening.await else { return };
        let open = Open::count(metrics);
        if let Ended::Closed(close) = connection.run().await {
            open.0.count_disconnect(close.code);
            tracing::debug!(code = close.code, reason = %close.reason, "closed a connection");
        }
    });
    response
}

async fn open(
    door: Arc<Door>,
    upgrade: Upgrade,
    codec: Arc<dyn Codec>,
    token: String,
    headers: TransportHeaders,
) -> Option<Connection<WebSocket, Client>> {
    let (link, pipe) = upgrade.link(door.sizes).await?;
    let (session, reader) = Session::new(Arc::clone(&door.shared), codec.clone(), token, pipe);
    Some(Connection::new(link, Client::new(codec, session.with_headers(headers)), reader))
}

/// Counts a socket as open for as long as it lives, however its task ends.
struct Open(Arc<Metrics>);

impl Open {
    fn count(metrics: Arc<Metrics>) -> Self {
        metrics.sockets.inc();
        Self(metrics)
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

    /// What the application's hooks want of the request.
    fn headers(&self, request: &Request) -> TransportHeaders {
        let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        TransportHeaders::pick(headers, self.shared.hooks.transport_headers())
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
