//! The composition root: configuration in, running gateway out. Nobody imports it but the command line.

mod build;
mod dev;
mod drain;
mod keys;
mod renewal;
mod signal;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use axum::Router;
use tokio_util::sync::CancellationToken;

use crate::broker::Health;
use crate::config::Config;
use crate::config::section::ServerConfig;
use crate::model::NodeId;
use crate::server::{Bound, Readiness, Vitals, router};
use crate::telemetry::tracing::{self as telemetry, Tracing};

use build::{App, Ground, Joint};
use renewal::Security;

pub use dev::{DevOptions, dev};
pub(crate) use keys::with_keys;

/// Runs a gateway until it is told to stop. `warnings` are what the check of the configuration found
/// worth a line in the log.
///
/// # Errors
/// When the gateway cannot start: an address is taken, the broker's URL is no URL.
pub async fn serve(config: Config, warnings: Vec<String>) -> anyhow::Result<()> {
    let id = NodeId::random();
    let guard = telemetry::init(&config.telemetry, "fanfare-gateway", id).context("telemetry cannot start")?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let gateway = Gateway::start(config, id, guard.tracing())?;
    let ended = gateway.drain_on_signal().await;
    // Sends the last spans.
    drop(guard);
    ended
}

/// A gateway that serves.
pub struct Gateway {
    app: App,
    address: SocketAddr,
    internal_address: SocketAddr,
    draining: Arc<AtomicBool>,
    accepting: CancellationToken,
}

impl Gateway {
    /// Builds a gateway and opens its doors. Logs, and where spans go, are the caller's affair.
    ///
    /// # Errors
    /// When an address is taken or the broker's URL is no URL. A broker that is down is no error: the
    /// gateway starts and heals.
    pub fn start(config: Config, id: NodeId, tracing: Tracing) -> anyhow::Result<Self> {
        let listeners = Listeners::bind(&config.server)?;
        let ground = Ground::new(id, tracing);
        let joint = Joint::build(&config, &ground)?;
        Ok(Self::open(App::assemble(config, ground, joint)?, listeners, None))
    }

    /// Where clients and backends connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics and probes are.
    #[must_use]
    pub fn internal_address(&self) -> SocketAddr {
        self.internal_address
    }

    /// Goes down: not ready, then clients are sent elsewhere, then all parts end; within
    /// `shutdown.timeout`.
    pub async fn drain(self) {
        self.draining.store(true, Ordering::SeqCst);
        drain::drain(&self.app, self.accepting).await;
    }

    /// Serves until a signal comes.
    async fn drain_on_signal(self) -> anyhow::Result<()> {
        let (front, back) = (self.app.front.fatal(), self.app.back.fatal());
        let broken = tokio::select! {
            signal = signal::wait() => {
                tracing::info!(signal, "going down");
                false
            }
            () = front.cancelled() => true,
            () = back.cancelled() => true,
        };
        self.drain().await;
        anyhow::ensure!(!broken, "a part that all rely upon has panicked; this is a bug");
        Ok(())
    }

    /// `page` brings routes of its own.
    fn open(app: App, listeners: Listeners, page: Option<Router>) -> Self {
        let draining = Arc::new(AtomicBool::new(false));
        let (address, internal_address) = (listeners.public.address(), listeners.internal.address());
        let vitals = vitals(&app, Arc::clone(&draining));
        let clients = router::clients(app.door(), app.origins(), app.credentials());
        let public = router::public(clients, vitals.clone(), app.api_router(), page);
        let accepting = app.front.stop().child_token();
        let (tls, certificates) = match listeners.security {
            Some(Security { tls, certificates }) => (Some(tls), Some(certificates)),
            None => (None, None),
        };
        app.front.spawn_essential(
            "listener",
            listeners.public.serve(public, app.gate(tls), app.front.clone(), accepting.clone()),
        );
        if let Some(certificates) = certificates {
            let metrics = Arc::clone(app.sessions.node.metrics());
            app.back.spawn("certificate renewal", renewal::renew(certificates, metrics, app.back.stop()));
        }
        // Probes and metrics answer to the very end.
        let serve =
            listeners.internal.serve(router::internal(vitals), app.internal_gate(), app.back.clone(), app.back.stop());
        app.back.spawn_essential("internal listener", serve);
        let wheel = Arc::clone(&app.sessions.wheel);
        app.back.spawn_essential("wheel", wheel.run(app.back.stop()));
        tracing::info!(
            node = %app.sessions.node.id(),
            version = env!("CARGO_PKG_VERSION"),
            listen = %address,
            internal = %internal_address,
            tls = app.config.server.tls.is_some(),
            broker = %app.config.broker.url.masked(),
            "the gateway is up"
        );
        Self { app, address, internal_address, draining, accepting }
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Addresses that are ours already.
struct Listeners {
    public: Bound,
    internal: Bound,
    /// TLS on the public one.
    security: Option<Security>,
}

impl Listeners {
    fn bind(config: &ServerConfig) -> anyhow::Result<Self> {
        let bind =
            |key: &str, address| Bound::bind(address).with_context(|| format!("{key}: cannot listen on {address}"));
        Ok(Self {
            public: bind("server.listen", config.listen)?,
            internal: bind("server.internal_listen", config.internal_listen)?,
            security: Security::load(config)?,
        })
    }
}

fn vitals(app: &App, draining: Arc<AtomicBool>) -> Vitals {
    let unready_after = app.config.broker.unready_after;
    let node = Arc::clone(&app.sessions.node);
    let measured = Arc::clone(&node);
    let begun = AtomicBool::new(false);
    let readiness = move || match node.broker_health() {
        _ if draining.load(Ordering::SeqCst) => Readiness::Draining,
        Health::Delivers if !node.knows_revocations() => {
            Readiness::Unready("who is revoked or blocked has not been read yet".into())
        }
        Health::Delivers => {
            // Relaxed: a lone flag, and nothing hangs on when it is seen.
            begun.store(true, Ordering::Relaxed);
            Readiness::Ready
        }
        // A blip later on is waited out; a node that has never been linked is of no use to anybody yet.
        Health::Silent(_) if !begun.load(Ordering::Relaxed) => {
            Readiness::Unready("the broker has not delivered yet".into())
        }
        Health::Silent(since) if since >= unready_after => {
            Readiness::Unready(format!("the broker has not delivered for {} s", since.as_secs()))
        }
        Health::Silent(_) => Readiness::Ready,
    };
    let scrape = move || {
        let metrics = measured.metrics();
        metrics.outbox_bytes.set(i64::try_from(measured.waiting_bytes()).unwrap_or(i64::MAX));
        metrics.encode()
    };
    Vitals { readiness: Arc::new(readiness), metrics: Arc::new(scrape) }
}
