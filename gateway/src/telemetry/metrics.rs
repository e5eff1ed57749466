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

/// All metrics of one process. A value, not a global: tests make their own.
pub struct Metrics {
    registry: Registry,
    /// Open client connections that have said who they are.
    pub connections: Gauge,
    /// Sockets that are open, whatever they have said so far.
    pub sockets: Gauge,
    /// Subscriptions of all connections.
    pub subscriptions: Gauge,
    /// Channels with at least one subscription on this node.
    pub channels: Gauge,
    /// Publications that entered through this node.
    pub publications: Family<RoadLabel, Counter>,
    /// Publications handed to a connection's outbox.
    pub deliveries: Counter,
    /// Connections that this node ended, by close code.
    pub disconnects: Family<CodeLabel, Counter>,
    /// Commands refused, by error code.
    pub errors: Family<CodeLabel, Counter>,
    /// 1 while the broker delivers.
    pub broker_up: Gauge,
    /// Links to the broker that were lost.
    pub broker_reconnects: Counter,
    /// Channels that may have missed publications, counted once for each channel and interruption.
    pub broker_gaps: Counter,
    /// Messages to itself that a node sent through the broker and did not get back in time.
    pub broker_probe_failures: Counter,
    /// Messages from the broker that were thrown away, by reason.
    pub broker_dropped: Family<ReasonLabel, Counter>,
    /// Messages from the broker that wait for this node.
    pub broker_intake: Gauge,
    /// Orders to sessions that came too late to be found in the control log.
    pub control_log_overruns: Counter,
    /// Messages that never left an outbox, by reason.
    pub outbox_dropped: Family<ReasonLabel, Counter>,
    /// Bytes that wait in all outboxes.
    pub outbox_bytes: Gauge,
    /// Clients that came back and asked for what they had missed, by outcome: `recovered` (they got it),
    /// `empty` (nothing was missing), `unrecovered` (something is lost to them).
    pub recoveries: Family<OutcomeLabel, Counter>,
    /// Publications that clients had missed and got when they came back.
    pub recovered_publications: Counter,
    /// Streams of which this node had missed something, by outcome: `healed` (it read what was missing, and
    /// delivered it in order), `lost` (the stream no longer had it: positioned subscribers were told).
    pub heals: Family<OutcomeLabel, Counter>,
    /// Channels whose position this node tracks.
    pub streams: Gauge,
    /// Those of them whose publications wait until what is missing before them has been read.
    pub streams_held: Gauge,
    /// Positions of quiet channels that were compared with their streams'.
    pub position_checks: Counter,
    /// Reads of streams in the broker, by cause.
    pub history_reads: Family<CauseLabel, Counter>,
    /// Members of channels with presence whose connections are on this node.
    pub presence_members: Gauge,
    /// Changes of members that are not in the store yet.
    pub presence_waiting: Gauge,
    /// Members of dead nodes that this node has struck out.
    pub presence_reaped: Counter,
    /// Times that this node entered all its members again.
    pub presence_resyncs: Counter,
    /// Requests to the server API, by outcome (`ok`, `error`, `unauthorized`).
    pub api_requests: Family<OutcomeLabel, Counter>,
    /// Tasks that ended in a panic: each is a bug.
    pub task_panics: Counter,
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

/// Label `outcome`: a word from a closed list in the code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    /// The word.
    pub outcome: &'static str,
}

impl Metrics {
    /// Fresh metrics, all zero.
    #[must_use]
    #[allow(clippy::too_many_lines, reason = "one table")]
    pub fn new() -> Self {
        let mut r = Registry::with_prefix("fanfare");
        r.register("build", "Version of this gateway", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
        Self {
            connections: gauge(&mut r, "connections", "Open client connections that have said who they are"),
            sockets: gauge(&mut r, "sockets", "Open client sockets, whatever they have said so far"),
            subscriptions: gauge(&mut r, "subscriptions", "Subscriptions of all connections"),
            channels: gauge(&mut r, "channels", "Channels with a subscription on this node"),
            publications: family(&mut r, "publications", "Publications that entered through this node"),
            deliveries: counter(&mut r, "deliveries", "Publications handed to a connection's outbox"),
            disconnects: family(
                &mut r,
                "disconnects",
                "Connections that this node ended, by close code; custom codes count as 0",
            ),
            errors: family(&mut r, "errors", "Commands refused, by error code"),
            broker_up: gauge(&mut r, "broker_up", "1 while the broker delivers"),
            broker_reconnects: counter(&mut r, "broker_reconnects", "Links to the broker that were lost"),
            broker_gaps: counter(
                &mut r,
                "broker_gaps",
                "Channels that may have missed publications, once for each channel and interruption",
            ),
            broker_probe_failures: counter(
                &mut r,
                "broker_probe_failures",
                "Messages to itself that this node sent through the broker and did not get back in time",
            ),
            broker_dropped: family(&mut r, "broker_dropped", "Messages from the broker that were thrown away"),
            broker_intake: gauge(&mut r, "broker_intake", "Messages from the broker that wait for this node"),
            control_log_overruns: counter(
                &mut r,
                "control_log_overruns",
                "Times the control log did not reach back to this node's last order",
            ),
            outbox_dropped: family(&mut r, "outbox_dropped", "Messages that never left an outbox"),
            outbox_bytes: {
                let metric = Gauge::default();
                r.register_with_unit("outbox", "Bytes that wait in all outboxes", Unit::Bytes, metric.clone());
                metric
            },
            recoveries: family(&mut r, "recoveries", "Clients that came back and asked for what they had missed"),
            recovered_publications: counter(
                &mut r,
                "recovered_publications",
                "Publications that clients had missed and got when they came back",
            ),
            heals: family(&mut r, "heals", "Streams of which this node had missed something"),
            streams: gauge(&mut r, "streams", "Channels whose position this node tracks"),
            streams_held: gauge(
                &mut r,
                "streams_held",
                "Channels whose publications wait until what is missing before them has been read",
            ),
            position_checks: counter(
                &mut r,
                "position_checks",
                "Positions of quiet channels that were compared with their streams'",
            ),
            history_reads: family(&mut r, "history_reads", "Reads of streams in the broker"),
            presence_members: gauge(
                &mut r,
                "presence_members",
                "Members of channels with presence whose connections are on this node",
            ),
            presence_waiting: gauge(&mut r, "presence_waiting", "Changes of members that are not in the store yet"),
            presence_reaped: counter(&mut r, "presence_reaped", "Members of dead nodes that this node has struck out"),
            presence_resyncs: counter(&mut r, "presence_resyncs", "Times that this node entered all its members again"),
            api_requests: family(&mut r, "api_requests", "Requests to the server API"),
            task_panics: counter(&mut r, "task_panics", "Tasks that ended in a panic"),
            registry: r,
        }
    }

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
