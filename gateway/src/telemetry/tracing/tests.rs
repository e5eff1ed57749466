use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::*;
use crate::config::web_url::WebUrl;

/// Collects what would go to standard error.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn config(log_level: &str, log_format: LogFormat) -> TelemetryConfig {
    TelemetryConfig { log_level: log_level.to_owned(), log_format, otlp_endpoint: None, sample_ratio: 0.0 }
}

/// What is logged while `work` runs.
fn logged(config: &TelemetryConfig, work: impl FnOnce()) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let (subscriber, _guard) = build(config, "test", NodeId::random(), move || writer.clone(), false).unwrap();
    tracing::subscriber::with_default(subscriber, work);
    String::from_utf8(lines.0.lock().clone()).unwrap()
}

#[test]
fn what_others_said_cannot_forge_lines_or_steer_terminals() {
    let evil = "x\r\n2026-01-01T00:00:00Z  INFO fanfare: admin logged in\u{1b}[2J\u{9b}31m\u{2028}\u{202e}\u{7f}";
    let work = || {
        let span = tracing::info_span!("client", name = %evil);
        let _in = span.enter();
        tracing::warn!(error = %evil, quoted = evil, debug = ?evil, "refused: {evil}");
    };
    for format in [LogFormat::Text, LogFormat::Json] {
        let text = logged(&config("info", format), work);
        assert_eq!(text.matches('\n').count(), 1, "{text:?}");
        assert!(text.ends_with('\n') && !text.contains(['\r', '\u{1b}']), "{text:?}");
        assert!(!text.contains(['\u{9b}', '\u{2028}', '\u{202e}', '\u{7f}']), "{text:?}");
    }
    let text = logged(&config("info", LogFormat::Json), work);
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["error"], evil, "what was said can still be read");
    let text = logged(&config("info", LogFormat::Text), work);
    assert!(text.contains(r"error=x\r\n2026"), "readable all the same: {text:?}");
    assert!(text.contains(r#"quoted="x\r\n2026"#), "{text:?}");
}

#[test]
fn json_lines_are_json() {
    let text = logged(&config("info", LogFormat::Json), || tracing::info!(user = "a\"b\n", count = 2, "hello"));
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["message"], "hello");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["user"], "a\"b\n");
    assert_eq!(line["count"], 2);
}

#[test]
fn the_level_may_be_a_word_or_directives() {
    let work = || {
        tracing::info!("one");
        tracing::debug!(target: "fanfare_gateway::broker", "two");
    };
    let table =
        [("info", [true, false]), ("warn,fanfare_gateway::broker=debug", [false, true]), ("off", [false, false])];
    for (level, seen) in table {
        let text = logged(&config(level, LogFormat::Text), work);
        assert_eq!([text.contains("one"), text.contains("two")], seen, "{level}: {text}");
    }
}

#[test]
fn nonsense_is_refused() {
    let refused = |config: &TelemetryConfig| {
        build(config, "test", NodeId::random(), io::sink, false).err().map(|error| error.to_string())
    };
    let level = refused(&config("loud=very", LogFormat::Text)).unwrap();
    assert!(level.starts_with("telemetry.log_level: "), "{level}");
    let endpoint = Some(WebUrl::new("not an address"));
    let endpoint = refused(&TelemetryConfig { otlp_endpoint: endpoint, ..config("info", LogFormat::Text) }).unwrap();
    assert!(endpoint.starts_with("telemetry.otlp_endpoint: "), "{endpoint}");
}

#[test]
fn without_a_collector_there_are_no_spans() {
    let (_, guard) = build(&config("trace", LogFormat::Text), "test", NodeId::random(), io::sink, false).unwrap();
    let sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for tracing in [guard.tracing(), Tracing::default()] {
        assert!(!tracing.enabled());
        assert!(tracing.publish_span(sampled, "news").is_none());
        assert!(tracing.fanout_span(sampled, "news").is_none());
    }
}

/// Nobody listens on the discard port of this machine: spans are made and lost.
fn with_collector(sample_ratio: f64) -> TelemetryConfig {
    let otlp_endpoint = Some(WebUrl::new("http://127.0.0.1:9/"));
    TelemetryConfig { otlp_endpoint, sample_ratio, ..config("off", LogFormat::Text) }
}

#[test]
fn traces_begin_here_for_the_configured_share_only() {
    for (ratio, begins) in [(0.0, false), (1.0, true)] {
        let (subscriber, guard) = build(&with_collector(ratio), "test", NodeId::random(), io::sink, false).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let span = guard.tracing().publish_span("", "news");
            let sent_along = propagate::outgoing(span.as_ref(), "");
            assert_eq!(propagate::context_from(&sent_along).is_some_and(|context| context.is_sampled()), begins);
            assert_eq!(guard.tracing().fanout_span(&sent_along, "news").is_some(), begins);
        });
    }
}

#[test]
fn the_publisher_decides_whether_it_is_traced() {
    let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let (subscriber, guard) = build(&with_collector(1.0), "test", NodeId::random(), io::sink, false).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        assert!(guard.tracing().publish_span(unsampled, "news").is_none());
        assert!(guard.tracing().fanout_span(unsampled, "news").is_none());
        assert_eq!(propagate::outgoing(None, unsampled), unsampled, "others may want to know");
    });
}
