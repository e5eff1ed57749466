//! `dev`: a playground on this machine.

use clap::Args;

use crate::app::{self, DevOptions};
use crate::cli::{ConfigFile, Failure, KeyFlags, load_for, on_runtime};
use crate::config::Purpose;

#[derive(Debug, Args)]
#[command(after_help = "\
Listens on loopback only, opens channels to everyone, makes secrets up, and prints the address of a
demo page, a token and a command to publish with. Ports that are not given move to the next free one.

Examples:
  fanfare-gateway dev
  fanfare-gateway dev --broker redis://127.0.0.1:6379/0      several of them see each other")]
pub(crate) struct Dev {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    flags: KeyFlags,
}

impl Dev {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let loaded = load_for(Purpose::Dev, &self.file, self.flags)?;
        let options = DevOptions {
            listen_given: loaded.settings.is_given("server.listen"),
            internal_listen_given: loaded.settings.is_given("server.internal_listen"),
        };
        on_runtime(app::dev(loaded.config, options, loaded.warnings))
    }
}
