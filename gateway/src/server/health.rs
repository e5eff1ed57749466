//! `/health`: does the process answer? `/ready`: should a balancer send clients here? `/metrics`.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Whether a balancer should send new clients here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Yes.
    Ready,
    /// No: this node goes down.
    Draining,
    /// No, for this reason.
    Unready(String),
}

/// Where answers come from; `app` joins them to the parts that know.
#[derive(Clone)]
pub struct Vitals {
    /// Asked for each `/ready`.
    pub readiness: Arc<dyn Fn() -> Readiness + Send + Sync>,
    /// Asked for each `/metrics`: the text that Prometheus reads.
    pub metrics: Arc<dyn Fn() -> Result<String, fmt::Error> + Send + Sync>,
}

impl fmt::Debug for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vitals").finish_non_exhaustive()
    }
}

/// `/health` and `/ready`, for both listeners.
pub fn probes(vitals: Vitals) -> Router {
    Router::new().route("/health", get(health)).route("/ready", get(ready)).with_state(vitals)
}

/// `/metrics`, for the internal listener only.
pub fn metrics(vitals: Vitals) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state(vitals)
}

async fn health() -> Response {
    answer(StatusCode::OK, "ok", None)
}

async fn ready(State(vitals): State<Vitals>) -> Response {
    match (vitals.readiness)() {
        Readiness::Ready => answer(StatusCode::OK, "ok", None),
        Readiness::Draining => answer(StatusCode::SERVICE_UNAVAILABLE, "draining", Some("this node is going down")),
        Readiness::Unready(reason) => answer(StatusCode::SERVICE_UNAVAILABLE, "unready", Some(&reason)),
    }
}

fn answer(status: StatusCode, word: &str, reason: Option<&str>) -> Response {
    let body = match reason {
        Some(reason) => serde_json::json!({ "status": word, "reason": reason }),
        None => serde_json::json!({ "status": word }),
    };
    (status, [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body.to_string())
        .into_response()
}

async fn scrape(State(vitals): State<Vitals>) -> Response {
    match (vitals.metrics)() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
