use super::super::super::jwk;
use super::super::super::signer::Signer;
use super::*;
use crate::config::section::auth::{Algorithm, Family};

const COOL_DOWN: Duration = Duration::from_secs(30);
const STALE_MAX: Duration = Duration::from_secs(3600);
const GOOD_FOR: Duration = Duration::from_secs(600);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(1_000_000 + seconds)
}

fn named(signer: &Signer, kid: &str) -> NamedKey {
    jwk::parse_key(signer.jwk(kid).to_string().as_bytes()).unwrap()
}

fn key(kid: &str) -> NamedKey {
    named(&Signer::edwards(), kid)
}

fn nameless(mut key: NamedKey) -> NamedKey {
    key.kid = None;
    key
}

fn asks(kid: impl Into<Option<&'static str>>) -> Header {
    Header { algorithm: Algorithm::EdDsa, kid: kid.into().map(str::to_owned) }
}

fn cache(keys: Vec<NamedKey>) -> Cache {
    let mut cache = Cache::new(COOL_DOWN, STALE_MAX);
    cache.begin();
    cache.replace(keys, GOOD_FOR, at(0));
    cache
}

/// What is found, in a word.
fn word(found: &Found) -> &'static str {
    match found {
        Found::Key(_) => "key",
        Found::Nothing(KeyError::Unknown) => "unknown",
        Found::Nothing(KeyError::Unavailable) => "unavailable",
        Found::Fetch => "fetch",
        Found::Fetching => "fetching",
    }
}

#[test]
fn an_unknown_key_causes_one_fetch_and_then_none_for_a_while() {
    let mut cache = cache(vec![key("a")]);
    let find = |cache: &mut Cache, kid, seconds| word(&cache.find(&asks(kid), at(seconds)));
    assert_eq!(find(&mut cache, "a", 0), "key");
    assert_eq!(find(&mut cache, "b", 1), "fetch");
    assert_eq!(find(&mut cache, "c", 1), "fetching");
    assert_eq!(find(&mut cache, "a", 1), "key", "what is known is not kept waiting");
    cache.replace(vec![key("a")], GOOD_FOR, at(2));
    // Shown to be missing; the other may have been published since.
    assert_eq!((find(&mut cache, "b", 2), find(&mut cache, "c", 2)), ("unknown", "unknown"));
    assert_eq!(find(&mut cache, "d", 30), "unavailable");
    assert_eq!(find(&mut cache, "b", 31), "fetch", "the cool-down counts from the fetch that a key has caused");
    cache.replace(vec![key("b")], GOOD_FOR, at(32));
    assert_eq!((find(&mut cache, "a", 32), find(&mut cache, "b", 32)), ("unavailable", "key"));
    assert_eq!(find(&mut cache, "d", 32), "unknown");
    assert_eq!(find(&mut cache, "a", 61), "fetch");
}

#[test]
fn after_waiting_it_is_known_or_the_issuer_is_to_blame() {
    let mut cache = Cache::new(COOL_DOWN, STALE_MAX);
    assert_eq!(word(&cache.find(&asks("a"), at(0))), "fetch");
    assert_eq!(cache.found(&asks("a"), at(0)).unwrap_err(), KeyError::Unavailable, "it takes too long");
    assert_eq!(cache.fail(at(1)), None);
    assert_eq!(cache.found(&asks("a"), at(1)).unwrap_err(), KeyError::Unavailable);
    assert_eq!(word(&cache.find(&asks("a"), at(2))), "unavailable", "nobody waits for what has just failed");
    cache.begin();
    assert_eq!(word(&cache.find(&asks("a"), at(3))), "fetching");
    cache.replace(vec![key("a")], GOOD_FOR, at(4));
    assert!(cache.found(&asks("a"), at(4)).is_ok());
    assert_eq!(cache.found(&asks("b"), at(4)).unwrap_err(), KeyError::Unknown);
    cache.fail(at(5));
    assert_eq!(cache.found(&asks("b"), at(5)).unwrap_err(), KeyError::Unavailable);
}

#[test]
fn what_cannot_be_fetched_anew_is_used_for_a_bounded_time() {
    let mut cache = cache(vec![key("a")]);
    assert_eq!(cache.fail(at(601)), Some(Duration::from_secs(3599)));
    assert_eq!(word(&cache.find(&asks("a"), at(4199))), "key");
    assert_eq!(word(&cache.find(&asks("a"), at(4200))), "fetch", "over, even if nobody has said so");
    assert_eq!(cache.fail(at(4200)), None);
    assert_eq!(word(&cache.find(&asks("a"), at(4201))), "unavailable");
}

#[test]
fn which_key_a_token_means() {
    let p256 = || named(&Signer::ec(Family::P256), "a");
    let meant = |keys: Vec<NamedKey>, header: Header| word(&cache(keys).find(&header, at(0)));
    let es256 = |kid: Option<&str>| Header { algorithm: Algorithm::Es256, kid: kid.map(str::to_owned) };
    // Keys of two kinds share a name.
    assert_eq!(meant(vec![key("a"), p256()], es256(Some("a"))), "key");
    assert_eq!(meant(vec![key("a"), key("b")], es256(Some("a"))), "unknown");
    // A name is the whole name, and a key without one is meant by no name.
    assert_eq!(meant(vec![key("a")], asks("A")), "fetch");
    assert_eq!(meant(vec![key("a")], asks("")), "fetch");
    assert_eq!(meant(vec![nameless(key("a"))], asks("a")), "fetch");
    assert_eq!(meant(vec![nameless(key("a"))], asks(None)), "key");
    assert_eq!(meant(vec![key("a"), p256()], es256(None)), "key");
    assert_eq!(meant(vec![key("a"), key("b")], es256(None)), "fetch");
}

#[test]
fn a_token_without_a_name_may_mean_any_key_that_fits() {
    let signers = [Signer::edwards(), Signer::edwards()];
    let keys = signers.iter().zip(["a", "b"]).map(|(signer, kid)| named(signer, kid)).collect();
    let Found::Key(key) = cache(keys).find(&asks(None), at(0)) else { panic!("not found") };
    for signer in &signers {
        assert!(key.verifies(b"x", &signer.sign("x", Algorithm::EdDsa), Algorithm::EdDsa));
    }
}

#[test]
fn strangers_cannot_fill_the_memory() {
    let mut cache = cache(vec![key("a")]);
    assert_eq!(word(&cache.find(&asks("x"), at(0))), "fetch");
    for number in 0..10_000 {
        let header = Header { algorithm: Algorithm::EdDsa, kid: Some(number.to_string()) };
        assert_eq!(word(&cache.find(&header, at(0))), "fetching");
    }
    assert_eq!(cache.asked.len(), UNKNOWN_MAX);
    cache.replace(vec![key("a")], GOOD_FOR, at(1));
    assert_eq!((cache.asked.len(), cache.absent.len()), (0, UNKNOWN_MAX));
    let long = Header { algorithm: Algorithm::EdDsa, kid: Some("x".repeat(NAME_BYTES_MAX + 1)) };
    assert_eq!(word(&cache.find(&long, at(100))), "unknown", "no issuer's, and causes no fetch");
}
