//! `print-config`: every key, explained.

use clap::Args;

use crate::cli::{ConfigFile, Failure, look_up, say};
use crate::config::print;

#[derive(Debug, Args)]
#[command(after_help = "\
Without a file: all defaults, as a file to start from. With one, or with --effective: what is set by the
file and the environment, and where, secrets masked; keys that are not set stay commented out.

Examples:
  fanfare-gateway print-config > gateway.toml
  fanfare-gateway print-config -c gateway.toml | grep -v '^#'")]
pub(crate) struct PrintConfig {
    #[command(flatten)]
    file: ConfigFile,
    /// Show what is set even without a file
    #[arg(long)]
    effective: bool,
}

impl PrintConfig {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let text = if self.effective || self.file.config.is_some() {
            print::effective(&look_up(&self.file)?.settings)
        } else {
            print::defaults()
        };
        say(text.trim_end())
    }
}
