//! The road of what takes its time: reading logs, books and lists. A few connections of their own, so
//! that nothing on the hot road waits behind a large answer.

use deadpool_redis::{Manager, Pool, PoolConfig, Runtime, Timeouts};
use redis::{AsyncConnectionConfig, FromRedisValue, Pipeline};

use super::{LinkError, SetupError, Target, Timing};

/// Connections at most. What comes here is rare; a queue of four is short.
const CONNECTIONS_MAX: usize = 4;

/// A pool with a deadline on every step.
pub(super) fn build(target: &Target, timing: Timing) -> Result<Pool, SetupError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(timing.connect))
        .set_response_timeout(Some(timing.command));
    let manager =
        Manager::new_with_config(target.info.clone(), config).map_err(|error| SetupError::Url(error.to_string()))?;
    Pool::builder(manager)
        .config(PoolConfig {
            max_size: CONNECTIONS_MAX,
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
