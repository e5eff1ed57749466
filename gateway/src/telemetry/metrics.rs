//! Every metric in one file: name, unit, labels, meaning. `docs/metrics.md` is made from it.
//!
//! Labels come from closed enums, never from channel names, users or other input.

use std::fmt;
use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// Declares each metric once: its field, by whose name it is called, how it is made, and its help text;
/// above it what else there is to say.
macro_rules! metrics {
    ($( $(#[doc = $doc:literal])* $field:ident: $type:ty = $make:ident, $help:literal; )+) => {
        /// All metrics of one process. A value, not a global: tests make their own.
        pub struct Metrics {
            registry: Registry,
            $( #[doc = concat!($help, ".")] $(#[doc = $doc])* pub $field: $type, )+
        }

        impl Metrics {
            /// Fresh metrics, all zero.
            #[must_use]
            pub fn new() -> Self {
                let mut r = Registry::with_prefix("fanfare");
                let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
                r.register("build", "Version of this gateway", version);
                Self { $( $field: $make(&mut r, stringify!($field), $help), )+ registry: r }
            }
        }
    };
}

metrics! {
    connections: Gauge = gauge, "Open client connections that have said who they are";
    sockets: Gauge = gauge, "Open client sockets, whatever they have said so far";
    subscriptions: Gauge = gauge, "Subscriptions of all connections";
    channels: Gauge = gauge, "Channels with a subscription on this node";
    publications: Family<RoadLabel, Counter> = family, "Publications that entered through this node";
    deliveries: Counter = counter, "Publications handed to a connection's outbox";
    disconnects: Family<CodeLabel, Counter> = family,
        "Connections that this node ended, by close code; custom codes count as 0";
    errors: Family<CodeLabel, Counter> = family, "Commands refused, by error code; the application's own codes count as 0";
    broker_up: Gauge = gauge, "1 while the broker delivers";
    broker_reconnects: Counter = counter, "Links to the broker that were lost";
    broker_gaps: Counter = counter,
        "Channels that may have missed publications, once for each channel and interruption";
    broker_probe_failures: Counter = counter,
        "Messages to itself that this node sent through the broker and did not get back in time";
    broker_dropped: Family<ReasonLabel, Counter> = family, "Messages from the broker that were thrown away";
    broker_intake: Gauge = gauge, "Messages from the broker that wait for this node";
    control_log_overruns: Counter = counter, "Times the control log did not reach back to this node's last order";
    outbox_dropped: Family<ReasonLabel, Counter> = family, "Messages that never left an outbox";
    outbox_bytes: Gauge = bytes, "Bytes that wait in all outboxes";
    /// By outcome: `recovered` (they got it), `empty` (nothing was missing), `unrecovered` (something is lost
    /// to them).
    recoveries: Family<OutcomeLabel, Counter> = family, "Clients that came back and asked for what they had missed";
    recovered_publications: Counter = counter, "Publications that clients had missed and got when they came back";
    /// By outcome: `healed` (it read what was missing, and delivered it in order), `lost` (the stream no
    /// longer had it: positioned subscribers were told).
    heals: Family<OutcomeLabel, Counter> = family, "Streams of which this node had missed something";
    streams: Gauge = gauge, "Channels whose position this node tracks";
    streams_held: Gauge = gauge, "Channels whose publications wait until what is missing before them has been read";
    position_checks: Counter = counter, "Positions of quiet channels that were compared with their streams'";
    history_reads: Family<CauseLabel, Counter> = family, "Reads of streams in the broker";
    presence_members: Gauge = gauge, "Members of channels with presence whose connections are on this node";
    presence_waiting: Gauge = gauge, "Changes of members that are not in the store yet";
    presence_reaped: Counter = counter, "Members of dead nodes that this node has struck out";
    presence_resyncs: Counter = counter, "Times that this node entered all its members again";
    /// Each becomes one entry of the log, in Redis or in memory; nodes share the log.
    webhook_events: Counter = counter, "Events for the application's webhook that were told through this node";
    webhook_delivered: Counter = counter, "Events that this node has delivered to the webhook";
    /// By outcome: `ok` (2xx), `refused` (another status), `unreachable` (no answer in time).
    webhook_requests: Family<OutcomeLabel, Counter> = family, "Batches that this node has posted to the webhook, each try";
    /// By reason: `queue_full` (on this node, before they were in the log), `backlog_full` (in the log).
    webhook_lost: Family<ReasonLabel, Counter> = family, "Events for the webhook that were lost";
    webhook_queued: Gauge = gauge, "Changes and events on this node that are not in the webhook's log yet";
    webhook_waiting: Gauge = gauge, "Events that wait for the webhook in the shards that this node delivers";
    webhook_oldest_seconds: Gauge = seconds, "Age of the oldest event that waits in these shards";
    revocations: Gauge = gauge, "Revoked tokens, users with revoked tokens and blocked users that this node knows of";
    /// By outcome: `ok`, `error`, `unauthorized`.
    api_requests: Family<OutcomeLabel, Counter> = family, "Requests to the server API";
    /// By outcome: `ok`, or why not: `unreachable`, `timeout`, `redirect`, `status`, `too_large`, `invalid`,
    /// `forbidden` (to an address that is not allowed).
    jwks_fetches: Family<OutcomeLabel, Counter> = family, "Fetches of key sets";
    jwks_stale: Gauge = gauge, "Key sets whose last fetch has failed and that are used as they were";
    jwks_missing: Gauge = gauge, "Key sets of which there are no keys to use: tokens of their issuers are put off";
    /// By limit: the words of the module `limit`.
    limited: Family<LimitLabel, Counter> = family, "Connections and commands refused because of a limit";
    connects_waiting: Gauge = gauge, "Clients that wait for their turn to connect";
    limit_cluster_misses: Counter = counter,
        "Commands whose rate was counted on this node alone, because Redis did not answer";
    /// By reason: `proxy_header` (none came, or a bad one), `untrusted_proxy` (it came from elsewhere),
    /// `tls` (the handshake failed), `tls_timeout` (it took too long), `head` (a request's head is none),
    /// `head_too_large`, `head_timeout`.
    refused_connections: Family<ReasonLabel, Counter> = family, "Connections refused before a request";
    /// By outcome: `ok`, `error` (the one before stays).
    certificate_reloads: Family<OutcomeLabel, Counter> = family, "Times that the certificate was read again";
    /// By hook, by kind (`connect`, `refresh`, `subscribe`, `sub_refresh`, `publish`, `rpc`), and by outcome: `ok`,
    /// `error` and `disconnect` (the application's own), `timeout`, `unreachable`, `status`, `too_large`, `bad_answer`,
    /// `open` (its circuit was), `full` (no place among its calls).
    hook_calls: Family<HookLabel, Counter> = family, "Questions to the application's hooks";
    hook_waiting: Gauge = gauge, "Questions that wait for a place among their hook's calls";
    hook_open: Family<HookNameLabel, Gauge> = gauges, "1 while a hook is left alone because it does not answer";
    /// Each is a bug.
    task_panics: Counter = counter, "Tasks that ended in a panic";
}

/// By which road a publication entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Road {
    /// A client's command.
    #[allow(non_camel_case_types, reason = "label values are lower case")]
    client,
    /// The server API.
    #[allow(non_camel_case_types, reason = "label values are lower case")]
    api,
}

/// Label `road`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RoadLabel {
    /// See [`Road`].
    pub road: Road,
}

/// Why a stream was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Cause {
    /// A first subscriber on this node: where does the stream stand?
    #[allow(non_camel_case_types, reason = "label values are lower case")]
    open,
    /// This node had missed something.
    #[allow(non_camel_case_types, reason = "label values are lower case")]
    heal,
    /// A client came back; one read serves all that come for the same.
    #[allow(non_camel_case_types, reason = "label values are lower case")]
    recover,
    /// A client or a backend asked for the history.
    #[allow(non_camel_case_types, reason = "label values are lower case")]
    ask,
}

