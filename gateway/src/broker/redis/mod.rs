//! Nodes that meet in one Redis: publications and orders over pub/sub, the book of nodes in keys with
//! leases. `docs/protocol/redis.md` has the layout; [`crate::redis_link`] has the connections.
//!
//! What goes out: [`Broker::publish`] is one `PUBLISH` or one script, [`Bus::send`] one script. What comes in: the
//! subscriber's driver hands each message to the [`listener`], which turns it into an event for the node
//! or gives it to the [`control`] or [`pulse`] task.

mod advice;
mod control;
mod history;
mod ledger;
mod listener;
mod publish;
mod pulse;
mod roster;
mod wire;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use fanfare_proto::envelope::{Control, Envelope};
use fanfare_proto::keys::Keys;
use fanfare_proto::rules::Rules;
use fanfare_proto::script;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use super::event::{INTAKE_BYTES_MAX, Room};
use super::{
    BoxFuture, Broker, BrokerError, Bus, Events, Health, HistoryPage, HistoryQuery, Outgoing, PublishOptions, Published,
};
use crate::config::section::{BrokerConfig, BrokerUrl};
use crate::model::time::Clock;
use crate::model::{ChannelName, NodeId, Position};
use crate::redis_link::subscriber::{Intake, Subscriber, Surroundings};
use crate::redis_link::{Link, LinkError, Script, SetupError, Target, Timing, pipe};
use crate::task::Tasks;
use crate::telemetry::Metrics;
use listener::Topic;

/// A node's part of the broker in Redis: [`Broker`], [`Bus`] and [`super::Roster`] in one.
#[derive(Debug)]
pub struct RedisBroker {
    link: Arc<Link>,
    subscriber: Arc<Subscriber<Topic>>,
    keys: Keys,
    timing: Timing,
    scripts: Scripts,
    vitals: Arc<pulse::Vitals>,
    announced: Arc<pulse::Announced>,
    /// Fingerprint of the channels that stand in the book; none if unknown.
    channels_written: Mutex<Option<u64>>,
    metrics: Arc<Metrics>,
    /// The first unreadable entry of a stream is logged, all are counted.
    warned_of_entry: AtomicBool,
}

#[derive(Debug)]
struct Scripts {
    control: Script,
    revoke: Script,
    publish: Script,
    history: Script,
}

impl Scripts {
    fn new() -> Self {
        Self {
            control: Script::new(script::CONTROL),
            revoke: Script::new(script::REVOKE),
            publish: Script::new(script::publish::SCRIPT),
            history: Script::new(script::history::SCRIPT),
        }
    }
}

impl RedisBroker {
    /// Starts linking in the background and answers at once: a Redis that is down is waited for, while
    /// calls fail fast. The tasks end with `tasks`.
    ///
    /// # Errors
    /// When the URL is malformed or asks for what is not built (TLS, Unix sockets).
    pub fn start(
        config: &BrokerConfig,
        node: NodeId,
        tasks: &Tasks,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<Self>, Events), SetupError> {
        let BrokerUrl::Redis(url) = &config.url else {
            return Err(SetupError::Url("it is no Redis URL".into()));
        };
        let target = Target::parse(url)?;
        let keys = Keys::new(&config.prefix, target.db());
        let timing = Timing::new(config);
        let link = Arc::new(Link::start(&target, timing, tasks, metrics.clone(), clock.clone())?);
        let vitals = pulse::Vitals::new(clock.clone());
        let (intake, events) = mpsc::channel(config.intake_max.max(1));

        let (news_sender, news) = mpsc::channel(control::NEWS_MAX);
        let missed = Arc::new(Notify::new());
        let announced = Arc::new(pulse::Announced::default());
        let sorter = listener::Sorter {
            control: news_sender,
            missed: missed.clone(),
            vitals: vitals.clone(),
            announced: announced.clone(),
            metrics: metrics.clone(),
            warned: false,
        };
        let probe = keys.probe(&node.to_string());
        let permanent = vec![(Arc::from(keys.control()), Topic::Control), (Arc::from(probe.as_str()), Topic::Probe)];
        let surroundings = Surroundings { tasks, metrics: metrics.clone(), clock: clock.clone() };
        let room = Intake { events: intake.clone(), bytes: Room::all(), bytes_max: INTAKE_BYTES_MAX };
        let subscriber = Arc::new(Subscriber::start(&target, timing, permanent, sorter, room, surroundings));

        let reader = control::Reader {
            link: link.clone(),
            keys: keys.clone(),
            news,
            missed,
            intake,
            metrics: metrics.clone(),
            born: clock.now(),
            clock,
            stop: tasks.stop(),
            last: None,
            birth: None,
            done: control::Done::default(),
        };
        tasks.spawn("redis control log", reader.run());

        let pulse = pulse::Pulse {
            link: link.clone(),
            subscriber: subscriber.clone(),
            vitals: vitals.clone(),
            announced: announced.clone(),
            probe,
            rules_key: keys.rules(),
            timing,
            metrics: metrics.clone(),
            stop: tasks.stop(),
            number: 0,
            silent: false,
            advice: advice::Advice::default(),
        };
        tasks.spawn("redis pulse", pulse.run());

        let scripts = Scripts::new();
        let broker = Self {
            link,
            subscriber,
            keys,
            timing,
            scripts,
            vitals,
            announced,
            channels_written: Mutex::default(),
            metrics,
            warned_of_entry: AtomicBool::new(false),
        };
        Ok((Arc::new(broker), events))
    }

