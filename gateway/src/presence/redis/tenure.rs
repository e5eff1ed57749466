//! Under which name this node holds its members: a holder with a lease. A holder lives once. When its
//! lease has ended, when another server answers, or when nobody knows what became of a write, the node
//! goes on under its next generation, and whatever still comes late in the old name counts for nothing.

use std::time::Duration;

use fanfare_proto::keys::Keys;
use fanfare_proto::script::presence::{HOLDERS_TTL_MS, Holder, TTL_MS};

use crate::model::time::millis;
use crate::redis_link::{Link, LinkError, cmd, pipe};

/// Earlier holders that are remembered while their members move. Each ends one link that broke in the
/// midst of moving; of older ones the leases ended long ago.
const BEFORE_MAX: usize = 16;

/// The present holder.
#[derive(Clone, Debug)]
pub(super) struct Tenure {
    pub(super) holder: Holder,
    /// Its lease lasts at least until then, in milliseconds since 1970 by Redis' clock.
    pub(super) until_ms: u64,
}

/// A node's holders, one after the other.
#[derive(Debug)]
pub(super) struct Tenures {
    node: String,
    lease_ms: u64,
    generation: u64,
    pub(super) present: Option<Tenure>,
    /// Holders before the present one from which members may not have moved yet.
    before: Vec<Holder>,
}

impl Tenures {
    pub(super) fn new(node: String, lease: Duration) -> Self {
        Self { node, lease_ms: millis(lease).max(1), generation: 0, present: None, before: Vec::new() }
    }

    /// The present holder may have lost what it held.
    pub(super) fn end(&mut self) {
        if let Some(tenure) = self.present.take() {
            self.before.push(tenure.holder);
            if self.before.len() > BEFORE_MAX {
                self.before.remove(0);
            }
        }
    }

    /// Makes the next holder. Its lease and its name at once: who finds a name without a lease takes it
    /// for dead.
    pub(super) async fn begin(&mut self, link: &Link, keys: &Keys) -> Result<(), LinkError> {
        self.generation += 1;
        let holder = Holder { node: self.node.clone(), generation: self.generation };
        let name = holder.to_string();
        let mut write = pipe();
        write.atomic().cmd("TIME");
        write.cmd("SET").arg(keys.holder(&name)).arg(&self.node).arg("PX").arg(self.lease_ms).ignore();
        write.cmd("SADD").arg(keys.holders()).arg(&name).ignore();
        write.cmd("PEXPIRE").arg(keys.holders()).arg(HOLDERS_TTL_MS).ignore();
        let (now,): ((u64, u64),) = link.admin(&write).await?;
        self.present = Some(Tenure { holder, until_ms: self.end_of_lease(now) });
        Ok(())
    }

    /// Renews the lease; false if it had ended.
    pub(super) async fn renew(&mut self, link: &Link, keys: &Keys) -> Result<bool, LinkError> {
        let Some(tenure) = &self.present else { return Ok(false) };
        let name = tenure.holder.to_string();
        let mut ask = pipe();
        // The time first: what is written until then plus a lease finds the lease alive.
        ask.cmd("TIME").cmd("PEXPIRE").arg(keys.holder(&name)).arg(self.lease_ms);
        let (now, alive): ((u64, u64), bool) = link.admin(&ask).await?;
        if !alive {
            return Ok(false);
        }
        let until_ms = self.end_of_lease(now);
        if let Some(tenure) = &mut self.present {
            tenure.until_ms = until_ms;
        }
        // Only now: the name of a holder without a lease brings the reapers.
        let mut write = pipe();
        write.cmd("SADD").arg(keys.holders()).arg(&name).ignore();
        write.cmd("PEXPIRE").arg(keys.holders()).arg(HOLDERS_TTL_MS).ignore();
        write.cmd("PEXPIRE").arg(keys.holder_channels(&name)).arg(TTL_MS).ignore();
        link.admin::<()>(&write).await?;
        Ok(true)
    }

    /// Keeps others from striking out what has not moved yet; answers whether some may have done so
    /// already, and told it.
    pub(super) async fn keep_reapers_off(&self, link: &Link, keys: &Keys) -> Result<bool, LinkError> {
        let me = self.mover();
        let mut told = false;
        for holder in &self.before {
            let name = holder.to_string();
            let lock = keys.holder_reaper(&name);
            let mut ask = pipe();
            ask.cmd("SET").arg(&lock).arg(&me).arg("NX").arg("PX").arg(self.lease_ms).ignore();
            ask.cmd("GET").arg(&lock).cmd("EXISTS").arg(keys.holder_reaped(&name));
            let (owner, reaped): (Option<String>, bool) = link.admin(&ask).await?;
            if owner.as_ref() == Some(&me) {
                // Longer than until the next heartbeat.
                link.command::<bool>(cmd("PEXPIRE").arg(&lock).arg(self.lease_ms)).await?;
            }
            told |= reaped || owner.is_some_and(|owner| owner != me);
        }
        Ok(told)
    }

    pub(super) fn is_moving(&self) -> bool {
        !self.before.is_empty()
    }

    /// All have moved: what is left of earlier holders is nobody's, and others may strike it out when
    /// their leases have ended.
    pub(super) async fn has_moved(&mut self, link: &Link, keys: &Keys) -> Result<(), LinkError> {
        let me = self.mover();
        while let Some(holder) = self.before.last() {
            let lock = keys.holder_reaper(&holder.to_string());
            let owner: Option<String> = link.command(cmd("GET").arg(&lock)).await?;
            if owner.as_ref() == Some(&me) {
                link.command::<u64>(cmd("DEL").arg(&lock)).await?;
            }
            self.before.pop();
        }
        Ok(())
    }

    /// The present holder ends and has left nothing.
    pub(super) async fn farewell(&mut self, link: &Link, keys: &Keys) -> Result<(), LinkError> {
        let Some(tenure) = self.present.take() else { return Ok(()) };
        let name = tenure.holder.to_string();
        let mut write = pipe();
        write.cmd("SREM").arg(keys.holders()).arg(&name).ignore();
        write.cmd("DEL").arg(keys.holder_channels(&name)).arg(keys.holder(&name)).ignore();
        link.admin(&write).await
    }

    /// How this node signs locks while it moves; its reaper signs otherwise.
    fn mover(&self) -> String {
        format!("{} moves", self.node)
    }

    fn end_of_lease(&self, (seconds, micros): (u64, u64)) -> u64 {
        seconds.saturating_mul(1000).saturating_add(micros / 1000).saturating_add(self.lease_ms)
    }
}
