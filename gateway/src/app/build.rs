//! Configuration to parts, in floor order. The only file that names concrete brokers and codecs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use fanfare_proto::rules;
use tokio::sync::Semaphore;

use super::keys;
use crate::api::Api;
use crate::backend::Hooks;
use crate::backend::webhook::log::memory::MemoryLog;
use crate::backend::webhook::log::redis::{Habits, RedisLog};
use crate::backend::webhook::{self, Webhook, log::Log};
use crate::broker::memory::MemoryBroker;
use crate::broker::redis::RedisBroker;
use crate::broker::{Broker, Bus, Events, Ledger, Roster};
use crate::channel::Rules;
use crate::codec::{Codec, centrifuge};
use crate::config::Config;
use crate::config::section::{BrokerUrl, ChannelConfig, ChannelOptions, DataFormat, HistoryConfig, PublishAck};
use crate::door;
use crate::hub::Hub;
use crate::limit::Limits;
use crate::limit::cluster::{RedisTally, Tally};
use crate::model::time::{Clock, SystemClock, millis};
use crate::model::wire::Encode;
use crate::model::{ByteSize, NodeId, Seen};
use crate::node::{LeaseConfig, Node, Parts};
use crate::presence::Presence;
use crate::presence::memory::{MemoryPresence, Tell};
use crate::presence::redis::{RedisPresence, Surroundings};
use crate::server::client_address::Proxies;
use crate::server::cors::Credentials;
use crate::server::origin::AllowedOrigins;
use crate::server::tls::Tls;
use crate::server::{Entrance, Gate, listener};
use crate::session::{self, heartbeat::Wheel};
use crate::task::Tasks;
use crate::telemetry::Metrics;
use crate::telemetry::tracing::Tracing;
use crate::transport::websocket::{Door, Sizes};

/// Internal connections: a few probes and scrapers.
const INTERNAL_SEATS: usize = 64;

/// A gateway that is built and not yet open.
pub(super) struct App {
    pub(super) config: Config,
    /// Connections and what serves them: ends first.
    pub(super) front: Tasks,
    /// What connections need until they have ended.
    pub(super) back: Tasks,
    pub(super) sessions: Arc<session::Shared>,
    pub(super) api: Arc<Api>,
    pub(super) webhook: Option<Arc<Webhook>>,
    json: Arc<dyn Codec>,
    protobuf: Arc<dyn Codec>,
}

/// What joins the nodes, in its three roles.
pub(super) struct Joint {
    broker: Arc<dyn Broker>,
    bus: Arc<dyn Bus>,
    roster: Arc<dyn Roster>,
    ledger: Arc<dyn Ledger>,
    presence: Arc<dyn Presence>,
    events: Events,
    webhook: Option<Arc<Webhook>>,
    /// The same object, where it is Redis: `dev` shares secrets through it.
    pub(super) redis: Option<Arc<RedisBroker>>,
}

/// What is there before anything else: parts of parts.
pub(super) struct Ground {
    pub(super) id: NodeId,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) front: Tasks,
    pub(super) back: Tasks,
    pub(super) tracing: Tracing,
}

impl Ground {
    pub(super) fn new(id: NodeId, tracing: Tracing) -> Self {
        let metrics = Arc::new(Metrics::new());
        let tasks = || Tasks::new(Arc::clone(&metrics));
        Self { id, clock: SystemClock::new(), front: tasks(), back: tasks(), metrics, tracing }
    }
}

