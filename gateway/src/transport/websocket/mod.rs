//! WebSocket (RFC 6455): the upgrade, and a [`Link`](super::Link) with size limits and close codes of our
//! own that keeps no buffers for a connection at rest.

mod cookie;
mod frame;
pub(crate) mod inbound;
mod link;
mod tls;
mod turned_away;
mod upgrade;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::Response;

use super::client::Client;
use super::drive::{Connection, Ended};
use crate::codec::Codec;
use crate::limit::Admitted;
use crate::model::{Address, ByteSize, ClientAddress, Token, TransportHeaders};
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

/// In a request's extensions: its page's origin is one that the operator has listed, so that the cookies that a
/// browser sends along are meant for us. Who looks at origins puts it there.
#[derive(Clone, Copy, Debug)]
pub struct ListedOrigin;

/// The handler of `/connection/websocket`.
pub async fn connect(State(door): State<Arc<Door>>, mut request: Request) -> Response {
    let (codec, protocol) = door.choose_codec(&request);
    let token = door.token(&request);
    let client = request.extensions().get::<ClientAddress>().copied();
    let headers = door.headers(&request);
    let upgrade = match Upgrade::take(&mut request, protocol) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refusal,
    };
    let address = turned_away::address(&request);
    // It may have to wait, and what it has sent need not.
    drop(request);
    let admitted = match door.shared.limits.admit(address).await {
        Ok(admitted) => admitted,
        Err(over) => return turned_away::answer(over),
    };
    let response = upgrade.response();
    let tasks = door.tasks.clone();
    let metrics = Arc::clone(door.shared.node.metrics());
    // Boxed, as all that is needed for a moment only: an idle connection keeps its task's largest state.
    let from = client.map(|ClientAddress(address)| address.into());
    let opening = Box::pin(open(door, upgrade, codec, token, (from, headers)));
    tasks.spawn("connection", async move {
        let Some(mut connection) = opening.await else { return };
        let open = Open::count(metrics, admitted);
        if let Ended::Closed(close) = connection.run().await {
            open.metrics.count_disconnect(close.code);
            let client = client.map(|ClientAddress(address)| tracing::field::display(address));
            tracing::debug!(code = close.code, reason = %close.reason, client, "closed a connection");
        }
    });
    response
}

async fn open(
    door: Arc<Door>,
    upgrade: Upgrade,
    codec: Arc<dyn Codec>,
    token: Token,
    (from, headers): (Option<Address>, TransportHeaders),
) -> Option<Connection<WebSocket, Client>> {
    let (link, pipe) = upgrade.link(door.sizes).await?;
    let (session, reader) = Session::new(Arc::clone(&door.shared), codec.clone(), token, pipe);
    Some(Connection::new(link, Client::new(codec, session.brought_by(from, headers)), reader))
}

/// Counts a socket as open for as long as it lives, however its task ends.
struct Open {
    metrics: Arc<Metrics>,
    _admitted: Admitted,
}

impl Open {
    fn count(metrics: Arc<Metrics>, admitted: Admitted) -> Self {
        metrics.sockets.inc();
        Self { metrics, _admitted: admitted }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.sockets.dec();
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

    /// From `Authorization: Bearer`, or from the query or a cookie where that is allowed; empty if none.
    fn token(&self, request: &Request) -> Token {
        let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if let Some(token) = header.and_then(|value| value.strip_prefix("Bearer ")) {
            return token.trim().into();
        }
        let config = &self.shared.config;
        let parameter = config.token_query_parameter.as_deref();
        // Tokens are base64url and dots: nothing in them is percent-encoded.
        if let Some((_, token)) = query(request).find(|(name, _)| Some(*name) == parameter) {
            return token.into();
        }
        let listed = request.extensions().get::<ListedOrigin>().is_some();
        let cookie = config.token_cookie.as_deref().filter(|_| listed);
        cookie.and_then(|name| cookie::value(request.headers(), name)).unwrap_or_default().into()
    }
}

fn query(request: &Request) -> impl Iterator<Item = (&str, &str)> {
    request.uri().query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='))
}
