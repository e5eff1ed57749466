//! Through a gateway's server API: for backends that cannot or should not reach the broker. The gateway
//! applies the channel rules; here an answer is only read, within a deadline and a size.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use tokio::time::Instant;
use tracing::debug;

use super::error::chain;
use super::retry::{Pauses, random_key};
use super::{Ack, BoxFuture, Fault, Message, Options, Position, PublishError, Publisher, Receipt, trace};

/// The longest answer that is read, in bytes. Real ones have some ten.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Publishes through a gateway.
pub struct HttpPublisher {
    client: Client,
    endpoint: Url,
    key: HeaderValue,
    deadline: Duration,
    retries: u32,
}

impl std::fmt::Debug for HttpPublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpPublisher").field("endpoint", &self.endpoint.as_str()).finish()
    }
}

/// The body of `POST /api/publish`.
#[derive(Serialize)]
struct Request<'a> {
    channel: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b64data: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exclude_client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    version_epoch: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    delta: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    skip_history: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ack: Option<&'static str>,
}

#[derive(Deserialize)]
struct Answer {
    error: Option<Refusal>,
    result: Option<Published>,
}

#[derive(Deserialize)]
struct Published {
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    epoch: String,
}

#[derive(Deserialize)]
struct Refusal {
    code: u32,
    #[serde(default)]
    message: String,
}

impl HttpPublisher {
    /// Takes `http(s)://host[:port][/path]` of a gateway, and [`Options::api_key`]. No connection is made
    /// yet.
    ///
    /// # Errors
    /// When the URL makes no sense, or when there is no usable key.
    pub fn open(url: &str, options: Options) -> Result<Self, PublishError> {
        let endpoint = endpoint(url)?;
        let key = options.api_key.filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| PublishError::setup("the gateway's server API needs an API key"))?;
        let mut key = HeaderValue::from_str(&key)
            .map_err(|_| PublishError::setup("the API key has characters that no header can carry"))?;
        key.set_sensitive(true);

        // No redirects: the key must not follow one. No deadline: it is one for all tries of a message.
        let mut builder = Client::builder().redirect(Policy::none());
        if endpoint.scheme() == "http" {
            // Certificates are not needed, and a machine without any must not fail for it.
            builder = builder.tls_certs_only([]);
        }
        if matches!(endpoint.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| PublishError::setup(chain(&error)))?;
        Ok(Self { client, endpoint, key, deadline: options.deadline, retries: options.retries })
    }

    /// One message, with as many tries as are allowed and fit into its deadline.
    async fn send(&self, mut message: Message) -> Result<Receipt, PublishError> {
        if self.retries > 0 && message.idempotency_key.is_none() {
            message.idempotency_key = Some(random_key());
        }
        let body = Bytes::from(request(&message)?);
        let traceparent = message.traceparent.or_else(trace::current);
        let deadline = Instant::now() + self.deadline;
        let (mut left, mut pauses) = (self.retries, Pauses::new());
        loop {
            let once = self.once(&body, traceparent.as_deref());
            let done = tokio::time::timeout_at(deadline, once).await.unwrap_or_else(|_| Err(self.late()));
            let pause = pauses.next().unwrap_or_default();
            match done {
                Err(error) if error.is_retryable() && left > 0 && Instant::now() + pause < deadline => {
                    debug!(%error, "trying again");
                }
                done => return done,
            }
            tokio::time::sleep(pause).await;
            left -= 1;
        }
    }

    async fn once(&self, body: &Bytes, traceparent: Option<&str>) -> Result<Receipt, PublishError> {
        let mut request = self
            .client
            .post(self.endpoint.clone())
            .header("X-API-Key", self.key.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body.clone());
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        let mut response = request.send().await.map_err(|error| self.failed(error))?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(self.unexpected(status));
        }
        let body = self.read(&mut response).await?;
        match serde_json::from_slice(&body) {
            Ok(Answer { error: Some(refusal), .. }) => Err(PublishError::answered(refusal.code, &refusal.message)),
            Ok(Answer { result: Some(published), .. }) => Ok(published.into()),
            Ok(_) | Err(_) => Err(self.stranger("it answered something else")),
        }
    }

    async fn read(&self, response: &mut Response) -> Result<Vec<u8>, PublishError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(self.stranger("its answer has no end"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// No answer, or half of one.
    fn failed(&self, error: reqwest::Error) -> PublishError {
        // The URL is in our own words already.
        let text = format!("no answer from {}: {}", self.endpoint, chain(&error.without_url()));
        PublishError::unknown(Fault::Gateway, text)
    }

    fn late(&self) -> PublishError {
        let text = format!("{} did not answer within {:?}", self.endpoint, self.deadline);
        PublishError::unknown(Fault::Gateway, text)
    }

    fn unexpected(&self, status: StatusCode) -> PublishError {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                PublishError::refused("the gateway does not accept this API key")
            }
            StatusCode::NOT_FOUND => PublishError::refused(format!(
                "there is no server API at {}: is `api.key` set on the gateway?",
                self.endpoint
            )),
            StatusCode::PAYLOAD_TOO_LARGE => PublishError::message("the message is larger than the gateway takes"),
            StatusCode::TOO_MANY_REQUESTS => PublishError::unknown(Fault::Gateway, "the gateway wants us to slow down"),
            status if status.is_server_error() => {
                PublishError::unknown(Fault::Gateway, format!("{} answered {status}", self.endpoint))
            }
            status => self.stranger(&format!("it answered {status}")),
        }
    }

    fn stranger(&self, what: &str) -> PublishError {
        PublishError::setup(format!("{} is not a Fanfare gateway's server API: {what}", self.endpoint))
    }
}

