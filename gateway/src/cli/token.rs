//! `token`: a token for trying things out and for scripts. Prints it and nothing else.

use std::time::Duration;

use clap::Args;
use fanfare_proto::name;
use serde_json::value::RawValue;

use crate::auth::mint::{MintError, Ticket, mint};
use crate::cli::{ConfigFile, Failure, look_up, say};
use crate::config::duration::parse_duration;
use crate::config::secret::Secret;
use crate::model::time::{Clock, SystemClock};

#[derive(Debug, Args)]
#[command(after_help = "\
The secret is the configured one: auth.token.hmac_secret, or with --channel
auth.subscription_token.hmac_secret, from the file or the environment.

Examples:
  fanfare-gateway token -c gateway.toml --user 42 --ttl 1h
  fanfare-gateway token -c gateway.toml --user 42 --channel '$news'     to subscribe with
  FANFARE_AUTH__TOKEN__HMAC_SECRET=... fanfare-gateway token --user 42 --info '{\"name\":\"Ann\"}'")]
pub(crate) struct Token {
    #[command(flatten)]
    file: ConfigFile,
    /// Whom it is for; an empty one is anonymous
    #[arg(long, value_name = "ID")]
    user: String,
    /// Make a subscription token for this channel
    #[arg(long, value_name = "CHANNEL", value_parser = channel)]
    channel: Option<String>,
    /// How long it is good; for ever if left out
    #[arg(long, value_name = "DURATION", value_parser = ttl)]
    ttl: Option<Duration>,
    /// What others see of the user
    #[arg(long, value_name = "JSON", value_parser = json)]
    info: Option<Box<RawValue>>,
    /// Channels that the connection is subscribed to by the server
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = channel, conflicts_with = "channel")]
    channels: Vec<String>,
    /// Sign with this instead of the configured secret; others on this machine can see it
    #[arg(long, value_name = "SECRET", value_parser = secret)]
    secret: Option<Secret>,
}

impl Token {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut auth = look_up(&self.file)?.config.auth;
        if let Some(secret) = self.secret {
            auth.token.hmac_secret = Some(secret.clone());
            auth.subscription_token.hmac_secret = Some(secret);
        }
        let ticket = Ticket {
            user: &self.user,
            channel: self.channel.as_deref(),
            channels: &self.channels,
            info: self.info.as_deref(),
            issued_at: SystemClock::new().unix_ms() / 1000,
            ttl: self.ttl,
        };
        match mint(&auth, &ticket) {
            Ok(token) => say(&token),
            Err(MintError::NoSecret) => Err(Failure::Config(
                "no secret is configured: set auth.token.hmac_secret in the file of -c, by \
                 FANFARE_AUTH__TOKEN__HMAC_SECRET or by FANFARE_AUTH__TOKEN__HMAC_SECRET_FILE, or give --secret"
                    .into(),
            )),
            Err(error) => Err(Failure::Other(error.into())),
        }
    }
}

fn channel(text: &str) -> Result<String, name::NameError> {
    name::check(text).map(|()| text.to_owned())
}

fn ttl(text: &str) -> Result<Duration, &'static str> {
    let ttl = parse_duration(text).filter(|ttl| !ttl.is_zero());
    ttl.ok_or("not a duration such as 30s, 15m or 1h30m")
}

fn json(text: &str) -> Result<Box<RawValue>, String> {
    serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))
}

fn secret(text: &str) -> Result<Secret, &'static str> {
    if text.is_empty() { Err("is empty") } else { Ok(Secret::new(text)) }
}
