//! Which holders are alive. A lease that was seen to last until some moment lasts until then whatever
//! happens, so nobody asks again before.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use fanfare_proto::keys::Keys;
use parking_lot::Mutex;

use crate::model::time::Clock;
use crate::redis_link::{Link, LinkError, pipe};

/// Holders in one command.
const ASKED_MAX: usize = 512;

/// Ends of leases, by holder.
#[derive(Debug, Default)]
pub(super) struct Leases {
    /// By this node's clock; never later than by Redis'.
    ends: Mutex<HashMap<String, Duration>>,
}

impl Leases {
    /// Those of the holders whose lease has ended. Asks Redis about those whose lease may have.
    pub(super) async fn dead(
        &self,
        link: &Link,
        keys: &Keys,
        clock: &dyn Clock,
        holders: HashSet<String>,
    ) -> Result<HashSet<String>, LinkError> {
        let now = clock.now();
        let unsure: Vec<String> = {
            let ends = self.ends.lock();
            holders.into_iter().filter(|holder| ends.get(holder).is_none_or(|end| *end <= now)).collect()
        };
        let seen = ask(link, keys, clock, &unsure).await?;
        let mut ends = self.ends.lock();
        for holder in &unsure {
            match seen.get(holder) {
                Some(end) => ends.insert(holder.clone(), *end),
                None => ends.remove(holder),
            };
        }
        Ok(unsure.into_iter().filter(|holder| !seen.contains_key(holder)).collect())
    }

    /// Asks about all holders that there are, and forgets all others; answers who is dead.
    pub(super) async fn review(
        &self,
        link: &Link,
        keys: &Keys,
        clock: &dyn Clock,
        holders: Vec<String>,
    ) -> Result<Vec<String>, LinkError> {
        let seen = ask(link, keys, clock, &holders).await?;
        let dead = holders.into_iter().filter(|holder| !seen.contains_key(holder)).collect();
        *self.ends.lock() = seen;
        Ok(dead)
    }
}

/// When the leases of those who are alive end.
async fn ask(
    link: &Link,
    keys: &Keys,
    clock: &dyn Clock,
    holders: &[String],
) -> Result<HashMap<String, Duration>, LinkError> {
    let mut seen = HashMap::with_capacity(holders.len());
    for holders in holders.chunks(ASKED_MAX) {
        let mut ask = pipe();
        for holder in holders {
            ask.cmd("PTTL").arg(keys.holder(holder));
        }
        // Before it is asked: the answer is as old as the way back was long.
        let asked = clock.now();
        let lasts: Vec<i64> = link.admin(&ask).await?;
        for (holder, ms) in holders.iter().zip(lasts) {
            // There is none; -1 would be one without an end, until its node renews it.
            if ms != -2 {
                seen.insert(holder.clone(), asked + Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
            }
        }
    }
    Ok(seen)
}
