//! The roads of what takes its time: reading logs, books and streams, and waiting for replicas. A few
//! connections of their own, so that nothing on the hot road waits behind a large answer, and that none
//! of these waits for another.

use std::time::Duration;

use deadpool_redis::{Connection, Manager, Pool, PoolConfig, Runtime, Timeouts};
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, ServerErrorKind, cmd};

use super::{LinkError, Script, SetupError, Target, Timing};
use crate::model::time::millis;

/// The pools of one link; each has a few connections, made when they are first wanted.
#[derive(Debug)]
pub(super) struct Pools {
    /// Logs and books, which leases hang on. What comes here is rare; a queue of four is short.
    pub(super) admin: Pool,
    /// Streams. Large answers: four of them keep a server busy.
    pub(super) reads: Pool,
    /// Writes whose connection then waits for replicas.
    pub(super) confirmed: Pool,
}

impl Pools {
    pub(super) fn build(target: &Target, timing: Timing) -> Result<Self, SetupError> {
        Ok(Self {
            admin: build(target, timing, 4)?,
            reads: build(target, timing, 4)?,
            confirmed: build(target, timing, 8)?,
        })
    }
}

/// A pool with a deadline on every step.
fn build(target: &Target, timing: Timing, connections_max: usize) -> Result<Pool, SetupError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(timing.connect))
        .set_response_timeout(Some(timing.command));
    let manager =
        Manager::new_with_config(target.info.clone(), config).map_err(|error| SetupError::Url(error.to_string()))?;
    Pool::builder(manager)
        .config(PoolConfig {
            max_size: connections_max,
            timeouts: Timeouts {
                wait: Some(timing.command),
                create: Some(timing.connect + timing.command),
                recycle: Some(timing.command),
            },
            ..PoolConfig::default()
        })
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| SetupError::Pool(error.to_string()))
}

/// Sends several commands together. A connection that failed is put back, and found out and replaced by
/// the pool when it is next wanted: the pool asks for a sign of life first.
pub(super) async fn run<T: FromRedisValue>(pool: &Pool, pipeline: &Pipeline) -> Result<T, LinkError> {
    let mut connection = pool.get().await?;
    Ok(pipeline.query_async(&mut *connection).await?)
}

/// Sends several commands together, of which each may fail for itself: those fail that found a key of
/// another type. Any other failure is all commands'.
pub(super) async fn run_each<T: FromRedisValue>(
    pool: &Pool,
    pipeline: &mut Pipeline,
) -> Result<Vec<Option<T>>, LinkError> {
    let mut connection = pool.get().await?;
    let answers: Vec<Result<T, RedisError>> = pipeline.ignore_errors().query_async(&mut *connection).await?;
    let answers = answers.into_iter().map(|answer| match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
        Err(error) => Err(error.into()),
    });
    answers.collect()
}

/// Runs a script by its hash, or by its text where the server does not know it.
pub(super) async fn run_script<T: FromRedisValue>(
    connection: &mut Connection,
    script: &Script,
    keys: &[&str],
    arguments: &[&[u8]],
) -> Result<T, LinkError> {
    match query(connection, &script.by_hash(keys, arguments)).await {
        Err(error) if is_unknown(&error) => Ok(query(connection, &script.by_text(keys, arguments)).await?),
        answer => Ok(answer?),
    }
}

/// Whether the server does not know a script. Then nothing was done.
pub(super) fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// Waits until so many replicas have what this connection has written; answers how many have.
pub(super) async fn wait(connection: &mut Connection, replicas: u64, limit: Duration) -> Result<u64, LinkError> {
    // 0 would be for ever.
    let limit = millis(limit).max(1);
    Ok(query(connection, cmd("WAIT").arg(replicas).arg(limit)).await?)
}

async fn query<T: FromRedisValue>(connection: &mut Connection, command: &Cmd) -> Result<T, RedisError> {
    command.query_async(&mut **connection).await
}
