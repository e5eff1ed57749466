//! Who and what is no longer let in: kept for those who come later, told to those who are there.

use std::fmt;

use fanfare_proto::code::ErrorCode;
use fanfare_proto::envelope::{Control, Revocation};
use fanfare_proto::limits::REVOCATIONS_MAX;

use super::{BoxFuture, BrokerError};

/// Keeps revocations, and tells them to all nodes.
///
/// # The contract
/// - **Written and told in one step.** A revocation that is answered is written down, and comes to every
///   node, this one included, as a [`super::BrokerEvent::Control`], once, by the road and with the promises
///   of [`super::Bus`]. All nodes hear of them in the order in which they were written down.
/// - **Whoever reads and listens knows all.** A node that has heard of everything since before it began to
///   read knows everything that was written down, read or heard.
/// - **The last word counts**: of a token's or a user's block the last one's end. Of a user's older tokens
///   the later moment and the longer time: what was revoked stays so.
/// - **Bounded.** At most [`REVOCATIONS_MAX`] of each kind; what has ended is forgotten.
pub trait Ledger: fmt::Debug + Send + Sync + 'static {
    /// Writes the revocation down that `control` orders, and tells it. `now_unix_s` is now, in seconds since
    /// 1970: what ended before is forgotten.
    ///
    /// # Errors
    /// See [`LedgerError`]. Unless it is [`LedgerError::Full`] it may have been done.
    fn write(&self, control: Control, now_unix_s: i64) -> BoxFuture<'_, Result<(), LedgerError>>;

    /// Everything that is written down and has not ended. What is in this process is read at once.
    ///
    /// # Errors
    /// When it cannot be read now.
    fn read(&self, now_unix_s: i64) -> BoxFuture<'_, Result<Vec<Revocation>, BrokerError>>;

    /// Ready when something may have been written down that this node was not told of, or a read that
    /// failed is worth trying again.
    ///
    /// # Cancel safety
    /// Safe; what happens between two calls is missed.
    fn unsettled(&self) -> BoxFuture<'_, ()>;
}

/// Why a revocation was not written down.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// There are as many as there may be. The caller's fault: give them an end.
    #[error("there are {REVOCATIONS_MAX} of them already: give them an expire_at, so that they make room")]
    Full,
    /// The order is no revocation. Ours.
    #[error("the order is no revocation")]
    Senseless,
    /// The broker's.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl LedgerError {
    /// What a backend is told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Full => ErrorCode::LimitExceeded,
            Self::Senseless => ErrorCode::Internal,
            Self::Broker(error) => error.code(),
        }
    }
}
