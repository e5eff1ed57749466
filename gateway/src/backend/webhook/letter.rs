//! A batch on paper: which events it has, how it is written, how it is signed.

use std::collections::BTreeSet;

use aws_lc_rs::hmac;
use fanfare_proto::hook::event::{self, Batch, Event, Name};

use super::log::{Entry, Taken};
use crate::config::secret::Secret;

/// Signs letters.
#[derive(Clone)]
pub(super) struct Seal(hmac::Key);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

impl Seal {
    pub(super) fn new(secret: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()))
    }

    /// The header of a body that is sent now, in seconds since 1970.
    pub(super) fn sign(&self, now_s: u64, body: &str) -> String {
        let mac = hmac::sign(&self.0, event::signed(now_s, body).as_bytes());
        event::signature(now_s, mac.as_ref())
    }
}

/// A batch that is to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    /// Of the log.
    pub(super) epoch: String,
    /// The number of its last entry.
    pub(super) through: u64,
    /// Events that were in the log and are lost.
    pub(super) lost: u64,
    /// Events in it.
    pub(super) events: u64,
    /// When its first entry was made, in milliseconds since 1970.
    pub(super) oldest_ms: u64,
    /// None if nobody wants to be told of any of it.
    pub(super) body: Option<String>,
}

impl Letter {
    /// Writes what was taken; none if there is nothing new. What is not newer than `seen` was delivered before.
    pub(super) fn write(shard: usize, taken: &Taken, seen: u64, wanted: &BTreeSet<Name>, now_ms: u64) -> Option<Self> {
        let (first, last) = (taken.entries.first()?, taken.entries.last()?);
        let before = taken.done.max(seen);
        let lost = first.number.saturating_sub(before + 1);
        let id = |number: u64| format!("{shard}.{}.{number}", taken.epoch);
        let gap = (lost > 0).then(|| Event {
            id: id(before + 1),
            name: Name::EventsLost,
            time_ms: now_ms,
            channel: String::new(),
            user: String::new(),
            client: String::new(),
            count: Some(lost),
        });
        let new = taken.entries.iter().filter(|entry| entry.number > seen);
        let events: Vec<Event> =
            gap.into_iter().chain(new.filter_map(|entry| write(entry, id(entry.number), wanted))).collect();
        Some(Self {
            epoch: taken.epoch.clone(),
            through: last.number,
            lost,
            events: events.len() as u64,
            oldest_ms: first.time_ms,
            body: (!events.is_empty()).then(|| Batch { time_ms: now_ms, events }.print()),
        })
    }
}

/// None if nobody wants it, or a newer node has made it.
fn write(entry: &Entry, id: String, wanted: &BTreeSet<Name>) -> Option<Event> {
    let name = entry.name.parse().ok()?;
    let wanted = name == Name::EventsLost || wanted.contains(&name);
    wanted.then(|| Event {
        id,
        name,
        time_ms: entry.time_ms,
        channel: entry.channel.clone(),
        user: entry.user.clone(),
        client: entry.client.clone(),
        count: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(done: u64, entries: &[(u64, &str)]) -> Taken {
        let entry = |(number, name): &(u64, &str)| Entry {
            number: *number,
            name: (*name).to_owned(),
            time_ms: 5,
            channel: "a".into(),
            ..Entry::default()
        };
        Taken { epoch: "e".into(), top: 9, done, entries: entries.iter().map(entry).collect() }
    }

    fn letter(taken: &Taken, seen: u64) -> Option<Letter> {
        Letter::write(3, taken, seen, &[Name::ChannelOccupied].into(), 7)
    }

    #[test]
    fn a_letter_has_what_is_wanted() {
        assert_eq!(letter(&taken(1, &[]), 0), None);
        let written = letter(&taken(1, &[(2, "channel_occupied"), (3, "channel_vacated"), (4, "new_one")]), 0).unwrap();
        assert_eq!((written.through, written.lost, written.events, written.oldest_ms), (4, 0, 1, 5));
        let expected = r#"{"time_ms":7,"events":[{"id":"3.e.2","name":"channel_occupied","time_ms":5,"channel":"a"}]}"#;
        assert_eq!(written.body.as_deref(), Some(expected));
        let unwanted = letter(&taken(1, &[(2, "channel_vacated")]), 0).unwrap();
        assert_eq!((unwanted.through, unwanted.body), (2, None));
    }

    #[test]
    fn what_is_lost_is_told_first() {
        let written = letter(&taken(1, &[(5, "channel_occupied")]), 0).unwrap();
        assert_eq!((written.lost, written.events), (3, 2));
        let head = r#"{"time_ms":7,"events":[{"id":"3.e.2","name":"events_lost","time_ms":7,"count":3},"#;
        assert!(written.body.unwrap().starts_with(head));
    }

    #[test]
    fn what_was_delivered_is_not_told_again() {
        let written = letter(&taken(1, &[(2, "channel_occupied"), (3, "channel_occupied")]), 2).unwrap();
        assert_eq!((written.through, written.events), (3, 1));
        assert_eq!(letter(&taken(1, &[(2, "channel_occupied")]), 2).unwrap().body, None);
    }

    #[test]
    fn the_seal_is_the_one_that_others_make() {
        // From Python: hmac.new(b"key", b"1700000000.{}", "sha256").hexdigest()
        let seal = Seal::new(&Secret::new("key"));
        assert_eq!(
            seal.sign(1_700_000_000, "{}"),
            "t=1700000000,v1=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"
        );
        assert!(!format!("{seal:?}").contains("key"));
    }
}
