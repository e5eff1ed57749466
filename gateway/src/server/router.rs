//! One table of paths for each listener.

use std::sync::Arc;

use axum::routing::get;
use axum::{Router, middleware};

use super::health::{self, Vitals};
use super::origin::{self, AllowedOrigins};
use crate::transport::websocket::{self, Door};

/// Clients, backends, probes. `api` and `page` bring routes of their own, if they are on.
pub fn public(
    door: Arc<Door>,
    origins: AllowedOrigins,
    vitals: Vitals,
    api: Option<Router>,
    page: Option<Router>,
) -> Router {
    let clients = Router::new()
        .route("/connection/websocket", get(websocket::connect))
        .layer(middleware::from_fn_with_state(origins, origin::guard))
        .with_state(door);
    let router = Router::new().merge(clients).merge(health::probes(vitals));
    [api, page].into_iter().flatten().fold(router, Router::merge)
}

/// Operators: never for the outside.
pub fn internal(vitals: Vitals) -> Router {
    health::probes(vitals.clone()).merge(health::metrics(vitals))
}
