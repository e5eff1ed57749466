//! Users counted for all nodes together. A node takes a few of what a user may do at once and spends them by
//! itself, so that only some commands cost a trip to Redis, and it remembers for how long there is nothing to
//! be had. What it has taken and not spent is lost to other nodes until then: a user may get a sixteenth of
//! the burst for each node more, or less, than the rate says.
//!
//! Redis is not needed: while it does not answer each node counts by itself, as it does before it asks.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use fanfare_proto::keys::Keys;
use fanfare_proto::script;
use futures_util::future::BoxFuture;

use super::person::{Drawn, Person};
use super::{Kind, Pace};
use crate::model::UserId;
use crate::model::time::Clock;
use crate::redis_link::{Link, LinkError, Script};
use crate::telemetry::Metrics;

/// What part of a burst is taken at once.
const PARTS: u32 = 16;

/// How long a command waits to be counted. Redis answers in a millisecond; one that does not is busy with
/// what matters more.
const PATIENCE: Duration = Duration::from_millis(500);

/// Counts for all nodes.
pub trait Tally: Debug + Send + Sync {
    /// Takes up to `wanted` of what a user may do.
    ///
    /// # Errors
    /// Nobody was reached who counts. Nothing is known then of what was taken.
    fn take<'a>(
        &'a self,
        user: &'a UserId,
        kind: Kind,
        pace: &'a Pace,
        wanted: u32,
    ) -> BoxFuture<'a, Result<Taken, LinkError>>;
}

/// What a tally answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// So many, at least one.
    Some(u32),
    /// There is none for so long.
    None(Duration),
}

/// Counts in Redis, by the script of [`script::RATE`] and the clock of the server.
#[derive(Debug)]
pub struct RedisTally {
    link: Arc<Link>,
    keys: Keys,
    script: Script,
}

impl RedisTally {
    /// Counts in the Redis of this link, under these keys.
    #[must_use]
    pub fn new(link: Arc<Link>, keys: Keys) -> Self {
        Self { link, keys, script: Script::new(script::RATE) }
    }
}

impl Tally for RedisTally {
    fn take<'a>(
        &'a self,
        user: &'a UserId,
        kind: Kind,
        pace: &'a Pace,
        wanted: u32,
    ) -> BoxFuture<'a, Result<Taken, LinkError>> {
        Box::pin(async move {
            let key = self.keys.rate(kind.name(), user.as_str());
            let interval_us = format!("{:.3}", pace.interval().as_secs_f64() * 1e6);
            let (holds, wanted) = (pace.burst().to_string(), wanted.to_string());
            let arguments = [interval_us.as_bytes(), holds.as_bytes(), wanted.as_bytes()];
            let (taken, wait_us): (u32, u64) = self.link.run_script(&self.script, &[&key], &arguments).await?;
            Ok(if taken > 0 { Taken::Some(taken) } else { Taken::None(Duration::from_micros(wait_us)) })
        })
    }
}

/// Spends one of what a user may do on all nodes; answers how long until there is one if there is none.
pub(super) async fn spend(
    tally: &dyn Tally,
    person: &Person,
    kind: Kind,
    pace: &Pace,
    clock: &dyn Clock,
    metrics: &Metrics,
) -> Result<(), Duration> {
    match person.draw(kind, clock.now()) {
        Drawn::One => return Ok(()),
        Drawn::Dry(wait) => return Err(wait),
        Drawn::Empty => {}
    }
    let wanted = (pace.burst() / PARTS).max(1);
    match tokio::time::timeout(PATIENCE, tally.take(&person.user, kind, pace, wanted)).await {
        Ok(Ok(Taken::Some(count))) => {
            person.keep(kind, count - 1, pace);
            Ok(())
        }
        Ok(Ok(Taken::None(wait))) => {
            person.dry(kind, clock.now() + wait);
            Err(wait)
        }
        Ok(Err(_)) | Err(_) => {
            // Counted on this node already, and that has to do.
            metrics.limit_cluster_misses.inc();
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
