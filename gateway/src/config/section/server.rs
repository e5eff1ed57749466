//! `[server]`: listeners and what a connection may cost before it is one.

use std::net::SocketAddr;
use std::time::Duration;

use crate::model::ByteSize;

/// The listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Clients and the API.
    pub listen: SocketAddr,
    /// Metrics; never for the outside.
    pub internal_listen: SocketAddr,
    /// This node's name in `info`; the host name by default.
    pub node_name: String,
    /// Connections that may be open at once; the next ones wait in the kernel's queue.
    pub connections_max: usize,
    /// How long a request's head may take.
    pub header_timeout: Duration,
    /// How large a request's head may be.
    pub header_size_limit: ByteSize,
    /// How much is read from a socket at once. Each thread has such a buffer; a connection at rest has none.
    pub read_buffer: ByteSize,
    /// How much is gathered before one write to a socket.
    pub write_buffer: ByteSize,
}
