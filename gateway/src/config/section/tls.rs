//! `[server.tls]`: TLS for clients.

use std::path::PathBuf;
use std::time::Duration;

/// TLS on the public listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate's file and those that lead to a known one, PEM.
    pub certificate: PathBuf,
    /// Its private key's file, PEM.
    pub key: PathBuf,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
}

/// A version of TLS that is safe still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    V1_2,
    /// RFC 8446.
    V1_3,
}
