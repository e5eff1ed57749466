//! The channel rules that the gateways keep in Redis: read, and read anew once they are old.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::Connection;
use fanfare_proto::keys::Keys;
use fanfare_proto::rules::Rules;
use redis::{RedisResult, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

use super::super::{Fault, PublishError};
use super::failure::{self, Failure};

/// Holds the rules for all calls.
pub(super) struct Keeper {
    ttl: Duration,
    held: Mutex<Held>,
}

/// What was read.
#[derive(Default)]
struct Held {
    /// None if there never were any.
    rules: Option<Arc<Rules>>,
    read_at: Option<Instant>,
    /// That they are missing was said.
    warned: bool,
}

impl Keeper {
    pub(super) fn new(ttl: Duration) -> Self {
        Self { ttl, held: Mutex::default() }
    }

    /// The rules, if nobody has to be asked for them: they were read, and are not old yet.
    pub(super) fn fresh(&self) -> Option<Arc<Rules>> {
        // Who finds somebody reading waits in `current`.
        self.held.try_lock().ok()?.fresh(self.ttl)
    }

    /// The rules; none if there is no gateway that could have stored any. Callers wait for the one who
    /// reads, so that a burst reads once. Rules that cannot be understood stop publishing: guessing might
    /// break what they protect.
    pub(super) async fn current(
        &self,
        connection: &mut Connection,
        keys: &Keys,
        address: &str,
    ) -> Result<Option<Arc<Rules>>, Failure> {
        let mut held = self.held.lock().await;
        if let Some(rules) = held.fresh(self.ttl) {
            return Ok(Some(rules));
        }
        let key = keys.rules();
        match read(connection, &key, address).await? {
            Some(bytes) => {
                let rules = Rules::parse(&bytes).map_err(|error| {
                    let text = format!("{key} at {address}, where gateways keep their rules: {error}");
                    Failure { error: PublishError::setup(text), broken: false }
                })?;
                *held = Held { rules: Some(Arc::new(rules)), read_at: Some(Instant::now()), warned: false };
            }
            // Redis was emptied. The gateways store the same ones again within a heartbeat.
            None if held.rules.is_some() => {
                if !held.warned {
                    warn!(key, address, "the channel rules are gone; keeping to those that stood there");
                }
                held.warned = true;
                held.read_at = Some(Instant::now());
            }
            None => {
                nobody_listens(connection, keys, address).await?;
                if !held.warned {
                    warn!(key, address, "no gateway has stored channel rules here; publishing by the default ones");
                }
                held.warned = true;
            }
        }
        Ok(held.rules.clone())
    }
}

impl Held {
    fn fresh(&self, ttl: Duration) -> Option<Arc<Rules>> {
        self.rules.clone().filter(|_| self.read_at.is_some_and(|read_at| read_at.elapsed() < ttl))
    }
}

/// The stored rules. Also asks whether the server is a primary, since a replica takes a PUBLISH that
/// reaches nobody.
async fn read(connection: &mut Connection, key: &str, address: &str) -> Result<Option<Vec<u8>>, Failure> {
    let mut ask = redis::pipe();
    ask.ignore_errors().cmd("GET").arg(key).cmd("ROLE");
    let failed = |error| Failure::of(address, &error);
    let (rules, role): (RedisResult<_>, RedisResult<Value>) = ask.query_async(connection).await.map_err(failed)?;
    // One who may not ask finds out by the refusals of the script.
    if role.is_ok_and(|role| is_replica(&role)) {
        return Err(Failure::broken(failure::replica(address)));
    }
    rules.map_err(failed)
}

fn is_replica(role: &Value) -> bool {
    let Value::Array(parts) = role else { return false };
    let name: Option<&[u8]> = match parts.first() {
        Some(Value::BulkString(name)) => Some(name),
        Some(Value::SimpleString(name)) => Some(name.as_bytes()),
        _ => None,
    };
    name == Some(b"slave")
}

/// Where there are no rules, publishing without history harms nobody only as long as no gateway listens.
/// One that does is about to store its rules: it does so with every heartbeat.
async fn nobody_listens(connection: &mut Connection, keys: &Keys, address: &str) -> Result<(), Failure> {
    let mut ask = redis::cmd("PUBSUB");
    ask.arg("NUMSUB").arg(keys.control());
    let answer: RedisResult<(String, u64)> = ask.query_async(connection).await;
    let (_, gateways) = answer.map_err(|error| Failure::of(address, &error))?;
    if gateways == 0 {
        return Ok(());
    }
    let text = format!("the gateways at {address} have not stored their channel rules yet; nothing was published");
    Err(Failure { error: PublishError::unknown(Fault::Gateway, text), broken: false })
}
