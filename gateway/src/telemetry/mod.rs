//! Logs, traces and metrics: set up here, used everywhere.

pub mod metrics;
pub mod propagate;
pub mod sparing;
pub mod tracing;

pub use self::metrics::Metrics;
pub use self::tracing::{Guard, Tracing};
