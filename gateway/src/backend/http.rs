//! Hooks over HTTP: a POST of JSON to one URL, an answer in JSON.

use bytes::Bytes;

use super::failure::Failure;
use crate::outbound::{Body, Call, CallError, HeaderMap, HeaderName, HeaderValue, Outbound, Url};

/// Tells a backend that serves several hooks at one URL which of them it is.
static KIND: HeaderName = HeaderName::from_static("fanfare-hook");

#[derive(Debug)]
pub(super) struct Http {
    outbound: Outbound,
    url: Url,
}

impl Http {
    pub(super) fn new(outbound: Outbound, url: Url) -> Self {
        Self { outbound, url }
    }

    pub(super) async fn call(&self, kind: &'static str, body: Bytes, mut headers: HeaderMap) -> Result<Bytes, Failure> {
        headers.insert(&KIND, HeaderValue::from_static(kind));
        let call = Call { url: self.url.clone(), body: Body::Json(body), headers };
        let answer = self.outbound.call(call).await.map_err(|error| match error {
            CallError::Timeout(patience) => Failure::Timeout(patience),
            CallError::TooLarge(most) => Failure::TooLarge(most),
            other => Failure::Unreachable(other.to_string().into()),
        })?;
        match answer.status {
            200 => Ok(answer.body),
            status => Err(Failure::Status(status)),
        }
    }
}
