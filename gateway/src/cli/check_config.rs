//! `check-config`: what `serve` would say, without starting.

use clap::Args;

use crate::cli::{ConfigFile, Failure, check_keys, complain, say};
use crate::config::{Purpose, load};
use crate::server::tls::Certificates;

#[derive(Debug, Args)]
#[command(after_help = "\
Reads the file and the environment as `serve` does. Prints `ok`, or all problems at once and ends with
78. Warnings do not fail.

Example:
  fanfare-gateway check-config -c gateway.toml")]
pub(crate) struct CheckConfig {
    #[command(flatten)]
    file: ConfigFile,
}

impl CheckConfig {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let loaded = load(&self.file.sources(Purpose::Serve))?;
        for warning in &loaded.warnings {
            complain(&format!("warning: {warning}"));
        }
        check_keys(&loaded.config.auth)?;
        if let Some(tls) = &loaded.config.server.tls {
            Certificates::load(tls).map_err(|problem| Failure::Config(format!("server.tls: {problem}")))?;
        }
        say("ok")
    }
}
