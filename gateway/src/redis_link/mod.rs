//! The one door to Redis: the only module, besides configuration, that names the redis crates. Knows
//! connections, names and bytes; what they mean is the broker's business.
//!
//! Three roads, because they fail and wait differently:
//!
//! | road | connections | for |
//! | --- | --- | --- |
//! | [`Link::command`], [`Link::run_script`] | one, multiplexed | what is quick: `PUBLISH`, scripts, probes |
//! | [`Link::admin`] | up to four, from deadpool-redis | what is large or may wait: logs, books, lists |
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

use deadpool_redis::Pool;
use redis::ErrorKind;
use redis::ServerErrorKind;

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

    fn call(&self, verb: &str, source: &str, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
        let mut command = cmd(verb);
        command.arg(source).arg(keys.len()).arg(keys).arg(arguments);
        command
    }
}

/// The quick and the patient road to one Redis.
#[derive(Debug)]
pub struct Link {
    hot: hot::Hot,
    pool: Pool,
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
        let pool = pool::build(target, timing)?;
        let hot = hot::Hot::start(target, timing, tasks, metrics, clock)?;
        Ok(Self { hot, pool, command_timeout: timing.command })
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
        match self.hot.attempt(&script.call("EVALSHA", &script.hash, keys, arguments)).await? {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.hot.command(&script.call("EVAL", script.text, keys, arguments)).await
            }
            answer => Ok(answer?),
        }
    }

    /// Sends several commands over a connection of the pool.
    ///
    /// # Errors
    /// See [`LinkError`]. Ends within the command timeout, waiting for a free connection included; at once
    /// without a link.
    pub async fn admin<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, LinkError> {
        self.hot.check()?;
        let answer = tokio::time::timeout(self.command_timeout, pool::run(&self.pool, pipeline)).await;
        answer.map_err(|_| LinkError::Timeout)?
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
