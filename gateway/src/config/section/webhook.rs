//! `[webhook]`: events that the application's backend is told.

use std::collections::BTreeSet;
use std::time::Duration;

use fanfare_proto::hook::event::Name;

use crate::config::secret::Secret;
use crate::config::web_url::WebUrl;

/// Where events go, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// `http://` or `https://`, without a password.
    pub url: WebUrl,
    /// Signs each batch.
    pub secret: Secret,
    /// What is told.
    pub events: BTreeSet<Name>,
    /// Of which namespaces' channels; `default` is names without one. None: of all.
    pub namespaces: Option<BTreeSet<String>>,
    /// For one POST.
    pub timeout: Duration,
    /// Most events of one POST.
    pub batch_size: usize,
    /// How long events are gathered.
    pub batch_delay: Duration,
    /// How long nobody is on a channel before that is told.
    pub debounce: Duration,
    /// Most events that wait, all nodes together.
    pub backlog_max: usize,
}
