//! The command line: words to values, values to a publisher, errors to a line that says whose fault it
//! was and to an exit code: 0 done, 1 failed, 2 wrong usage.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use fanfare_proto::limits::{IDEMPOTENCY_KEY_BYTES_MAX, VERSION_EPOCH_BYTES_MAX};
use fanfare_proto::name::{self, NameError};
use fanfare_worker::publish::personal_channel;
use fanfare_worker::{Ack, Message, Options, Position, PublishError, Publisher, Receipt, Version, open};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{Instrument, info_span};

use crate::telemetry;
use crate::ticker::{self, Quote, Ticker};

/// More than any rule allows; keeps a mistaken `--data @disk.img` from filling the memory.
const DATA_BYTES_MAX: u64 = 64 * 1024 * 1024;

const PUBLISH_EXAMPLES: &str = "\
Examples:
  fanfare-worker publish --to redis://localhost:6379 --channel news --data '{\"text\":\"hello\"}'
  fanfare-worker publish --to http://localhost:8080 --api-key KEY --user 42 --data '{\"n\":1}'
  date +'{\"now\":\"%T\"}' | fanfare-worker publish --to redis://localhost:6379 --channel clock --data -
  fanfare-worker publish --to http://localhost:8080 --api-key KEY --channel orders:42 --data '{\"paid\":true}' \\
    --idempotency-key order-42-paid --retries 3
  fanfare-worker publish --to redis://localhost:6379 --channel orders:42 --data '{\"paid\":true}' \\
    --idempotency-key order-42-paid --ack replicated --retries 3

Exit codes: 0 published, 1 not published, 2 wrong usage.";

const EXAMPLES: &str = "\
Examples:
  fanfare-worker publish --to redis://localhost:6379 --channel news --data '{\"text\":\"hello\"}'
  fanfare-worker publish --to http://localhost:8080 --api-key KEY --user 42 --data '{\"n\":1}'
  fanfare-worker ticker --to redis://localhost:6379

Exit codes: 0 done, 1 failed, 2 wrong usage.";

const TICKER_EXAMPLES: &str = "\
Example:
  fanfare-worker ticker --to redis://localhost:6379 --channel ticker --interval 500ms

It runs until it gets SIGTERM or SIGINT, also while the other side is away.

Exit codes: 0 told to stop or all ticks done, 1 failed, 2 wrong usage.";

/// Publishes to Fanfare: straight to the broker (redis://), or through a gateway (http://, https://).
#[derive(Debug, Parser)]
#[command(name = "fanfare-worker", version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// What to log: error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL", env = "FANFARE_TELEMETRY__LOG_LEVEL", default_value = "info")]
    log_level: String,

    /// Send spans to this OTLP collector, such as http://localhost:4318
    #[arg(long, global = true, value_name = "URL", env = "FANFARE_TELEMETRY__OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publish one message
    #[command(after_help = PUBLISH_EXAMPLES)]
    Publish(Publish),
    /// Publish wandering prices: something to look at
    #[command(after_help = TICKER_EXAMPLES)]
    Ticker(Tick),
}

/// What was asked for cannot be meant. Ends with 2, like what clap itself finds.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Usage(PublishError);

/// Where to publish, and as whom.
#[derive(Debug, Args)]
struct Target {
    /// redis://[user:password@]host[:port][/db] of the broker, or http(s)://host[:port] of a gateway
    #[arg(long, value_name = "URL", env = "FANFARE_TO", hide_env_values = true)]
    to: String,

    /// The gateway's `api.key`; for http(s):// only
    #[arg(long, value_name = "KEY", env = "FANFARE_API_KEY", hide_env_values = true)]
    api_key: Option<String>,

    /// Read the API key from a file
    #[arg(long, value_name = "FILE", env = "FANFARE_API_KEY_FILE", conflicts_with = "api_key")]
    api_key_file: Option<String>,

    /// The gateways' `broker.prefix`; for redis:// only
    #[arg(long, value_name = "PREFIX", env = "FANFARE_BROKER__PREFIX", default_value = "fanfare")]
    prefix: String,

    /// How long publishing may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    timeout: Duration,
}

#[derive(Debug, Args)]
struct Publish {
    #[command(flatten)]
    target: Target,

    #[command(flatten)]
    recipient: Recipient,

    /// With --user: the namespace of personal channels
    #[arg(long, value_name = "NAMESPACE", conflicts_with = "channel")]
    user_namespace: Option<String>,

    /// JSON, or @FILE to read it from, or - for standard input
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    data: String,

