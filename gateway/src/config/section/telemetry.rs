//! `[telemetry]`: logs and traces.

use crate::config::web_url::WebUrl;
/// Logs and traces.
#[derive(Clone, Debug, PartialEq)]
pub struct TelemetryConfig {
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives as in `info,fanfare_gateway::broker=debug`.
    pub log_level: String,
    /// For people or for machines.
    pub log_format: LogFormat,
    /// Where spans go, by OTLP over HTTP: `http://collector:4318`. Off if none.
    pub otlp_endpoint: Option<WebUrl>,
    /// Share of traces begun here that are kept, 0 to 1. Traces begun elsewhere keep their own decision.
    pub sample_ratio: f64,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
