//! `check-token`: what a gateway of this configuration would say to a token, and why.

use std::io::Read as _;

use anyhow::anyhow;
use clap::Args;

use crate::auth::explain::Explanation;
use crate::auth::{Auth, ConnectionToken, SubscriptionToken};
use crate::channel::Rules;
use crate::cli::{ConfigFile, Failure, bad_keys, look_up, say};
use crate::config::Config;
use crate::model::ChannelName;
use crate::model::capability::Pattern;
use crate::model::time::{Clock, SystemClock};

/// Longer than any token; what is read of the standard input.
const INPUT_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Debug, Args)]
#[command(after_help = "\
Prints what the token says and what it opens, or why it is refused. Ends with 0 if it is good, with 1 if
it is refused. Whether it was revoked, or its user blocked, is not looked at. Prints neither secrets nor keys. Whoever can see the token can use it: mind your shell's
history, and give - to read it from the standard input.

Examples:
  fanfare-gateway check-token -c gateway.toml eyJhbGciOi...
  fanfare-gateway check-token -c gateway.toml - < token
  fanfare-gateway check-token -c gateway.toml --subscription --channel '$news' eyJhbGciOi...")]
pub(crate) struct CheckToken {
    #[command(flatten)]
    file: ConfigFile,
    /// The token; - reads it from the standard input
    #[arg(value_name = "TOKEN")]
    token: String,
    /// It is a subscription token
    #[arg(long)]
    subscription: bool,
    /// The channel that it should open
    #[arg(long, value_name = "CHANNEL", requires = "subscription")]
    channel: Option<String>,
    /// The connection's user
    #[arg(long, value_name = "ID")]
    user: Option<String>,
}

impl CheckToken {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let config = look_up(&self.file)?.config;
        let token = if self.token == "-" { read_input()? } else { self.token.clone() };
        let now = SystemClock::new().unix_ms().div_euclid(1000);
        let explained = crate::app::with_keys(&config.auth, async |auth: &Auth| {
            if self.subscription {
                let (explanation, verdict) = auth.explain_subscription(&token, now).await;
                let objection = verdict.ok().and_then(|token| self.other_subscription(&token));
                refusing(explanation, objection)
            } else {
                let (mut explanation, verdict) = auth.explain_connection(&token, now).await;
                let idle = verdict.as_ref().map(|token| Self::idle_capabilities(&config, token));
                explanation.steps.extend(idle.into_iter().flatten());
                let objection = verdict.ok().and_then(|token| self.other_connection(&config, &token));
                refusing(explanation, objection)
            }
        });
        let Explanation { steps, refused } = explained.map_err(bad_keys)?;
        for (step, text) in steps {
            say(&format!("{step:<12} {text}"))?;
        }
        match refused {
            None => say("good, unless it was revoked or its user is blocked: that is not looked at here"),
            Some(why) => Err(Failure::Other(anyhow!("the token is refused: {why}"))),
        }
    }

    /// What a connection would say to a token that is good in itself.
    fn other_connection(&self, config: &Config, token: &ConnectionToken) -> Option<String> {
        if token.user.is_anonymous() && config.client.disallow_anonymous_connection_tokens {
            return Some("it names no user, and client.disallow_anonymous_connection_tokens is on (3507)".into());
        }
        if let Some(user) = self.user.as_ref().filter(|user| *user != token.user.as_str()) {
            return Some(format!("it is about another user than {user:?} (3500)"));
        }
        let rules = Rules::new(&config.channel);
        let unknown = token.subs.keys().find(|channel| rules.options(channel).is_none());
        if let Some(channel) = unknown {
            let name = channel.as_str();
            return Some(format!("its channel {name:?} is in a namespace that is not configured (102)"));
        }
        let (named, limit) = (token.subs.len(), config.client.channel_limit);
        (named > limit).then(|| format!("it names {named} channels, and client.channel_limit is {limit} (3505)"))
    }

    /// Capabilities that are worth nothing here. They make no token bad.
    fn idle_capabilities(config: &Config, token: &ConnectionToken) -> Vec<(&'static str, String)> {
        let rules = Rules::new(&config.channel);
        let is_idle = |pattern: &&Pattern| match pattern {
            Pattern::Exact(name) => ChannelName::parse(name).is_ok_and(|channel| rules.options(&channel).is_none()),
            Pattern::Wildcard(_) => false,
        };
        let entries = token.caps.iter().flat_map(|caps| caps.iter());
        let idle = entries.flat_map(|entry| entry.channels.iter()).filter(is_idle);
        idle.map(|pattern| ("note", format!("{pattern} is in a namespace that is not configured: error 102"))).collect()
    }

    /// What a subscription would say.
    fn other_subscription(&self, token: &SubscriptionToken) -> Option<String> {
        if let Some(channel) = self.channel.as_ref().filter(|channel| **channel != token.channel) {
            return Some(format!("it is for another channel than {channel:?} (3500)"));
        }
        let other = self.user.as_ref().filter(|user| *user != token.user.as_str());
        other.map(|user| format!("it is about another user than {user:?} (3500)"))
    }
}

fn refusing(explanation: Explanation, objection: Option<String>) -> Explanation {
    Explanation { refused: explanation.refused.or(objection), ..explanation }
}

/// A token and the line's end behind it, which is no part of it.
fn read_input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().take(INPUT_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| Failure::Other(anyhow!("the token cannot be read: {error}")))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
