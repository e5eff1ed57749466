//! A door with a key, and the books in which the node's other parts write down what reaches them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use fanfare_gateway::api::Api;
use fanfare_gateway::broker::roster::{Announcement, NodeRecord};
use fanfare_gateway::broker::{
    BoxFuture, Broker, BrokerError, Bus, Health, HistoryPage, HistoryQuery, Ledger, LedgerError, Outgoing,
    PublishOptions, Published, Roster, Stream,
};
use fanfare_gateway::channel::Rules;
use fanfare_gateway::config::secret::Secret;
use fanfare_gateway::config::section::{
    ApiConfig, ChannelConfig, ChannelOptions, DataFormat, HistoryConfig, HistoryOptions, Namespace, PresenceConfig,
    PublishAck,
};
use fanfare_gateway::door::http::router;
use fanfare_gateway::hub::Hub;
use fanfare_gateway::model::event::PresenceStats;
use fanfare_gateway::model::time::TestClock;
use fanfare_gateway::model::{
    ByteSize, ChannelName, ClientInfo, ConnectionId, NodeId, Position, Publication, Retained,
};
use fanfare_gateway::node::{LeaseConfig, Node, Parts};
use fanfare_gateway::presence::memory::MemoryPresence;
use fanfare_gateway::presence::{Departure, Entry, Presence, PresenceError};
use fanfare_gateway::task::Tasks;
use fanfare_gateway::telemetry::Metrics;
use fanfare_gateway::telemetry::metrics::OutcomeLabel;
use fanfare_gateway::telemetry::tracing::Tracing;
use fanfare_proto::envelope::{Control, Order, Revocation};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde_json::Value;
use tower::ServiceExt;

pub(crate) const KEY: &str = "api-test-key";
pub(crate) const NOW_MS: u64 = 1_900_000_000_123;
pub(crate) const EPOCH: &str = "e1";
/// `history_size` of the namespaces that keep something.
pub(crate) const KEPT_MAX: usize = 5;
/// `history.idempotency_window`.
pub(crate) const WINDOW: Duration = Duration::from_secs(300);
/// `presence.list_max`.
pub(crate) const LISTED_MAX: usize = 3;
pub(crate) const BODY_BYTES_MAX: usize = 4096;

/// Everything that reached the node's broker, bus and roster.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) published: Mutex<Vec<(String, Outgoing)>>,
    /// With what options: one for each of `published`.
    pub(crate) options: Mutex<Vec<PublishOptions>>,
    /// Channels whose history was removed.
    pub(crate) forgotten: Mutex<Vec<String>>,
    /// What was asked of the streams.
    pub(crate) queries: Mutex<Vec<HistoryQuery>>,
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
        self.published.lock().is_empty() && self.orders.lock().is_empty() && self.forgotten.lock().is_empty()
    }

    /// The publications of a channel, in order, with their positions.
    fn stream(&self, channel: &ChannelName) -> Vec<Arc<Retained>> {
        let published = self.published.lock();
        let said = published.iter().filter(|(name, _)| name == channel.as_str());
        let retained = said.zip(1..).map(|((_, outgoing), offset)| {
            let position = Some(Position { offset, epoch: EPOCH.into() });
            Arc::new(Retained::new(Publication { position, ..outgoing.publication.clone() }).expect("it has one"))
        });
        retained.collect()
    }
}

impl Broker for Book {
    fn subscribe<'a>(&'a self, _: &'a [ChannelName]) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async { Ok(()) })
    }

    fn unsubscribe<'a>(&'a self, _: &'a [ChannelName]) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async { Ok(()) })
    }

    /// Keeps what it is told to keep, under one epoch.
    fn publish<'a>(
        &'a self,
        channel: &'a ChannelName,
        outgoing: Outgoing,
        options: PublishOptions,
    ) -> BoxFuture<'a, Result<Published, BrokerError>> {
        Box::pin(async move {
            // Overlapping calls get the chance to overtake each other.
            tokio::task::yield_now().await;
            self.works()?;
            let kept = options.retention.is_some();
            self.published.lock().push((channel.to_string(), outgoing));
            self.options.lock().push(options);
            let offset = self.stream(channel).len() as u64;
            let position = kept.then(|| Position { offset, epoch: EPOCH.into() });
            Ok(Published { position, ..Published::default() })
        })
    }

    fn history<'a>(
        &'a self,
        channel: &'a ChannelName,
        query: HistoryQuery,
    ) -> BoxFuture<'a, Result<HistoryPage, BrokerError>> {
        Box::pin(async move {
            self.works()?;
            self.queries.lock().push(query.clone());
            let mut all = self.stream(channel);
            let top = Position { offset: all.len() as u64, epoch: EPOCH.into() };
            if query.reverse {
                all.reverse();
            }
            let since = query.since;
            all.retain(|retained| {
                let offset = retained.position().offset;
                since.is_none_or(|since| if query.reverse { offset < since } else { offset > since })
            });
            all.truncate(query.limit);
            let mut size = 0;
            let fitting = all.iter().take_while(|retained| {
                size += retained.size();
                size <= query.size.bytes()
            });
            let count = fitting.count().max(1).min(all.len());
            all.truncate(count);
            Ok(HistoryPage { stream: Stream { top, previous: None }, publications: all })
        })
    }

    fn tops<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<Vec<Option<Position>>, BrokerError>> {
        Box::pin(async { Ok(vec![None; channels.len()]) })
    }

    fn forget<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            self.works()?;
            self.forgotten.lock().push(channel.to_string());
            Ok(())
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

