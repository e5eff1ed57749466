//! Where log lines and spans go, set up once at start.
//!
//! Log lines go to standard error, for people or as JSON. Spans go to a collector by OTLP, if one is
//! configured; there are few kinds of them, all made by [`Tracing`], and only for publications whose
//! publisher asks for a trace (or for a share of the others). The log level has no say over spans, nor
//! spans over log lines.
//!
//! This module must not know what is logged or traced: names and users never become span attributes,
//! namespaces do.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, TraceContextExt, TracerProvider};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::{Metadata, Span, Subscriber, field};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::propagate;
use crate::config::section::{LogFormat, TelemetryConfig};
use crate::model::NodeId;

/// Spans have this target, and nothing else has.
const SPANS: &str = "fanfare::span";

/// How long the last spans may take to leave.
const FLUSH_MAX: Duration = Duration::from_secs(3);

/// How long one request to the collector may take.
const EXPORT_MAX: Duration = Duration::from_secs(5);

/// Why logs or traces could not be set up. The operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum TracingError {
    /// `telemetry.log_level` makes no sense.
    #[error("telemetry.log_level: {0}")]
    LogLevel(#[from] tracing_subscriber::filter::ParseError),
    /// `telemetry.otlp_endpoint` makes no sense.
    #[error("telemetry.otlp_endpoint: {0}")]
    Endpoint(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Somebody has set up logging before.
    #[error("logs are set up already")]
    Twice(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// Keeps the collector's queue. When it is dropped, what is queued gets [`FLUSH_MAX`] to leave; the
/// thread waits for it.
#[derive(Debug)]
#[must_use = "spans that are queued when it is dropped are sent, then no more"]
pub struct Guard {
    provider: Option<SdkTracerProvider>,
    tracing: Tracing,
}

impl Guard {
    /// Makes spans.
    #[must_use]
    pub fn tracing(&self) -> Tracing {
        self.tracing
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.provider.take().map(|provider| provider.shutdown_with_timeout(FLUSH_MAX)) {
            tracing::warn!(%error, "the last spans may not have reached the collector");
        }
    }
}

/// Makes the gateway's spans; the default makes none. Two booleans: pass it by value, ask it on the
/// hot path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracing {
    enabled: bool,
    /// Publications that come without a context may start a trace here.
    roots: bool,
}

impl Tracing {
    /// Whether spans can come of asking at all.
    #[must_use]
    pub fn enabled(self) -> bool {
        self.enabled
    }

    /// A span for a publication on its way to the broker: a child of the context that came with the
    /// request, if that is sampled; without one, a trace of its own for the configured share. The span
    /// ends when it is dropped. [`propagate::outgoing`] gives the context to send along.
    #[must_use]
    pub fn publish_span(self, incoming: &str, namespace: &str) -> Option<Span> {
        if !self.enabled {
            return None;
        }
        let parent = propagate::context_from(incoming);
        let wanted = parent.as_ref().map_or(self.roots, SpanContext::is_sampled);
        let span = wanted.then(|| {
            tracing::info_span!(target: SPANS, parent: None, "publish", otel.kind = "producer", fanfare.namespace = namespace)
        })?;
        if let Some(parent) = parent {
            adopt(&span, parent);
        }
        Some(span)
    }

    /// Whether [`Self::fanout_span`] would make a span.
    #[must_use]
    pub fn follows(self, traceparent: &str) -> bool {
        self.enabled
            && !traceparent.is_empty()
            && propagate::context_from(traceparent).is_some_and(|context| context.is_sampled())
    }

    /// A span for a publication's way from the broker to the subscribers of one node: in the trace of
    /// the publisher, and linked to the publisher's span. None unless that is sampled, so that a
    /// publication that nobody traces costs a comparison. Record `fanfare.subscribers` once known; the
    /// span ends when it is dropped.
    #[must_use]
    pub fn fanout_span(self, traceparent: &str, namespace: &str) -> Option<Span> {
        if !self.enabled || traceparent.is_empty() {
            return None;
        }
        let publisher = propagate::context_from(traceparent).filter(SpanContext::is_sampled)?;
        let span = tracing::info_span!(
            target: SPANS,
            parent: None,
            "fanout",
            otel.kind = "consumer",
            fanfare.namespace = namespace,
            fanfare.subscribers = field::Empty,
        );
        span.add_link(publisher.clone());
        adopt(&span, publisher);
        Some(span)
    }
}

/// Puts a fresh span into the trace of `parent`.
fn adopt(span: &Span, parent: SpanContext) {
    // Fails when the span is not recorded, which is as well.
    let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(parent));
}

/// Sets up logs and spans for the whole process.
///
/// # Errors
/// See [`TracingError`]. A collector that is not there is no error: spans that cannot be sent are lost,
/// and a warning is logged.
pub fn init(config: &TelemetryConfig, service_name: &'static str, node: NodeId) -> Result<Guard, TracingError> {
    let (subscriber, guard) = build(config, service_name, node, io::stderr, io::stderr().is_terminal())?;
    tracing::subscriber::set_global_default(subscriber)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(guard)
}

/// A panic's message is a log line like all others: it may repeat what somebody has sent.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| field::display(backtrace));
    let place = panic.location().map(field::display);
    tracing::error!(place, backtrace, "panicked: {}", panic.payload_as_str().unwrap_or("without a word"));
}

