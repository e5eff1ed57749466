//! Who and what is no longer let in, as far as this node knows: asked at every door without asking the
//! broker. Orders bring what is new; the ledger is read at the start, after every interruption and now and
//! then, so that what an order did not bring is known, too.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use fanfare_proto::code::CloseCode;
use fanfare_proto::envelope::{Control, IssuedBefore, Order, Revocation, What};
use fanfare_proto::limits::REVOCATIONS_MAX;
use futures_util::FutureExt;
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use super::Node;
use crate::broker::{BrokerError, LedgerError};
use crate::hub::Member;
use crate::model::{Directive, Fingerprint, UserId};
use crate::task::backoff::Backoff;

/// How often the ledger is read without a reason. Orders are what counts; this finds what no order brought
/// (a log that was overrun, a snapshot that was restored) and forgets what has ended.
const INTERVAL: Duration = Duration::from_secs(60);

/// Waits between tries to read it.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Whether somebody is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks against it.
    Good,
    /// The token is good no longer; another may be.
    Revoked,
    /// The user is not let in, with whatever token.
    Blocked,
    /// This node has not read the ledger yet.
    Unknown,
}

/// What this node knows.
#[derive(Debug, Default)]
pub(super) struct Revoked {
    // Of the standard library: nobody outside can make ids that collide.
    hasher: RandomState,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    lists: Lists,
    /// The ledger has been read at least once.
    read: bool,
    /// While it is being read: what orders brought meanwhile.
    meanwhile: Option<Vec<Revocation>>,
}

/// Moments are seconds since 1970; an end of [`i64::MAX`] is none.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lists {
    /// Ends by the hash of the id.
    tokens: HashMap<u64, i64>,
    /// The moment before which tokens must not have been made, and its end.
    users: HashMap<Box<str>, (i64, i64)>,
    blocked: HashMap<Box<str>, i64>,
}

impl Revoked {
    fn hash(&self, id: &str) -> u64 {
        // 0 is for tokens without an id.
        if id.is_empty() { 0 } else { self.hasher.hash_one(id).max(1) }
    }

    /// An order came; answers whose connections it may be about, none for all, or nothing if about nobody's.
    fn heard(&self, revocation: &Revocation, now_unix_s: i64) -> Option<Option<UserId>> {
        let mut known = self.known.write();
        if let Some(meanwhile) = &mut known.meanwhile {
            meanwhile.push(revocation.clone());
        }
        known.lists.note(revocation, now_unix_s, |id| self.hash(id));
        match revocation.what.as_ref()? {
            What::Token(_) => Some(None),
            What::IssuedBefore(IssuedBefore { user, .. }) | What::Block(user) => Some(Some(UserId::new(user))),
            What::Unblock(_) => None,
        }
    }

    fn begin_reading(&self) {
        self.known.write().meanwhile = Some(Vec::new());
    }

    /// What was read, and what was heard since reading began, is what is known from now on. Answers whether
    /// that is something else than before.
    fn end_reading(&self, all: &[Revocation], now_unix_s: i64) -> bool {
        let mut lists = Lists::default();
        let mut known = self.known.write();
        for revocation in all.iter().chain(known.meanwhile.take().iter().flatten()) {
            lists.note(revocation, now_unix_s, |id| self.hash(id));
        }
        known.read = true;
        let news = known.lists != lists;
        known.lists = lists;
        news
    }

    fn has_read(&self) -> bool {
        self.known.read().read
    }

    fn count(&self) -> usize {
        let lists = &self.known.read().lists;
        lists.tokens.len() + lists.users.len() + lists.blocked.len()
    }

    fn verdict(&self, user: &UserId, token: Fingerprint, now_unix_s: i64) -> Verdict {
        if user.is_anonymous() && token.id == 0 {
            return Verdict::Good;
        }
        let known = self.known.read();
        if known.read { known.lists.verdict(user, token, now_unix_s) } else { Verdict::Unknown }
    }
}

impl Lists {
    fn note(&mut self, revocation: &Revocation, now_unix_s: i64, hash: impl Fn(&str) -> u64) {
        let end = if revocation.expire_at == 0 { i64::MAX } else { revocation.expire_at };
        self.make_room(now_unix_s);
        let room = |known: bool, count: usize| known || count < REVOCATIONS_MAX;
        match &revocation.what {
            Some(What::Unblock(user)) => {
                self.blocked.remove(user.as_str());
            }
            _ if end <= now_unix_s => {}
            Some(What::Token(id)) if room(self.tokens.contains_key(&hash(id)), self.tokens.len()) => {
                self.tokens.insert(hash(id), end);
            }
            Some(What::Block(user)) if room(self.blocked.contains_key(user.as_str()), self.blocked.len()) => {
                self.blocked.insert(user.as_str().into(), end);
            }
            Some(What::IssuedBefore(IssuedBefore { user, time }))
                if room(self.users.contains_key(user.as_str()), self.users.len()) =>
            {
                // The later moment and the longer time of both, as in the ledger.
                let entry = self.users.entry(user.as_str().into()).or_insert((*time, end));
                *entry = (entry.0.max(*time), entry.1.max(end));
            }
            // The ledger has no room for more; somebody writes past it.
            Some(_) => tracing::warn!("more is revoked than a node can know; what came last is not enforced here"),
            None => tracing::warn!("a revocation that this version does not understand is not enforced here"),
        }
    }

