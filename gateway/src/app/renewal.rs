//! TLS of the public listener, and the renewal of its certificate while the gateway runs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::section::ServerConfig;
use crate::server::tls::{CertificateError, Certificates, Tls};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::OutcomeLabel;

/// How often the certificate's files are looked at: who renews them does so weeks before they end.
const EVERY: Duration = Duration::from_secs(10);

/// What the public listener needs for TLS.
pub(super) struct Security {
    pub(super) tls: Tls,
    pub(super) certificates: Arc<Certificates>,
}

impl Security {
    /// None if TLS is off.
    pub(super) fn load(config: &ServerConfig) -> anyhow::Result<Option<Self>> {
        let Some(config) = &config.tls else { return Ok(None) };
        let certificates = Certificates::load(config).context("server.tls")?;
        let tls = Tls::new(config, Arc::clone(&certificates)).context("server.tls")?;
        Ok(Some(Self { tls, certificates }))
    }
}

/// Reads the certificate again when its files have changed or a SIGHUP has come.
pub(super) async fn renew(certificates: Arc<Certificates>, metrics: Arc<Metrics>, stop: CancellationToken) {
    let mut hangups = signal(SignalKind::hangup()).ok();
    let count = |outcome| metrics.certificate_reloads.get_or_create(&OutcomeLabel { outcome }).inc();
    let mut failing = false;
    loop {
        let asked = tokio::select! {
            () = stop.cancelled() => return,
            () = hung_up(hangups.as_mut()) => true,
            () = tokio::time::sleep(EVERY) => false,
        };
        match reload(Arc::clone(&certificates), asked).await {
            Ok(new) => {
                failing = false;
                if new {
                    count("ok");
                    tracing::info!("clients are shown the certificate that was read just now");
                }
            }
            // What cannot be read is told once, and whenever somebody asks.
            Err(_) if failing && !asked => {}
            Err(error) => {
                failing = true;
                count("error");
                tracing::warn!(%error, "the new certificate is no good; clients are shown the one before");
            }
        }
    }
}

/// Files may be slow: not on a thread that serves connections.
async fn reload(certificates: Arc<Certificates>, asked: bool) -> anyhow::Result<bool> {
    let reloaded: Result<bool, CertificateError> =
        tokio::task::spawn_blocking(move || certificates.reload(asked)).await?;
    Ok(reloaded?)
}

async fn hung_up(hangups: Option<&mut Signal>) {
    if let Some(hangups) = hangups
        && hangups.recv().await.is_some()
    {
        return;
    }
    // No more signals: the files are looked at all the same.
    std::future::pending().await
}
