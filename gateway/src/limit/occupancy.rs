//! How many there are of each: places that are given back by dropping them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Debug;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use foldhash::quality::RandomState;
use parking_lot::Mutex;

/// More than cores, so that two that come at once seldom meet.
const SHARDS: usize = 64;

/// Counts who is there, by key. Holds an entry for each key with somebody there, and no others.
#[derive(Debug)]
pub struct Occupancy<K> {
    shards: Box<[Mutex<HashMap<K, usize, RandomState>>]>,
    hasher: RandomState,
    max: usize,
}

/// One who is there. Gives the place back when dropped.
#[derive(Debug)]
pub struct Place<K: Clone + Eq + Hash> {
    occupancy: Arc<Occupancy<K>>,
    key: K,
}

impl<K: Clone + Eq + Hash> Occupancy<K> {
    /// Has `max` places for each key.
    #[must_use]
    pub fn new(max: usize) -> Arc<Self> {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Arc::new(Self { shards, hasher: RandomState::default(), max })
    }

    /// Takes a place; none if all of this key are taken.
    pub fn enter(self: &Arc<Self>, key: K) -> Option<Place<K>> {
        let mut shard = self.shard(&key).lock();
        match shard.entry(key.clone()) {
            Entry::Occupied(mut taken) if *taken.get() < self.max => *taken.get_mut() += 1,
            Entry::Vacant(vacant) if self.max > 0 => {
                vacant.insert(1);
            }
            Entry::Occupied(_) | Entry::Vacant(_) => return None,
        }
        drop(shard);
        Some(Place { occupancy: Arc::clone(self), key })
    }

    fn shard(&self, key: &K) -> &Mutex<HashMap<K, usize, RandomState>> {
        let shard = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        &self.shards[shard]
    }
}

impl<K: Clone + Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut shard = self.occupancy.shard(&self.key).lock();
        if let Some(taken) = shard.get_mut(&self.key) {
            *taken -= 1;
            if *taken == 0 {
                shard.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back_and_nothing_is_kept_of_those_who_left() {
        let occupancy = Occupancy::new(2);
        let (first, second) = (occupancy.enter("a").unwrap(), occupancy.enter("a").unwrap());
        assert!(occupancy.enter("a").is_none());
        let other = occupancy.enter("b").unwrap();
        drop(first);
        let third = occupancy.enter("a").unwrap();
        assert!(occupancy.enter("a").is_none());
        drop((second, third, other));
        assert!(occupancy.shards.iter().all(|shard| shard.lock().is_empty()));
    }
}
