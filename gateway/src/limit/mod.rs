//! How much anyone may ask for: places, rates, and a queue for those who come too early. Knows who somebody
//! is only as a user or an address, and what they ask only as a [`Kind`]; who asks acts on the answer.
//!
//! What is off costs nothing: no map, no allocation for a connection, no look at the clock. With
//! `limit.user.cluster` a command may cost a trip to Redis, see [`cluster`]; nothing else here leaves the
//! process.

mod admission;
mod allowance;
mod bucket;
pub mod cluster;
mod line;
mod occupancy;
mod person;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::section::{CommandRates, LimitConfig};
use crate::model::time::Clock;
use crate::model::{Address, UserId};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::LimitLabel;

pub use allowance::Allowance;
pub use bucket::{Bucket, Pace};
pub use occupancy::{Occupancy, Place};

use admission::Admission;
use cluster::Tally;
use person::People;

/// When it is worth while to ask again for one of a number of places: nobody knows, so not at once.
const RETRY_FULL: Duration = Duration::from_secs(5);

/// What is counted apart from the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A command of any kind.
    Command,
    /// To subscribe.
    Subscribe,
    /// To publish.
    Publish,
    /// To call the application, or to tell it something.
    Rpc,
    /// To name a channel that nobody on this node listens to.
    NewChannel,
}

impl Kind {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// The keys' names for it, and its name in Redis.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "commands",
            Self::Subscribe => "subscribes",
            Self::Publish => "publishes",
            Self::Rpc => "rpcs",
            Self::NewChannel => "new_channels",
        }
    }
}

/// A limit that was met: what the metric calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// `limit.connections_per_user`
    ConnectionsPerUser,
    /// `limit.connections_per_address`
    ConnectionsPerAddress,
    /// `limit.connect_rate`
    ConnectRate,
    /// `limit.connect_rate_per_address`
    ConnectRatePerAddress,
    /// `limit.channels`
    Channels,
    /// `limit.connection.*`
    Connection(Kind),
    /// `limit.user.*`
    User(Kind),
    /// `limit.connection.refusals`
    Refusals,
}

impl Limit {
    /// The word of the metric's label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConnectionsPerUser => "connections_per_user",
            Self::ConnectionsPerAddress => "connections_per_address",
            Self::ConnectRate => "connect_rate",
            Self::ConnectRatePerAddress => "connect_rate_per_address",
            Self::Channels => "channels",
            Self::Connection(Kind::Command) => "connection_commands",
            Self::Connection(Kind::Subscribe) => "connection_subscribes",
            Self::Connection(Kind::Publish) => "connection_publishes",
            Self::Connection(Kind::Rpc) => "connection_rpcs",
            Self::Connection(Kind::NewChannel) => "connection_new_channels",
            Self::User(Kind::Command) => "user_commands",
            Self::User(Kind::Subscribe) => "user_subscribes",
            Self::User(Kind::Publish) => "user_publishes",
            Self::User(Kind::Rpc) => "user_rpcs",
            Self::User(Kind::NewChannel) => "user_new_channels",
            Self::Refusals => "refusals",
        }
    }
}

/// Too much was asked for. The fault of whoever asked; the same may be granted later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("over the limit of {}", limit.name())]
pub struct Over {
    /// Which limit it was.
    pub limit: Limit,
    /// In how long it is worth while to try again.
    pub wait: Duration,
}

/// Rates by kind.
#[derive(Clone, Copy, Debug, Default)]
struct Paces([Option<Pace>; Kind::COUNT]);

impl Paces {
    fn get(&self, kind: Kind) -> Option<&Pace> {
        self.0[kind as usize].as_ref()
    }

