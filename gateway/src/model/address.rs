//! Where a client is.

use std::net::IpAddr;

/// The address of whoever made a request: the peer's, or what trusted proxies say of it. The listener puts
/// it into each request's extensions. Always in its shortest form: never IPv4 written as IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);
