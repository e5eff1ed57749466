//! What was written about the public listener's surroundings: TLS, and proxies before it.

use std::path::PathBuf;

use super::Checker;
use crate::config::raw::{RawServer, RawTls};
use crate::config::section::{ProxyProtocol, TlsConfig};

impl Checker<'_> {
    pub(super) fn tls(&mut self, raw: RawTls) -> Option<TlsConfig> {
        self.not_zero("server.tls.handshake_timeout", raw.handshake_timeout);
        match (raw.certificate, raw.key) {
            (Some(certificate), Some(key)) => Some(TlsConfig {
                certificate: PathBuf::from(certificate),
                key: PathBuf::from(key),
                min_version: raw.min_version,
                handshake_timeout: raw.handshake_timeout,
            }),
            (Some(_), None) => {
                self.problem("server.tls.certificate", "does nothing without its key: set server.tls.key, too");
                None
            }
            (None, Some(_)) => {
                self.problem("server.tls.key", "does nothing without a certificate: set server.tls.certificate, too");
                None
            }
            (None, None) => None,
        }
    }

    pub(super) fn proxies(&mut self, raw: &RawServer) {
        if !raw.trusted_proxies.is_empty() {
            return;
        }
        if raw.proxy_protocol == ProxyProtocol::Required {
            let text = "\"required\" lets nobody in while no proxy is trusted: list yours in server.trusted_proxies";
            self.problem("server.proxy_protocol", text);
        }
        if self.settings.is_given("server.client_address_header") {
            let text = "does nothing without server.trusted_proxies: only they are believed";
            self.warn("server.client_address_header", text);
        }
    }
}
