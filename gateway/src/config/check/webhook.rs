//! What was written about events for the application's backend.

use std::time::Duration;

use fanfare_proto::script::events::SHARDS;

use super::Checker;
use crate::config::manual::variable;
use crate::config::raw::RawWebhook;
use crate::config::section::{ChannelConfig, WebhookConfig};

/// How names without a namespace are called in lists of namespaces.
const DEFAULT: &str = "default";
/// A body of more would be over a megabyte.
const BATCH_MAX: usize = 1000;
/// Some gigabyte of Redis' memory.
const BACKLOG_MAX: usize = 10_000_000;

const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

impl Checker<'_> {
    pub(super) fn webhook(&mut self, raw: RawWebhook, channel: &ChannelConfig) -> Option<WebhookConfig> {
        self.secret("webhook.secret", raw.secret.as_ref());
        self.time_between("webhook.timeout", raw.timeout, MILLISECOND, MINUTE);
        self.time_between("webhook.batch_delay", raw.batch_delay, MILLISECOND, MINUTE);
        self.time_between("webhook.debounce", raw.debounce, Duration::ZERO, MINUTE);
        self.between("webhook.batch_size", raw.batch_size, 1, BATCH_MAX);
        // Each shard has its part, and a batch at least.
        self.between("webhook.backlog_max", raw.backlog_max, raw.batch_size.max(1) * SHARDS, BACKLOG_MAX);
        for name in raw.namespaces.iter().flatten() {
            if name != DEFAULT && !channel.namespaces.iter().any(|namespace| namespace.name == *name) {
                let text = format!("there is no namespace {name:?}: add a [[channel.namespace]] of that name");
                self.problem("webhook.namespaces", text);
            }
        }
        let url = raw.url?;
        self.webhook_url(url.expose());
        let Some(secret) = raw.secret else {
            let v = variable("webhook.secret");
            let text = format!("is not set, so nobody could trust what is posted: set it by {v} or by {v}_FILE");
            self.problem("webhook.secret", text);
            return None;
        };
        if raw.events.is_empty() {
            self.problem(
                "webhook.events",
                "is empty, so nothing would be posted: name at least one, or unset webhook.url",
            );
        }
        Some(WebhookConfig {
            url,
            secret,
            events: raw.events.into_iter().collect(),
            namespaces: raw.namespaces.map(|names| names.into_iter().collect()),
            timeout: raw.timeout,
            batch_size: raw.batch_size,
            batch_delay: raw.batch_delay,
            debounce: raw.debounce,
            backlog_max: raw.backlog_max,
        })
    }

    /// The HTTP client would send a password, and nobody asks for one: batches are signed.
    fn webhook_url(&mut self, url: &str) {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
        if host.contains('@') {
            self.problem("webhook.url", "has a password in it: take it out; batches are signed with webhook.secret");
        } else if host.is_empty() || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.problem("webhook.url", "is not a URL: write \"https://example.com/fanfare/events\"");
        }
    }
}
