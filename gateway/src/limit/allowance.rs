//! What one connection may do, by itself and as one of its user's.

use std::sync::Arc;

use super::person::Person;
use super::{Bucket, Kind, Limit, Limits, Over, Place, cluster};
use crate::model::UserId;

/// A connection's buckets, its place among its user's, and its user's buckets. Made only where something is
/// counted; about 100 bytes.
#[derive(Debug)]
pub struct Allowance {
    own: [Bucket; Kind::COUNT],
    refusals: Bucket,
    person: Option<Arc<Person>>,
    _place: Option<Place<UserId>>,
}

impl Allowance {
    pub(super) fn new(place: Option<Place<UserId>>, person: Option<Arc<Person>>) -> Self {
        Self { own: Default::default(), refusals: Bucket::default(), person, _place: place }
    }

    /// Spends one: the connection's own, the user's on this node, the user's on all nodes, in this order, as
    /// far as they are limited. What was spent before a refusal stays spent.
    ///
    /// # Errors
    /// Which limit was met.
    ///
    /// # Cancel safety
    /// Dropped half way, one may have been spent.
    pub async fn spend(&mut self, limits: &Limits, kind: Kind) -> Result<(), Over> {
        let (own, user) = (limits.connection.get(kind), limits.user.get(kind));
        if own.is_none() && user.is_none() {
            return Ok(());
        }
        let now = limits.clock.now();
        if let Some(pace) = own {
            self.own[kind as usize].take(pace, now).map_err(|wait| limits.over(Limit::Connection(kind), wait))?;
        }
        let (Some(pace), Some(person)) = (user, &self.person) else { return Ok(()) };
        let over = |wait| limits.over(Limit::User(kind), wait);
        person.take(kind, pace, now).map_err(over)?;
        if let Some(tally) = &limits.tally {
            let counted = cluster::spend(tally.as_ref(), person, kind, pace, limits.clock.as_ref(), &limits.metrics);
            Box::pin(counted).await.map_err(over)?;
        }
        Ok(())
    }

    /// Notes that the connection was refused something.
    ///
    /// # Errors
    /// It goes on regardless, too often: it has to go.
    pub fn refused(&mut self, limits: &Limits) -> Result<(), Over> {
        match &limits.refusals {
            None => Ok(()),
            Some(pace) => {
                self.refusals.take(pace, limits.clock.now()).map_err(|wait| limits.over(Limit::Refusals, wait))
            }
        }
    }
}
