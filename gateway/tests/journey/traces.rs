//! A publication can be followed from a backend through Redis to the node that hands it out.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;

use crate::collector::{Received, collector, hex};
use crate::gateway::{API_KEY, Gateway};
use crate::redis::RedisServer;
use crate::{open_to_all, reader};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const BACKEND: &str = "00f067aa0ba902b7";

/// Spans of the trace, as soon as one of each name is there.
async fn spans(received: &Received, names: &[&str]) -> Vec<Span> {
    let all = async {
        loop {
            let requests = received.lock().clone();
            let spans = requests.into_iter().flat_map(|request| request.resource_spans);
            let spans = spans.flat_map(|each| each.scope_spans).flat_map(|scope| scope.spans);
            let spans: Vec<Span> = spans.filter(|span| hex(&span.trace_id) == TRACE).collect();
            if names.iter().all(|name| spans.iter().any(|span| span.name == *name)) {
                return spans;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("the spans reach the collector")
}

#[tokio::test]
async fn from_the_api_of_one_node_to_the_subscribers_of_another() {
    let redis = RedisServer::start();
    let (endpoint, received) = collector().await;
    let config = open_to_all(&redis.url(0), &format!("[telemetry]\notlp_endpoint = \"{endpoint}\"\n"));
    let (a, b) = tokio::join!(Gateway::start(&config), Gateway::start(&config));
    let mut on_b = reader(&b, "ben").await;

    let http = reqwest::Client::new();
    let request = http.post(format!("http://{}/api/publish", a.listen)).header("X-API-Key", API_KEY);
    let request = request.header("Content-Type", "application/json");
    let request = request.header("traceparent", format!("00-{TRACE}-{BACKEND}-01"));
    let answer = request.body(r#"{"channel":"news","data":"followed"}"#).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(on_b.publication().await.1["data"], "followed");

    let spans = spans(&received, &["publish", "fanout"]).await;
    let publish = spans.iter().find(|span| span.name == "publish").unwrap();
    assert_eq!(hex(&publish.parent_span_id), BACKEND);
    let fanouts: Vec<_> = spans.iter().filter(|span| span.name == "fanout").collect();
    assert_eq!(fanouts.len(), 1, "only the node with subscribers: {fanouts:#?}");
    let links: Vec<_> = fanouts[0].links.iter().map(|link| &link.span_id).collect();
    assert_eq!(links, [&publish.span_id]);
}

#[tokio::test]
async fn from_a_worker_straight_to_redis() {
    use fanfare_worker::{Message, Options, open};

    let redis = RedisServer::start();
    let (endpoint, received) = collector().await;
    let config = open_to_all(&redis.url(0), &format!("[telemetry]\notlp_endpoint = \"{endpoint}\"\n"));
    let gateway = Gateway::start(&config).await;
    let mut reader = reader(&gateway, "ann").await;
    let worker = open(&redis.url(0), Options::default()).unwrap();
    let mut message = Message::new("news", "1");
    message.traceparent = Some(format!("00-{TRACE}-{BACKEND}-01"));
    worker.publish(message).await.unwrap();
    reader.publication().await;
    let spans = spans(&received, &["fanout"]).await;
    assert_eq!(hex(&spans[0].links[0].span_id), BACKEND);
}
