//! An issuer's web server: real HTTPS, answering what it is told to, with every way of answering badly.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::task::Tasks;

/// Who has signed the issuer's certificate.
pub(super) const AUTHORITY: &[u8] = include_bytes!("../../../../tests/certificates/authority.pem");
const CERTIFICATE: &[u8] = include_bytes!("../../../../tests/certificates/localhost.pem");
const KEY: &[u8] = include_bytes!("../../../../tests/certificates/localhost.key");

/// What is answered.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// These bytes, and the end.
    All(Vec<u8>),
    /// These bytes, and then silence.
    Stuck(Vec<u8>),
    /// These bytes, and then the last ones so many times.
    Flood(Vec<u8>, Vec<u8>, usize),
    /// Nothing: the connection ends.
    Gone,
}

/// Serves until its tasks are told to stop.
pub(super) struct Issuer {
    pub(super) url: String,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
    written: Arc<AtomicUsize>,
}

impl Issuer {
    /// `scheme` is https or http.
    pub(super) async fn start(tasks: &Tasks, scheme: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}://localhost:{}/keys", listener.local_addr().unwrap().port());
        let answer = Arc::new(Mutex::new(Answer::Gone));
        let issuer = Self { url, answer, asked: Arc::default(), written: Arc::default() };
        let acceptor = (scheme == "https").then(acceptor);
        let (answer, asked, written) = (issuer.answer.clone(), issuer.asked.clone(), issuer.written.clone());
        let (each, stop) = (tasks.clone(), tasks.stop());
        let serve = async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, answer) = (acceptor.clone(), answer.clone());
                let (asked, written) = (asked.clone(), written.clone());
                let stop = each.stop();
                let answering = async move {
                    match acceptor {
                        None => serve(socket, &answer, &asked, &written).await,
                        Some(acceptor) => match acceptor.accept(socket).await {
                            Ok(socket) => serve(socket, &answer, &asked, &written).await,
                            Err(error) => Err(error),
                        },
                    }
                };
                each.spawn("issuer's connection", async move {
                    tokio::select! {
                        // The other end may well have gone away.
                        _ = answering => {}
                        () = stop.cancelled() => {}
                    }
                });
            }
        };
        tasks.spawn("issuer", async move {
            tokio::select! {
                () = serve => {}
                () = stop.cancelled() => {}
            }
        });
        issuer
    }

    /// What is answered from now on.
    pub(super) fn says(&self, answer: Answer) {
        *self.answer.lock() = answer;
    }

    /// A good answer.
    pub(super) fn publishes(&self, keys: &[serde_json::Value]) {
        self.says(ok(&serde_json::json!({ "keys": keys }).to_string()));
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> usize {
        // SeqCst: tests reason about it as about a plain variable.
        self.asked.load(Ordering::SeqCst)
    }

    /// Bytes that it got rid of.
    pub(super) fn written(&self) -> usize {
        self.written.load(Ordering::SeqCst)
    }
}

/// 200 with a body.
pub(super) fn ok(body: &str) -> Answer {
    with("200 OK", "", body)
}

pub(super) fn with(status: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n");
    Answer::All([head.as_bytes(), body.as_bytes()].concat())
}

fn acceptor() -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(CERTIFICATE).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    answer: &Mutex<Answer>,
    asked: &AtomicUsize,
    written: &AtomicUsize,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(socket.read_u8().await?);
    }
    asked.fetch_add(1, Ordering::SeqCst);
    let answer = answer.lock().clone();
    let mut write = async |bytes: &[u8]| {
        socket.write_all(bytes).await?;
        written.fetch_add(bytes.len(), Ordering::SeqCst);
        socket.flush().await
    };
    match answer {
        Answer::All(bytes) => {
            write(&bytes).await?;
            socket.shutdown().await
        }
        Answer::Stuck(bytes) => {
            write(&bytes).await?;
            // Until the other end has had enough.
            socket.read_u8().await.map(|_| ())
        }
        Answer::Flood(head, part, times) => {
            write(&head).await?;
            for _ in 0..times {
                write(&part).await?;
            }
            socket.shutdown().await
        }
        Answer::Gone => Ok(()),
    }
}