/// Label `cause`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CauseLabel {
    /// See [`Cause`].
    pub cause: Cause,
}

/// Label `code`: a number of `fanfare_proto::code`; custom codes count as 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CodeLabel {
    /// The number.
    pub code: u32,
}

/// Label `reason`: a word from a closed list in the code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    /// The word.
    pub reason: &'static str,
}

/// Label `limit`: a word from a closed list in the code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LimitLabel {
    /// The word.
    pub limit: &'static str,
}

/// Label `outcome`: a word from a closed list in the code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    /// The word.
    pub outcome: &'static str,
}

/// Labels of a hook's calls: all from closed lists, the configuration's and the code's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HookLabel {
    /// As the configuration calls it.
    pub hook: String,
    /// What it was asked.
    pub kind: &'static str,
    /// The word.
    pub outcome: &'static str,
}

/// Label `hook`: as the configuration calls it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HookNameLabel {
    /// The name.
    pub hook: String,
}

impl Metrics {
    /// The text that Prometheus reads (OpenMetrics 1.0).
    ///
    /// # Errors
    /// Only when formatting itself fails.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Counts a connection that this node ended.
    pub fn count_disconnect(&self, code: u16) {
        let code = if (4000..5000).contains(&code) { 0 } else { u32::from(code) };
        self.disconnects.get_or_create(&CodeLabel { code }).inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn gauge(r: &mut Registry, name: &str, help: &str) -> Gauge {
    let metric = Gauge::<i64, AtomicI64>::default();
    r.register(name, help, metric.clone());
    metric
}

/// A gauge of bytes; its name ends in its unit.
fn bytes(r: &mut Registry, name: &str, help: &str) -> Gauge {
    let metric = Gauge::<i64, AtomicI64>::default();
    r.register_with_unit(name.strip_suffix("_bytes").unwrap_or(name), help, Unit::Bytes, metric.clone());
    metric
}

/// A gauge of seconds; its name ends in its unit.
fn seconds(r: &mut Registry, name: &str, help: &str) -> Gauge {
    let metric = Gauge::<i64, AtomicI64>::default();
    r.register_with_unit(name.strip_suffix("_seconds").unwrap_or(name), help, Unit::Seconds, metric.clone());
    metric
}

fn counter(r: &mut Registry, name: &str, help: &str) -> Counter {
    let metric = Counter::default();
    r.register(name, help, metric.clone());
    metric
}

fn family<L>(r: &mut Registry, name: &str, help: &str) -> Family<L, Counter>
where
    L: Clone + fmt::Debug + Eq + std::hash::Hash + EncodeLabelSet + Send + Sync + 'static,
{
    let metric = Family::<L, Counter>::default();
    r.register(name, help, metric.clone());
    metric
}

fn gauges<L>(r: &mut Registry, name: &str, help: &str) -> Family<L, Gauge>
where
    L: Clone + fmt::Debug + Eq + std::hash::Hash + EncodeLabelSet + Send + Sync + 'static,
{
    let metric = Family::<L, Gauge>::default();
    r.register(name, help, metric.clone());
    metric
}