    /// Waits until what is published comes back, at most for `patience`; answers whether it does.
    pub async fn wait_until_delivers(&self, patience: Duration) -> bool {
        let (mut delivers, mut up, mut link) = (self.vitals.delivers(), self.subscriber.up(), self.link.changes());
        // What the last probe said counts only while the links are up: one that broke since is noticed there first.
        let delivering = async {
            while self.health() != Health::Delivers {
                tokio::select! {
                    changed = delivers.changed() => if changed.is_err() { return false },
                    changed = up.changed() => if changed.is_err() { return false },
                    () = link.next() => {}
                }
            }
            true
        };
        tokio::time::timeout(patience, delivering).await.unwrap_or(false)
    }

    /// Keeps these rules in Redis for those who publish past the gateways: written now, after each
    /// reconnect and with each heartbeat. From now on they decide which channels carry JSON: what is none
    /// is not let in there. Until then all do.
    pub fn announce_rules(&self, rules: &Rules) {
        self.announced.set(rules.clone());
    }

    /// Agrees with other gateways on throw-away secrets: the first one's proposal holds, for `ttl`
    /// (whole seconds, at least one) from when anybody last asked.
    ///
    /// # Errors
    /// When Redis was not reached.
    pub async fn shared_secrets(&self, proposed: &str, ttl: Duration) -> Result<String, BrokerError> {
        let key = self.keys.dev_secrets();
        let mut ask = pipe();
        let ttl = ttl.as_secs().max(1);
        // Atomic: between the two the secrets could expire.
        ask.atomic();
        ask.cmd("SET").arg(&key).arg(proposed).arg("NX").arg("EX").arg(ttl).ignore();
        ask.cmd("GETEX").arg(&key).arg("EX").arg(ttl);
        let (secrets,): (String,) = self.link.admin(&ask).await?;
        Ok(secrets)
    }

    /// The link that commands take, for others who keep things in the same Redis.
    #[must_use]
    pub fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// How keys and channels are called there.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    fn name(&self, channel: &ChannelName) -> Arc<str> {
        Arc::from(self.keys.channel(channel.as_str()))
    }
}

impl Broker for RedisBroker {
    fn subscribe<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<(), BrokerError>> {
        let names = channels.iter().map(|channel| (self.name(channel), Topic::Channel(channel.clone()))).collect();
        Box::pin(async move { Ok(self.subscriber.subscribe(names).await?) })
    }

    fn unsubscribe<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<(), BrokerError>> {
        let names = channels.iter().map(|channel| self.name(channel)).collect();
        Box::pin(async move { Ok(self.subscriber.unsubscribe(names).await?) })
    }

    fn publish<'a>(
        &'a self,
        channel: &'a ChannelName,
        outgoing: Outgoing,
        options: PublishOptions,
    ) -> BoxFuture<'a, Result<Published, BrokerError>> {
        Box::pin(self.send_publication(channel, outgoing, options))
    }

    fn history<'a>(
        &'a self,
        channel: &'a ChannelName,
        query: HistoryQuery,
    ) -> BoxFuture<'a, Result<HistoryPage, BrokerError>> {
        Box::pin(self.read_page(channel, query))
    }

    fn tops<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<Vec<Option<Position>>, BrokerError>> {
        Box::pin(self.read_tops(channels))
    }

    fn forget<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(self.forget_stream(channel))
    }

    fn health(&self) -> Health {
        pulse::health(&self.link, &self.subscriber, &self.vitals, self.timing)
    }
}

impl Bus for RedisBroker {
    fn send(&self, control: Control) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async move {
            let envelope = Envelope::Control(control).encode();
            let (log, name) = (self.keys.control_log(), self.keys.control());
            let (count, age) = (script::CONTROL_LOG_MAX.to_string(), script::CONTROL_LOG_AGE_MS.to_string());
            let arguments = [name.as_bytes(), &envelope[..], count.as_bytes(), age.as_bytes()];
            self.link.run_script::<String>(&self.scripts.control, &[&log], &arguments).await?;
            Ok(())
        })
    }
}

impl From<LinkError> for BrokerError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Unreachable(why) => Self::Unreachable(why),
            LinkError::Timeout => Self::Timeout,
            LinkError::Refused(why) => Self::Refused(why),
        }
    }
}
