//! A door with a key, and the books in which the node's other parts write down what reaches them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use fanfare_gateway::api::Api;
use fanfare_gateway::broker::roster::{Announcement, NodeRecord};
use fanfare_gateway::broker::{BoxFuture, Broker, BrokerError, Bus, Health, Outgoing, Published, Roster};
use fanfare_gateway::channel::Rules;
use fanfare_gateway::config::secret::Secret;
use fanfare_gateway::config::section::{ApiConfig, ChannelConfig, ChannelOptions, DataFormat, Namespace};
use fanfare_gateway::door::http::router;
use fanfare_gateway::hub::Hub;
use fanfare_gateway::model::time::TestClock;
use fanfare_gateway::model::{ByteSize, ChannelName, NodeId, Position};
use fanfare_gateway::node::{LeaseConfig, Node, Parts};
use fanfare_gateway::telemetry::Metrics;
use fanfare_gateway::telemetry::metrics::OutcomeLabel;
use fanfare_gateway::telemetry::tracing::Tracing;
use fanfare_proto::envelope::{Control, Order};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde_json::Value;
use tower::ServiceExt;

pub(crate) const KEY: &str = "api-test-key";
pub(crate) const NOW_MS: u64 = 1_900_000_000_123;
pub(crate) const BODY_BYTES_MAX: usize = 4096;

/// Everything that reached the node's broker, bus and roster.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) published: Mutex<Vec<(String, Outgoing)>>,
    pub(crate) orders: Mutex<Vec<Order>>,
    /// When set, nothing works, and this is why.
    pub(crate) down: Mutex<Option<BrokerError>>,
}

impl Book {
    fn works(&self) -> Result<(), BrokerError> {
        self.down.lock().clone().map_or(Ok(()), Err)
    }

    /// True if no request has had any effect.
    pub(crate) fn is_empty(&self) -> bool {
        self.published.lock().is_empty() && self.orders.lock().is_empty()
    }
}

impl Broker for Book {
    fn subscribe<'a>(&'a self, _: &'a [ChannelName]) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async { Ok(()) })
    }

    fn unsubscribe<'a>(&'a self, _: &'a [ChannelName]) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async { Ok(()) })
    }

    /// Channels called `kept...` have a stream, so that offsets can be seen.
    fn publish<'a>(
        &'a self,
        channel: &'a ChannelName,
        outgoing: Outgoing,
    ) -> BoxFuture<'a, Result<Published, BrokerError>> {
        Box::pin(async move {
            // Overlapping calls get the chance to overtake each other.
            tokio::task::yield_now().await;
            self.works()?;
            let mut published = self.published.lock();
            published.push((channel.to_string(), outgoing));
            let position = Position { offset: published.len() as u64, epoch: "e1".into() };
            Ok(Published { position: channel.as_str().starts_with("kept").then_some(position) })
        })
    }

    fn health(&self) -> Health {
        Health::Delivers
    }
}

impl Bus for Book {
    fn send(&self, control: Control) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async move {
            self.works()?;
            self.orders.lock().extend(control.order);
            Ok(())
        })
    }
}

impl Roster for Book {
    fn announce(&self, _: Announcement) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async { Ok(()) })
    }

    fn leave<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async { Ok(()) })
    }

    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeRecord>, BrokerError>> {
        Box::pin(async {
            self.works()?;
            Ok(vec![NodeRecord {
                id: "n1".into(),
                name: "gateway-1".into(),
                version: "0.1.0".into(),
                connections: 3,
                users: 2,
                subscriptions: 5,
                channels: 4,
                uptime_s: 60,
            }])
        })
    }

    /// Answers with the pattern as the only channel, so that a test can see it arrive.
    fn channels<'a>(&'a self, pattern: &'a str) -> BoxFuture<'a, Result<BTreeMap<String, u64>, BrokerError>> {
        Box::pin(async move {
            self.works()?;
            Ok([(pattern.to_owned(), 7)].into())
        })
    }
}

/// A door with everything behind it.
pub(crate) struct House {
    pub(crate) book: Arc<Book>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) api: Arc<Api>,
    router: Router,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with_key(Some(KEY))
    }

    pub(crate) fn with_key(key: Option<&str>) -> Self {
        Self::with(key, BODY_BYTES_MAX)
    }

    pub(crate) fn with(key: Option<&str>, body_bytes_max: usize) -> Self {
        let book = Arc::new(Book::default());
        let metrics = Arc::new(Metrics::new());
        let node = Node::new(Parts {
            id: NodeId::random(),
            lease: LeaseConfig {
                name: "test".into(),
                heartbeat: Duration::from_secs(1),
                lease: Duration::from_secs(3),
            },
            hub: Arc::new(Hub::new(&[], metrics.clone())),
            broker: book.clone(),
            bus: book.clone(),
            roster: book.clone(),
            rules: Arc::new(Rules::new(&channels())),
            clock: TestClock::at_unix_ms(NOW_MS),
            metrics: metrics.clone(),
            tracing: Tracing::default(),
            patience: Duration::from_secs(1),
        });
        let config = ApiConfig { key: key.map(Secret::new), body_size_limit: ByteSize(body_bytes_max) };
        let api = Arc::new(Api::new(node));
        let router = router(api.clone(), &config, metrics.clone());
        Self { book, metrics, api, router }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Seen {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Seen { status: head.status, headers: head.headers, body }
    }

    /// A call with the key, as JSON.
    pub(crate) async fn call(&self, method: &str, body: &str) -> Seen {
        self.send(post(&format!("/api/{method}"), body)).await
    }

    /// A call that must succeed, and its result.
    pub(crate) async fn ok(&self, method: &str, body: &str) -> Value {
        let seen = self.call(method, body).await;
        assert_eq!(seen.status, StatusCode::OK, "{seen:?}");
        assert_eq!(seen.headers["content-type"], "application/json");
        seen.body.get("result").cloned().unwrap_or_else(|| panic!("no result: {seen:?}"))
    }

    pub(crate) fn counted(&self, outcome: &'static str) -> u64 {
        self.metrics.api_requests.get_or_create(&OutcomeLabel { outcome }).get()
    }
}

/// A POST with the key and a JSON body.
pub(crate) fn post(path: &str, body: &str) -> Request<Body> {
    Request::post(path)
        .header("x-api-key", KEY)
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap()
}

/// The default namespace and `chat` hold JSON, `bin` holds bytes.
fn channels() -> ChannelConfig {
    let binary = ChannelOptions { publication_data_format: DataFormat::Binary, ..ChannelOptions::default() };
    ChannelConfig {
        default: ChannelOptions::default(),
        namespaces: vec![
            Namespace { name: "chat".into(), options: ChannelOptions::default() },
            Namespace { name: "bin".into(), options: binary },
        ],
    }
}
