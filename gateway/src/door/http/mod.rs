//! The server API over HTTP: `POST /api/<method>` with JSON. `docs/api.md` is the manual.
//!
//! Who calls is checked before anything is read; the body is read up to its limit, and parsed once.

mod answer;
mod key;
mod read;
mod record;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::routing::post;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::api::{Api, Context, Request, Response};
use crate::config::section::ApiConfig;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::OutcomeLabel;

use answer::{ErrorMode, Refusal};
use key::Key;

/// Whether a body can be read as a call of this method, or, without one, as a call that names its method. For
/// those who only want to know what becomes of bytes; a door reads with [`router`].
pub(crate) fn is_call(method: Option<&str>, body: &Bytes) -> bool {
    method.map_or_else(|| read::call_in_body(body), |method| read::call(method, body)).is_ok()
}

type HttpRequest = axum::http::Request<Body>;
type HttpResponse = axum::http::Response<Body>;

/// How long a body may take to arrive. A backend is near; who needs longer holds a socket for nothing.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The paths of the API, from `/api` on; none at all without a key.
pub fn router(api: Arc<Api>, config: &ApiConfig, metrics: Arc<Metrics>) -> Router {
    // An empty key would let everyone in; the configuration refuses it, and so do we.
    let Some(secret) = config.key.as_ref().filter(|key| !key.expose().is_empty()) else {
        return Router::new();
    };
    let door = Door { api, metrics, key: Key::new(secret), body_bytes_max: config.body_size_limit.bytes() };
    Router::new()
        .route("/api", post(call_in_body))
        .route("/api/{method}", post(call_in_path))
        .with_state(Arc::new(door))
}

struct Door {
    api: Arc<Api>,
    metrics: Arc<Metrics>,
    key: Key,
    body_bytes_max: usize,
}

async fn call_in_path(State(door): State<Arc<Door>>, Path(method): Path<String>, request: HttpRequest) -> HttpResponse {
    door.answer(request, |body| read::call(&method, body)).await
}

async fn call_in_body(State(door): State<Arc<Door>>, request: HttpRequest) -> HttpResponse {
    door.answer(request, read::call_in_body).await
}

impl Door {
    async fn answer(
        &self,
        request: HttpRequest,
        read: impl FnOnce(&Bytes) -> Result<Request, Refusal>,
    ) -> HttpResponse {
        let (head, body) = request.into_parts();
        if !self.key.opens(&head.headers) {
            self.count("unauthorized");
            return answer::unauthorized();
        }
        let outcome = self.serve(&head.headers, body, read).await;
        self.count(if outcome.is_ok() { "ok" } else { "error" });
        answer::write(&outcome, ErrorMode::of(&head.headers))
    }

    async fn serve(
        &self,
        headers: &HeaderMap,
        body: Body,
        read: impl FnOnce(&Bytes) -> Result<Request, Refusal>,
    ) -> Result<Response, Refusal> {
        if !is_json(headers) {
            return Err(Refusal::MediaType);
        }
        let body = whole(body, self.body_bytes_max, BODY_TIMEOUT).await?;
        let request = read(&body)?;
        let context = Context { traceparent: trace::parent(headers) };
        Ok(self.api.call(request, &context).await?)
    }

    fn count(&self, outcome: &'static str) {
        self.metrics.api_requests.get_or_create(&OutcomeLabel { outcome }).inc();
    }
}

/// Whether the body says that it is JSON, or says nothing.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return true };
    let kind = kind.to_str().unwrap_or("?");
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Reads a body to its end.
async fn whole(body: Body, bytes_max: usize, patience: Duration) -> Result<Bytes, Refusal> {
    // What is announced as too large is refused unread.
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(Refusal::TooLarge(bytes_max));
    }
    match tokio::time::timeout(patience, Limited::new(body, bytes_max).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge(bytes_max)),
        Ok(Err(_)) => Err(Refusal::Malformed("the body broke off".to_owned())),
        Err(_) => Err(Refusal::Slow),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let endless = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let refusal = whole(endless, 10, Duration::from_millis(1)).await;
        assert!(matches!(refusal, Err(Refusal::Slow)), "{refusal:?}");
    }
}
