//! Against a real HTTPS server. Time is moved where it is ours, and awaited where it is the network's.

mod issuer;

use futures_util::future::join_all;
use serde_json::{Value, json};

use self::issuer::{AUTHORITY, Answer, Issuer, ok, with};
use super::super::signer::Signer;
use super::*;
use crate::config::section::auth::Algorithm;
use crate::model::time::{SystemClock, TestClock};

/// For what must happen; no test takes this long.
const PATIENCE: Duration = Duration::from_secs(30);

struct Room {
    tasks: Tasks,
    clock: Arc<TestClock>,
    metrics: Arc<Metrics>,
    issuer: Issuer,
}

impl Room {
    async fn new() -> Self {
        let metrics = Arc::new(Metrics::new());
        let tasks = Tasks::new(Arc::clone(&metrics));
        let issuer = Issuer::start(&tasks, "https").await;
        Self { tasks, clock: TestClock::at_unix_ms(1_000_000_000), metrics, issuer }
    }

    /// A room whose issuer has published these keys.
    async fn with(keys: &[Value]) -> Self {
        let room = Self::new().await;
        room.issuer.publishes(keys);
        room
    }

    /// How a set on this machine may be fetched.
    fn config(&self) -> JwksConfig {
        JwksConfig {
            allow_private_addresses: true,
            authorities: Some(AUTHORITY.to_vec()),
            timeout: PATIENCE,
            ..JwksConfig::new(&self.issuer.url)
        }
    }

    fn start(&self, config: JwksConfig) -> Arc<Jwks> {
        Jwks::start(config, &self.tasks, self.clock.clone(), Arc::clone(&self.metrics)).unwrap()
    }

    fn jwks(&self) -> Arc<Jwks> {
        self.start(self.config())
    }

    fn fetches(&self, outcome: &'static str) -> u64 {
        self.metrics.jwks_fetches.get_or_create(&OutcomeLabel { outcome }).get()
    }

