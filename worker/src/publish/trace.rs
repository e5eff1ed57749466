//! The trace context that travels with a message, in the W3C's text form. Knows nothing of where spans
//! are exported to: that is the application's.

use opentelemetry::trace::{SpanContext, TraceContextExt};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The context of the current span, whether it was opened with `tracing` or with OpenTelemetry itself.
pub(super) fn current() -> Option<String> {
    let traced = tracing::Span::current().context();
    let span = traced.span().span_context().clone();
    if span.is_valid() {
        return Some(print(&span));
    }
    let context = opentelemetry::Context::current();
    let span = context.span().span_context().clone();
    span.is_valid().then(|| print(&span))
}

fn print(span: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8())
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    use super::*;

    #[test]
    fn the_text_form() {
        let context = SpanContext::new(
            TraceId::from_hex("4bf92f3577b34da6a3ce929d0e0e4736").unwrap(),
            SpanId::from_hex("00f067aa0ba902b7").unwrap(),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        );
        assert_eq!(current(), None);
        let _guard = opentelemetry::Context::new().with_remote_span_context(context).attach();
        assert_eq!(current().as_deref(), Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    }
}
