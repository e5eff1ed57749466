//! The one door to Redis: the only module, besides configuration, that names the redis crates. Knows
//! connections, names and bytes; what they mean is the broker's business.
//!
//! Several roads, because they fail and wait differently:
//!
//! | road | connections | for |
//! | --- | --- | --- |
//! | [`Link::command`], [`Link::run_script`] | one, multiplexed | what is quick: `PUBLISH`, scripts, probes |
//! | [`Link::admin`] | up to four, from deadpool-redis | what is large or may wait: logs, books, lists |
//! | [`Link::read_script`], [`Link::read_each`] | up to four | streams: large answers, many at once after an outage |
//! | [`Link::confirmed_script`] | up to eight | writes that wait for replicas |
//! | [`subscriber`] | one | what comes in |
//!
//! Nobody waits for a link that is known to be down: calls fail at once, keepers reconnect behind them.
//!
//! # Why the quick road is not the pool
//! Measured once, with 64 tasks publishing 128 bytes each as soon as the answer to the one before had
//! come, against a Redis on the same two busy cores, four rounds in turn: one multiplexed connection
//! carried 10 to 19 times as many `PUBLISH`es a second as a pool of 4, 16 or 64 connections, at a tenth
//! of the median latency and an eighth of this process' CPU for each. The commands of all tasks leave in
//! one write and their answers come in one read; a pool pays a round trip for the sign of life that it
//! asks of each connection it hands out, and a write and a read for each command. The price: one answer
//! that does not come holds up all behind it, which is why a command that times out ends the connection,
//! and why nothing that blocks goes there.

mod error;
mod hot;
mod outage;
mod pool;
mod resp;
pub mod subscriber;
mod target;

use std::sync::Arc;
use std::time::Duration;

pub use error::{LinkError, SetupError};
/// The redis crate's way to write commands, for those who may not name the crate.
pub use redis::{Cmd, FromRedisValue, Pipeline, cmd, pipe};
pub use target::Target;

use crate::config::section::BrokerConfig;
use crate::model::time::Clock;
use crate::task::Tasks;
use crate::telemetry::Metrics;

/// Deadlines and waits of all roads.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For a connection to stand.
    pub connect: Duration,
    /// For an answer.
    pub command: Duration,
    /// Between signs of life on an idle connection.
    pub heartbeat: Duration,
    /// The first wait before trying again.
    pub backoff_first: Duration,
    /// The longest.
    pub backoff_max: Duration,
}

impl Timing {
    /// As configured. The waits between tries are not configurable: a second is short enough for users
    /// and long enough for a Redis that starts.
    #[must_use]
    pub fn new(config: &BrokerConfig) -> Self {
        Self {
            connect: config.connect_timeout,
            command: config.command_timeout,
            heartbeat: config.heartbeat_interval,
            backoff_first: Duration::from_millis(50),
            backoff_max: Duration::from_secs(1),
        }
    }
}

/// A script and its hash.
#[derive(Debug)]
pub struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    /// Prepares a script.
    #[must_use]
    pub fn new(text: &'static str) -> Self {
        Self { text, hash: redis::Script::new(text).get_hash().to_owned() }
    }

    fn by_hash(&self, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
        call("EVALSHA", &self.hash, keys, arguments)
    }

    fn by_text(&self, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
        call("EVAL", self.text, keys, arguments)
    }
}

fn call(verb: &str, source: &str, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
    let mut command = cmd(verb);
    command.arg(source).arg(keys.len()).arg(keys).arg(arguments);
    command
}

/// The quick and the patient roads to one Redis.
#[derive(Debug)]
pub struct Link {
    hot: hot::Hot,
    pools: pool::Pools,
    command_timeout: Duration,
}

/// How the quick road is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// There is none.
    Down,
    /// The server answers but takes nothing.
    Refusing,
    /// Commands get through.
    Up,
}

impl Link {
    /// Starts connecting in the background. A Redis that is down is no error.
    ///
    /// # Errors
    /// When the target cannot be used at all.
    pub fn start(
        target: &Target,
        timing: Timing,
        tasks: &Tasks,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SetupError> {
        let pools = pool::Pools::build(target, timing)?;
        let hot = hot::Hot::start(target, timing, tasks, metrics, clock)?;
        Ok(Self { hot, pools, command_timeout: timing.command })
    }

    /// Sends one quick command. Never tried twice: whoever knows that twice is harmless may.
    ///
    /// # Errors
    /// See [`LinkError`]. Ends within the command timeout, at once without a link.
    pub async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, LinkError> {
        self.hot.command(command).await
    }

    /// Runs a script by its hash, and by its text where the server does not know it (a restart, a
    /// flush). Then nothing was done the first time, so it runs once.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn run_script<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[&[u8]],
    ) -> Result<T, LinkError> {
        match self.hot.attempt(&script.by_hash(keys, arguments)).await? {
            Err(error) if pool::is_unknown(&error) => self.hot.command(&script.by_text(keys, arguments)).await,
            answer => Ok(answer?),
        }
    }

