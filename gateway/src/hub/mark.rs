//! What a connection's tokens can be revoked by, where those who revoke can see it without asking the
//! session.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use crate::model::Fingerprint;

/// Of one connection: its present token's fingerprint, and whether any of its subscriptions has a token of
/// its own. The session writes, revocations read.
///
/// Relaxed throughout: a session that has written looks at the revocations afterwards, under their lock, as
/// those do who have noted one and then read here; so one of the two sees the other.
#[derive(Debug)]
pub struct Mark {
    id: AtomicU64,
    issued_at: AtomicI64,
    more: AtomicBool,
}

impl Mark {
    /// Of a connection with this token.
    #[must_use]
    pub fn new(token: Fingerprint) -> Self {
        Self { id: token.id.into(), issued_at: token.issued_at.into(), more: false.into() }
    }

    /// The connection has another token.
    pub fn set(&self, token: Fingerprint) {
        self.id.store(token.id, Ordering::Relaxed);
        self.issued_at.store(token.issued_at, Ordering::Relaxed);
    }

    /// The connection's token.
    #[must_use]
    pub fn token(&self) -> Fingerprint {
        Fingerprint { id: self.id.load(Ordering::Relaxed), issued_at: self.issued_at.load(Ordering::Relaxed) }
    }

    /// A subscription was opened by a token of its own: from now on the session is asked, too.
    pub fn note_more(&self) {
        self.more.store(true, Ordering::Relaxed);
    }

    /// Whether a subscription ever was.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.more.load(Ordering::Relaxed)
    }
}
