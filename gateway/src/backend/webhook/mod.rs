//! Events out: what clients do, told to the application's backend by signed POSTs.
//!
//! ```text
//!   sessions ── see ──► book ── keeper ──► log (Redis: decided and ordered there) ── courier ──► receiver
//! ```
//!
//! Events are spread over shards, each with a book, a keeper and a courier: what is about one channel is in
//! one shard, in order. Nothing here is waited for by a client. `docs/operations/webhooks.md` says what is
//! promised to the receiver, `docs/decisions/0010-events-out.md` why it is built so.

mod backlog;
mod book;
mod courier;
mod keeper;
mod letter;
pub mod log;
mod phase;

use std::sync::Arc;
use std::time::Duration;

use fanfare_proto::hook::event::Name;
use fanfare_proto::name;

use crate::config::section::WebhookConfig;
use crate::model::time::Clock;
use crate::model::{ByteSize, ChannelName, ConnectionId, Place, Seen, UserId};
use crate::outbound::{Addresses, Body, Call, HeaderMap, Manner, Outbound, Url};
use crate::task::Tasks;
use crate::telemetry::Metrics;
use backlog::Backlog;
use book::Book;
use courier::Courier;
use keeper::Keeper;
use letter::Seal;
use log::{Log, Note, SHARDS, Thing, Told, shard};
use phase::Phase;

/// The largest answer that is read: of a receiver nobody wants to hear more than its status.
const ANSWER_MAX: ByteSize = ByteSize::mib(1);

/// How names without a namespace are called in `webhook.namespaces`.
const DEFAULT: &str = "default";

/// Tells the application's backend what happens.
#[derive(Debug)]
pub struct Webhook {
    books: [Arc<Book>; SHARDS],
    config: WebhookConfig,
    clock: Arc<dyn Clock>,
    /// Keepers end first, so that couriers deliver what they have noted.
    keepers: Arc<Phase>,
    couriers: Arc<Phase>,
}

/// What a webhook stands on.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where events are decided and wait.
    pub log: Arc<dyn Log>,
    /// How often this node shows the log that it is alive.
    pub heartbeat: Duration,
    /// What notes and delivers ends with these.
    pub tasks: Tasks,
    /// Counts events and tries.
    pub metrics: Arc<Metrics>,
    /// For times and waits.
    pub clock: Arc<dyn Clock>,
}

/// Why there can be no webhook. The operator's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The URL cannot be read.
    #[error("webhook.url is not a URL: {0}")]
    Url(String),
    /// The HTTP client cannot be made.
    #[error("{0}")]
    Client(String),
}

impl Webhook {
    /// How long a courier may be silent while it is still at work: longer than a POST and a heartbeat.
    #[must_use]
    pub fn courier_lease(config: &WebhookConfig, heartbeat: Duration) -> Duration {
        config.timeout + heartbeat * 3
    }

    /// Starts noting and delivering in the background.
    ///
    /// # Errors
    /// See [`SetupError`]. A receiver that is down is no error.
    pub fn start(config: &WebhookConfig, surroundings: &Surroundings) -> Result<Arc<Self>, SetupError> {
        let Surroundings { log, heartbeat, tasks, metrics, clock } = surroundings;
        let url = Url::parse(config.url.expose()).map_err(|error| SetupError::Url(error.to_string()))?;
        let call = Call { url, body: Body::None, headers: HeaderMap::new() };
        let manner = Manner {
            timeout: config.timeout,
            answer_max: ANSWER_MAX,
            https_only: false,
            // The operator wrote the URL; it often leads into the own network.
            addresses: Addresses::Any,
        };
        let outbound = Outbound::new(manner).map_err(|error| SetupError::Client(error.to_string()))?;
        let (keepers, couriers) = (Arc::new(Phase::new()), Arc::new(Phase::new()));
        let backlog = Arc::new(Backlog::new(Arc::clone(metrics)));
        let books: [Arc<Book>; SHARDS] = std::array::from_fn(|_| Arc::new(Book::new(Arc::clone(metrics))));
        for (shard, book) in books.iter().enumerate() {
            let keeper = Keeper {
                shard,
                book: Arc::clone(book),
                log: Arc::clone(log),
                heartbeat: *heartbeat,
                metrics: Arc::clone(metrics),
                closing: Arc::clone(&keepers),
                begun: false,
                unsure: None,
            };
            let courier = Courier {
                shard,
                log: Arc::clone(log),
                outbound: outbound.clone(),
                call: call.clone(),
                seal: Seal::new(&config.secret),
                wanted: config.events.clone(),
                batch_size: config.batch_size,
                batch_delay: config.batch_delay,
                heartbeat: *heartbeat,
                clock: Arc::clone(clock),
                metrics: Arc::clone(metrics),
                backlog: Arc::clone(&backlog),
                closing: Arc::clone(&couriers),
                delivered: Default::default(),
                failing: false,
            };
            // Cancel-safe: what is noted stays noted, what was not delivered is delivered by others.
            spawn(tasks, "webhook keeper", keeper.run());
            spawn(tasks, "webhook courier", courier.run());
        }
        Ok(Arc::new(Self { books, config: config.clone(), clock: Arc::clone(clock), keepers, couriers }))
    }

