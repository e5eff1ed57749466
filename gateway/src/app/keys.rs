//! Whose tokens are good, with the key sets that issuers publish.

use std::sync::Arc;

use crate::auth::{Auth, KeyProblem};
use crate::config::section::AuthConfig;
use crate::model::time::{Clock, SystemClock};
use crate::task::Tasks;
use crate::telemetry::Metrics;

/// The verifier; what fetches key sets for it is among the tasks.
pub(super) fn auth(
    config: &AuthConfig,
    tasks: &Tasks,
    clock: &Arc<dyn Clock>,
    metrics: &Arc<Metrics>,
) -> Result<Auth, KeyProblem> {
    let _ = (tasks, clock, metrics);
    Auth::new(config)
}

/// Asks a verifier that is made for this one question.
pub(crate) fn with_keys<T>(config: &AuthConfig, ask: impl AsyncFnOnce(&Auth) -> T) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (clock, metrics) = (SystemClock::new(), Arc::new(Metrics::new()));
        let tasks = Tasks::new(Arc::clone(&metrics));
        let clock: Arc<dyn Clock> = clock;
        let auth = auth(config, &tasks, &clock, &metrics)?;
        Ok(ask(&auth).await)
    })
}
