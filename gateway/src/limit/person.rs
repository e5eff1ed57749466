//! Users with rates: what all connections of one on this node may do together. Who comes back finds what
//! they have left, so a user stays known until nothing is left to remember.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use foldhash::quality::RandomState;
use parking_lot::Mutex;

use super::{Bucket, Kind, Pace};
use crate::model::UserId;

const SHARDS: usize = 64;

/// A shard with fewer users than this is not looked through for those who can be forgotten.
const SWEEP_MIN: usize = 256;

/// Users with a connection here, or with buckets that are not full. Ids come from signed tokens, so nobody
/// can make many of them; a bucket is full again within a day at most.
#[derive(Debug)]
pub(super) struct People {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Shard {
    people: HashMap<UserId, Arc<Person>, RandomState>,
    /// With so many, those who can be forgotten are.
    sweep_at: usize,
}

/// One user.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) user: UserId,
    purse: Mutex<Purse>,
}

#[derive(Debug, Default)]
struct Purse {
    buckets: [Bucket; Kind::COUNT],
    shares: [Share; Kind::COUNT],
}

/// What this node has of a rate that is counted for all nodes together.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    /// Taken and not spent yet.
    left: u32,
    /// There is nothing to be had before this moment.
    dry_until: Duration,
}

/// What a look at a share found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Drawn {
    /// One was left and is spent.
    One,
    /// More has to be asked for.
    Empty,
    /// There is nothing to be had for so long.
    Dry(Duration),
}

impl Default for People {
    fn default() -> Self {
        let shard = || Mutex::new(Shard { people: HashMap::default(), sweep_at: SWEEP_MIN });
        Self { shards: (0..SHARDS).map(|_| shard()).collect(), hasher: RandomState::default() }
    }
}

impl People {
    /// The user, known already or not.
    pub(super) fn get(&self, user: &UserId, now: Duration) -> Arc<Person> {
        let shard = usize::try_from(self.hasher.hash_one(user) % SHARDS as u64).unwrap_or(0);
        let mut shard = self.shards[shard].lock();
        if let Some(person) = shard.people.get(user) {
            return Arc::clone(person);
        }
        if shard.people.len() >= shard.sweep_at {
            shard.people.retain(|_, person| Arc::strong_count(person) > 1 || !person.is_rested(now));
            shard.sweep_at = SWEEP_MIN.max(shard.people.len() * 2);
        }
        let person = Arc::new(Person { user: user.clone(), purse: Mutex::default() });
        shard.people.insert(user.clone(), Arc::clone(&person));
        person
    }
}

impl Person {
    /// Takes one of what the user may do on this node.
    pub(super) fn take(&self, kind: Kind, pace: &Pace, now: Duration) -> Result<(), Duration> {
        self.purse.lock().buckets[kind as usize].take(pace, now)
    }

    /// Takes one of what this node has for the user.
    pub(super) fn draw(&self, kind: Kind, now: Duration) -> Drawn {
        let mut purse = self.purse.lock();
        let share = &mut purse.shares[kind as usize];
        if share.left > 0 {
            share.left -= 1;
            return Drawn::One;
        }
        match share.dry_until.saturating_sub(now) {
            Duration::ZERO => Drawn::Empty,
            wait => Drawn::Dry(wait),
        }
    }

    /// Keeps what was taken for later, at most a burst of it.
    pub(super) fn keep(&self, kind: Kind, count: u32, pace: &Pace) {
        let mut purse = self.purse.lock();
        let share = &mut purse.shares[kind as usize];
        share.left = share.left.saturating_add(count).min(pace.burst());
    }

    /// Remembers that there is nothing to be had before this moment.
    pub(super) fn dry(&self, kind: Kind, until: Duration) {
        self.purse.lock().shares[kind as usize].dry_until = until;
    }

    /// As good as a new one.
    fn is_rested(&self, now: Duration) -> bool {
        self.purse.lock().buckets.iter().all(|bucket| bucket.is_full(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rate::{Per, Rate};

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn who_comes_back_finds_what_they_have_left() {
        let (people, user) = (People::default(), UserId::new("42"));
        let pace = Pace::from(Rate { count: 1, per: Per::Second, burst: 1 });
        people.get(&user, S).take(Kind::Publish, &pace, S).unwrap();
        assert_eq!(people.get(&user, S).take(Kind::Publish, &pace, S), Err(S));
        assert_eq!(people.get(&user, S).take(Kind::Subscribe, &pace, S), Ok(()), "each kind by itself");
        assert_eq!(people.get(&UserId::new("43"), S).take(Kind::Publish, &pace, S), Ok(()), "each user by itself");
    }

    #[test]
    fn users_are_forgotten_when_nothing_is_left_to_remember() {
        let people = People::default();
        let pace = Pace::from(Rate { count: 1, per: Per::Minute, burst: 1 });
        let kept = people.get(&UserId::new("kept"), S);
        let known = || people.shards.iter().map(|shard| shard.lock().people.len()).sum::<usize>();
        for n in 0..SHARDS * SWEEP_MIN * 4 {
            let now = S * u32::try_from(n / 100).unwrap();
            people.get(&UserId::new(&n.to_string()), now).take(Kind::Command, &pace, now).unwrap();
        }
        // A minute's users are six thousand; of the others only those that no sweep has found yet.
        assert!(known() < SHARDS * SWEEP_MIN * 2, "{} users are known", known());
        assert!(Arc::ptr_eq(&kept, &people.get(&UserId::new("kept"), S)), "who is connected stays known");
    }
}
