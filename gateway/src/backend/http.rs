//! Hooks over HTTP: a POST of JSON to one URL, an answer in JSON.

use std::fmt;

use bytes::Bytes;

use super::failure::Failure;
use crate::config::web_url::WebUrl;
use crate::outbound::{Body, Call, CallError, HeaderMap, HeaderName, HeaderValue, Outbound, Url};

/// Tells a backend that serves several hooks at one URL which of them it is.
static KIND: HeaderName = HeaderName::from_static("fanfare-hook");

pub(super) struct Http {
    outbound: Outbound,
    url: Url,
}

impl fmt::Debug for Http {
    /// Without the URL's password and query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Http").field(&WebUrl::new(self.url.as_str())).finish()
    }
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
            CallError::Unreachable(why) => Failure::Unreachable(why),
            CallError::Broken(why) => Failure::Broken(why),
            wrong @ (CallError::Scheme(_) | CallError::Address) => Failure::Unreachable(wrong.to_string().into()),
        })?;
        match answer.status {
            200 => Ok(answer.body),
            status => Err(Failure::Status(status)),
        }
    }
}
