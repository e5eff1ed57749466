//! Keys that an issuer publishes (RFC 7517, 5) and changes as it likes: fetched before they are asked for, kept, and
//! fetched again before they are old.
//!
//! Where they are is the operator's word alone: nothing of a token gets into the URL. Each source has a cache of its
//! own, so that two issuers who call a key the same never share it. What a stranger can cause by naming keys that do
//! not exist is one fetch in a while ([`cache`]); what a broken issuer can cause is that its tokens are put off.
//!
//! One task per source fetches ([`fetch`]); lookups read what it has left and, if need be, wait for it.

mod cache;
mod fetch;
mod standing;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use self::cache::{Cache, Found};
use self::fetch::{FetchError, Fetched};
use self::standing::Standing;
use super::key::{Header, Key, KeyError, KeySource};
use crate::model::ByteSize;
use crate::model::time::Clock;
use crate::outbound::{Addresses, CallError, Manner, Outbound, SetupError, Url};
use crate::task::Tasks;
use crate::task::backoff::Backoff;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::OutcomeLabel;

/// Between fetches that fail: soon, then seldom.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Where a key set is, and how it is treated.
///
/// `auth.token.jwks_url` and its like make one for each issuer: `jwks_allow_http`, `jwks_allow_private_addresses` and
/// `jwks_ca_file` (its contents) are set from there, and the rest by [`JwksConfig::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksConfig {
    /// Absolute. Never made of anything that a token says.
    pub url: String,
    /// Whether `http://` will do. For tests and for networks that nobody else is on: whoever can answer in the
    /// issuer's stead can sign in its stead.
    pub allow_http: bool,
    /// Whether the URL's name may lead to an address that is not of the public internet.
    pub allow_private_addresses: bool,
    /// Certificate authorities that are trusted besides the machine's, in PEM.
    pub authorities: Option<Vec<u8>>,
    /// How long a set is good if the issuer does not say (`Cache-Control: max-age`).
    pub refresh_interval: Duration,
    /// The least that an issuer can ask for.
    pub refresh_interval_min: Duration,
    /// The most that an issuer can ask for: a key that it takes back is good no longer than this.
    pub refresh_interval_max: Duration,
    /// How long a set is used beyond that while no other can be had.
    pub stale_max: Duration,
    /// How long after a fetch that an unknown key has caused another can cause the next.
    pub cool_down: Duration,
    /// For one fetch as a whole.
    pub timeout: Duration,
    /// The largest answer that is read.
    pub size_max: ByteSize,
}

impl JwksConfig {
    /// A set at this URL, treated as most deserve.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            allow_http: false,
            allow_private_addresses: false,
            authorities: None,
            refresh_interval: Duration::from_secs(600),
            refresh_interval_min: Duration::from_secs(60),
            refresh_interval_max: Duration::from_secs(3600),
            stale_max: Duration::from_secs(3600),
            cool_down: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            size_max: ByteSize::mib(1),
        }
    }
}

