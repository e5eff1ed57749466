//! Spans on their whole way: made as doors and nodes make them, sent by OTLP over HTTP, and read by a
//! small collector. One test, because logs and spans are set up once for a process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

#[path = "support/collector.rs"]
#[allow(unreachable_pub, reason = "each suite uses a part of the kit")]
mod collector;

use collector::{collector, hex, text};
use fanfare_gateway::config::section::{LogFormat, TelemetryConfig};
use fanfare_gateway::config::web_url::WebUrl;
use fanfare_gateway::model::NodeId;
use fanfare_gateway::telemetry::{propagate, tracing};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const BACKEND: &str = "b7ad6b7169203331";

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_can_be_followed_from_the_backend_to_every_node() {
    let (endpoint, received) = collector().await;
    let config = TelemetryConfig {
        log_level: "off".to_owned(),
        log_format: LogFormat::Text,
        otlp_endpoint: Some(WebUrl::new(endpoint)),
        sample_ratio: 0.0,
    };
    let node = NodeId::random();
    let guard = tracing::init(&config, "fanfare-gateway", node).unwrap();
    let spans = guard.tracing();
    assert!(spans.enabled());

    // A backend that traces: the door's span, the envelope, two nodes' spans.
    let incoming = format!("00-{TRACE}-{BACKEND}-01");
    let publish = spans.publish_span(&incoming, "chat").unwrap();
    let envelope = propagate::outgoing(Some(&publish), &incoming);
    drop(publish);
    for subscribers in [3, 4] {
        let fanout = spans.fanout_span(&envelope, "chat").unwrap();
        fanout.record("fanfare.subscribers", subscribers);
    }
    // One that does not, and one that says no.
    let silent = format!("00-{TRACE}-{BACKEND}-00");
    for context in ["", "nonsense", silent.as_str()] {
        assert!(spans.publish_span(context, "chat").is_none(), "{context}");
        assert!(spans.fanout_span(context, "chat").is_none(), "{context}");
    }

    // Dropping the guard sends what is queued and waits for it.
    tokio::task::spawn_blocking(move || drop(guard)).await.unwrap();
    let requests = received.lock().clone();
    let resources: Vec<_> = requests.into_iter().flat_map(|request| request.resource_spans).collect();
    let resource = resources[0].resource.clone().unwrap().attributes;
    assert_eq!(text(&resource, "service.name").as_deref(), Some("fanfare-gateway"));
    assert_eq!(text(&resource, "service.instance.id"), Some(node.to_string()));

    let all: Vec<Span> =
        resources.into_iter().flat_map(|each| each.scope_spans).flat_map(|scope| scope.spans).collect();
    assert_eq!(all.len(), 3, "{all:#?}");
    assert!(all.iter().all(|span| hex(&span.trace_id) == TRACE), "one trace: {all:#?}");

    let publish = all.iter().find(|span| span.name == "publish").unwrap();
    assert_eq!(hex(&publish.parent_span_id), BACKEND);
    assert_eq!(publish.kind(), SpanKind::Producer);
    assert_eq!(envelope, format!("00-{TRACE}-{}-01", hex(&publish.span_id)));

    let fanouts: Vec<_> = all.iter().filter(|span| span.name == "fanout").collect();
    let mut subscribers: Vec<_> = fanouts.iter().map(|span| text(&span.attributes, "fanfare.subscribers")).collect();
    subscribers.sort();
    assert_eq!(subscribers, [Some("3".to_owned()), Some("4".to_owned())]);
    for span in fanouts {
        assert_eq!(span.parent_span_id, publish.span_id);
        assert_eq!(span.kind(), SpanKind::Consumer);
        let links: Vec<_> = span.links.iter().map(|link| (&link.trace_id, &link.span_id)).collect();
        assert_eq!(links, [(&publish.trace_id, &publish.span_id)]);
    }
    for span in &all {
        assert_eq!(text(&span.attributes, "fanfare.namespace").as_deref(), Some("chat"));
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    }
}