    /// Waits for so many fetches of this outcome.
    async fn until(&self, outcome: &'static str, times: u64) {
        let reached = async {
            while self.fetches(outcome) < times {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("not {times} times {outcome}"));
    }

    /// Past the time in which unknown keys cause no fetch.
    fn cool_down(&self) {
        self.clock.advance(Duration::from_secs(31));
    }

    async fn end(self) {
        assert_eq!(self.tasks.shutdown(PATIENCE).await, Ok(()));
        assert_eq!((self.metrics.jwks_stale.get(), self.metrics.jwks_missing.get()), (0, 0));
        assert_eq!(self.metrics.task_panics.get(), 0);
    }
}

async fn ask(jwks: &Jwks, kid: &str) -> Result<Key, KeyError> {
    jwks.key(&Header { algorithm: Algorithm::EdDsa, kid: Some(kid.to_owned()) }).await
}

/// Whether the key is this signer's.
fn is(key: &Key, signer: &Signer) -> bool {
    key.verifies(b"x", &signer.sign("x", Algorithm::EdDsa), Algorithm::EdDsa)
}

const UNKNOWN: Option<KeyError> = Some(KeyError::Unknown);
const UNAVAILABLE: Option<KeyError> = Some(KeyError::Unavailable);

#[tokio::test]
async fn the_first_token_waits_for_the_first_fetch_and_the_next_for_nothing() {
    let signer = Signer::edwards();
    let room = Room::with(&[signer.jwk("a")]).await;
    let jwks = room.jwks();
    assert!(is(&ask(&jwks, "a").await.unwrap(), &signer));
    for _ in 0..100 {
        ask(&jwks, "a").await.unwrap();
    }
    assert_eq!((room.issuer.asked(), room.fetches("ok")), (1, 1));
    room.end().await;
}

#[tokio::test]
async fn keys_come_and_go_and_tokens_of_both_are_good_meanwhile() {
    let (old, new) = (Signer::edwards(), Signer::edwards());
    let room = Room::with(&[old.jwk("old")]).await;
    let jwks = room.jwks();
    ask(&jwks, "old").await.unwrap();
    room.issuer.publishes(&[old.jwk("old"), new.jwk("new")]);
    assert!(is(&ask(&jwks, "new").await.unwrap(), &new), "a new key is fetched when it is first met");
    assert!(is(&ask(&jwks, "old").await.unwrap(), &old));
    room.issuer.publishes(&[new.jwk("new")]);
    room.cool_down();
    assert_eq!(ask(&jwks, "nobody's").await.err(), UNKNOWN);
    assert!(is(&ask(&jwks, "new").await.unwrap(), &new));
    room.cool_down();
    assert_eq!(ask(&jwks, "old").await.err(), UNKNOWN, "what is no longer published is good no longer");
    room.end().await;
}

#[tokio::test]
async fn sets_are_fetched_anew_before_they_are_old() {
    let (old, new) = (Signer::edwards(), Signer::edwards());
    let room = Room::with(&[old.jwk("old")]).await;
    let soon = Duration::from_millis(100);
    let config = JwksConfig { refresh_interval_min: soon, refresh_interval: soon, ..room.config() };
    let clock = SystemClock::new();
    let jwks = Jwks::start(config, &room.tasks, clock, Arc::clone(&room.metrics)).unwrap();
    ask(&jwks, "old").await.unwrap();
    room.issuer.publishes(&[new.jwk("new")]);
    // The one that is under way may still bring the old set.
    room.until("ok", room.fetches("ok") + 2).await;
    let cache =
        jwks.cache.lock().found(&Header { algorithm: Algorithm::EdDsa, kid: Some("new".into()) }, Duration::ZERO);
    assert!(is(&cache.unwrap(), &new), "nobody has asked for it");
    room.end().await;
}

#[tokio::test]
async fn an_issuer_says_how_long_its_keys_are_good_within_bounds() {
    let room = Room::with(&[Signer::edwards().jwk("a")]).await;
    let jwks = room.jwks();
    let good_for = |seconds: Option<u64>| jwks.good_for(seconds.map(Duration::from_secs)).as_secs();
    assert_eq!(good_for(None), 600);
    assert_eq!(good_for(Some(300)), 300);
    assert_eq!(good_for(Some(0)), 60);
    assert_eq!(good_for(Some(u64::MAX)), 3600);
    room.end().await;
}

#[tokio::test]
async fn in_an_outage_known_keys_are_good_for_a_while() {
    let signer = Signer::edwards();
    let room = Room::with(&[signer.jwk("a")]).await;
    let jwks = room.jwks();
    ask(&jwks, "a").await.unwrap();
    room.issuer.says(Answer::Gone);
    assert_eq!(ask(&jwks, "b").await.err(), UNAVAILABLE, "nobody can say whether there is such a key");
    assert_eq!(room.metrics.jwks_stale.get(), 1);
    room.clock.advance(Duration::from_secs(600 + 3599));
    assert!(is(&ask(&jwks, "a").await.unwrap(), &signer));
    room.clock.advance(Duration::from_secs(1));
    assert_eq!(ask(&jwks, "a").await.err(), UNAVAILABLE);
    assert_eq!((room.metrics.jwks_stale.get(), room.metrics.jwks_missing.get()), (0, 1));
    assert!(room.fetches("unreachable") >= 2);
    room.issuer.publishes(&[signer.jwk("a")]);
    // By itself: nobody asks.
    room.until("ok", 2).await;
    assert!(is(&ask(&jwks, "a").await.unwrap(), &signer));
    assert_eq!((room.metrics.jwks_stale.get(), room.metrics.jwks_missing.get()), (0, 0));
    room.end().await;
}

#[tokio::test]
async fn a_flood_of_unknown_keys_costs_one_fetch() {
    let room = Room::with(&[Signer::edwards().jwk("a")]).await;
    let jwks = room.jwks();
    ask(&jwks, "a").await.unwrap();
    let names: Vec<String> = (0..10_000).map(|number| format!("kid-{number}")).collect();
    let outcomes = join_all(names.iter().map(|kid| ask(&jwks, kid))).await;
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().err() == UNKNOWN.as_ref()));
    assert_eq!(room.issuer.asked(), 2);
    let again = join_all(names.iter().map(|kid| ask(&jwks, kid))).await;
    assert!(again.iter().all(Result::is_err));
    assert!(ask(&jwks, "a").await.is_ok());
    assert_eq!(room.issuer.asked(), 2);
    room.end().await;
}

