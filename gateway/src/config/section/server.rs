//! `[server]`: listeners and what a connection may cost before it is one.

use std::net::SocketAddr;
use std::time::Duration;

use super::TlsConfig;
use crate::model::{ByteSize, Network};

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
    /// Whose word is taken for where a client is.
    pub trusted_proxies: Vec<Network>,
    /// In which header they say it.
    pub client_address_header: AddressHeader,
    /// Whether they say it before anything else.
    pub proxy_protocol: ProxyProtocol,
    /// TLS on `listen`; none if somebody else does it.
    pub tls: Option<TlsConfig>,
}

/// The header in which a proxy says for whom it asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressHeader {
    /// `X-Forwarded-For`: a list, each proxy adds the one that it has heard from.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239): the same with names.
    Forwarded,
    /// `X-Real-IP`: one address, which the proxy sets.
    XRealIp,
    /// None.
    Off,
}

/// Whether connections begin with a PROXY header, version 1 or 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// They do not.
    #[default]
    Off,
    /// They do; others are refused.
    Required,
}
