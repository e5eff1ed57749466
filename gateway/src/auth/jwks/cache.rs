//! What is known of one issuer's keys, and what is worth a fetch. Pure: told what time it is.
//!
//! A key that is not in the set may be new, or nobody's. One unknown key causes a fetch, and then none does for the
//! cool-down: whoever comes meanwhile with a key that the last fetch has shown to be missing is refused, and whoever
//! comes with another is told to come again, because a new key of a good issuer looks just like it.

use std::collections::HashSet;
use std::time::Duration;

use super::super::jwk::NamedKey;
use super::super::key::{Header, Key, KeyError};

/// Names of unknown keys that are remembered. Beyond this they are put off until after the cool-down.
const UNKNOWN_MAX: usize = 1000;
/// Longer names are nobody's: issuers use digests and UUIDs. Keeps what is remembered small.
const NAME_BYTES_MAX: usize = 256;

#[derive(Debug)]
pub(super) struct Cache {
    cool_down: Duration,
    stale_max: Duration,
    held: Option<Held>,
    /// A fetch is under way.
    fetching: bool,
    /// The last fetch has failed.
    failed: bool,
    /// When an unknown key last caused a fetch.
    caused_at: Option<Duration>,
    /// Asked for, and not in the set that was held then.
    asked: HashSet<String>,
    /// Asked for before the last fetch, and not in what it brought.
    absent: HashSet<String>,
}

#[derive(Debug)]
struct Held {
    keys: Vec<NamedKey>,
    until: Duration,
}

/// What a lookup finds.
#[derive(Debug)]
pub(super) enum Found {
    Key(Key),
    Nothing(KeyError),
    /// The caller shall cause a fetch, and wait for it.
    Fetch,
    /// One is under way, to be waited for.
    Fetching,
}

enum Pick {
    Key(Key),
    /// There are keys of this name, for other algorithms: another set would not help.
    Misfit,
    Absent,
}

impl Cache {
    pub(super) fn new(cool_down: Duration, stale_max: Duration) -> Self {
        Self {
            cool_down,
            stale_max,
            held: None,
            fetching: false,
            failed: false,
            caused_at: None,
            asked: HashSet::new(),
            absent: HashSet::new(),
        }
    }

    /// Looks a key up for a token.
    pub(super) fn find(&mut self, header: &Header, now: Duration) -> Found {
        if let Some(held) = self.held(now) {
            match held.pick(header) {
                Pick::Key(key) => return Found::Key(key),
                Pick::Misfit => return Found::Nothing(KeyError::Unknown),
                Pick::Absent => {}
            }
        }
        let kid = header.kid.as_deref().unwrap_or_default();
        if kid.len() > NAME_BYTES_MAX {
            return Found::Nothing(KeyError::Unknown);
        }
        if self.asked.len() < UNKNOWN_MAX {
            self.asked.insert(kid.to_owned());
        }
        if self.fetching {
            return Found::Fetching;
        }
        if self.caused_at.is_some_and(|at| now.saturating_sub(at) < self.cool_down) {
            let known_absent = self.held(now).is_some() && self.absent.contains(kid);
            return Found::Nothing(if known_absent { KeyError::Unknown } else { KeyError::Unavailable });
        }
        self.caused_at = Some(now);
        self.fetching = true;
        Found::Fetch
    }

    /// The same after a fetch was waited for: causes none.
    pub(super) fn found(&self, header: &Header, now: Duration) -> Result<Key, KeyError> {
        match self.held(now).map(|held| held.pick(header)) {
            Some(Pick::Key(key)) => Ok(key),
            Some(Pick::Misfit) => Err(KeyError::Unknown),
            Some(Pick::Absent) if !self.fetching && !self.failed => Err(KeyError::Unknown),
            Some(Pick::Absent) | None => Err(KeyError::Unavailable),
        }
    }

    /// A fetch is under way.
    pub(super) fn begin(&mut self) {
        self.fetching = true;
    }

    /// It has brought a set that is good for so long.
    pub(super) fn replace(&mut self, keys: Vec<NamedKey>, good_for: Duration, now: Duration) {
        (self.fetching, self.failed) = (false, false);
        self.absent = std::mem::take(&mut self.asked);
        self.held = Some(Held { keys, until: now + good_for + self.stale_max });
    }

    /// It has failed. Returns how long what is held will be used; none if there is nothing any more.
    pub(super) fn fail(&mut self, now: Duration) -> Option<Duration> {
        (self.fetching, self.failed) = (false, true);
        if self.held(now).is_none() {
            self.held = None;
        }
        self.held.as_ref().map(|held| held.until.saturating_sub(now))
    }

    fn held(&self, now: Duration) -> Option<&Held> {
        self.held.as_ref().filter(|held| now < held.until)
    }
}

impl Held {
    /// Of several keys that the token may mean any will do.
    fn pick(&self, header: &Header) -> Pick {
        let named = |named: &&NamedKey| header.kid.is_none() || header.kid == named.kid;
        let mut of_this_name = self.keys.iter().filter(named).map(|named| &named.key).peekable();
        if of_this_name.peek().is_none() {
            return Pick::Absent;
        }
        let mut fitting = of_this_name.filter(|key| key.takes(header.algorithm));
        match (fitting.next(), fitting.next(), &header.kid) {
            (Some(only), None, _) => Pick::Key(only.clone()),
            (Some(first), Some(second), _) => Pick::Key(Key::any_of([first, second].into_iter().chain(fitting))),
            (None, _, Some(_)) => Pick::Misfit,
            // The issuer may have begun to sign with another kind of key.
            (None, _, None) => Pick::Absent,
        }
    }
}

#[cfg(test)]
mod tests;
