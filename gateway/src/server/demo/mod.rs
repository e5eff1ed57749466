//! placeholder
use std::sync::Arc;
pub struct Demo {
    pub mint: Arc<dyn Fn(&str) -> String + Send + Sync>,
    pub command_hint: String,
}
pub fn router(_demo: Demo) -> axum::Router {
    axum::Router::new()
}
