//! From the configuration to issuers: reads their files, and sees that every key is of use.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt, ready};

use super::KeyProblem;
use super::issuer::{Issuer, Secrets};
use super::key::{Header, Key, KeyError, KeySource};
use super::key_file;
use super::key_ring::KeyRing;
use crate::config::section::TokenConfig;
use crate::config::section::auth::{Algorithm, Family, JwksConfig};

/// Makes the source of a key set on the web; the text is the path of the section that names it, for logs
/// and complaints.
pub type KeySets<'a> = dyn Fn(&str, &JwksConfig) -> Result<Arc<dyn KeySource>, KeyProblem> + 'a;

/// For commands that only look: no key of the web is at hand.
pub(super) fn offline(_: &str, _: &JwksConfig) -> Result<Arc<dyn KeySource>, KeyProblem> {
    Ok(Arc::new(Offline))
}

#[derive(Debug)]
struct Offline;

impl KeySource for Offline {
    fn key<'a>(&'a self, _: &'a Header) -> BoxFuture<'a, Result<Key, KeyError>> {
        ready(Err(KeyError::Unavailable)).boxed()
    }
}

/// The issuer of a section.
pub(super) fn issuer(path: &str, config: &TokenConfig, key_sets: &KeySets<'_>) -> Result<Issuer, KeyProblem> {
    let mut sources: Vec<Arc<dyn KeySource>> = Vec::new();
    if !config.public_keys.is_empty() {
        sources.push(Arc::new(ring(path, config)?));
    }
    if let Some(jwks) = &config.jwks {
        sources.push(key_sets(path, jwks)?);
    }
    Ok(Issuer::new(path.to_owned(), config, Secrets::configured(config), sources))
}

fn ring(path: &str, config: &TokenConfig) -> Result<KeyRing, KeyProblem> {
    let mut keys = Vec::new();
    for file in &config.public_keys {
        let problem =
            |text: String| KeyProblem { path: format!("{path}.public_keys"), text: format!("{} {text}", file.path) };
        for named in key_file::read(file).map_err(|fault| problem(fault.to_string()))? {
            if let Some(family) = useless(&named.key, config) {
                let fitting: Vec<_> = family.algorithms().map(|algorithm| format!("{:?}", algorithm.name())).collect();
                let text =
                    format!("holds {family}, but {path}.algorithms names none of {}: add one", fitting.join(", "));
                return Err(problem(text));
            }
            keys.push(named);
        }
    }
    Ok(KeyRing::new(&keys))
}

/// The kind of a key that verifies nothing which the configuration allows.
fn useless(key: &Key, config: &TokenConfig) -> Option<Family> {
    if key.algorithms().any(|algorithm| config.algorithms.contains(&algorithm)) {
        return None;
    }
    key.algorithms().next().map(Algorithm::family)
}
