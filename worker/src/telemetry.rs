//! Logs to standard error, and spans to an OTLP collector if one is named. What a message carries of its
//! trace is `publish`'s affair; here is only where spans go.

use std::io::IsTerminal;

use anyhow::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Sends the spans that are still here when it is dropped. Drop it outside of the async runtime: the
/// exporter blocks.
#[derive(Debug)]
#[must_use]
pub(crate) struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Sets up logs and, with an endpoint, spans. Call it once, outside of the async runtime.
pub(crate) fn init(log_level: &str, otlp_endpoint: Option<&str>) -> anyhow::Result<Telemetry> {
    let filter = EnvFilter::try_new(log_level).context("--log-level")?;
    let logs = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_filter(filter);
    let provider = otlp_endpoint.map(provider).transpose()?;
    let spans = provider.as_ref().map(|provider| {
        // Ours only: a span of the HTTP client's would be published, and so would be a span of its own export.
        let ours = EnvFilter::new("off,fanfare_worker=trace");
        tracing_opentelemetry::layer().with_tracer(provider.tracer("fanfare-worker")).with_filter(ours)
    });
    tracing_subscriber::registry().with(logs).with(spans).try_init().context("logs")?;
    Ok(Telemetry { provider })
}

/// Every trace that begins here is kept: who names a collector wants to see them.
fn provider(endpoint: &str) -> anyhow::Result<SdkTracerProvider> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(traces_url(endpoint))
        .build()
        .context("--otlp-endpoint")?;
    Ok(SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
        .with_resource(Resource::builder().with_service_name("fanfare-worker").build())
        .with_batch_exporter(exporter)
        .build())
}

/// Collectors take spans at `/v1/traces`; people give the collector's address.
fn traces_url(endpoint: &str) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    if endpoint.ends_with("/v1/traces") { endpoint.to_owned() } else { format!("{endpoint}/v1/traces") }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = &self.provider
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_named_by_its_address_or_by_its_path() {
        for endpoint in ["http://c:4318", "http://c:4318/", "http://c:4318/v1/traces"] {
            assert_eq!(traces_url(endpoint), "http://c:4318/v1/traces");
        }
    }
}
