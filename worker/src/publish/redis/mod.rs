//! Straight to the broker: no gateway has to be up. The gateways keep their channel rules in Redis, and
//! this publisher applies the same ones before it sends, so that it cannot put anything on a channel
//! that a gateway would have refused, nor past a history that a gateway would have kept.
//!
//! What goes out is an envelope of `fanfare_proto`: by PUBLISH where nothing is kept of it, else by the
//! script that numbers, stores and sends it ([`fanfare_proto::script::publish`]). Batches that need PUBLISH only
//! take a short road, over connections of their own (`plain`, `pipe`); all others go by the crate `redis`
//! (`prepare`, `send`).

mod failure;
mod pipe;
mod pipes;
mod plain;
mod prepare;
mod resp;
mod rules;
mod send;

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::{Connection, Manager, Pool, Runtime};
use fanfare_proto::keys::Keys;
use fanfare_proto::rules::Rules;
use redis::{AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, RedisError};
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::error::chain;
use super::retry::{Pauses, random_key};
use super::{BoxFuture, Fault, Message, Options, PublishError, Publisher, Receipt};
use failure::Failure;
use pipe::Door;
use pipes::Pipes;
use prepare::Moment;
use rules::Keeper;
use send::Sender;

/// Calls that may be under way at the same time, of those that need PUBLISH only and of all others; more wait,
/// up to their deadline.
const CONNECTIONS_MAX: usize = 16;

/// Messages that share a deadline: bounds what is built up before the first byte leaves.
const BATCH_MAX: usize = 512;

/// Publishes straight to the broker.
///
/// Beyond what [`Publisher`] says: after a retryable error, what comes later in the same batch of 512 was
/// not sent, or failed like it. So who tries the failed ones again, in their order, keeps the order.
pub struct RedisPublisher {
    /// For scripts, and for what is asked about the rules.
    pool: Pool,
    /// For batches of which nothing is kept.
    pipes: Pipes,
    keys: Keys,
    deadline: Duration,
    retries: u32,
    rules: Keeper,
    address: String,
}

/// A message on its way.
struct Job {
    message: Message,
    /// The caller's, or one of ours so that it can be tried again.
    key: Option<String>,
    /// Redis may have done something about it.
    sent: bool,
    /// None while it is open.
    answer: Option<Result<Receipt, PublishError>>,
}

impl Job {
    fn new(message: Message) -> Self {
        Self { key: message.idempotency_key.clone(), message, sent: false, answer: None }
    }
}

impl std::fmt::Debug for RedisPublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisPublisher").field("address", &self.address).field("keys", &self.keys).finish()
    }
}

