//! What is left of a token once it was good.

/// What a token can be revoked by, in as little room as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// A hash of its id (`jti`), by a hasher of this process; 0 if it has none.
    pub id: u64,
    /// When it was made, in seconds since 1970. Of one that does not say, the earliest moment: whoever wants
    /// older tokens gone cannot want it to stay.
    pub issued_at: i64,
}

impl Fingerprint {
    /// Of a token that says nothing of itself.
    pub const UNKNOWN: Self = Self { id: 0, issued_at: i64::MIN };
}

impl Default for Fingerprint {
    fn default() -> Self {
        Self::UNKNOWN
    }
}