    /// A label for clients; may be given several times
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = pair)]
    tags: Vec<(String, String)>,

    /// The id of a client that does not get it
    #[arg(long, value_name = "CLIENT")]
    exclude_client: Option<String>,

    #[command(flatten)]
    how: How,

    /// Try so many times more; without --idempotency-key it makes one
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,
}

/// Once or not, and how surely.
#[derive(Debug, Args)]
struct How {
    /// Names the message: repeats with the same key are answered and not published
    #[arg(long, value_name = "KEY", value_parser = key)]
    idempotency_key: Option<String>,

    /// Publish only if no such or higher version was. The channel needs history
    #[arg(long = "version", id = "message_version", value_name = "N", conflicts_with = "skip_history",
          value_parser = clap::value_parser!(u64).range(1..))]
    version: Option<u64>,

    /// With --version: versions of different epochs are not compared
    #[arg(long, value_name = "EPOCH", requires = "message_version", value_parser = epoch)]
    version_epoch: Option<String>,

    /// Subscribers that agreed to deltas may get it as a patch to the one before
    #[arg(long)]
    delta: bool,

    /// Do not keep it in the channel's history
    #[arg(long)]
    skip_history: bool,

    /// When it counts as published; by default as the channel's rules say
    #[arg(long, value_name = "LEVEL")]
    ack: Option<AckLevel>,
}

/// When a message counts as published.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum AckLevel {
    /// When the broker has stored it
    Stored,
    /// When the broker's replicas have it, too. The channel needs history
    Replicated,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Recipient {
    /// Everyone on this channel
    #[arg(long, value_parser = channel)]
    channel: Option<String>,

    /// One user, on every device, by the personal channel
    #[arg(long)]
    user: Option<String>,
}

#[derive(Debug, Args)]
struct Tick {
    #[command(flatten)]
    target: Target,

    /// Where to publish
    #[arg(long, default_value = "ticker", value_parser = channel)]
    channel: String,

    /// Time between two ticks
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    interval: Duration,

    /// End after so many ticks
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

/// Runs the process: parses, sets up, publishes, reports.
pub(crate) fn run() -> ExitCode {
    // Ends the process with 2 on wrong usage and with 0 after --help.
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if let Some(flag) = out_of_place(&matches) {
        complain(&format!("error: {flag}"));
        complain("try 'fanfare-worker --help'");
        return ExitCode::from(2);
    }
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

/// A flag that means nothing for the URL it was given with. Whoever types it expects it to matter. A
/// variable may stand in the environment for other calls and is ignored.
fn out_of_place(matches: &ArgMatches) -> Option<&'static str> {
    let (_, matches) = matches.subcommand()?;
    let to = matches.get_one::<String>("to")?.to_ascii_lowercase();
    // Not every command has every flag.
    let typed =
        |flag: &str| matches.ids().any(|id| id == flag) && matches.value_source(flag) == Some(ValueSource::CommandLine);
    match to.split_once("://")?.0 {
        "http" | "https" if typed("prefix") => {
            Some("--prefix is for redis:// only: a gateway takes the prefix of its own configuration")
        }
        "redis" if typed("api_key") => Some("--api-key is for http(s):// only: Redis takes user:password@ in the URL"),
        "redis" if typed("api_key_file") => {
            Some("--api-key-file is for http(s):// only: Redis takes user:password@ in the URL")
        }
        _ => None,
    }
}

/// Telemetry is set up before the async runtime begins and closed after its end, because the exporter
/// blocks.
fn execute(cli: Cli) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(&cli.log_level, cli.otlp_endpoint.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("async runtime")?;
    runtime.block_on(async {
        match cli.command {
            Command::Publish(publish) => publish.run().await,
            Command::Ticker(tick) => tick.run().await,
        }
    })
}

impl Target {
    fn open(&self, retries: u32) -> anyhow::Result<Box<dyn Publisher>> {
        let api_key = match &self.api_key_file {
            Some(file) => Some(read_key(file).with_context(|| format!("--api-key-file {file}"))?),
            None => self.api_key.clone(),
        };
        let (prefix, deadline) = (self.prefix.clone(), self.timeout);
        let options = Options { api_key, prefix, deadline, retries, ..Options::default() };
        Ok(open(&self.to, options).map_err(Usage)?)
    }
}

impl Publish {
    async fn run(self) -> anyhow::Result<()> {
        let message = self.message()?;
        let channel = message.channel.clone();
        let publisher = self.target.open(self.retries)?;
        let span = info_span!("publish", channel);
        let receipt = publisher.publish(message).instrument(span).await?;
        say(&published(&channel, &receipt));
        Ok(())
    }