impl RedisPublisher {
    /// Takes `redis://[user:password@]host[:port][/db]`. No connection is made yet.
    ///
    /// # Errors
    /// When the URL makes no sense.
    pub fn open(url: &str, options: Options) -> Result<Self, PublishError> {
        let malformed = |error: RedisError| PublishError::setup(format!("this is not a Redis URL: {}", chain(&error)));
        let client = redis::Client::open(url).map_err(malformed)?;
        let info = client.get_connection_info();
        let (address, db) = (info.addr().to_string(), info.redis_settings().db());
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.deadline))
            .set_response_timeout(Some(options.deadline));
        let manager = Manager::new_with_config(url, config).map_err(malformed)?;
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS_MAX)
            .wait_timeout(Some(options.deadline))
            .create_timeout(Some(options.deadline))
            .recycle_timeout(Some(options.deadline))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| PublishError::setup(chain(&error)))?;
        let keys = Keys::new(&options.prefix, db);
        let Options { deadline, retries, rules_ttl, .. } = options;
        let pipes = Pipes::new(door(info)?, address.clone(), rules_ttl, CONNECTIONS_MAX);
        Ok(Self { pool, pipes, keys, deadline, retries, rules: Keeper::new(rules_ttl), address })
    }

    /// At most [`BATCH_MAX`] messages, within one deadline.
    async fn batch(&self, jobs: &mut [Job]) {
        let deadline = Instant::now() + self.deadline;
        for (attempt, pause) in (0..=self.retries).zip(Pauses::new()) {
            if let Err(error) = self.attempt(jobs, deadline).await {
                for job in jobs.iter_mut().filter(|job| job.answer.is_none()) {
                    job.answer = Some(Err(error.clone()));
                }
            }
            if attempt == self.retries || Instant::now() + pause >= deadline || !reopen(jobs) {
                break;
            }
            debug!("trying again");
            tokio::time::sleep(pause).await;
        }
    }

    /// Tries the open ones once. An error answers for those that are open still.
    async fn attempt(&self, jobs: &mut [Job], deadline: Instant) -> Result<(), PublishError> {
        let rules = match self.rules.fresh() {
            Some(rules) => Some(rules),
            None => self.read_rules(deadline).await?,
        };
        if self.retries > 0 && rules.is_some() {
            for job in jobs.iter_mut().filter(|job| job.answer.is_none()) {
                job.key.get_or_insert_with(random_key);
            }
        }
        let rules = rules.as_deref();
        if !plain::are_plain(jobs, rules) {
            return self.attempt_scripts(jobs, rules, deadline).await;
        }
        let sent = timeout_at(deadline, plain::send(&self.pipes, &self.keys, &self.address, jobs, rules)).await;
        sent.map_err(|_| self.late())?.map_err(|failure| failure.error)
    }

    /// The same, if some of them need a script.
    async fn attempt_scripts(
        &self,
        jobs: &mut [Job],
        rules: Option<&Rules>,
        deadline: Instant,
    ) -> Result<(), PublishError> {
        let mut connection = self.connection(deadline).await?;
        let moment = Moment::now();
        let mut ready = Vec::with_capacity(jobs.len());
        for (index, job) in jobs.iter_mut().enumerate().filter(|(_, job)| job.answer.is_none()) {
            match prepare::prepare(&job.message, job.key.as_deref(), rules, &moment) {
                Ok(message) => ready.push((index, message)),
                Err(error) => job.answer = Some(Err(error)),
            }
        }
        let common = rules.map(|rules| rules.common).unwrap_or_default();
        let mut sender = Sender { connection: &mut connection, keys: &self.keys, address: &self.address, deadline };
        let sent = sender.send(&ready, jobs, common).await;
        sent.map_err(|failure| give_back(connection, failure))
    }

    async fn read_rules(&self, deadline: Instant) -> Result<Option<Arc<Rules>>, PublishError> {
        let mut connection = self.connection(deadline).await?;
        let read = timeout_at(deadline, self.rules.current(&mut connection, &self.keys, &self.address)).await;
        let read = read.unwrap_or_else(|_| Err(Failure::broken(self.late())));
        read.map_err(|failure| give_back(connection, failure))
    }

    async fn connection(&self, deadline: Instant) -> Result<Connection, PublishError> {
        let connection = timeout_at(deadline, self.pool.get()).await.map_err(|_| self.late())?;
        connection.map_err(|error| self.unreachable(error))
    }

    fn unreachable(&self, error: deadpool_redis::PoolError) -> PublishError {
        match error {
            deadpool_redis::PoolError::Backend(error) => Failure::of(&self.address, &error).error,
            error => {
                let text = format!("no connection to the broker at {}: {}", self.address, chain(&error));
                PublishError::unknown(Fault::Broker, text)
            }
        }
    }

    fn late(&self) -> PublishError {
        failure::late(&self.address)
    }
}

impl Publisher for RedisPublisher {
    fn publish_all(&self, messages: Vec<Message>) -> BoxFuture<'_, Vec<Result<Receipt, PublishError>>> {
        Box::pin(async move {
            let mut answers = Vec::with_capacity(messages.len());
            let mut jobs: Vec<Job> = Vec::with_capacity(messages.len().min(BATCH_MAX));
            let mut messages = messages.into_iter().map(Job::new).peekable();
            while messages.peek().is_some() {
                jobs.extend(messages.by_ref().take(BATCH_MAX));
                self.batch(&mut jobs).await;
                answers.extend(jobs.drain(..).map(|job| job.answer.unwrap_or_else(|| Err(self.late()))));
            }
            answers
        })
    }
}

/// What the URL says about the way in.
fn door(info: &ConnectionInfo) -> Result<Door, PublishError> {
    let ConnectionAddr::Tcp(host, port) = info.addr() else {
        return Err(PublishError::setup("the URL has to begin with redis://"));
    };
    let (user, password) = (info.redis_settings().username(), info.redis_settings().password());
    Ok(Door { host: host.clone(), port: *port, user: user.map(str::to_owned), password: password.map(str::to_owned) })
}

/// A connection that is of no more use does not go back to the pool.
fn give_back(connection: Connection, failure: Failure) -> PublishError {
    if failure.broken {
        drop(Connection::take(connection));
    }
    failure.error
}

/// Opens the ones that may be tried again: they have a key, or were never sent. Answers whether there are any.
fn reopen(jobs: &mut [Job]) -> bool {
    let mut any = false;
    for job in jobs {
        let failed = matches!(&job.answer, Some(Err(error)) if error.is_retryable());
        if failed && (job.key.is_some() || !job.sent) {
            job.answer = None;
            any = true;
        }
    }
    any
}
