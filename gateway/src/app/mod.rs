//! (to come)

use crate::config::Config;

/// Which of `dev`'s ports were asked for; the others move to the next free one.
#[derive(Clone, Copy, Debug)]
pub struct DevOptions {
    /// `server.listen` was given.
    pub listen_given: bool,
    /// `server.internal_listen` was given.
    pub internal_listen_given: bool,
}

/// Runs a gateway until it is told to stop.
///
/// # Errors
/// When it cannot start, or does not end well.
#[allow(clippy::unused_async, reason = "to come")]
pub async fn serve(_config: Config, _warnings: Vec<String>) -> anyhow::Result<()> {
    anyhow::bail!("to come")
}

/// Runs a playground until it is told to stop.
///
/// # Errors
/// When it cannot start, or does not end well.
#[allow(clippy::unused_async, reason = "to come")]
pub async fn dev(_config: Config, _options: DevOptions, _warnings: Vec<String>) -> anyhow::Result<()> {
    anyhow::bail!("to come")
}