    fn message(&self) -> anyhow::Result<Message> {
        let channel = match &self.recipient {
            Recipient { channel: Some(channel), .. } => channel.clone(),
            Recipient { user, .. } => {
                personal_channel(self.user_namespace.as_deref(), user.as_deref().unwrap_or_default()).map_err(Usage)?
            }
        };
        let mut message = Message::new(channel, read_data(&self.data)?);
        message.tags = self.tags.iter().cloned().collect();
        message.exclude_client.clone_from(&self.exclude_client);
        message.idempotency_key.clone_from(&self.how.idempotency_key);
        message.version = self.how.version();
        message.delta = self.how.delta;
        message.skip_history = self.how.skip_history;
        message.ack = self.how.ack.map(|level| match level {
            AckLevel::Stored => Ack::Stored,
            AckLevel::Replicated => Ack::Replicated,
        });
        Ok(message)
    }
}

impl How {
    fn version(&self) -> Option<Version> {
        let epoch = self.version_epoch.clone().unwrap_or_default();
        self.version.map(|number| Version { number, epoch })
    }
}

/// What became of a message, in a line.
fn published(channel: &str, receipt: &Receipt) -> String {
    let place = match &receipt.position {
        Some(Position { offset, epoch }) => format!("{channel} at offset {offset} of epoch {epoch}"),
        None => channel.to_owned(),
    };
    match receipt.gateways {
        None => format!("published to {place}"),
        Some(0) => format!("published to {place}, where nobody listens"),
        Some(1) => format!("published to {place}, which one gateway listens to"),
        Some(n) => format!("published to {place}, which {n} gateways listen to"),
    }
}

impl Tick {
    async fn run(self) -> anyhow::Result<()> {
        // Prices are worth nothing by the time they are tried again.
        let publisher = self.target.open(0)?;
        let quotes = vec![Quote::new("FAN", 120.0), Quote::new("HORN", 48.5), Quote::new("DRUM", 9.75)];
        let ticker = Ticker { channel: self.channel, interval: self.interval, count: self.count, quotes };
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        // A tick under way is dropped: prices that nobody waits for.
        tokio::select! {
            result = ticker::run(ticker, publisher.as_ref()) => Ok(result?),
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        }
    }
}

/// One line for the error, one for whose fault it is and what may help.
fn report(error: &anyhow::Error) -> ExitCode {
    complain(&format!("error: {error:#}"));
    if error.is::<Usage>() {
        complain("try 'fanfare-worker --help'");
        return ExitCode::from(2);
    }
    if let Some(error) = error.downcast_ref::<PublishError>() {
        let advice = match error {
            error if error.is_retryable() => "trying again may help",
            error if error.is_rejected() => "it was not published, and trying again will not help",
            _ => "nothing was sent",
        };
        complain(&format!("fault of {}: {advice}", error.fault()));
    }
    ExitCode::FAILURE
}

#[allow(clippy::print_stdout, reason = "a command line's answer")]
fn say(line: &str) {
    // Not println: a closed pipe is no reason to panic.
    let _ = writeln!(io::stdout(), "{line}");
}

#[allow(clippy::print_stderr, reason = "a command line's complaint")]
fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn read_data(data: &str) -> anyhow::Result<Vec<u8>> {
    match data.strip_prefix('@') {
        Some(file) => {
            let open = File::open(Path::new(file)).with_context(|| format!("--data {data}"))?;
            read_all(open).with_context(|| format!("--data {data}"))
        }
        None if data == "-" => read_all(io::stdin().lock()).context("standard input"),
        None => Ok(data.as_bytes().to_vec()),
    }
}

fn read_all(source: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(DATA_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > DATA_BYTES_MAX {
        bail!("more than {} MiB", DATA_BYTES_MAX >> 20);
    }
    Ok(bytes)
}

/// A file's last newline is an editor's, not the key's.
fn read_key(file: &str) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn channel(text: &str) -> Result<String, NameError> {
    name::check(text).map(|()| text.to_owned())
}

fn key(text: &str) -> Result<String, String> {
    if name::is_idempotency_key(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("has to be 1 to {IDEMPOTENCY_KEY_BYTES_MAX} characters of printable ASCII"))
    }
}

fn epoch(text: &str) -> Result<String, String> {
    match text.len() {
        0..=VERSION_EPOCH_BYTES_MAX => Ok(text.to_owned()),
        _ => Err(format!("is over {VERSION_EPOCH_BYTES_MAX} bytes")),
    }
}

fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("has to be more than nothing".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; write it like 500ms, 1s or 2m")),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