impl App {
    /// # Errors
    /// A key or a hook that cannot be used.
    pub(super) fn assemble(config: Config, ground: Ground, joint: Joint) -> anyhow::Result<Self> {
        let Ground { id, clock, metrics, front, back, tracing } = ground;
        let Joint { broker, bus, roster, ledger, presence, events, webhook, redis } = joint;
        let hooks = Hooks::new(&config.hook, &clock, &metrics)?;
        let auth = Arc::new(keys::auth(&config.auth, &back, &clock, &metrics)?);
        let tally = redis
            .map(|redis| Arc::new(RedisTally::new(Arc::clone(redis.link()), redis.keys().clone())) as Arc<dyn Tally>);
        let limits = Limits::new(&config.limit, tally, Arc::clone(&clock), Arc::clone(&metrics));
        back.spawn_essential("turns", Arc::clone(&limits).run(back.stop()));
        let json: Arc<dyn Codec> = Arc::new(centrifuge::Json);
        let protobuf: Arc<dyn Codec> = Arc::new(centrifuge::Protobuf);
        let encoders: [Arc<dyn Encode>; 2] = [json.clone(), protobuf.clone()];
        let node = Node::new(Parts {
            id,
            lease: LeaseConfig {
                name: config.server.node_name.clone(),
                heartbeat: config.broker.heartbeat_interval,
                lease: config.broker.node_lease,
            },
            hub: Arc::new(Hub::new(&encoders, Arc::clone(&metrics))),
            broker,
            bus,
            roster,
            ledger,
            presence,
            history: config.history.clone(),
            page_size: ByteSize(config.client.queue_max_size.bytes() / 2),
            members: config.presence.clone(),
            rules: Arc::new(Rules::new(&config.channel)),
            clock: Arc::clone(&clock),
            metrics,
            tracing,
            patience: config.broker.command_timeout,
        });
        node.start(events, &back);
        if let Some(webhook) = webhook.clone() {
            node.observed_by(Arc::new(move |seen: Seen<'_>| webhook.see(seen)));
        }
        let sessions = session::Shared::new(Arc::clone(&node), auth, config.client.clone(), limits, Wheel::new(clock));
        let sessions = Arc::new(sessions.with_hooks(hooks, front.clone()));
        let api = Arc::new(Api::new(node));
        Ok(Self { config, front, back, sessions, api, webhook, json, protobuf })
    }

    pub(super) fn door(&self) -> Arc<Door> {
        Arc::new(Door {
            shared: Arc::clone(&self.sessions),
            json: Arc::clone(&self.json),
            protobuf: Arc::clone(&self.protobuf),
            sizes: Sizes {
                read_buffer: self.config.server.read_buffer,
                write_buffer: self.config.server.write_buffer,
                message_max: self.config.client.message_size_limit,
            },
            tasks: self.front.clone(),
        })
    }

    pub(super) fn origins(&self) -> AllowedOrigins {
        AllowedOrigins::new(&self.config.client.allowed_origins)
    }

    pub(super) fn credentials(&self) -> Credentials {
        if self.config.client.token_cookie.is_some() { Credentials::Cookies } else { Credentials::None }
    }

    pub(super) fn api_router(&self) -> Option<Router> {
        self.config.api.key.as_ref()?;
        Some(door::http::router(Arc::clone(&self.api), &self.config.api, Arc::clone(self.sessions.node.metrics())))
    }

    pub(super) fn gate(&self, tls: Option<Tls>) -> Gate {
        let metrics = Arc::clone(self.sessions.node.metrics());
        let entrance = Entrance { proxies: Arc::new(Proxies::new(&self.config.server)), tls, metrics };
        self.gate_with(self.config.server.connections_max, entrance)
    }

    /// Probes and scrapers come as they are: no TLS, no PROXY header.
    pub(super) fn internal_gate(&self) -> Gate {
        self.gate_with(INTERNAL_SEATS, Entrance::plain())
    }

    fn gate_with(&self, seats: usize, entrance: Entrance) -> Gate {
        Gate {
            seats: Arc::new(Semaphore::new(seats.min(Semaphore::MAX_PERMITS))),
            header_timeout: self.config.server.header_timeout,
            header_max: self.config.server.header_size_limit,
            life_max: listener::LIFE_MAX,
            grace: listener::GRACE,
            entrance,
        }
    }
}

impl Joint {
    pub(super) fn build(config: &Config, ground: &Ground) -> anyhow::Result<Self> {
        let Ground { id, clock, metrics, back, .. } = ground;
        match &config.broker.url {
            BrokerUrl::Memory => {
                let (broker, events) = MemoryBroker::start(&config.broker, Arc::clone(metrics), Arc::clone(clock));
                let presence = memory_presence(&broker, ground);
                let webhook = webhook(config, ground, None)?;
                let (bus, roster, ledger) = (broker.clone(), broker.clone(), broker.clone());
                Ok(Self { broker, bus, roster, ledger, presence, events, webhook, redis: None })
            }
            BrokerUrl::Redis(_) => {
                let (broker, events) =
                    RedisBroker::start(&config.broker, *id, back, Arc::clone(metrics), Arc::clone(clock))
                        .context("broker.url")?;
                broker.announce_rules(&shared_rules(&config.channel, &config.history));
                let redis = Some(Arc::clone(&broker));
                let presence = RedisPresence::start(
                    &config.broker,
                    Surroundings {
                        link: Arc::clone(broker.link()),
                        keys: broker.keys().clone(),
                        node: *id,
                        tasks: back.clone(),
                        metrics: Arc::clone(metrics),
                        clock: Arc::clone(clock),
                    },
                );
                let webhook = webhook(config, ground, Some(&broker))?;
                let (bus, roster, ledger) = (broker.clone(), broker.clone(), broker.clone());
                Ok(Self { broker, bus, roster, ledger, presence, events, webhook, redis })
            }
        }
    }
}

/// The book of members of a node that is alone; its listeners are told over the broker in memory.
fn memory_presence(broker: &Arc<MemoryBroker>, ground: &Ground) -> Arc<dyn Presence> {
    let Ground { clock, metrics, back, .. } = ground;
    let broker = Arc::clone(broker);
    let tell: Tell = Arc::new(move |channel, membership| {
        let broker = Arc::clone(&broker);
        Box::pin(async move { broker.tell(channel, membership).await })
    });
    MemoryPresence::start(tell, Arc::clone(clock), back, Arc::clone(metrics))
}

/// Events for the application, if it wants any: decided where the nodes meet, or in memory by a node that is alone.
fn webhook(config: &Config, ground: &Ground, redis: Option<&Arc<RedisBroker>>) -> anyhow::Result<Option<Arc<Webhook>>> {
    let Some(wanted) = &config.webhook else { return Ok(None) };
    let heartbeat = config.broker.heartbeat_interval;
    let log: Arc<dyn Log> = match redis {
        None => MemoryLog::new(wanted.debounce, wanted.backlog_max, Arc::clone(&ground.clock)),
        Some(redis) => RedisLog::new(
            Arc::clone(redis.link()),
            redis.keys().clone(),
            ground.id,
            Habits {
                debounce: wanted.debounce,
                backlog_max: wanted.backlog_max,
                lease: config.broker.node_lease,
                courier_lease: Webhook::courier_lease(wanted, heartbeat),
            },
        ),
    };
    let surroundings = webhook::Surroundings {
        log,
        heartbeat,
        tasks: ground.back.clone(),
        metrics: Arc::clone(&ground.metrics),
        clock: Arc::clone(&ground.clock),
    };
    Ok(Some(Webhook::start(wanted, &surroundings)?))
}

/// What workers that publish straight to Redis must know of the channel rules.
fn shared_rules(channels: &ChannelConfig, history: &HistoryConfig) -> rules::Rules {
    let (paths, named): (Vec<_>, Vec<_>) = channels.namespaces.iter().partition(|each| each.pattern.is_some());
    let named = named.into_iter().map(|each| (each.name.clone(), shared(&each.options)));
    let paths = paths.into_iter().filter_map(|each| Some((each.pattern.clone()?, shared(&each.options))));
    let rules = rules::Rules::new(shared(&channels.default), named.collect()).with_patterns(paths.collect());
    rules.with_common(rules::CommonRules {
        idempotency_window_ms: at_least_one_milli(history.idempotency_window),
        replicas: history.replicas,
        replicated_timeout_ms: at_least_one_milli(history.replicated_timeout),
    })
}

fn shared(options: &ChannelOptions) -> rules::ChannelRules {
    rules::ChannelRules {
        data_format: match options.publication_data_format {
            DataFormat::Json => rules::DataFormat::Json,
            DataFormat::Binary => rules::DataFormat::Binary,
        },
        history: options.history.map(|history| rules::History {
            size: history.size as u64,
            ttl_ms: at_least_one_milli(history.ttl),
            meta_ttl_ms: at_least_one_milli(history.meta_ttl),
        }),
        ack: match options.history.map(|history| history.ack).unwrap_or_default() {
            PublishAck::Stored => rules::Ack::Stored,
            PublishAck::Replicated => rules::Ack::Replicated,
        },
        delta_publish: options.delta_publish,
        ..rules::ChannelRules::default()
    }
}

/// Redis counts in milliseconds: a wish for less is a wish for the shortest there is.
fn at_least_one_milli(time: Duration) -> u64 {
    millis(time).max(1)
}
