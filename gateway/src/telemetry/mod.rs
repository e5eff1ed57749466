//! Logs, traces and metrics: set up here, used everywhere.

pub mod metrics;

pub use metrics::Metrics;
