//! `serve`: a gateway for others.

use clap::Args;

use crate::app;
use crate::cli::{ConfigFile, Failure, KeyFlags, check_keys, load_for, on_runtime};
use crate::config::Purpose;

#[derive(Debug, Args)]
#[command(after_help = "\
Flags win over the environment, the environment over the file.

Examples:
  fanfare-gateway serve -c gateway.toml
  fanfare-gateway serve -c gateway.toml --listen 0.0.0.0:80 --broker redis://redis:6379/0
  FANFARE_AUTH__TOKEN__HMAC_SECRET_FILE=/run/secrets/token fanfare-gateway serve")]
pub(crate) struct Serve {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    flags: KeyFlags,
}

impl Serve {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let loaded = load_for(Purpose::Serve, &self.file, self.flags)?;
        check_keys(&loaded.config.auth)?;
        on_runtime(app::serve(loaded.config, loaded.warnings))
    }
}
