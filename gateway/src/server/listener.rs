//! Accepts connections, as many as there are seats, and serves HTTP/1.1 on each in a task of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::Entrance;
use crate::model::ByteSize;
use crate::task::Tasks;
use crate::task::backoff::Backoff;
use crate::transport::websocket::Seat;

/// Connections that the kernel completes ahead of us: room for a reconnect storm.
const BACKLOG: u32 = 8192;

/// More header lines than any browser sends.
const HEADERS_MAX: usize = 100;

/// For [`Gate::life_max`]: no request takes nearly as long, and who calls often pays for a new connection
/// only every few minutes.
pub const LIFE_MAX: Duration = Duration::from_secs(5 * 60);

/// For [`Gate::grace`]: the API answers within it even where it waits for the broker once, and a reader
/// that takes longer for one answer hardly reads.
pub const GRACE: Duration = Duration::from_secs(10);

/// An address that is ours already; connections wait in the kernel until [`Bound::serve`].
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// What every connection has to pass.
#[derive(Clone, Debug)]
pub struct Gate {
    /// One seat for each open connection.
    pub seats: Arc<Semaphore>,
    /// How long a request's head may take; also how long an idle connection is kept for the next one.
    pub header_timeout: Duration,
    /// How large a request's head may be.
    pub header_max: ByteSize,
    /// How long a connection may be used for requests; upgraded ones keep their own time. Without it a
    /// client that asks and never reads the answers would keep its seat for ever.
    pub life_max: Duration,
    /// How long a connection that has to end may take to finish the request under way.
    pub grace: Duration,
    /// What comes before the first request.
    pub entrance: Entrance,
}

impl Bound {
    /// Takes an address.
    ///
    /// # Errors
    /// When it is taken, not ours, or needs rights that we lack.
    pub fn bind(address: SocketAddr) -> std::io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // So that a restart need not wait for the last connections of the process before.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens; with the real port where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until told to stop.
    pub async fn serve(self, router: Router, gate: Gate, tasks: Tasks, stop: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(5), Duration::from_secs(1));
        loop {
            // The seat comes first: whoever has none waits in the kernel's queue and costs us nothing.
            let seat = tokio::select! {
                () = stop.cancelled() => return,
                seat = Arc::clone(&gate.seats).acquire_owned() => seat,
            };
            // The semaphore is never closed.
            let Ok(seat) = seat else { return };
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    backoff.reset();
                    let connection =
                        serve_one(stream, peer, Seat(Arc::new(seat)), router.clone(), gate.clone(), stop.clone());
                    tasks.spawn("http", connection);
                }
                // Out of files or memory, or the client left already: others may fare better soon.
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(backoff.next_wait()).await;
                }
            }
        }
    }
}

async fn serve_one(
    mut stream: TcpStream,
    peer: SocketAddr,
    seat: Seat,
    router: Router,
    gate: Gate,
    stop: CancellationToken,
) {
    // Messages are small and gathered by us; waiting for more only adds delay.
    let _ = stream.set_nodelay(true);
    let Some(peer) = gate.entrance.peer(&mut stream, peer, gate.header_timeout).await else { return };
    let caller = Caller { peer, seat };
    if gate.entrance.is_secure() {
        // Boxed: without TLS a connection should not keep room for it.
        let Some(stream) = Box::pin(gate.entrance.secure(stream, peer)).await else { return };
        Box::pin(serve_http(stream, caller, router, gate, stop)).await;
    } else {
        serve_http(stream, caller, router, gate, stop).await;
    }
}

/// What requests of one connection have in common.
struct Caller {
    peer: SocketAddr,
    seat: Seat,
}

async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    Caller { peer, seat }: Caller,
    router: Router,
    gate: Gate,
    stop: CancellationToken,
) {
    let proxies = Arc::clone(&gate.entrance.proxies);
    let asked = Arc::new(AtomicBool::new(false));
    let has_asked = Arc::clone(&asked);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        // Relaxed: read when the connection has ended.
        has_asked.store(true, Ordering::Relaxed);
        let client = proxies.client(peer.ip(), request.headers());
        request.extensions_mut().insert(seat.clone());
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(client);
        router.clone().oneshot(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(gate.header_timeout)
        .max_buf_size(gate.header_max.bytes())
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => Ok(served),
        () = wait_for_end(gate.life_max, stop) => {
            // Finishes the request under way, takes no further one.
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(gate.grace, connection).await
        }
    };
    match served {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            gate.entrance.note(&error, asked.load(Ordering::Relaxed));
            tracing::debug!(%error, %peer, "a connection ended badly");
        }
        Err(_) => tracing::debug!(%peer, "a connection had to end and did not: dropped"),
    }
}

/// Until the connection is too old or the listener goes down.
async fn wait_for_end(life_max: Duration, stop: CancellationToken) {
    let _ = tokio::time::timeout(life_max, stop.cancelled()).await;
}

#[cfg(test)]
mod tests;
