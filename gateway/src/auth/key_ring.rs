//! Keys that are there from the start: those of files.

use std::collections::HashMap;

use futures_util::future::{BoxFuture, FutureExt, ready};

use super::jwk::NamedKey;
use super::key::{Header, Key, KeyError, KeySource};

/// Keys by name. A token that names its key is verified by that key, or, if nothing here has that name,
/// by those without one; a token that names none by any of its algorithm's, as many as are tried.
#[derive(Debug)]
pub(super) struct KeyRing {
    by_name: HashMap<String, Key>,
    nameless: Key,
    all: Key,
}

impl KeyRing {
    pub(super) fn new(keys: &[NamedKey]) -> Self {
        let mut by_name: HashMap<String, Key> = HashMap::new();
        for NamedKey { kid, key } in keys {
            let Some(kid) = kid else { continue };
            // Keys of different kinds may share a name (RFC 7517, 4.5).
            let joined = by_name.get(kid).map_or_else(|| key.clone(), |other| Key::any_of([other, key]));
            by_name.insert(kid.clone(), joined);
        }
        let nameless = keys.iter().filter(|named| named.kid.is_none()).map(|named| &named.key);
        Self { by_name, nameless: Key::any_of(nameless), all: Key::any_of(keys.iter().map(|named| &named.key)) }
    }
}

impl KeySource for KeyRing {
    fn key<'a>(&'a self, header: &'a Header) -> BoxFuture<'a, Result<Key, KeyError>> {
        let key = match &header.kid {
            Some(kid) => self.by_name.get(kid).unwrap_or(&self.nameless),
            None => &self.all,
        };
        let fits = key.takes(header.algorithm);
        ready(if fits { Ok(key.clone()) } else { Err(KeyError::Unknown) }).boxed()
    }
}
