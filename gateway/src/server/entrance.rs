//! What a connection goes through before its first request: a PROXY header that says for whom it comes, and
//! TLS. Each has a deadline; who fails is counted and hears nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::client_address::Proxies;
use super::proxy_protocol;
use super::tls::Tls;
use crate::config::section::ProxyProtocol;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::ReasonLabel;

/// The way in of one listener. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// Whose word is taken for where a client is.
    pub proxies: Arc<Proxies>,
    /// TLS, if it is spoken here.
    pub tls: Option<Tls>,
    /// Where those are counted that do not come in.
    pub metrics: Arc<Metrics>,
}

impl Entrance {
    /// No TLS, no proxies.
    #[must_use]
    pub fn plain() -> Self {
        Self { proxies: Arc::default(), tls: None, metrics: Arc::default() }
    }

    /// For whom a connection comes; none if it has to end.
    pub(super) async fn peer(
        &self,
        stream: &mut TcpStream,
        peer: SocketAddr,
        patience: Duration,
    ) -> Option<SocketAddr> {
        match self.proxies.protocol() {
            ProxyProtocol::Off => Some(peer),
            // Boxed: without it a connection should not keep room for it.
            ProxyProtocol::Required => Box::pin(self.introduced(stream, peer, patience)).await,
        }
    }

    async fn introduced(&self, stream: &mut TcpStream, proxy: SocketAddr, patience: Duration) -> Option<SocketAddr> {
        if !self.proxies.trust(proxy.ip()) {
            tracing::debug!(%proxy, "refused a connection that comes from no address of server.trusted_proxies");
            self.count("untrusted_proxy");
            return None;
        }
        match tokio::time::timeout(patience, proxy_protocol::accept(stream)).await {
            Ok(Ok(client)) => Some(client.unwrap_or(proxy)),
            Ok(Err(error)) => {
                tracing::debug!(%proxy, %error, "refused a connection without a good PROXY header");
                self.count("proxy_header");
                None
            }
            Err(_) => {
                tracing::debug!(%proxy, "refused a connection whose PROXY header did not come in time");
                self.count("proxy_header");
                None
            }
        }
    }

    pub(super) fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// The connection under TLS; none if it has to end.
    pub(super) async fn secure(&self, stream: TcpStream, peer: SocketAddr) -> Option<TlsStream<TcpStream>> {
        let tls = self.tls.as_ref()?;
        match tokio::time::timeout(tls.patience, tls.accept(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "a TLS handshake failed");
                self.count("tls");
                None
            }
            Err(_) => {
                tracing::debug!(%peer, "a TLS handshake did not end in time");
                self.count("tls_timeout");
                None
            }
        }
    }

    /// A connection has ended badly that has asked something before, or not. Between requests it may rest for as long
    /// as a head may take.
    pub(super) fn note(&self, error: &hyper::Error, asked: bool) {
        if error.is_timeout() {
            if !asked {
                self.count("head_timeout");
            }
        } else if error.is_parse_too_large() {
            self.count("head_too_large");
        } else if error.is_parse() {
            self.count("head");
        }
    }

    fn count(&self, reason: &'static str) {
        self.metrics.refused_connections.get_or_create(&ReasonLabel { reason }).inc();
    }
}
