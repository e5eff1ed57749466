//! What all publishers have in common: the message, the promise, the error. Knows neither HTTP nor
//! Redis; messages come from the application and go out through [`http`] or [`redis`].

pub mod error;
pub mod http;
pub mod redis;
mod retry;
mod trace;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use fanfare_proto::name;

pub use error::{Fault, PublishError};

use http::HttpPublisher;
use redis::RedisPublisher;

/// A boxed future: [`Publisher`] is used as an object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Says things on channels.
///
/// - **Order.** Messages to one channel of one [`publish_all`](Publisher::publish_all), or of calls awaited
///   one after the other, arrive in that order. Calls at the same time have no order among them.
/// - **Deadline.** Each call ends within [`Options::deadline`] for each message or batch sent.
/// - **Once, if you name it.** After a [retryable](PublishError::is_retryable) error the message may have
///   been published or not. Who publishes it again with the same [`Message::idempotency_key`] publishes it
///   once; without a key, perhaps twice.
/// - Nothing is queued in here, so nothing can overflow: a publisher is as fast as its callers await it.
///   Nothing is retried either, unless [`Options::retries`] says so.
///
/// # Cancel safety
/// A call that is dropped may have published any number of its messages.
pub trait Publisher: fmt::Debug + Send + Sync {
    /// Publishes messages in their order and answers for each. One that is refused does not hold up
    /// the others.
    fn publish_all(&self, messages: Vec<Message>) -> BoxFuture<'_, Vec<Result<Receipt, PublishError>>>;

    /// Publishes one message.
    ///
    /// # Errors
    /// When it was refused, or when it is unknown whether it arrived; [`PublishError`] tells which.
    fn publish(&self, message: Message) -> BoxFuture<'_, Result<Receipt, PublishError>> {
        Box::pin(async move {
            let answers = self.publish_all(vec![message]).await;
            answers.into_iter().next().expect("one answer for each message")
        })
    }
}

/// Opens the publisher that the URL asks for: `redis://[user:password@]host[:port][/db]`, or
/// `http(s)://host[:port][/path]` of a gateway. No connection is made yet.
///
/// # Errors
/// When the URL or the options make no sense.
pub fn open(url: &str, options: Options) -> Result<Box<dyn Publisher>, PublishError> {
    match url.split_once("://") {
        Some(("redis", _)) => Ok(Box::new(RedisPublisher::open(url, options)?)),
        Some(("http" | "https", _)) => Ok(Box::new(HttpPublisher::open(url, options)?)),
        _ => Err(PublishError::setup("the URL has to begin with redis://, http:// or https://")),
    }
}

/// How to publish.
#[derive(Clone)]
pub struct Options {
    /// The gateway's `api.key`; needed for `http(s)://` and used there only.
    pub api_key: Option<String>,
    /// The gateways' `broker.prefix`, `fanfare` by default; used for `redis://` only.
    pub prefix: String,
    /// How long a message or batch may take, 5 seconds by default.
    pub deadline: Duration,
    /// How often a message is tried again after a retryable error, within the deadline; 0 by default. A
    /// message without an [idempotency key](Message::idempotency_key) gets one of its own first, so that
    /// it is not published twice. Over `redis://` that costs a key in Redis for each message.
    pub retries: u32,
    /// How long channel rules that were read from the broker are relied upon, 5 seconds by default: new
    /// ones are heard of within this time. Until then a channel that has just got history is published to
    /// as before. Used for `redis://` only.
    pub rules_ttl: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            api_key: None,
            prefix: "fanfare".to_owned(),
            deadline: Duration::from_secs(5),
            retries: 0,
            rules_ttl: Duration::from_secs(5),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("api_key", &self.api_key.as_ref().map(|_| "***"))
            .field("prefix", &self.prefix)
            .field("deadline", &self.deadline)
            .field("retries", &self.retries)
            .field("rules_ttl", &self.rules_ttl)
            .finish()
    }
}

/// Something to say on a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Where.
    pub channel: String,
    /// What: JSON, or any bytes in a `binary` namespace.
    pub data: Bytes,
    /// Small labels for clients.
    pub tags: BTreeMap<String, String>,
    /// The id of a client that does not get it: often the one whose request caused it.
    pub exclude_client: Option<String>,
    /// Names the message. Of messages to one channel with one key, on whatever road, the first is published
    /// and all are answered alike, whatever they hold, as long as the gateways remember the key
    /// (`history.idempotency_window`). 1 to 128 bytes of printable ASCII
    /// ([`fanfare_proto::name::is_idempotency_key`]).
    pub idempotency_key: Option<String>,
    /// Drops the message if one with the same or a higher version was published before. Only on channels
    /// with history, and not with `skip_history`.
    pub version: Option<Version>,
    /// Subscribers that have agreed to deltas may get it as a patch to the one before.
    pub delta: bool,
    /// Not to be kept in the channel's history: then it has no position and cannot be recovered.
    pub skip_history: bool,
    /// When to be answered; none: as the channel's rules say.
    pub ack: Option<Ack>,
    /// W3C trace context, for those who keep their own. If none, the current span's is sent.
    pub traceparent: Option<String>,
}

