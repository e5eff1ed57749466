//! TLS for clients: which certificate is shown, and how it is renewed while connections are open.

use std::fmt;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ALL_VERSIONS, ServerConfig, SupportedProtocolVersion, version};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::section::{TlsConfig, TlsVersion};

/// Largest file that is read: a chain has a few KiB.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

static NEWEST: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// Why a certificate cannot be used. The operator's fault; names files and shows nothing of them.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file is not there, not ours to read, or too large.
    #[error("{path} cannot be read: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no certificate in the file.
    #[error("{0} holds no certificate in PEM (BEGIN CERTIFICATE)")]
    NoCertificate(PathBuf),
    /// There is no private key in the file.
    #[error("{0} holds no private key in PEM (BEGIN PRIVATE KEY)")]
    NoKey(PathBuf),
    /// They are not a pair, or of a kind that nobody here understands.
    #[error("the certificate cannot be used with its key: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The certificate that is shown, and the files that it comes from.
pub struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    shown: RwLock<Arc<CertifiedKey>>,
    /// What the files held when they were last looked at, good or not.
    seen: Mutex<u64>,
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn load(config: &TlsConfig) -> Result<Arc<Self>, CertificateError> {
        let files = Files::read(&config.certificate, &config.key)?;
        let shown = files.pair(&config.certificate, &config.key)?;
        Ok(Arc::new(Self {
            certificate: config.certificate.clone(),
            key: config.key.clone(),
            shown: RwLock::new(Arc::new(shown)),
            seen: Mutex::new(files.digest()),
        }))
    }

    /// Reads the files again, and shows what is in them from now on if that is good; connections that are
    /// open stay as they are. Answers whether there was something new. What has been looked at already is
    /// left alone unless `asked`.
    ///
    /// # Errors
    /// See [`CertificateError`]; what was shown before stays.
    pub fn reload(&self, asked: bool) -> Result<bool, CertificateError> {
        let files = Files::read(&self.certificate, &self.key)?;
        let digest = files.digest();
        let before = std::mem::replace(&mut *self.seen.lock(), digest);
        if before == digest && !asked {
            return Ok(false);
        }
        *self.shown.write() = Arc::new(files.pair(&self.certificate, &self.key)?);
        Ok(true)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.shown.read()))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// Both files as they are.
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    fn read(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        Ok(Self { certificate: read(certificate)?, key: read(key)? })
    }

    /// Tells whether something has changed; says nothing of what.
    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.certificate, &self.key).hash(&mut hasher);
        hasher.finish()
    }

    fn pair(&self, certificate: &Path, key: &Path) -> Result<CertifiedKey, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(&self.certificate).collect::<Result<Vec<_>, _>>();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| CertificateError::NoCertificate(certificate.to_owned()))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| CertificateError::NoKey(key.to_owned()))?;
        Ok(CertifiedKey::from_der(chain, key, &default_provider())?)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let unreadable = |error| CertificateError::Unreadable { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    let length = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if length as u64 > FILE_BYTES_MAX {
        return Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1MiB")));
    }
    Ok(bytes)
}

/// TLS as it is spoken on a listener. Cloning shares it.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    /// How long a handshake may take.
    pub(super) patience: Duration,
}

impl Tls {
    /// Shows what `certificates` has at the time. Speaks HTTP/1.1 only, and says so (ALPN). Who comes back to
    /// this node may resume a session; nothing is kept here for that.
    ///
    /// # Errors
    /// When the machine has no good random numbers.
    pub fn new(config: &TlsConfig, certificates: Arc<Certificates>) -> Result<Self, CertificateError> {
        let versions = match config.min_version {
            TlsVersion::V1_2 => ALL_VERSIONS,
            TlsVersion::V1_3 => NEWEST,
        };
        let mut server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        server.ticketer = Ticketer::new()?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(server)), patience: config.handshake_timeout })
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("patience", &self.patience).finish_non_exhaustive()
    }
}
