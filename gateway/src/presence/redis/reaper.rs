//! Strikes out the members of dead nodes. With each heartbeat every node looks for holders without a
//! lease. One of them takes a lock, which spares the others the work; that each leave is told once is
//! the script's doing, which strikes out and tells in one step. So a reaper may die half way, or two may
//! work at once, and nothing is told twice or never.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fanfare_proto::keys::Keys;
use fanfare_proto::script::presence::{HOLDERS_TTL_MS, Holder, TTL_MS};
use futures_util::future::join_all;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::leases::Leases;
use crate::model::time::Clock;
use crate::redis_link::{Link, LinkError, LinkState, Script, cmd, pipe};
use crate::telemetry::Metrics;

/// Channels that are worked on at once.
const CHANNELS_MAX: usize = 64;

/// About how many members a script looks at.
const SLICE: usize = 256;

/// The task's state.
pub(super) struct Reaper {
    pub(super) link: Arc<Link>,
    pub(super) keys: Keys,
    pub(super) node: String,
    /// This node's present generation; that one it does not reap, nor those to come.
    pub(super) generation: Arc<AtomicU64>,
    pub(super) leases: Arc<Leases>,
    pub(super) reap: Script,
    pub(super) heartbeat: Duration,
    /// How long a lock holds: who has not said anything for that long is not at work any more.
    pub(super) lock_ms: u64,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) stop: CancellationToken,
}

impl Reaper {
    pub(super) async fn run(self) {
        let stop = self.stop.clone();
        // Cancel-safe: another node goes on where this one stopped.
        let _ = stop.run_until_cancelled(self.watch()).await;
    }

    async fn watch(&self) {
        let mut beat = tokio::time::interval(self.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut link = self.link.changes();
        loop {
            tokio::select! {
                _ = beat.tick() => {}
                () = link.next() => {}
            }
            if self.link.state() != LinkState::Up {
                continue;
            }
            if let Err(error) = self.beat().await {
                tracing::debug!(%error, "cannot look after the members of dead nodes");
            }
        }
    }

    async fn beat(&self) -> Result<(), LinkError> {
        let holders: Vec<String> = self.link.command(cmd("SMEMBERS").arg(self.keys.holders())).await?;
        for name in self.leases.review(&self.link, &self.keys, &*self.clock, holders).await? {
            let Ok(holder) = name.parse::<Holder>() else {
                self.link.command::<u64>(cmd("SREM").arg(self.keys.holders()).arg(&name)).await?;
                continue;
            };
            if holder.node == self.node && holder.generation >= self.generation.load(Ordering::Acquire) {
                continue;
            }
            self.bury(&holder).await?;
        }
        Ok(())
    }

    /// Strikes out all that a dead holder has left, unless another node is at it.
    async fn bury(&self, holder: &Holder) -> Result<(), LinkError> {
        let name = holder.to_string();
        let (lock, list) = (self.keys.holder_reaper(&name), self.keys.holder_channels(&name));
        let locked: Option<String> =
            self.link.command(cmd("SET").arg(&lock).arg(&self.node).arg("NX").arg("PX").arg(self.lock_ms)).await?;
        if locked.is_none() {
            return Ok(());
        }
        // First: a node that lives on after all tells the joins of those whose leaves are told here.
        let reaped = self.keys.holder_reaped(&name);
        self.link.command::<()>(cmd("SET").arg(reaped).arg(1).arg("PX").arg(HOLDERS_TTL_MS)).await?;

        let (mut cursor, mut struck) = (String::from("0"), 0);
        loop {
            let mut ask = cmd("SSCAN");
            ask.arg(&list).arg(&cursor).arg("COUNT").arg(SLICE);
            let (next, channels): (String, Vec<String>) = self.link.command(&ask).await?;
            for channels in channels.chunks(CHANNELS_MAX) {
                struck += self.clear(holder, &list, channels).await?;
                self.link.command::<u64>(cmd("PEXPIRE").arg(&lock).arg(self.lock_ms)).await?;
            }
            cursor = next;
            if cursor == "0" {
                break;
            }
        }
        let mut end = pipe();
        end.cmd("DEL").arg(&lock).ignore().cmd("SCARD").arg(&list);
        let (left,): (u64,) = self.link.admin(&end).await?;
        if left == 0 {
            self.link.command::<u64>(cmd("SREM").arg(self.keys.holders()).arg(&name)).await?;
        }
        if struck > 0 {
            tracing::info!(%holder, members = struck, "the members of a node that is gone were struck out");
        }
        Ok(())
    }

    /// Clears some channels, and takes those off the list that it could.
    async fn clear(&self, holder: &Holder, list: &str, channels: &[String]) -> Result<u64, LinkError> {
        let mut cleared = Vec::with_capacity(channels.len());
        let mut struck = 0;
        for (channel, result) in channels.iter().zip(join_all(channels.iter().map(|c| self.reap(holder, c))).await) {
            match result {
                Ok(members) => {
                    cleared.push(channel);
                    struck += members;
                }
                // The others are cleared all the same; this one is tried again with the next heartbeat,
                // as long as the list stands.
                Err(LinkError::Refused(why)) => tracing::debug!(channel, why, "Redis refuses to clear a channel"),
                Err(error) => return Err(error),
            }
        }
        self.metrics.presence_reaped.inc_by(struck);
        if !cleared.is_empty() {
            self.link.command::<u64>(cmd("SREM").arg(list).arg(cleared)).await?;
        }
        Ok(struck)
    }

    /// Clears one channel, slice by slice; answers how many members were struck out.
    async fn reap(&self, holder: &Holder, channel: &str) -> Result<u64, LinkError> {
        let keys = [self.keys.members(channel), self.keys.member_users(channel), self.keys.members_parked(channel)];
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let (name, generation, slice) = (self.keys.channel(channel), holder.generation.to_string(), SLICE.to_string());
        let (mut cursor, mut struck) = (String::from("0"), 0);
        loop {
            let arguments = [&name, &holder.node, &generation, &cursor, &slice].map(|argument| argument.as_bytes());
            let (next, members): (String, u64) = self.link.run_script(&self.reap, &keys, &arguments).await?;
            struck += members;
            cursor = next;
            if cursor == "0" {
                return Ok(struck);
            }
        }
    }
}

/// A list that nobody clears must end some day; a holder's own does [`TTL_MS`] after its last heartbeat.
const _: () = assert!(TTL_MS < HOLDERS_TTL_MS);
