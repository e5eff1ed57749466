//! The gateway's binary. Everything is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    fanfare_gateway::cli::run()
}