    fn is_off(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

impl From<CommandRates> for Paces {
    fn from(rates: CommandRates) -> Self {
        let CommandRates { commands, subscribes, publishes, rpcs, new_channels } = rates;
        Self([commands, subscribes, publishes, rpcs, new_channels].map(|rate| rate.map(Pace::from)))
    }
}

/// All limits of a node, and who has met them.
#[derive(Debug)]
pub struct Limits {
    /// Connections of a user.
    users: Option<Arc<Occupancy<UserId>>>,
    /// Connections of an address.
    addresses: Option<Arc<Occupancy<Address>>>,
    admission: Option<Admission>,
    channels_max: Option<usize>,
    connection: Paces,
    refusals: Option<Pace>,
    user: Paces,
    people: People,
    /// Where users are counted for all nodes together.
    tally: Option<Arc<dyn Tally>>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

/// A client was let in; its place among those of its address is kept for as long as this lives.
#[derive(Debug, Default)]
pub struct Admitted {
    _place: Option<Box<Place<Address>>>,
}

impl Limits {
    /// `tally` is where users are counted for all nodes together; without one each node counts by itself.
    #[must_use]
    pub fn new(
        config: &LimitConfig,
        tally: Option<Arc<dyn Tally>>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            users: config.connections_per_user.map(Occupancy::new),
            addresses: config.connections_per_address.map(Occupancy::new),
            admission: Admission::new(config, Arc::clone(&clock), Arc::clone(&metrics)),
            channels_max: config.channels,
            connection: config.connection.into(),
            refusals: config.refusals.map(Pace::from),
            user: config.user.into(),
            people: People::default(),
            tally: tally.filter(|_| config.cluster),
            clock,
            metrics,
        })
    }

    /// Hands out turns to those who wait to connect, until told to stop. Without it nobody who has to wait is
    /// let in.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        match &self.admission {
            Some(admission) => {
                // Cancel-safe: a turn is given or it is not.
                let _ = stop.run_until_cancelled(admission.run()).await;
            }
            None => stop.cancelled().await,
        }
    }

    /// May a client of this address connect now? Waits for its turn where clients take turns, at most
    /// `limit.connect_wait`.
    ///
    /// # Errors
    /// Which limit is in the way.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the queue and gives its place back.
    pub async fn admit(&self, address: IpAddr) -> Result<Admitted, Over> {
        let address = Address::from(address);
        let place = match &self.addresses {
            None => None,
            Some(addresses) => match addresses.enter(address) {
                Some(place) => Some(Box::new(place)),
                None => return Err(self.over(Limit::ConnectionsPerAddress, RETRY_FULL)),
            },
        };
        if let Some(admission) = &self.admission {
            admission.pass(address).await.map_err(|over| self.over(over.limit, over.wait))?;
        }
        Ok(Admitted { _place: place })
    }

    /// Lets a user's connection in; what it is answered counts what the connection does. None if there is
    /// nothing to count. Anonymous clients are no user: they have no places and no rates in common.
    ///
    /// # Errors
    /// All places of the user are taken.
    pub fn enter(&self, user: &UserId) -> Result<Option<Box<Allowance>>, Over> {
        let known = (!user.is_anonymous()).then_some(user);
        let place = match (&self.users, known) {
            (Some(users), Some(user)) => match users.enter(user.clone()) {
                Some(place) => Some(place),
                None => return Err(self.over(Limit::ConnectionsPerUser, RETRY_FULL)),
            },
            _ => None,
        };
        let person = known.filter(|_| !self.user.is_off()).map(|user| self.people.get(user, self.clock.now()));
        if place.is_none() && person.is_none() && self.connection.is_off() {
            return Ok(None);
        }
        Ok(Some(Box::new(Allowance::new(place, person))))
    }

    /// Whether anything of this kind is counted at all.
    #[must_use]
    pub fn counts(&self, kind: Kind) -> bool {
        self.connection.get(kind).is_some() || self.user.get(kind).is_some()
    }

    /// May a client open one more channel by itself, where this node has `channels` with subscribers?
    ///
    /// # Errors
    /// When there are too many already.
    pub fn open_channel(&self, channels: i64) -> Result<(), Over> {
        match self.channels_max {
            Some(max) if usize::try_from(channels).unwrap_or(0) >= max => Err(self.over(Limit::Channels, RETRY_FULL)),
            _ => Ok(()),
        }
    }

    /// Counts it.
    fn over(&self, limit: Limit, wait: Duration) -> Over {
        self.metrics.limited.get_or_create(&LimitLabel { limit: limit.name() }).inc();
        Over { limit, wait }
    }
}

#[cfg(test)]
mod tests;
