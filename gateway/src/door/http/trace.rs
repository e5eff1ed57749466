//! The caller's trace context, if it has one that others can read (W3C Trace Context, 3.2).

use axum::http::HeaderMap;

/// The `traceparent` header; empty when absent or not in the standard's form, because what is passed on
/// would break every reader behind us.
pub(super) fn parent(headers: &HeaderMap) -> String {
    let text = headers.get("traceparent").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if is_traceparent(text) { text.to_owned() } else { String::new() }
}

/// `version-trace_id-parent_id-flags`, all in lower-case hex, ids not zero.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').take(5).collect();
    let [version, trace, parent, flags] = parts[..] else { return false };
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_zero = |part: &str| part.bytes().all(|b| b == b'0');
    hex(version, 2)
        && version != "ff"
        && hex(trace, 32)
        && !is_zero(trace)
        && hex(parent, 16)
        && !is_zero(parent)
        && hex(flags, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standards_form_and_nothing_else() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert!(is_traceparent(&format!("00-{trace}-00f067aa0ba902b7-01")));
        for wrong in [
            String::new(),
            "00".into(),
            format!("00-{trace}-00f067aa0ba902b7"),
            format!("00-{trace}-00f067aa0ba902b7-01-x"),
            format!("ff-{trace}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{trace}-00f067aa0ba902b7-1"),
        ] {
            assert!(!is_traceparent(&wrong), "{wrong}");
        }
    }
}