    /// What is over makes room, as in the ledger.
    fn make_room(&mut self, now_unix_s: i64) {
        if self.tokens.len() >= REVOCATIONS_MAX {
            self.tokens.retain(|_, end| *end > now_unix_s);
        }
        if self.blocked.len() >= REVOCATIONS_MAX {
            self.blocked.retain(|_, end| *end > now_unix_s);
        }
        if self.users.len() >= REVOCATIONS_MAX {
            self.users.retain(|_, (_, end)| *end > now_unix_s);
        }
    }

    fn verdict(&self, user: &UserId, token: Fingerprint, now_unix_s: i64) -> Verdict {
        let lasts = |end: &i64| *end > now_unix_s;
        let blocked = self.blocked.get(user.as_str()).is_some_and(lasts);
        let by_id = token.id != 0 && self.tokens.get(&token.id).is_some_and(lasts);
        let by_age = self.users.get(user.as_str()).is_some_and(|(before, end)| token.issued_at < *before && lasts(end));
        match (blocked, by_id || by_age) {
            (true, _) => Verdict::Blocked,
            (false, true) => Verdict::Revoked,
            (false, false) => Verdict::Good,
        }
    }
}

impl Node {
    /// What a token can be revoked by. `id` is its `jti`, empty if none; `issued_at` its `iat`.
    #[must_use]
    pub fn fingerprint(&self, id: &str, issued_at: Option<i64>) -> Fingerprint {
        let unknown = Fingerprint::UNKNOWN;
        Fingerprint { id: self.revoked.hash(id), issued_at: issued_at.unwrap_or(unknown.issued_at) }
    }

    /// Whether a user is let in with a token. Asks nobody.
    #[must_use]
    pub fn verdict(&self, user: &UserId, token: Fingerprint) -> Verdict {
        self.revoked.verdict(user, token, self.unix_s())
    }

    /// Whether this node knows who is not let in.
    #[must_use]
    pub fn knows_revocations(&self) -> bool {
        self.revoked.has_read()
    }

    /// Writes a revocation down and has all nodes carry it out.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn revoke(&self, revocation: Revocation) -> Result<(), LedgerError> {
        let (sender, time_ms) = (self.parts.id.to_string(), self.parts.clock.unix_ms());
        let control = Control { sender, time_ms, order: Some(Order::Revocation(revocation)) };
        self.parts.ledger.write(control, self.unix_s()).await
    }

    /// Carries a revocation out.
    pub(super) fn obey_revocation(&self, revocation: &Revocation) {
        if let Some(whose) = self.revoked.heard(revocation, self.unix_s()) {
            self.review(whose.as_ref());
        }
        self.count_revocations();
    }

    /// Looks at a user's connections, or at all, and ends those that are not let in any more.
    fn review(&self, user: Option<&UserId>) {
        let verdict = |member: &Member| self.verdict(&member.user, member.mark.token());
        let concerned = |member: &Member| verdict(member) != Verdict::Good || member.mark.has_more();
        let mut ended = 0_u32;
        for member in self.parts.hub.people().those(user, concerned) {
            let close = match verdict(&member) {
                Verdict::Blocked => CloseCode::ForceDisconnect,
                Verdict::Revoked => CloseCode::InvalidToken,
                Verdict::Good | Verdict::Unknown => {
                    // A session that cannot take it ends, or has ended.
                    let _ = member.outbox.direct(Directive::Recheck);
                    continue;
                }
            };
            member.outbox.close(close.into());
            ended += 1;
        }
        if ended > 0 {
            tracing::info!(connections = ended, "ended connections of revoked tokens or blocked users");
        }
    }

    /// What is in this process is known at once: nobody need wait for it.
    pub(super) fn read_what_is_here(&self) {
        let _ = self.read_ledger().now_or_never();
    }

    async fn read_ledger(&self) -> Result<(), BrokerError> {
        let now = self.unix_s();
        self.revoked.begin_reading();
        let all = self.parts.ledger.read(now).await?;
        if self.revoked.end_reading(&all, now) {
            self.review(None);
        }
        self.count_revocations();
        Ok(())
    }

    fn count_revocations(&self) {
        self.parts.metrics.revocations.set(i64::try_from(self.revoked.count()).unwrap_or(i64::MAX));
    }

    fn unix_s(&self) -> i64 {
        self.parts.clock.unix_ms().div_euclid(1000)
    }
}

pub(super) async fn run(node: Arc<Node>, stop: CancellationToken) {
    let mut retry = Backoff::new(RETRY.0, RETRY.1);
    let mut warned = false;
    loop {
        let unsettled = node.parts.ledger.unsettled();
        let wait = match node.read_ledger().await {
            Ok(()) => {
                retry.reset();
                INTERVAL
            }
            Err(error) => {
                // A link that is down is told of by its keeper.
                if matches!(error, BrokerError::Refused(_)) && !std::mem::replace(&mut warned, true) {
                    tracing::warn!(%error, "cannot read who is revoked or blocked, so that nobody can be let in yet");
                }
                tracing::debug!(%error, "cannot read who is revoked or blocked; trying on");
                retry.next_wait()
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = unsettled => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

#[cfg(test)]
mod tests;
