//! Straight to the broker: no gateway has to be up. The gateways keep their channel rules in Redis, and
//! this publisher applies the same ones before it sends, so that it cannot put anything on a channel
//! that a gateway would have refused. What goes out is an envelope of `fanfare_proto`, by PUBLISH.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use deadpool_redis::{Connection, Manager, Pool, Runtime};
use fanfare_proto::envelope::{Envelope, Publication};
use fanfare_proto::keys::Keys;
use fanfare_proto::name;
use fanfare_proto::rules::{ChannelRules, Rules};
use redis::{AsyncConnectionConfig, ErrorKind, RedisError, ServerErrorKind};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

use super::error::chain;
use super::{BoxFuture, Fault, Message, Options, PublishError, Publisher, Receipt, trace};

/// Calls that may be under way at the same time; more wait, up to their deadline.
const CONNECTIONS_MAX: usize = 16;

/// Messages that go out in one pipeline: bounds what is built up before the first byte leaves.
const BATCH_MAX: usize = 512;

/// Publishes straight to the broker.
pub struct RedisPublisher {
    pool: Pool,
    keys: Keys,
    deadline: Duration,
    rules_ttl: Duration,
    rules: Mutex<Option<Held>>,
    address: String,
}

/// Rules as they were read.
struct Held {
    /// None if no gateway had stored any.
    rules: Option<Arc<Rules>>,
    read_at: Instant,
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
        let Options { deadline, rules_ttl, .. } = options;
        Ok(Self { pool, keys, deadline, rules_ttl, rules: Mutex::new(None), address })
    }

    /// At most [`BATCH_MAX`] messages, within one deadline.
    async fn batch(&self, messages: Vec<Message>) -> Vec<Result<Receipt, PublishError>> {
        let count = messages.len();
        match tokio::time::timeout(self.deadline, self.send(messages)).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) => vec![Err(error); count],
            Err(_) => {
                let text = format!("the broker at {} did not answer within {:?}", self.address, self.deadline);
                vec![Err(PublishError::unknown(Fault::Broker, text)); count]
            }
        }
    }

    async fn send(&self, messages: Vec<Message>) -> Result<Vec<Result<Receipt, PublishError>>, PublishError> {
        let mut connection = self.pool.get().await.map_err(|error| self.unreachable(error))?;
        let rules = self.current_rules(&mut connection).await?;

        let mut pipeline = redis::Pipeline::with_capacity(messages.len());
        let mut answers = Vec::with_capacity(messages.len());
        for message in messages {
            let channel = self.keys.channel(&message.channel);
            answers.push(envelope(message, rules.as_deref()).map(|bytes| {
                pipeline.publish(channel, bytes.as_ref());
                Receipt::default()
            }));
        }
        if pipeline.is_empty() {
            return Ok(answers);
        }
        let gateways: Vec<u64> = pipeline.query_async(&mut connection).await.map_err(|error| self.failed(&error))?;
        for (receipt, gateways) in answers.iter_mut().filter_map(|answer| answer.as_mut().ok()).zip(gateways) {
            receipt.gateways = Some(gateways);
        }
        Ok(answers)
    }

    /// The rules; read anew once they are old. Callers wait for the one who reads, so that a burst reads
    /// once. Rules that cannot be understood stop publishing: guessing might break what they protect.
    async fn current_rules(&self, connection: &mut Connection) -> Result<Option<Arc<Rules>>, PublishError> {
        let mut held = self.rules.lock().await;
        if let Some(held) = held.as_ref().filter(|held| held.read_at.elapsed() < self.rules_ttl) {
            return Ok(held.rules.clone());
        }
        let key = self.keys.rules();
        let stored: Option<Vec<u8>> =
            redis::cmd("GET").arg(&key).query_async(connection).await.map_err(|error| self.failed(&error))?;
        let parse = |bytes: Vec<u8>| {
            Rules::parse(&bytes).map(Arc::new).map_err(|error| {
                PublishError::setup(format!("{key} at {}, where gateways keep their rules: {error}", self.address))
            })
        };
        let rules = stored.map(parse).transpose()?;
        // Told once, not every time.
        if rules.is_none() && held.as_ref().is_none_or(|held| held.rules.is_some()) {
            let address = &self.address;
            warn!(key, address, "no gateway has stored channel rules here; publishing by the default ones");
        }
        *held = Some(Held { rules: rules.clone(), read_at: Instant::now() });
        Ok(rules)
    }

    fn unreachable(&self, error: deadpool_redis::PoolError) -> PublishError {
        match error {
            deadpool_redis::PoolError::Backend(error) => self.failed(&error),
            error => {
                let text = format!("no connection to the broker at {}: {}", self.address, chain(&error));
                PublishError::unknown(Fault::Broker, text)
            }
        }
    }

    fn failed(&self, error: &RedisError) -> PublishError {
        let text = format!("the broker at {}: {}", self.address, chain(error));
        let denied = matches!(
            error.kind(),
            ErrorKind::AuthenticationFailed
                | ErrorKind::Server(ServerErrorKind::NoPerm)
                | ErrorKind::InvalidClientConfig
        ) || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"));
        if denied { PublishError::refused(text) } else { PublishError::unknown(Fault::Broker, text) }
    }
}

impl Publisher for RedisPublisher {
    fn publish_all(&self, messages: Vec<Message>) -> BoxFuture<'_, Vec<Result<Receipt, PublishError>>> {
        Box::pin(async move {
            let mut answers = Vec::with_capacity(messages.len());
            let mut messages = messages.into_iter();
            loop {
                let batch: Vec<_> = messages.by_ref().take(BATCH_MAX).collect();
                if batch.is_empty() {
                    return answers;
                }
                answers.extend(self.batch(batch).await);
            }
        })
    }
}

/// The bytes that gateways expect, after the rules have had their say.
fn envelope(message: Message, rules: Option<&Rules>) -> Result<Bytes, PublishError> {
    let checked = match rules {
        Some(rules) => rules.check(&message.channel, message.data),
        None => default_rules(&message.channel).check(&message.channel, message.data),
    };
    let data = checked.map_err(|error| PublishError::message(error.to_string()))?;
    let publication = Publication {
        data,
        tags: message.tags,
        time_ms: now_ms(),
        exclude_client: message.exclude_client.unwrap_or_default(),
        traceparent: message.traceparent.or_else(trace::current).unwrap_or_default(),
        ..Publication::default()
    };
    Ok(Envelope::Publication(publication).encode())
}

/// What holds while nobody has stored rules. The channel's namespace is taken to exist: to refuse it for
/// good, only because this process came up before the first gateway, would be wrong.
fn default_rules(channel: &str) -> Rules {
    let namespace = name::namespace(channel).filter(|namespace| name::is_namespace(namespace));
    let namespaces = namespace.map(|namespace| (namespace.to_owned(), ChannelRules::default())).into_iter().collect();
    Rules::new(ChannelRules::default(), namespaces)
}

/// Milliseconds since 1970.
#[allow(clippy::disallowed_methods, reason = "the rule keeps the gateway's clock movable; here the time is only told")]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
