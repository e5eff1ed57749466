//! Delivers the log of one shard: takes the next entries, posts them until the receiver has them, and only
//! then goes on. Of all nodes one at a time does so for a shard; the others ask now and then whether it still
//! does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fanfare_proto::hook::event::{Name, SIGNATURE_HEADER};

use super::backlog::Backlog;
use super::letter::{Letter, Seal};
use super::log::Log;
use super::phase::Phase;
use crate::model::time::Clock;
use crate::outbound::{self, Body, Call, Outbound};
use crate::task::backoff::Backoff;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{OutcomeLabel, ReasonLabel};

/// The first wait after a failure, and the longest: a receiver that is back gets its events within that.
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// The task's state.
pub(super) struct Courier {
    pub(super) shard: usize,
    pub(super) log: Arc<dyn Log>,
    pub(super) outbound: Outbound,
    /// Without body and signature.
    pub(super) call: Call,
    pub(super) seal: Seal,
    pub(super) wanted: BTreeSet<Name>,
    pub(super) batch_size: usize,
    pub(super) batch_delay: Duration,
    pub(super) heartbeat: Duration,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) closing: Arc<Phase>,
    /// The epoch and number up to which the receiver has everything from this node, whether the log knows it or not.
    pub(super) delivered: (String, u64),
    /// The last try has failed, and that was said.
    pub(super) failing: bool,
}

/// What a look at the log came to.
enum Round {
    /// Another node delivers, or the log is away.
    NotMine,
    /// Nothing waits.
    Empty,
    /// Something was delivered: there may be more.
    Delivered,
    /// The receiver does not take it, and this node goes down.
    GivenUp,
}

impl Courier {
    pub(super) async fn run(mut self) {
        let closing = Arc::clone(&self.closing);
        loop {
            let round = self.round().await;
            let wait = match round {
                Round::NotMine => self.heartbeat,
                Round::Empty => self.batch_delay,
                Round::Delivered if closing.has_come() => continue,
                Round::Delivered => self.batch_delay,
                Round::GivenUp => break,
            };
            if closing.has_come() {
                break;
            }
            tokio::select! {
                () = closing.comes() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        closing.done();
    }

    /// Delivers one batch, or as many as are full.
    async fn round(&mut self) -> Round {
        let mut delivered = false;
        loop {
            let taken = match self.log.take(self.shard, self.batch_size).await {
                Ok(Some(taken)) => taken,
                Ok(None) => {
                    self.backlog.note(self.shard, 0, 0);
                    return Round::NotMine;
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot read events that are to be delivered");
                    return Round::NotMine;
                }
            };
            let now_ms = self.now_ms();
            let oldest = taken.entries.first().map_or(0, |entry| now_ms.saturating_sub(entry.time_ms));
            self.backlog.note(self.shard, taken.top.saturating_sub(taken.done), oldest);
            let seen = if self.delivered.0 == taken.epoch { self.delivered.1 } else { 0 };
            let Some(letter) = Letter::write(self.shard, &taken, seen, &self.wanted, now_ms) else {
                return if delivered { Round::Delivered } else { Round::Empty };
            };
            if !self.deliver(&letter).await {
                return if self.closing.has_come() { Round::GivenUp } else { Round::NotMine };
            }
            delivered = true;
            if taken.entries.len() < self.batch_size {
                return Round::Delivered;
            }
        }
    }

    /// Posts a letter until the receiver has it; false if that is not this node's affair any more.
    async fn deliver(&mut self, letter: &Letter) -> bool {
        let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_MAX);
        if let Some(body) = &letter.body {
            while !self.post(body).await {
                // A receiver that fails while this node goes down gets its events from another node.
                if self.closing.has_come() || !self.hold_on(backoff.next_wait()).await {
                    return false;
                }
            }
        }
        self.metrics.webhook_delivered.inc_by(letter.events);
        if letter.lost > 0 {
            self.metrics.webhook_lost.get_or_create(&ReasonLabel { reason: "backlog_full" }).inc_by(letter.lost);
            tracing::warn!(
                events = letter.lost,
                "events for the webhook were lost: more waited than webhook.backlog_max"
            );
        }
        self.delivered = (letter.epoch.clone(), letter.through);
        match self.log.done(self.shard, &letter.epoch, letter.through).await {
            Ok(mine) => mine,
            Err(error) => {
                // This node knows that it was delivered; only if it ends before the log knows, it is delivered again.
                tracing::debug!(%error, "cannot note that events were delivered");
                true
            }
        }
    }

    /// Waits, and says now and then that this node still delivers; false if it does not, or goes down.
    async fn hold_on(&self, wait: Duration) -> bool {
        let until = self.clock.now() + wait;
        loop {
            let left = until.saturating_sub(self.clock.now());
            if left.is_zero() {
                return true;
            }
            tokio::select! {
                () = self.closing.comes() => return true,
                () = tokio::time::sleep(left.min(self.heartbeat)) => {}
            }
            match self.log.take(self.shard, 0).await {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return false,
            }
        }
    }

    /// One try; whether the receiver has it.
    async fn post(&mut self, body: &str) -> bool {
        let mut call = self.call.clone();
        let signature = self.seal.sign(self.now_ms() / 1000, body);
        let (name, value) = outbound::header(SIGNATURE_HEADER, &signature).expect("letters and digits fit in a header");
        call.headers.insert(name, value);
        call.body = Body::Json(body.to_owned().into());
        let (outcome, why) = match self.outbound.call(call).await {
            Ok(answer) if (200..300).contains(&answer.status) => ("ok", None),
            Ok(answer) => ("refused", Some(format!("it answers {}", answer.status))),
            Err(error) => ("unreachable", Some(error.to_string())),
        };
        self.metrics.webhook_requests.get_or_create(&OutcomeLabel { outcome }).inc();
        self.say(why.as_deref());
        why.is_none()
    }

    /// One line when it begins to fail, one when it is over.
    fn say(&mut self, failure: Option<&str>) {
        match (failure, std::mem::replace(&mut self.failing, failure.is_some())) {
            (Some(why), false) => {
                tracing::warn!(shard = self.shard, why, "the webhook does not take events; trying on");
            }
            (Some(why), true) => tracing::debug!(shard = self.shard, why, "the webhook still does not take events"),
            (None, true) => tracing::info!(shard = self.shard, "the webhook takes events again"),
            (None, false) => {}
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.unix_ms()).unwrap_or(0)
    }
}