    /// Runs a script that reads much, as [`Link::run_script`] does.
    ///
    /// # Errors
    /// See [`LinkError`]. Ends within the command timeout, waiting for a free connection included; at once
    /// without a link.
    pub async fn read_script<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[&[u8]],
    ) -> Result<T, LinkError> {
        self.hot.check()?;
        self.within(self.command_timeout, async {
            let mut connection = self.pools.reads.get().await?;
            pool::run_script(&mut connection, script, keys, arguments).await
        })
        .await
    }

    /// Sends several reading commands; none for those that found a key of another type.
    ///
    /// # Errors
    /// As [`Link::read_script`].
    pub async fn read_each<T: FromRedisValue>(&self, mut pipeline: Pipeline) -> Result<Vec<Option<T>>, LinkError> {
        self.hot.check()?;
        self.within(self.command_timeout, pool::run_each(&self.pools.reads, &mut pipeline)).await
    }

    /// Runs a script and then waits until so many replicas have what it wrote, at most for `patience`.
    /// Answers what the script did, and how many replicas have it; an error there is the wait's: the
    /// script has run.
    ///
    /// # Errors
    /// See [`LinkError`]. Ends within twice the command timeout and `patience` together; at once without a link
    /// that takes writes.
    pub async fn confirmed_script<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[&[u8]],
        replicas: u64,
        patience: Duration,
    ) -> Result<(T, Result<u64, LinkError>), LinkError> {
        self.hot.check_takes()?;
        let (mut connection, answer) = self
            .within(self.command_timeout, async {
                let mut connection = self.pools.confirmed.get().await?;
                // The pool's own limit on answers would end the wait below.
                connection.set_response_timeout(self.command_timeout + patience);
                let answer = pool::run_script(&mut connection, script, keys, arguments).await?;
                Ok((connection, answer))
            })
            .await?;
        let confirmed = pool::wait(&mut connection, replicas, patience);
        Ok((answer, self.within(self.command_timeout + patience, confirmed).await))
    }

    async fn within<T>(
        &self,
        limit: Duration,
        doing: impl Future<Output = Result<T, LinkError>>,
    ) -> Result<T, LinkError> {
        tokio::time::timeout(limit, doing).await.map_err(|_| LinkError::Timeout)?
    }

    /// Sends several commands over a connection of the pool.
    ///
    /// # Errors
    /// See [`LinkError`]. Ends within the command timeout, waiting for a free connection included; at once
    /// without a link.
    pub async fn admin<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, LinkError> {
        self.hot.check()?;
        self.within(self.command_timeout, pool::run(&self.pools.admin, pipeline)).await
    }

    /// Asks the server whether it still is a primary, and gives the connection up if not: a replica
    /// takes `PUBLISH` and reaches nobody.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn check_role(&self) -> Result<(), LinkError> {
        match self.hot.attempt::<redis::Value>(&cmd("ROLE")).await? {
            Ok(role) if hot::is_replica(&role) => {
                let refusal = LinkError::Refused("the server has become a read-only replica".into());
                self.hot.give_up(refusal.clone());
                Err(refusal)
            }
            // Refused to say: then writes will tell.
            _ => Ok(()),
        }
    }

    /// Gives the present connection up, if there is one; another is made.
    pub fn give_up(&self, why: &str) {
        self.hot.give_up(LinkError::Unreachable(why.to_owned()));
    }

    /// How the quick road is.
    #[must_use]
    pub fn state(&self) -> LinkState {
        match &*self.hot.state().borrow() {
            hot::State::Down(_) => LinkState::Down,
            hot::State::Refusing(_) => LinkState::Refusing,
            hot::State::Up(_) => LinkState::Up,
        }
    }

    /// Waits until the quick road's state has changed. Cancel-safe.
    pub fn changes(&self) -> Changes {
        Changes(self.hot.state())
    }
}

/// Tells when the quick road's state changes.
#[derive(Debug)]
pub struct Changes(tokio::sync::watch::Receiver<hot::State>);

impl Changes {
    /// Waits for the next change; for ever after the link's end. Cancel-safe.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
