//! The command line: what the program can be asked, and with which exit code it ends.
//!
//! | exit code | meaning |
//! | --- | --- |
//! | 0 | fine |
//! | 1 | failure |
//! | 2 | wrong usage |
//! | 78 | bad configuration (`EX_CONFIG` of sysexits.h) |
//!
//! Answers go to the standard output, complaints to the standard error stream.

mod check_config;
mod check_token;
mod dev;
mod health;
mod print_config;
mod serve;
mod token;
mod version;

use std::ffi::OsString;
use std::future::Future;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::auth::Auth;
use crate::config::section::AuthConfig;
use crate::config::{Flag, Loaded, Machine, Problems, Purpose, Sources, load};

const EXIT_FAILURE: u8 = 1;
const EXIT_CONFIG: u8 = 78;

/// A horizontally scalable realtime gateway.
#[derive(Debug, Parser)]
#[command(name = "fanfare-gateway", version, about, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  fanfare-gateway dev                              try it out on this machine
  fanfare-gateway print-config > gateway.toml      a configuration to start from
  fanfare-gateway check-config -c gateway.toml     tell all that is wrong with it
  fanfare-gateway serve -c gateway.toml            run it
  fanfare-gateway token --user 42 --ttl 1h         a token to connect with
  fanfare-gateway check-token eyJhbGciOi...        why it is refused, if it is

Every key can also be set by the environment: FANFARE_SERVER__LISTEN=0.0.0.0:80. See docs/config.md.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a playground on this machine, with throw-away secrets
    Dev(dev::Dev),
    /// Run a gateway
    Serve(serve::Serve),
    /// Make a token with the configured secret
    Token(token::Token),
    /// Tell what a token opens, or why it is refused
    CheckToken(check_token::CheckToken),
    /// Tell all that is wrong with a configuration, without starting anything
    CheckConfig(check_config::CheckConfig),
    /// Print every key: with its default, or as it is set
    PrintConfig(print_config::PrintConfig),
    /// Ask a running gateway whether it is ready
    Health(health::Health),
    /// Print the version
    Version,
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
enum Failure {
    /// The configuration must be changed.
    Config(String),
    /// Anything else.
    Other(anyhow::Error),
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Config(problems.to_string())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// Does what the process's arguments ask.
#[must_use]
pub fn run() -> ExitCode {
    // Ends the process by itself on --help and on wrong usage.
    let cli = Cli::parse();
    // Each client is an open file; many systems start processes with room for 1,024 of the many more
    // that they allow. Where it fails, the configuration says how few there are.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let done = match cli.command {
        Command::Dev(dev) => dev.run(),
        Command::Serve(serve) => serve.run(),
        Command::Token(token) => token.run(),
        Command::CheckToken(check) => check.run(),
        Command::CheckConfig(check) => check.run(),
        Command::PrintConfig(print) => print.run(),
        Command::Health(health) => health.run(),
        Command::Version => version::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Config(text)) => {
            complain(&text);
            ExitCode::from(EXIT_CONFIG)
        }
        Err(Failure::Other(error)) => {
            complain(&format!("error: {error:#}"));
            ExitCode::from(EXIT_FAILURE)
        }
    }
}

/// The file to read.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration, a TOML file
    #[arg(short, long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// What there is besides flags.
    fn sources(&self, purpose: Purpose) -> Sources {
        Sources { file: self.config.clone(), environment: environment(), ..Sources::none(purpose, Machine::read()) }
    }
}

/// Flags that set a key, of `serve` and `dev`.
#[derive(Debug, Args)]
struct KeyFlags {
    /// Where clients and the API come in
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Where metrics and health are, never for the outside
    #[arg(long, value_name = "ADDR")]
    internal_listen: Option<String>,
    /// What joins the nodes: memory:// or redis://host:port/db
    #[arg(long, value_name = "URL")]
    broker: Option<String>,
}

impl KeyFlags {
    fn flags(self) -> Vec<Flag> {
        let given = [
            ("--listen", "server.listen", self.listen),
            ("--internal-listen", "server.internal_listen", self.internal_listen),
            ("--broker", "broker.url", self.broker),
        ];
        given.into_iter().filter_map(|(flag, path, value)| Some(Flag { flag, path, value: value? })).collect()
    }
}

/// Reads the configuration that a gateway runs with.
fn load_for(purpose: Purpose, file: &ConfigFile, flags: KeyFlags) -> Result<Loaded, Problems> {
    load(&Sources { flags: flags.flags(), ..file.sources(purpose) })
}

/// Reads the configuration for a command that needs a key or two of it. Warnings are for `serve`.
fn look_up(file: &ConfigFile) -> Result<Loaded, Problems> {
    load(&file.sources(Purpose::LookUp))
}

/// Reads the files with keys, and looks whether key sets may be fetched from where they are: no part of the
/// configuration's text, and can be as wrong.
fn check_keys(auth: &AuthConfig) -> Result<(), Failure> {
    // One that nobody waits for is given up before it has begun.
    crate::app::with_keys(auth, async |_: &Auth| ()).map_err(bad_keys)
}

fn bad_keys(problem: anyhow::Error) -> Failure {
    Failure::Config(format!("{problem:#}"))
}

/// Variables whose names are not text cannot be ours.
fn environment() -> std::collections::BTreeMap<String, OsString> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect()
}

/// Runs a future to its end on all processors.
fn on_runtime(future: impl Future<Output = anyhow::Result<()>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(anyhow::Error::from)?;
    Ok(runtime.block_on(future)?)
}

/// Writes a line to the standard output. A reader that has gone (`| head`) is no failure.
fn say(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Other(error.into())),
        _ => Ok(()),
    }
}

/// Writes a line to the standard error stream, as far as there is one.
fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
