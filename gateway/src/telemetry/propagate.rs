//! A trace's way through processes: the W3C `traceparent` header, in and out of HTTP headers and broker
//! envelopes (<https://www.w3.org/TR/trace-context/>, 3.2).
//!
//! What comes in was written by others. Only what can be read is passed on, in canonical form, so that
//! nothing else travels in this field.

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Length of a `traceparent` of version 00, in bytes; later versions may append to it.
const LENGTH: usize = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".len();

/// Reads a `traceparent`. None if there is none, or none that makes sense; a request is never refused
/// for that.
#[must_use]
pub fn context_from(traceparent: &str) -> Option<SpanContext> {
    let (known, rest) = traceparent.trim_matches([' ', '\t']).split_at_checked(LENGTH)?;
    let mut parts = known.split('-');
    let version = hex(parts.next()?, 2)?;
    let trace = TraceId::from_bytes(hex(parts.next()?, 32)?.to_be_bytes());
    let span = SpanId::from_bytes(u64::try_from(hex(parts.next()?, 16)?).ok()?.to_be_bytes());
    let flags = u8::try_from(hex(parts.next()?, 2)?).ok()?;
    // Later versions may have more parts, this one has not, and 0xff is no version.
    let end = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => rest.is_empty() || rest.starts_with('-'),
    };
    // Flags that we do not know are not ours to pass on.
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    let context = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    (end && context.is_valid()).then_some(context)
}

/// Writes a `traceparent`; empty for a context that is none.
#[must_use]
pub fn traceparent(context: &SpanContext) -> String {
    if !context.is_valid() {
        return String::new();
    }
    let flags = context.trace_flags() & TraceFlags::SAMPLED;
    format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id())
}

/// What to pass on: the context of our own span if it is being recorded, else what came in, if it can
/// be read, else nothing.
#[must_use]
pub fn outgoing(own: Option<&Span>, incoming: &str) -> String {
    let own = own.map(|span| span.context().span().span_context().clone()).filter(SpanContext::is_sampled);
    own.or_else(|| context_from(incoming)).map(|context| traceparent(&context)).unwrap_or_default()
}

/// Exactly `digits` lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let fits = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if fits { u128::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn reads_and_writes() {
        let context = context_from(GOOD).unwrap();
        assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
        assert!(context.is_sampled() && context.is_remote());
        assert_eq!(traceparent(&context), GOOD);
        assert_eq!(traceparent(&SpanContext::empty_context()), "");
    }

    #[test]
    fn reads_what_the_standard_allows() {
        let table = [
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff", true),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02", false),
            ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-the-future-brings", true),
            (" 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\t", true),
        ];
        for (text, sampled) in table {
            assert_eq!(context_from(text).map(|context| context.is_sampled()), Some(sampled), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_context() {
        let table = [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319cb7ad6b71692033-31-01",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-é",
        ];
        for text in table {
            assert!(context_from(text).is_none(), "{text}");
        }
    }

    #[test]
    fn without_a_span_of_ours_the_incoming_context_is_passed_on() {
        assert_eq!(outgoing(None, GOOD), GOOD);
        assert_eq!(outgoing(None, &GOOD.replace("00-", "cc-")), GOOD, "in the form that we know");
        assert_eq!(outgoing(None, "x\r\nSet-Cookie: a=b"), "");
        assert_eq!(outgoing(Some(&Span::none()), GOOD), GOOD);
    }

    proptest! {
        #[test]
        fn any_text_is_a_context_or_none(text in "\\PC{0,80}") {
            if let Some(context) = context_from(&text) {
                prop_assert_eq!(context_from(&traceparent(&context)), Some(context));
            }
        }
    }
}
