//! `version`: what this program is, exactly.

use std::env::consts::{ARCH, OS};

use crate::cli::{Failure, say};

/// The version of the package.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Prints the version, and what it was built for and how.
pub(crate) fn run() -> Result<(), Failure> {
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    say(&format!("fanfare-gateway {VERSION} ({ARCH}-{OS}, {build})"))
}