    /// Takes note of what a client did. Never waits.
    pub fn see(&self, seen: Seen<'_>) {
        match seen {
            Seen::Connected { client, user } => self.tell(Name::ClientConnected, None, client, user),
            Seen::Disconnected { client, user } => self.tell(Name::ClientDisconnected, None, client, user),
            Seen::Subscribed(place) if self.covers(place.channel) => {
                self.things(place).for_each(|thing| self.book(place.channel.as_str()).enter(thing));
                self.tell(Name::ClientSubscribed, Some(place.channel), place.client, place.user);
            }
            Seen::Unsubscribed(place) if self.covers(place.channel) => {
                self.tell(Name::ClientUnsubscribed, Some(place.channel), place.client, place.user);
                self.things(place).for_each(|thing| self.book(place.channel.as_str()).leave(thing));
            }
            Seen::CacheEmpty { channel } if self.covers(channel) && self.wants(Name::CacheEmpty) => {
                self.book(channel.as_str()).tell(Note::Once(Told {
                    name: Name::CacheEmpty,
                    time_ms: self.clock.unix_ms(),
                    channel: Some(channel.clone()),
                    user: UserId::default(),
                    client: String::new(),
                }));
            }
            Seen::Subscribed(_) | Seen::Unsubscribed(_) | Seen::CacheEmpty { .. } => {}
        }
    }

    /// Notes and delivers what there is, for a clean exit; clients must have gone. The deadline is the
    /// caller's: what is not done by then, other nodes do. A node that is alone loses it.
    pub async fn retire(&self) {
        self.keepers.pass(SHARDS as u32).await;
        self.couriers.pass(SHARDS as u32).await;
    }

    fn book(&self, name: &str) -> &Book {
        &self.books[shard(name)]
    }

    fn wants(&self, name: Name) -> bool {
        self.config.events.contains(&name)
    }

    /// Whether events of the channel's namespace are told.
    fn covers(&self, channel: &ChannelName) -> bool {
        let namespace = || name::namespace(channel.as_str()).unwrap_or(DEFAULT);
        self.config.namespaces.as_ref().is_none_or(|namespaces| namespaces.contains(namespace()))
    }

    /// What a client on a channel holds, as far as anybody is told of it. The anonymous are nobody's members.
    fn things(&self, place: Place<'_>) -> impl Iterator<Item = Thing> {
        let thing = |user: UserId| Thing { channel: place.channel.clone(), user };
        let channel = self.wants(Name::ChannelOccupied) || self.wants(Name::ChannelVacated);
        let members = self.wants(Name::MemberJoined) || self.wants(Name::MemberLeft);
        let member = members && place.has_members && !place.user.is_anonymous();
        let channel = channel.then(|| thing(UserId::default()));
        channel.into_iter().chain(member.then(|| thing(place.user.clone())))
    }

    fn tell(&self, name: Name, channel: Option<&ChannelName>, client: ConnectionId, user: &UserId) {
        if !self.wants(name) {
            return;
        }
        let client = client.to_string();
        let book = self.book(channel.map_or(client.as_str(), ChannelName::as_str));
        let (time_ms, channel, user) = (self.clock.unix_ms(), channel.cloned(), user.clone());
        book.tell(Note::Tell(Told { name, time_ms, channel, user, client }));
    }
}

fn spawn(tasks: &Tasks, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
    let stop = tasks.stop();
    tasks.spawn(name, async move {
        let _: Option<()> = stop.run_until_cancelled(work).await;
    });
}
