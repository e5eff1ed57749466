//! How kinds of servers are spoken to: what goes over the WebSocket (or HTTP) before, while and after.
//! Pure: bytes in, bytes out. The crowd owns sockets and WebSocket frames; a wire knows what is in them.

pub mod centrifugo;
pub mod many;
pub mod nats;
pub mod nchan;
pub mod plain;
pub mod socketio;
pub mod sockudo;
mod token;
mod within;

use std::ops::Range;
use std::sync::Arc;

use crate::crowd::marker;
use crate::server::{API_KEY, SECRET};

/// One member of a crowd.
#[derive(Clone, Debug)]
pub struct Who {
    /// Counts from 0; unique in the whole run.
    pub number: usize,
    /// The channel that it subscribes to.
    pub channel: String,
    /// The secret that tokens are signed with, for wires that want tokens.
    pub secret: String,
}

/// A WebSocket message, without its frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// UTF-8.
    Text(Vec<u8>),
    /// Any bytes.
    Binary(Vec<u8>),
}

/// The GET that opens the WebSocket.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// With the query, e.g. `/connection/websocket`.
    pub path: String,
    /// Beside those that every handshake has, e.g. `("Sec-WebSocket-Protocol", "nchan")`.
    pub headers: Vec<(String, String)>,
}

/// An HTTP request on a connection that is kept alive.
#[derive(Clone, Debug)]
pub struct Request {
    /// `POST` mostly.
    pub method: &'static str,
    /// With the query.
    pub path: String,
    /// Beside Host and Content-Length.
    pub headers: Vec<(String, String)>,
    /// What is posted.
    pub body: Vec<u8>,
}

/// What a message from the server means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing to do: an acknowledgement, say.
    Nothing,
    /// Publications: where in the message the payloads are, in order. A payload is what was published, or
    /// contains it unescaped or escaped as JSON; the crowd finds its marker in it.
    Publications(Vec<Range<usize>>),
    /// Goes back at once: the next step of being subscribed, or a pong of the protocol's own.
    Answer(Vec<Message>),
    /// Subscribed: publications come from now on.
    Ready,
    /// The server does not want us: why.
    Refused(String),
}

/// One kind of server.
///
/// A crowd calls [`Wire::begin`] after the upgrade and [`Wire::hear`] for each message, until it says
/// [`Heard::Ready`]; a wire without an answer to its last word says so by [`Wire::silent`]. Afterwards, a
/// message that contains the marker of a payload counts as a publication without being asked for.
pub trait Wire: Send + Sync {
    /// The GET that opens the WebSocket.
    fn opening(&self, who: &Who) -> Opening;

    /// What is sent after the upgrade; may be nothing.
    fn begin(&self, who: &Who) -> Vec<Message>;

    /// What a message means to a member.
    fn hear(&self, who: &Who, message: &[u8]) -> Heard;

    /// True if a member is subscribed as soon as it has sent what it has to send: nothing will confirm it.
    fn silent(&self) -> bool {
        false
    }

    /// The answer to a ping of the protocol's own that came in one message with publications: such a message is
    /// not given to [`Wire::hear`]. None if there is no ping in it.
    fn pong(&self, _message: &[u8]) -> Option<Message> {
        None
    }

    /// A publication over a member's own WebSocket; none if this kind of server takes none there.
    fn publish(&self, who: &Who, payload: &[u8]) -> Option<Message>;

    /// A publication over HTTP; none if this kind of server has no such API.
    fn publish_http(&self, channel: &str, payload: &[u8]) -> Option<Request>;
}

/// The same for members with so many channels each; none where a member has one channel only.
pub fn many_by_name(server: &str, each: usize) -> Option<Arc<dyn Wire>> {
    let speaks = matches!(server, "fanfare" | "centrifugo");
    speaks.then(|| Arc::new(many::Many { wire: centrifugo::Centrifugo { api_key: API_KEY.to_owned() }, each }) as _)
}

/// The wire of a server by the name of its script; none if nobody is called so.
pub fn by_name(server: &str) -> Option<Arc<dyn Wire>> {
    Some(match server {
        "fanfare" | "centrifugo" => Arc::new(centrifugo::Centrifugo { api_key: API_KEY.to_owned() }),
        "floor" | "floor32" | "node-ws" | "uwebsockets" => Arc::new(plain::Plain),
        "nats" => Arc::new(nats::Nats),
        "nchan" => Arc::new(nchan::Nchan),
        "socketio" => Arc::new(socketio::SocketIo),
        "sockudo" => Arc::new(sockudo::Sockudo { secret: SECRET.to_owned(), now_s: || marker::now() / 1_000_000_000 }),
        _ => return None,
    })
}
