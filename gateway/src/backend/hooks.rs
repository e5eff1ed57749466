//! All hooks of the configuration, and which of them serves what.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::Backend;
use super::breaker::{Breaker, Limits};
use super::grpc::GrpcRoad;
use super::headers::Passing;
use super::hook::{Hook, Road};
use super::http::Http;
use crate::config::section::{HookConfig, HookScheme, HooksConfig};
use crate::model::time::Clock;
use crate::outbound::{Addresses, Manner, Outbound, Url};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::HookNameLabel;
use crate::telemetry::sparing::Sparing;

/// The hooks of one node.
#[derive(Debug, Default)]
pub struct Hooks {
    by_name: HashMap<Box<str>, Arc<dyn Backend>>,
    connect: Option<Arc<dyn Backend>>,
    refresh: Option<Arc<dyn Backend>>,
    rpc: Option<Arc<dyn Backend>>,
    transport_headers: Vec<Box<str>>,
    client_headers: Vec<Box<str>>,
}

/// A hook that cannot be made; the operator's affair.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("hook.{name}: {why}")]
pub struct SetupError {
    name: String,
    why: String,
}

impl Hooks {
    /// Makes those that the configuration has. Nobody is called yet.
    ///
    /// # Errors
    /// A URL that is none, a header that cannot be sent, a machine without certificates to trust.
    pub fn new(config: &HooksConfig, clock: &Arc<dyn Clock>, metrics: &Arc<Metrics>) -> Result<Self, SetupError> {
        let mut hooks = Self::default();
        let (mut transport, mut client) = (BTreeSet::new(), BTreeSet::new());
        for (name, target) in &config.targets {
            let hook = hook(name, target, clock, metrics).map_err(|why| SetupError { name: name.clone(), why })?;
            transport.extend(hook.passing.transport_names().map(Box::from));
            client.extend(hook.passing.client_names().map(Box::from));
            hooks.by_name.insert(name.as_str().into(), Arc::new(hook));
        }
        let named = |name: &Option<String>| name.as_ref().and_then(|name| hooks.by_name.get(name.as_str()).cloned());
        let (connect, refresh, rpc) = (named(&config.connect), named(&config.refresh), named(&config.rpc));
        Ok(Self {
            connect,
            refresh,
            rpc,
            transport_headers: transport.into_iter().collect(),
            client_headers: client.into_iter().collect(),
            ..hooks
        })
    }

    /// Who is asked about connections that show no token.
    #[must_use]
    pub fn connect(&self) -> Option<&Arc<dyn Backend>> {
        self.connect.as_ref()
    }

    /// Who is asked about connections that have expired.
    #[must_use]
    pub fn refresh(&self) -> Option<&Arc<dyn Backend>> {
        self.refresh.as_ref()
    }

    /// Who answers calls.
    #[must_use]
    pub fn rpc(&self) -> Option<&Arc<dyn Backend>> {
        self.rpc.as_ref()
    }

    /// The hook of this name: channel rules name theirs.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<dyn Backend>> {
        self.by_name.get(name)
    }

    /// There are none: what connections bring for them need not be kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Names, in lower case, of headers that some hook wants of the request that opens a connection.
    #[must_use]
    pub fn transport_headers(&self) -> &[Box<str>] {
        &self.transport_headers
    }

    /// The same of what clients write into their protocol.
    #[must_use]
    pub fn client_headers(&self) -> &[Box<str>] {
        &self.client_headers
    }
}

fn hook(name: &str, config: &HookConfig, clock: &Arc<dyn Clock>, metrics: &Arc<Metrics>) -> Result<Hook, String> {
    let limits = Limits {
        concurrency_max: config.concurrency_max,
        failures_max: config.breaker_failures,
        pause: config.breaker_pause,
    };
    let open = metrics.hook_open.get_or_create(&HookNameLabel { hook: name.to_owned() }).clone();
    Ok(Hook {
        name: name.into(),
        road: road(config)?,
        passing: Passing::new(config)?,
        breaker: Breaker::new(limits, Arc::clone(clock), metrics.hook_waiting.clone(), open),
        timeout: config.timeout,
        binary: config.binary,
        with_meta: config.include_connection_meta,
        statuses: config.status_to_code.clone(),
        metrics: Arc::clone(metrics),
        clock: Arc::clone(clock),
        sparing: Sparing::default(),
    })
}

fn road(config: &HookConfig) -> Result<Road, String> {
    // The URL itself is not repeated: it may hold a password.
    let text = config.url.expose();
    let url = || Url::parse(text).map_err(|error| format!("url: is no URL: {error}"));
    match config.url.scheme() {
        HookScheme::Http => {
            let manner = Manner {
                timeout: config.timeout,
                answer_max: config.answer_max,
                https_only: false,
                // The operator wrote it and means it.
                addresses: Addresses::Any,
            };
            let outbound = Outbound::new(manner).map_err(|error| error.to_string())?;
            Ok(Road::Http(Http::new(outbound, url()?)))
        }
        HookScheme::Grpc => {
            url()?;
            // grpc:// is HTTP/2, grpcs:// the same over TLS.
            let text = text.replacen("grpc", "http", 1);
            let road = GrpcRoad::new(&text, config.answer_max, config.timeout);
            road.map(Road::Grpc).map_err(|error| format!("url: {error}"))
        }
    }
}
