//! Whether the broker delivers, found out on the real road: a node publishes to itself and must get it
//! back. Links that look healthy and lead nowhere (packets dropped, the wrong server, a replica) show
//! only so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fanfare_proto::rules::{DataFormat, Rules};
use parking_lot::RwLock;
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::advice::Advice;
use super::listener::Topic;
use crate::broker::Health;
use crate::model::time::{Clock, millis};
use crate::redis_link::subscriber::Subscriber;
use crate::redis_link::{Link, LinkState, Timing, cmd};
use crate::telemetry::Metrics;

/// Probes in a row that must be lost before the links are given up.
const PROBES: usize = 2;

/// What is known of the broker's delivery; shared by who listens, who asks and who probes.
#[derive(Debug)]
pub(super) struct Vitals {
    /// The newest probe that came back.
    echo: watch::Sender<u64>,
    /// When it did, in milliseconds of the clock; before the first one, when the node started.
    heard_ms: AtomicU64,
    delivers: watch::Sender<bool>,
    clock: Arc<dyn Clock>,
}

impl Vitals {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let heard_ms = AtomicU64::new(millis(clock.now()));
        Arc::new(Self { echo: watch::Sender::new(0), heard_ms, delivers: watch::Sender::new(false), clock })
    }

    /// A probe came back.
    pub(super) fn heard(&self, number: u64) {
        // Relaxed: a lone number for reports; the echo below carries the order.
        self.heard_ms.store(millis(self.clock.now()), Ordering::Relaxed);
        self.echo.send_replace(number);
    }

    pub(super) fn last_heard(&self) -> Duration {
        Duration::from_millis(self.heard_ms.load(Ordering::Relaxed))
    }

    pub(super) fn delivers(&self) -> watch::Receiver<bool> {
        self.delivers.subscribe()
    }

    fn silence(&self) -> Duration {
        self.clock.now().saturating_sub(self.last_heard())
    }
}

/// The rules that are kept in Redis, and that hold for what comes from there; none until they are
/// announced.
#[derive(Debug, Default)]
pub(super) struct Announced {
    rules: RwLock<Option<Rules>>,
    changed: Notify,
}

impl Announced {
    pub(super) fn set(&self, rules: Rules) {
        *self.rules.write() = Some(rules);
        self.changed.notify_one();
    }

    /// What a channel carries. JSON, the stricter, where no rule says otherwise.
    pub(super) fn format(&self, channel: &str) -> DataFormat {
        let rules = self.rules.read();
        rules.as_ref().and_then(|rules| rules.of(channel)).map(|rules| rules.data_format).unwrap_or_default()
    }
}

/// Probes, and renews what must stand in Redis.
pub(super) struct Pulse {
    pub(super) link: Arc<Link>,
    pub(super) subscriber: Arc<Subscriber<Topic>>,
    pub(super) vitals: Arc<Vitals>,
    pub(super) announced: Arc<Announced>,
    pub(super) probe: String,
    pub(super) rules_key: String,
    pub(super) timing: Timing,
    pub(super) metrics: Arc<Metrics>,
    pub(super) stop: CancellationToken,
    pub(super) number: u64,
    /// Probes are being lost; told once until they come back.
    pub(super) silent: bool,
    pub(super) advice: Advice,
}

impl Pulse {
    pub(super) async fn run(mut self) {
        let stop = self.stop.clone();
        // Cancel-safe: nothing is half done that matters when the node goes down.
        let _ = stop.run_until_cancelled(self.beat_on()).await;
        self.tell(false);
    }

    async fn beat_on(&mut self) {
        let mut beat = tokio::time::interval(self.timing.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut link, mut up) = (self.link.changes(), self.subscriber.up());
        let announced = self.announced.clone();
        loop {
            tokio::select! {
                _ = beat.tick() => {}
                () = link.next() => {}
                changed = up.changed() => if changed.is_err() { return },
                () = announced.changed.notified() => {}
            }
            let delivers = self.beat().await;
            self.tell(delivers);
        }
    }

    fn tell(&self, delivers: bool) {
        self.metrics.broker_up.set(i64::from(delivers));
        self.vitals.delivers.send_replace(delivers);
    }

    async fn beat(&mut self) -> bool {
        if self.link.state() != LinkState::Up || !*self.subscriber.up().borrow() {
            self.advice.ask_again();
            return false;
        }
        // On an error the link's keeper is at it already.
        if self.link.check_role().await.is_err() {
            return false;
        }
        self.store_rules().await;
        for _ in 0..PROBES {
            match self.probe().await {
                Ok(true) => {
                    self.delivers_again();
                    self.advice.give(&self.link).await;
                    return true;
                }
                Ok(false) => self.metrics.broker_probe_failures.inc(),
                // The link's keeper tells of it.
                Err(_) => {
                    self.metrics.broker_probe_failures.inc();
                    return false;
                }
            };
        }
        if !std::mem::replace(&mut self.silent, true) {
            tracing::warn!("Redis takes publications and does not bring them back; linking anew until it does");
        }
        self.link.give_up("what this node sends to itself does not come back");
        self.subscriber.give_up();
        false
    }

    fn delivers_again(&mut self) {
        if std::mem::take(&mut self.silent) {
            tracing::info!("Redis brings publications back again");
        }
    }

    /// Publishes a number and waits for it to come back.
    async fn probe(&mut self) -> Result<bool, crate::redis_link::LinkError> {
        self.number += 1;
        let number = self.number;
        let mut echo = self.vitals.echo.subscribe();
        self.link.command::<i64>(cmd("PUBLISH").arg(&self.probe).arg(number)).await?;
        let back = tokio::time::timeout(self.timing.command, echo.wait_for(|echo| *echo >= number)).await;
        Ok(matches!(back, Ok(Ok(_))))
    }

    /// Plainly overwrites: all gateways of one prefix have the same rules, save while they are changed.
    async fn store_rules(&self) {
        let rules = self.announced.rules.read().as_ref().map(Rules::print);
        let Some(rules) = rules else { return };
        if let Err(error) = self.link.command::<()>(cmd("SET").arg(&self.rules_key).arg(rules)).await {
            tracing::debug!(%error, "cannot store the channel rules yet");
        }
    }
}

/// Whether publications get through right now.
pub(super) fn health(link: &Link, subscriber: &Subscriber<Topic>, vitals: &Vitals, timing: Timing) -> Health {
    let linked = link.state() == LinkState::Up && *subscriber.up().borrow() && *vitals.delivers.borrow();
    let silence = vitals.silence();
    // Also when the pulse itself has stopped: what was not confirmed lately does not count.
    let fresh = silence <= timing.heartbeat * 2 + timing.command * 2;
    if linked && fresh { Health::Delivers } else { Health::Silent(silence) }
}