impl Publisher for HttpPublisher {
    /// One request after the other over a kept connection: that keeps the order, and gives each message
    /// its own answer, deadline and trace. One that is being tried again holds those behind it up.
    fn publish_all(&self, messages: Vec<Message>) -> BoxFuture<'_, Vec<Result<Receipt, PublishError>>> {
        Box::pin(async move {
            let mut answers = Vec::with_capacity(messages.len());
            for message in messages {
                answers.push(self.send(message).await);
            }
            answers
        })
    }
}

/// `/api/publish` below the given path.
fn endpoint(url: &str) -> Result<Url, PublishError> {
    let malformed = |reason: String| PublishError::setup(format!("this is not a gateway's URL: {reason}"));
    let mut endpoint = Url::parse(url).map_err(|error| malformed(error.to_string()))?;
    if endpoint.query().is_some() || endpoint.fragment().is_some() || !endpoint.username().is_empty() {
        return Err(malformed("scheme, host, port and path only".to_owned()));
    }
    let mut path = endpoint.path_segments_mut().map_err(|()| malformed("it has no host".to_owned()))?;
    path.pop_if_empty().extend(["api", "publish"]);
    drop(path);
    Ok(endpoint)
}

/// JSON goes as it is, so that requests can be read; what JSON would not carry byte for byte goes as
/// Base64, and the gateway judges it by the channel's format.
fn request(message: &Message) -> Result<Vec<u8>, PublishError> {
    let json: Option<&RawValue> = serde_json::from_slice(&message.data).ok();
    let json = json.filter(|json| {
        json.get().as_bytes() == message.data && !message.data.contains(&b'\n') && !message.data.contains(&b'\r')
    });
    let b64data = json.is_none().then(|| STANDARD.encode(&message.data));
    // The API takes both for "none": the message would be published in another way than it says.
    if message.idempotency_key.as_deref() == Some("") {
        return Err(PublishError::message("an idempotency key cannot be empty"));
    }
    if message.version.as_ref().is_some_and(|version| version.number == 0) {
        return Err(PublishError::message("a version has to be at least 1"));
    }
    let request = Request {
        channel: &message.channel,
        data: json,
        b64data,
        tags: &message.tags,
        exclude_client: message.exclude_client.as_deref(),
        idempotency_key: message.idempotency_key.as_deref(),
        version: message.version.as_ref().map(|version| version.number),
        version_epoch: message.version.as_ref().map_or("", |version| &version.epoch),
        delta: message.delta,
        skip_history: message.skip_history,
        ack: message.ack.map(|ack| match ack {
            Ack::Stored => "stored",
            Ack::Replicated => "replicated",
        }),
    };
    serde_json::to_vec(&request).map_err(|error| PublishError::message(chain(&error)))
}

impl From<Published> for Receipt {
    fn from(Published { offset, epoch }: Published) -> Self {
        let position = (offset > 0).then_some(Position { offset, epoch });
        Self { position, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;

    #[test]
    fn what_the_api_would_take_for_nothing_is_refused() {
        let mut message = Message::new("news", "1");
        message.idempotency_key = Some(String::new());
        assert!(request(&message).unwrap_err().is_rejected());
        message.idempotency_key = None;
        message.version = Some(Version::default());
        assert!(request(&message).unwrap_err().is_rejected());
    }

    #[test]
    fn the_endpoint_keeps_a_path() {
        for (url, expected) in [
            ("http://localhost:8080", "http://localhost:8080/api/publish"),
            ("http://localhost:8080/", "http://localhost:8080/api/publish"),
            ("https://example.com/push/", "https://example.com/push/api/publish"),
        ] {
            assert_eq!(endpoint(url).unwrap().as_str(), expected);
        }
        for url in ["http://", "http://x?api_key=1", "http://user:pass@x"] {
            assert!(endpoint(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_body() {
        let body = |message: &Message| String::from_utf8(request(message).unwrap()).unwrap();
        assert_eq!(body(&Message::new("news", r#"{"a": 1}"#)), r#"{"channel":"news","data":{"a": 1}}"#);
        assert_eq!(body(&Message::new("news", "null")), r#"{"channel":"news","data":null}"#);
        let mut message = Message::new("news", "1").tag("k", "v");
        message.exclude_client = Some("c".to_owned());
        assert_eq!(body(&message), r#"{"channel":"news","data":1,"tags":{"k":"v"},"exclude_client":"c"}"#);
        let mut message = Message::new("kept:1", "1");
        message.idempotency_key = Some("k".to_owned());
        message.version = Some(Version { number: 7, epoch: "e".to_owned() });
        (message.delta, message.skip_history, message.ack) = (true, true, Some(Ack::Replicated));
        let expected = concat!(
            r#"{"channel":"kept:1","data":1,"idempotency_key":"k","version":7,"version_epoch":"e","#,
            r#""delta":true,"skip_history":true,"ack":"replicated"}"#
        );
        assert_eq!(body(&message), expected);
        // Neither is JSON that a JSON text would carry byte for byte.
        assert_eq!(body(&Message::new("news", "{\n}")), r#"{"channel":"news","b64data":"ewp9"}"#);
        assert_eq!(body(&Message::new("news", &b"\xff\x00"[..])), r#"{"channel":"news","b64data":"/wA="}"#);
    }
}
