//! Certificates for `localhost`, made by openssl, and clients that trust them.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::gateway::DEADLINE;

const REQUEST: &str = "[req]\ndistinguished_name = name\nx509_extensions = extensions\nprompt = no\n\
                       [name]\nCN = localhost\n\
                       [extensions]\nbasicConstraints = critical,CA:FALSE\nsubjectAltName = DNS:localhost\n";

/// Both versions.
pub(crate) static VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// A certificate and its key, in files.
pub(crate) struct Pair {
    directory: TempDir,
}

impl Pair {
    pub(crate) fn make() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let pair = Self { directory };
        let request = pair.path("request");
        fs::write(&request, REQUEST).unwrap();
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "30", "-config"])
            .arg(request)
            .arg("-keyout")
            .arg(pair.key())
            .arg("-out")
            .arg(pair.certificate())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        pair
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.path("certificate.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.path("key.pem")
    }

    /// `[server.tls]` that shows it.
    pub(crate) fn section(&self) -> String {
        format!("[server.tls]\ncertificate = {:?}\nkey = {:?}\n", self.certificate(), self.key())
    }

    /// A client that trusts this certificate and no other; the end of the handshake, or why there is none.
    pub(crate) async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_over(TcpStream::connect(address).await?, VERSIONS).await
    }

    pub(crate) async fn connect_over(
        &self,
        stream: TcpStream,
        versions: &[&'static SupportedProtocolVersion],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.certificate()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
        tokio::time::timeout(DEADLINE, handshake).await.expect("the handshake ends")
    }
}
