//! One table of paths for each listener.

use std::sync::Arc;

use axum::routing::get;
use axum::{Router, middleware};

use super::cors::{self, Credentials};
use super::health::{self, Vitals};
use super::origin::{self, AllowedOrigins};
use crate::transport::websocket::{self, Door};

/// Where clients connect: what pages may do there, browsers are told.
pub fn clients(door: Arc<Door>, origins: AllowedOrigins, credentials: Credentials) -> Router {
    Router::new()
        .route("/connection/websocket", get(websocket::connect))
        .layer(middleware::from_fn_with_state(credentials, cors::share))
        .layer(middleware::from_fn_with_state(origins, origin::guard))
        .with_state(door)
}

/// Clients, backends, probes. `api` and `page` bring routes of their own, if they are on. Only the routes of
/// `clients` are for pages of other origins: the API is for backends, which are no browsers.
pub fn public(clients: Router, vitals: Vitals, api: Option<Router>, page: Option<Router>) -> Router {
    let router = Router::new().merge(clients).merge(health::probes(vitals));
    [api, page].into_iter().flatten().fold(router, Router::merge)
}

/// Operators: never for the outside.
pub fn internal(vitals: Vitals) -> Router {
    health::probes(vitals.clone()).merge(health::metrics(vitals))
}
