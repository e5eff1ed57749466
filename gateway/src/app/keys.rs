//! Whose tokens are good, with the key sets that issuers publish.

use std::sync::Arc;

use crate::auth::jwks::{Jwks, JwksConfig, JwksError};
use crate::auth::{Auth, KeyProblem, KeySource};
use crate::config::section::{AuthConfig, auth};
use crate::model::time::{Clock, SystemClock};
use crate::outbound::CallError;
use crate::task::Tasks;
use crate::telemetry::Metrics;

/// The verifier; what fetches key sets for it is among the tasks.
pub(super) fn auth(
    config: &AuthConfig,
    tasks: &Tasks,
    clock: &Arc<dyn Clock>,
    metrics: &Arc<Metrics>,
) -> Result<Auth, KeyProblem> {
    Auth::with_key_sets(config, &|path, written| {
        let problem = |key: &str, text: String| KeyProblem { path: format!("{path}.{key}"), text };
        let config = treated(written).map_err(|text| problem("jwks_ca_file", text))?;
        let source = Jwks::start(config, tasks, Arc::clone(clock), Arc::clone(metrics));
        let source: Arc<dyn KeySource> = source.map_err(|error| problem("jwks_url", explained(path, &error)))?;
        Ok(source)
    })
}

fn explained(path: &str, error: &JwksError) -> String {
    match error {
        JwksError::Refused(CallError::Address) => {
            format!("{error}: set {path}.jwks_allow_private_addresses = true, if that is meant")
        }
        error => error.to_string(),
    }
}

/// How the key set is treated: as most are, but for what was written.
fn treated(written: &auth::JwksConfig) -> Result<JwksConfig, String> {
    let cannot = |file: &String, error: std::io::Error| format!("{file} cannot be read: {error}");
    let read = |file: &String| std::fs::read(file).map_err(|error| cannot(file, error));
    Ok(JwksConfig {
        allow_http: written.allow_http,
        allow_private_addresses: written.allow_private_addresses,
        authorities: written.ca_file.as_ref().map(read).transpose()?,
        ..JwksConfig::new(written.url.expose())
    })
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
