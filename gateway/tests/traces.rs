//! Spans on their whole way: made as doors and nodes make them, sent by OTLP over HTTP, and read by a
//! small collector. One test, because logs and spans are set up once for a process.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use fanfare_gateway::config::section::{LogFormat, TelemetryConfig};
use fanfare_gateway::model::NodeId;
use fanfare_gateway::telemetry::{propagate, tracing};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use parking_lot::Mutex;
use prost::Message;

/// What the collector got.
type Received = Arc<Mutex<Vec<ExportTraceServiceRequest>>>;

/// A collector on a free port: its address, and what it gets.
async fn collector() -> (String, Received) {
    let received = Received::default();
    let take = async |State(received): State<Received>, body: Bytes| {
        let Ok(request) = ExportTraceServiceRequest::decode(body) else {
            return (StatusCode::BAD_REQUEST, Vec::new());
        };
        received.lock().push(request);
        (StatusCode::OK, ExportTraceServiceResponse::default().encode_to_vec())
    };
    let router = axum::Router::new().route("/v1/traces", post(take)).with_state(received.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("it is bound"));
    #[allow(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, received)
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.clone();
    match value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => Some(text),
        Some(AnyValue { value: Some(Value::IntValue(number)) }) => Some(number.to_string()),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const BACKEND: &str = "b7ad6b7169203331";

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_can_be_followed_from_the_backend_to_every_node() {
    let (endpoint, received) = collector().await;
    let config = TelemetryConfig {
        log_level: "off".to_owned(),
        log_format: LogFormat::Text,
        otlp_endpoint: Some(endpoint),
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