#[tokio::test]
async fn two_issuers_who_call_a_key_the_same_do_not_share_it() {
    let (ours, theirs) = (Signer::edwards(), Signer::edwards());
    let room = Room::with(&[ours.jwk("same")]).await;
    let other = Issuer::start(&room.tasks, "https").await;
    other.publishes(&[theirs.jwk("same")]);
    let (first, second) = (room.jwks(), room.start(JwksConfig { url: other.url.clone(), ..room.config() }));
    let (first, second) = (ask(&first, "same").await.unwrap(), ask(&second, "same").await.unwrap());
    assert!(is(&first, &ours) && !is(&first, &theirs));
    assert!(is(&second, &theirs) && !is(&second, &ours));
    room.end().await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let room = Room::new().await;
    let tempting = Issuer::start(&room.tasks, "http").await;
    tempting.publishes(&[Signer::edwards().jwk("a")]);
    let jwks = room.jwks();
    room.until("unreachable", 1).await;
    for (times, status) in (1..).zip(["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]) {
        let to = if times % 2 == 0 { "http://169.254.169.254/latest/meta-data/" } else { &tempting.url };
        room.issuer.says(with(status, &format!("location: {to}\r\n"), r#"{"keys":[]}"#));
        room.cool_down();
        assert_eq!(ask(&jwks, "a").await.err(), UNAVAILABLE, "{status}");
        room.until("redirect", times).await;
    }
    assert_eq!(tempting.asked(), 0);
    room.end().await;
}

#[tokio::test]
async fn answers_that_do_not_end_or_are_too_large() {
    let room = Room::new().await;
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n";
    let (mib, size) = (vec![b' '; 1 << 20], 100_000_000);
    let announced = format!("{head}content-length: {size}\r\n\r\n").into_bytes();
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    let chunk = [b"100000\r\n", mib.as_slice(), b"\r\n"].concat();
    let unannounced = format!("{head}\r\n").into_bytes();
    let jwks = room.jwks();
    room.until("unreachable", 1).await;
    for (times, (head, part)) in (1..).zip([(announced, mib.clone()), (chunked, chunk), (unannounced, mib)]) {
        let before = room.issuer.written();
        room.issuer.says(Answer::Flood(head, part, 100));
        room.cool_down();
        assert_eq!(ask(&jwks, "a").await.err(), UNAVAILABLE);
        room.until("too_large", times).await;
        let read = room.issuer.written() - before;
        assert!(read < size / 4, "{read} bytes went out");
    }
    room.end().await;
}

#[tokio::test]
async fn an_answer_that_takes_too_long() {
    let room = Room::new().await;
    let part = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"keys\"";
    room.issuer.says(Answer::Stuck(part.into()));
    let jwks = room.start(JwksConfig { timeout: Duration::from_millis(100), ..room.config() });
    assert_eq!(ask(&jwks, "a").await.err(), UNAVAILABLE);
    room.until("timeout", 1).await;
    room.end().await;
}

#[tokio::test]
async fn what_is_no_key_set_does_not_replace_one() {
    let signer = Signer::edwards();
    let room = Room::with(&[signer.jwk("a")]).await;
    let jwks = room.jwks();
    ask(&jwks, "a").await.unwrap();
    let bomb = "\u{1f}\u{8b}\u{8}\0\0\0\0\0\0\u{3}";
    let secret = json!({"keys": [{"kty": "oct", "kid": "s", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U"}]});
    let many = json!({"keys": vec![json!({}); 100_000]}).to_string();
    let invalid = [
        ok("<html>Please log in</html>"),
        ok(""),
        ok("[]"),
        ok(r#"{"keys":[]}"#),
        ok(r#"{"keys":[{"kty":"RSA","use":"enc"}]}"#),
        ok(&signer.jwk("a").to_string()),
        ok(&secret.to_string()),
        ok(&many),
        with("200 OK", "content-encoding: gzip\r\n", bomb),
    ];
    for (times, answer) in (1..).zip(invalid) {
        room.issuer.says(answer.clone());
        room.cool_down();
        assert_eq!(ask(&jwks, "b").await.err(), UNAVAILABLE, "{answer:?}");
        room.until("invalid", times).await;
    }
    for (times, status) in (1..).zip(["500 No", "503 Later", "404 Not Found", "204 No Content", "206 Partial"]) {
        room.issuer.says(with(status, "", &json!({"keys": [signer.jwk("b")]}).to_string()));
        room.cool_down();
        assert_eq!(ask(&jwks, "b").await.err(), UNAVAILABLE, "{status}");
        room.until("status", times).await;
    }
    assert!(is(&ask(&jwks, "a").await.unwrap(), &signer));
    room.end().await;
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for() {
    let room = Room::with(&[Signer::edwards().jwk("a")]).await;
    let jwks = room.start(JwksConfig { authorities: None, ..room.config() });
    assert_eq!(ask(&jwks, "a").await.err(), UNAVAILABLE);
    room.until("unreachable", 1).await;
    assert_eq!(room.issuer.asked(), 0);
    room.end().await;
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine() {
    let room = Room::with(&[Signer::edwards().jwk("a")]).await;
    let jwks = room.start(JwksConfig { allow_private_addresses: false, ..room.config() });
    assert_eq!(ask(&jwks, "a").await.err(), UNAVAILABLE);
    room.until("forbidden", 1).await;
    assert_eq!(room.issuer.asked(), 0);
    room.end().await;
}

#[tokio::test]
async fn urls_that_are_refused_at_once() {
    let room = Room::new().await;
    let start = |config: JwksConfig| {
        Jwks::start(config, &room.tasks, room.clock.clone(), Arc::clone(&room.metrics)).map(|_| ()).unwrap_err()
    };
    for (url, error) in [
        ("https://user@example.com/", JwksError::Credentials),
        ("https://:word@example.com/", JwksError::Credentials),
        ("http://example.com/", JwksError::Refused(CallError::Scheme("an https:// URL"))),
        ("file:///etc/passwd", JwksError::Refused(CallError::Scheme("an https:// URL"))),
        ("https://127.0.0.1/", JwksError::Refused(CallError::Address)),
        ("https://[::ffff:10.0.0.1]/", JwksError::Refused(CallError::Address)),
        ("https://169.254.169.254/", JwksError::Refused(CallError::Address)),
        // Other ways to write 127.0.0.1.
        ("https://2130706433/", JwksError::Refused(CallError::Address)),
        ("https://0x7f.1/", JwksError::Refused(CallError::Address)),
    ] {
        assert_eq!(start(JwksConfig::new(url)), error, "{url}");
    }
    for url in ["", "keys.json", "//example.com/", "https://"] {
        assert!(matches!(start(JwksConfig::new(url)), JwksError::Url(_)), "{url}");
    }
    let authorities = Some(b"no certificate".to_vec());
    let error = start(JwksConfig { authorities, ..JwksConfig::new("https://example.com/") });
    assert!(matches!(error, JwksError::Setup(_)), "{error}");
    room.end().await;
}

#[tokio::test]
async fn http_where_it_is_allowed() {
    let room = Room::new().await;
    let plain = Issuer::start(&room.tasks, "http").await;
    plain.publishes(&[Signer::edwards().jwk("a")]);
    let jwks = room.start(JwksConfig { url: plain.url.clone(), allow_http: true, ..room.config() });
    assert!(ask(&jwks, "a").await.is_ok());
    room.end().await;
}

#[test]
fn logs_name_the_place_and_nothing_secret() {
    let shown = |url: &str| shown(&Url::parse(url).unwrap());
    assert_eq!(shown("https://example.com/keys?secret=1#x"), "https://example.com/keys");
    assert_eq!(shown("https://user:word@example.com:8443/keys"), "https://example.com:8443/keys");
}
