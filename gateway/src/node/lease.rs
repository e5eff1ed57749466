//! Tells the roster, heartbeat by heartbeat, what this node holds: cluster-wide questions are answered
//! from there.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Node;
use crate::broker::roster::{Announcement, NodeRecord};

/// How a node announces itself.
#[derive(Clone, Debug)]
pub struct LeaseConfig {
    /// The node's name in `info`.
    pub name: String,
    /// How often.
    pub heartbeat: Duration,
    /// How long an announcement holds; at least three heartbeats.
    pub lease: Duration,
}

/// How the lease is, as far as it has been told.
#[derive(Clone, Copy, Debug)]
enum Lease {
    /// It has never been announced.
    NotYet,
    Renewed,
    Failing,
}

/// Whether this node has struck itself out; held while it announces itself, so that nothing it says
/// comes after.
pub(super) type Retired = tokio::sync::Mutex<bool>;

pub(super) async fn run(node: Arc<Node>, stop: CancellationToken) {
    let mut interval = tokio::time::interval(node.parts.lease.heartbeat);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut lease = Lease::NotYet;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = interval.tick() => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = node.announce(&mut lease) => {}
        }
    }
}

impl Node {
    /// Strikes this node's members and then the node itself out, at once and for good.
    pub async fn retire(&self) {
        self.parts.presence.retire().await;
        let mut retired = self.retired.lock().await;
        *retired = true;
        if let Err(error) = self.parts.roster.leave(&self.parts.id.to_string()).await {
            tracing::debug!(%error, "could not strike this node out of the roster; its lease will run out");
        }
    }

    async fn announce(&self, lease: &mut Lease) {
        let retired = self.retired.lock().await;
        if *retired {
            return;
        }
        let announced = self.parts.roster.announce(self.announcement()).await;
        let starting = self.parts.clock.now().saturating_sub(self.started) < self.parts.lease.heartbeat;
        // One line when it begins, one when it ends: an outage of an hour is not 1,800 lines.
        *lease = match (announced, *lease) {
            // The link is being made, and says so itself.
            (Err(_), Lease::NotYet) if starting => Lease::NotYet,
            (Err(error), Lease::NotYet | Lease::Renewed) => {
                tracing::warn!(%error, "could not renew this node's lease; info and channels will not show it");
                Lease::Failing
            }
            (Err(_), Lease::Failing) => Lease::Failing,
            (Ok(()), Lease::Failing) => {
                tracing::info!("this node's lease is renewed again");
                Lease::Renewed
            }
            (Ok(()), Lease::NotYet | Lease::Renewed) => Lease::Renewed,
        };
    }

    fn announcement(&self) -> Announcement {
        let channels = self.parts.hub.channels();
        let node = NodeRecord {
            id: self.parts.id.to_string(),
            name: self.parts.lease.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            connections: self.parts.hub.people().count() as u64,
            users: self.parts.hub.people().users() as u64,
            subscriptions: channels.values().sum(),
            channels: channels.len() as u64,
            uptime_s: self.parts.clock.now().saturating_sub(self.started).as_secs(),
        };
        Announcement { node, lease: self.parts.lease.lease, channels }
    }
}
