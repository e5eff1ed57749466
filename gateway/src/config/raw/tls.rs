//! The keys about TLS for clients.

use std::time::Duration;

use crate::config::manual::{Key, Section, Unset, show};
use crate::config::section::TlsVersion;
use crate::config::settings::Reader;
use crate::config::value::Value;

section! {
    /// TLS on `server.listen`, for clients and the API. Off unless both files are named; a balancer can
    /// do it as well.
    RawTls at "server.tls" {
        /// The file of the certificate and those that lead to a known one, PEM, the server's own first.
        /// Read again when it changes, and on SIGHUP; open connections stay.
        certificate: String, example "/etc/fanfare/tls/tls.crt";
        /// The file of its private key, PEM.
        key: String, example "/etc/fanfare/tls/tls.key";
        /// The oldest version that is spoken: "1.2" or "1.3".
        min_version: TlsVersion, default "1.2";
        /// How long a handshake may take.
        handshake_timeout: Duration, default "5s";
    }
}