/// Why there can be no such source. The operator's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// Not a URL.
    #[error("it is not a URL such as \"https://example.com/.well-known/jwks.json\": {0}")]
    Url(String),
    /// With a user or a password, which would end up in logs and which no issuer asks for.
    #[error("it has a user or a password in it: key sets are public")]
    Credentials,
    /// A URL that may not be called.
    #[error("{0}")]
    Refused(#[from] CallError),
    /// No client for it.
    #[error("{0}")]
    Setup(#[from] SetupError),
}

/// One issuer's keys.
#[derive(Debug)]
pub struct Jwks {
    url: Url,
    config: JwksConfig,
    outbound: Outbound,
    cache: Mutex<Cache>,
    /// Somebody waits for a fetch.
    wanted: Notify,
    /// Changes when a fetch has ended.
    ended: watch::Sender<()>,
    /// Why the last fetch has failed; none if it has not.
    trouble: Mutex<Option<String>>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl Jwks {
    /// Begins to fetch the set, and goes on until the tasks are told to stop.
    ///
    /// # Errors
    /// If the URL, or a certificate, is none; see [`JwksError`]. Whether anybody answers there shows later, in logs and
    /// metrics.
    pub fn start(
        config: JwksConfig,
        tasks: &Tasks,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, JwksError> {
        let url = Url::parse(&config.url).map_err(|error| JwksError::Url(error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(JwksError::Credentials);
        }
        let manner = Manner {
            timeout: config.timeout,
            answer_max: config.size_max,
            https_only: !config.allow_http,
            addresses: if config.allow_private_addresses { Addresses::Any } else { Addresses::Public },
        };
        let outbound = match &config.authorities {
            Some(authorities) => Outbound::trusting(manner, authorities)?,
            None => Outbound::new(manner)?,
        };
        outbound.check(&url)?;
        let cache = Mutex::new(Cache::new(config.cool_down, config.stale_max));
        let (wanted, ended, trouble) = (Notify::new(), watch::Sender::new(()), Mutex::default());
        let jwks = Arc::new(Self { url, config, outbound, cache, wanted, ended, trouble, clock, metrics });
        // Before anybody can look: whoever comes first waits for this fetch and does not ask for another.
        jwks.cache.lock().begin();
        tasks.spawn("jwks", Arc::clone(&jwks).keep(tasks.stop()));
        Ok(jwks)
    }

    async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
        let mut standing = Standing::new(Arc::clone(&self.metrics), shown(&self.url));
        loop {
            let wait = tokio::select! {
                () = stop.cancelled() => return,
                wait = self.refresh(&mut backoff, &mut standing) => wait,
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                () = self.wanted.notified() => {}
            }
        }
    }

    /// Fetches once. Returns how long nobody needs to fetch again, unless asked to.
    async fn refresh(&self, backoff: &mut Backoff, standing: &mut Standing) -> Duration {
        self.cache.lock().begin();
        let fetched = fetch::fetch(&self.outbound, &self.url).await;
        let outcome = fetched.as_ref().map_or_else(FetchError::outcome, |_| "ok");
        self.metrics.jwks_fetches.get_or_create(&OutcomeLabel { outcome }).inc();
        *self.trouble.lock() = fetched.as_ref().err().map(ToString::to_string);
        let now = self.clock.now();
        let wait = match fetched {
            Ok(Fetched { keys, skipped, max_age }) => {
                let good_for = self.good_for(max_age);
                standing.is_fresh(keys.len(), &skipped);
                self.cache.lock().replace(keys, good_for, now);
                backoff.reset();
                // Before it is old, and not at the moment at which all nodes do.
                good_for.mul_f64(rand::random_range(0.8..0.95))
            }
            Err(error) => {
                let left = self.cache.lock().fail(now);
                standing.has_failed(&error, left);
                // In time to say when what is kept is used no longer.
                left.map_or(RETRY_MAX, |left| left.max(RETRY_FIRST)).min(backoff.next_wait())
            }
        };
        self.ended.send_replace(());
        wait
    }

    fn good_for(&self, max_age: Option<Duration>) -> Duration {
        let JwksConfig { refresh_interval, refresh_interval_min, refresh_interval_max, .. } = self.config;
        max_age.unwrap_or(refresh_interval).min(refresh_interval_max).max(refresh_interval_min)
    }
}

impl KeySource for Jwks {
    /// Waits only for a fetch that is under way, and no longer than it may take.
    fn key<'a>(&'a self, header: &'a Header) -> BoxFuture<'a, Result<Key, KeyError>> {
        async move {
            let mut ended = {
                let mut cache = self.cache.lock();
                match cache.find(header, self.clock.now()) {
                    Found::Key(key) => return Ok(key),
                    Found::Nothing(error) => return Err(error),
                    Found::Fetch => self.wanted.notify_one(),
                    Found::Fetching => {}
                }
                // Under the lock: a fetch that ends just now is not missed.
                self.ended.subscribe()
            };
            // Too late is told by the cache, too: the fetch is then still under way.
            let _ = tokio::time::timeout(self.config.timeout, ended.changed()).await;
            self.cache.lock().found(header, self.clock.now())
        }
        .boxed()
    }

    fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }
}

/// The URL for people: without what may be secret in it.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

#[cfg(test)]
mod tests;