/// What [`init`] sets up, for a writer of choice.
fn build<W>(
    config: &TelemetryConfig,
    service_name: &'static str,
    node: NodeId,
    writer: W,
    colours: bool,
) -> Result<(impl Subscriber + Send + Sync + use<W>, Guard), TracingError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let provider = match &config.otlp_endpoint {
        Some(endpoint) => Some(provider(endpoint.expose(), config.sample_ratio, service_name, node)?),
        None => None,
    };
    let spans = provider.as_ref().map(|provider| {
        OpenTelemetryLayer::new(provider.tracer(service_name))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|metadata| metadata.target() == SPANS))
    });
    let subscriber = Registry::default().with(spans).with(log_lines(config, writer, colours)?);
    let tracing = Tracing { enabled: provider.is_some(), roots: config.sample_ratio > 0.0 };
    Ok((subscriber, Guard { provider, tracing }))
}

/// Spans leave in batches from a thread of the SDK's own; its queue is bounded and says when it drops.
fn provider(
    endpoint: &str,
    sample_ratio: f64,
    service_name: &'static str,
    node: NodeId,
) -> Result<SdkTracerProvider, TracingError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(EXPORT_MAX)
        .build()?;
    let resource = Resource::builder()
        .with_service_name(service_name)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", node.to_string()))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(sample_ratio))))
        .build())
}

/// A boxed layer over any registry.
type BoxedLayer<S> = Box<dyn Layer<S> + Send + Sync>;

fn log_lines<S, W>(config: &TelemetryConfig, writer: W, colours: bool) -> Result<BoxedLayer<S>, TracingError>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let level = EnvFilter::builder().parse(&config.log_level)?;
    let filter = level.and(filter_fn(|metadata| metadata.target() != SPANS));
    let lines = tracing_subscriber::fmt::layer();
    Ok(match config.log_format {
        LogFormat::Json => {
            lines.json().flatten_event(true).with_writer(OneLineJson(writer)).with_filter(filter).boxed()
        }
        LogFormat::Text => {
            let fields = debug_fn(one_line_field).delimited(" ");
            lines.with_writer(writer).with_ansi(colours).fmt_fields(fields).with_filter(filter).boxed()
        }
    })
}

/// Writes a field so that it cannot end the line or steer a terminal: errors repeat what clients and
/// brokers said.
fn one_line_field(writer: &mut Writer<'_>, field: &field::Field, value: &dyn fmt::Debug) -> fmt::Result {
    if field.name() != "message" {
        write!(writer, "{}=", field.name())?;
    }
    write!(OneLine(writer), "{value:?}")
}

/// Control characters, line and paragraph separators, and marks that turn the direction of text.
fn misleading(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

struct OneLine<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| {
            if misleading(c) { write!(self.0, "{}", c.escape_default()) } else { self.0.write_char(c) }
        })
    }
}

/// Writes JSON lines whose texts cannot steer a terminal, either: JSON itself escapes only what is below a space.
struct OneLineJson<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for OneLineJson<W> {
    type Writer = OneLineJson<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        OneLineJson(self.0.make_writer())
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        OneLineJson(self.0.make_writer_for(metadata))
    }
}

impl<W: io::Write> io::Write for OneLineJson<W> {
    /// Takes whole lines, as the layer writes them.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let left_by_json = |c: char| misleading(c) && c != '\n';
        let Some(text) = str::from_utf8(line).ok().filter(|text| text.contains(left_by_json)) else {
            return self.0.write(line);
        };
        let mut escaped = String::with_capacity(text.len() + 8);
        for c in text.chars() {
            if left_by_json(c) {
                // None of them is beyond what four digits can say.
                let _ = write!(escaped, "\\u{:04x}", u32::from(c));
            } else {
                escaped.push(c);
            }
        }
        self.0.write_all(escaped.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests;