impl Message {
    /// Data for everyone on a channel.
    #[must_use]
    pub fn new(channel: impl Into<String>, data: impl Into<Bytes>) -> Self {
        Self { channel: channel.into(), data: data.into(), ..Self::default() }
    }

    /// Data for one user, on every device: published to the personal channel `#USER`. Gateways subscribe
    /// users to it by `client.subscribe_to_user_personal_channel.enabled`.
    ///
    /// # Errors
    /// When no such channel can be: see [`personal_channel`].
    pub fn to_user(user: &str, data: impl Into<Bytes>) -> Result<Self, PublishError> {
        Ok(Self::new(personal_channel(None, user)?, data))
    }

    /// Adds a label.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }
}

/// A message's place in the application's own order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// At least 1.
    pub number: u64,
    /// Versions of different epochs are not compared: the new one wins. At most 128 bytes; may be empty.
    pub epoch: String,
}

/// When a publisher is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// When the broker has stored the message, or, on channels without history, sent it.
    Stored,
    /// When the broker's replicas have confirmed it, too. Only on channels with history, and not with
    /// `skip_history`.
    Replicated,
}

/// The name of a user's personal channel: `#USER`, or `NAMESPACE:#USER`.
///
/// # Errors
/// When the user's id is empty, or holds `#` or `,` (which would name other users), or `:` where there is
/// no namespace, or is not fit for a channel's name.
pub fn personal_channel(namespace: Option<&str>, user: &str) -> Result<String, PublishError> {
    if user.is_empty() || user.contains(['#', ',']) {
        return Err(PublishError::message(format!("no personal channel can be named after the user id {user:?}")));
    }
    let channel = match namespace {
        None => format!("#{user}"),
        Some(namespace) if name::is_namespace(namespace) => format!("{namespace}:#{user}"),
        Some(namespace) => return Err(PublishError::message(format!("{namespace:?} cannot be a namespace's name"))),
    };
    name::check(&channel).map_err(|error| PublishError::message(error.to_string()))?;
    // `#a:b` would be a channel of a namespace called `#a`, which no gateway has.
    if name::namespace(&channel) != namespace {
        return Err(PublishError::message(format!("no personal channel can be named after the user id {user:?}")));
    }
    Ok(channel)
}

/// What is known of a message that was published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// How many gateways the broker handed it to, where that is known: 0 means that nobody listened.
    pub gateways: Option<u64>,
    /// Where it stands, on channels with history: of a repeated message, where the first one does; of one
    /// whose version is too old, where the newest one does.
    pub position: Option<Position>,
}

/// A place in a channel's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Counts from 1 within an epoch, without gaps.
    pub offset: u64,
    /// Names one life of the stream.
    pub epoch: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_chooses_the_road() {
        for url in ["redis://localhost", "redis://:secret@localhost:7000/3"] {
            assert!(format!("{:?}", open(url, Options::default()).unwrap()).starts_with("RedisPublisher"), "{url}");
        }
        let options = Options { api_key: Some("hush".to_owned()), ..Options::default() };
        for url in ["http://localhost:8080", "https://example.com/push/"] {
            let publisher = format!("{:?}", open(url, options.clone()).unwrap());
            assert!(publisher.starts_with("HttpPublisher") && !publisher.contains("hush"), "{publisher}");
        }
        for url in ["", "localhost", "ws://localhost", "rediss://localhost", "redis://", "http://", "redis://x/notadb"]
        {
            let error = open(url, options.clone()).err().unwrap_or_else(|| panic!("{url} passed"));
            assert_eq!(error.fault(), Fault::Setup, "{url}: {error}");
            assert!(!error.is_retryable());
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let publisher = open("redis://user:secret@localhost:7000/3", Options::default()).unwrap();
        assert!(!format!("{publisher:?}").contains("secret"), "{publisher:?}");
    }

    #[test]
    fn personal_channels() {
        assert_eq!(personal_channel(None, "42").unwrap(), "#42");
        assert_eq!(personal_channel(Some("people"), "42").unwrap(), "people:#42");
        for user in ["", "a:b", "a,b", "a#b", "a b", "a*", "é"] {
            assert!(personal_channel(None, user).is_err(), "{user}");
        }
        assert!(personal_channel(Some("x"), "42").is_err());
    }
}
