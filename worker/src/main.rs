//! `fanfare-worker`: publishes to Fanfare from a shell, and runs the demo's price ticker.

mod cli;
mod telemetry;
mod ticker;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