impl Ledger for Book {
    fn write(&self, control: Control, _: i64) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async move { Ok(self.send(control).await?) })
    }

    fn read(&self, _: i64) -> BoxFuture<'_, Result<Vec<Revocation>, BrokerError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn unsettled(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
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

/// Members in memory, as long as the book works.
#[derive(Debug)]
pub(crate) struct Members {
    known: Arc<MemoryPresence>,
    book: Arc<Book>,
}

impl Members {
    fn works(&self) -> Result<(), PresenceError> {
        self.book.works().map_err(|_| PresenceError::Unavailable("redis.internal:6379".into()))
    }
}

impl Presence for Members {
    fn enter<'a>(&'a self, channel: &'a ChannelName, entry: Entry) -> BoxFuture<'a, Result<(), PresenceError>> {
        self.known.enter(channel, entry)
    }

    fn leave(&self, channel: &ChannelName, client: ConnectionId, departure: Departure) {
        self.known.leave(channel, client, departure);
    }

    fn list<'a>(
        &'a self,
        channel: &'a ChannelName,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ClientInfo>, PresenceError>> {
        Box::pin(async move {
            self.works()?;
            self.known.list(channel, limit).await
        })
    }

    fn count<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<PresenceStats, PresenceError>> {
        Box::pin(async move {
            self.works()?;
            self.known.count(channel).await
        })
    }

    fn retire(&self) -> BoxFuture<'_, ()> {
        self.known.retire()
    }
}

/// A door with everything behind it.
pub(crate) struct House {
    pub(crate) book: Arc<Book>,
    pub(crate) members: Arc<Members>,
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
        // Its one task tells of joins and leaves, and nobody listens here.
        let tell = Arc::new(|_, _| Box::pin(std::future::ready(())) as BoxFuture<'static, ()>);
        let tasks = Tasks::new(metrics.clone());
        let known = MemoryPresence::start(tell, TestClock::at_unix_ms(0), &tasks, metrics.clone());
        let members = Arc::new(Members { known, book: book.clone() });
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
            ledger: book.clone(),
            presence: members.clone(),
            page_size: ByteSize::mib(1),
            history: HistoryConfig {
                recovery_max_publication_limit: None,
                position_check_interval: Duration::from_secs(10),
                idempotency_window: WINDOW,
                replicas: 2,
                replicated_timeout: Duration::from_secs(1),
            },
            members: PresenceConfig { list_max: LISTED_MAX },
            rules: Arc::new(Rules::new(&channels())),
            clock: TestClock::at_unix_ms(NOW_MS),
            metrics: metrics.clone(),
            tracing: Tracing::default(),
            patience: Duration::from_secs(1),
        });
        let config = ApiConfig { key: key.map(Secret::new), body_size_limit: ByteSize(body_bytes_max) };
        let api = Arc::new(Api::new(node));
        let router = router(api.clone(), &config, metrics.clone());
        Self { book, members, metrics, api, router }
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

/// The default namespace and `chat` hold JSON, `bin` holds bytes; `kept` and `keptbin` are the same with
/// history and presence.
fn channels() -> ChannelConfig {
    let binary = ChannelOptions { publication_data_format: DataFormat::Binary, ..ChannelOptions::default() };
    let history = HistoryOptions {
        size: KEPT_MAX,
        ttl: Duration::from_secs(60),
        meta_ttl: Duration::from_secs(600),
        ack: PublishAck::Stored,
    };
    let keeping =
        |options: &ChannelOptions| ChannelOptions { history: Some(history), presence: true, ..options.clone() };
    let namespaces = [
        ("chat", ChannelOptions::default()),
        ("kept", keeping(&ChannelOptions::default())),
        ("keptbin", keeping(&binary)),
        ("bin", binary),
    ];
    ChannelConfig {
        default: ChannelOptions::default(),
        namespaces: namespaces.map(|(name, options)| Namespace { name: name.into(), pattern: None, options }).into(),
    }
}
