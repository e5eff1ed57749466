//! The composition root: configuration in, running gateway out. Nobody imports it but the command line.

mod build;
mod dev;
mod drain;
mod signal;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use axum::Router;

use crate::config::Config;
use crate::config::section::ServerConfig;
use crate::model::NodeId;
use crate::server::{Bound, Readiness, Vitals, router};
use crate::telemetry::tracing as telemetry;

use build::App;

pub use dev::{DevOptions, dev};

/// Runs a gateway until it is told to stop. `warnings` are what the check of the configuration found
/// worth a line in the log.
///
/// # Errors
/// When the gateway cannot start: an address is taken, the broker's URL is no URL.
pub async fn serve(config: Config, warnings: Vec<String>) -> anyhow::Result<()> {
    let id = NodeId::random();
    let guard =
        telemetry::init(&config.telemetry, "fanfare-gateway", &id.to_string()).context("telemetry cannot start")?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let listeners = Listeners::bind(&config.server)?;
    let app = App::build(config, id).await?;
    tracing::info!(
        node = %id,
        version = env!("CARGO_PKG_VERSION"),
        listen = %listeners.public.address(),
        internal = %listeners.internal.address(),
        broker = %app.config.broker.url.masked(),
        "the gateway is up"
    );
    app.run(listeners, None).await;
    guard.shutdown();
    Ok(())
}

/// Addresses that are ours already.
struct Listeners {
    public: Bound,
    internal: Bound,
}

impl Listeners {
    fn bind(config: &ServerConfig) -> anyhow::Result<Self> {
        let bind =
            |key: &str, address| Bound::bind(address).with_context(|| format!("{key}: cannot listen on {address}"));
        Ok(Self {
            public: bind("server.listen", config.listen)?,
            internal: bind("server.internal_listen", config.internal_listen)?,
        })
    }
}

impl App {
    /// Serves until a signal comes, then drains. `page` brings routes of its own.
    async fn run(self, listeners: Listeners, page: Option<Router>) {
        let draining = Arc::new(AtomicBool::new(false));
        let vitals = self.vitals(Arc::clone(&draining));
        let public = router::public(self.door(), self.origins(), vitals.clone(), self.api_router(), page);
        let gate = self.gate();
        let accepting = self.front.stop().child_token();
        let serve = listeners.public.serve(public, gate.clone(), self.front.clone(), accepting.clone());
        self.front.spawn("listener", serve);
        // Probes and metrics answer to the very end.
        let internal = router::internal(vitals);
        let serve = listeners.internal.serve(internal, self.internal_gate(), self.back.clone(), self.back.stop());
        self.back.spawn("internal listener", serve);
        let wheel = Arc::clone(&self.sessions.wheel);
        self.back.spawn("wheel", wheel.run(self.back.stop()));

        let signal = signal::wait().await;
        tracing::info!(signal, "going down");
        draining.store(true, Ordering::SeqCst);
        drain::drain(&self, accepting).await;
    }

    fn vitals(&self, draining: Arc<AtomicBool>) -> Vitals {
        let unready_after = self.config.broker.unready_after;
        let (node, metrics) = (Arc::clone(&self.sessions.node), Arc::clone(self.sessions.node.metrics()));
        let measured = Arc::clone(&node);
        let readiness = move || {
            if draining.load(Ordering::SeqCst) {
                return Readiness::Draining;
            }
            match node.broker_health() {
                crate::broker::Health::Silent(since) if since >= unready_after => {
                    Readiness::Unready(format!("the broker has not delivered for {} s", since.as_secs()))
                }
                _ => Readiness::Ready,
            }
        };
        let scrape = move || {
            metrics.outbox_bytes.set(i64::try_from(measured.waiting_bytes()).unwrap_or(i64::MAX));
            metrics.encode()
        };
        Vitals { readiness: Arc::new(readiness), metrics: Arc::new(scrape) }
    }
}
