//! How much one answer may hold. A page of history or a list of members is bounded by itself; a batch
//! asks for up to a thousand of them, which must not take a thousand times the memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use fanfare_proto::limits::API_ANSWER_BYTES_MAX;

use super::ApiError;
use crate::model::ByteSize;

/// The room of one answer, shared by the calls of a batch that read.
#[derive(Debug)]
pub(super) struct Allowance {
    /// For each call.
    share: ByteSize,
    /// For all calls together. A call may take more than its share (one publication is always given), so
    /// shares alone would not be a bound.
    left: AtomicUsize,
}

impl Allowance {
    /// For a request that is no batch.
    pub(super) fn alone() -> Self {
        Self::shared_by(1)
    }

    /// For so many calls that read.
    pub(super) fn shared_by(calls: usize) -> Self {
        Self { share: ByteSize(API_ANSWER_BYTES_MAX / calls.max(1)), left: AtomicUsize::new(API_ANSWER_BYTES_MAX) }
    }

    /// What a call that is about to read may take.
    pub(super) fn share(&self) -> Result<ByteSize, ApiError> {
        match self.left.load(Ordering::Relaxed) {
            0 => Err(full()),
            left => Ok(ByteSize(self.share.bytes().min(left))),
        }
    }

    /// Notes what a call has read that kept to its share as far as it could.
    pub(super) fn take(&self, bytes: usize) {
        let less = |left: usize| Some(left.saturating_sub(bytes));
        // Cannot fail: there is always a next value.
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Notes what a call has read that cannot be asked for less, if there is room for it.
    pub(super) fn fit(&self, bytes: usize) -> Result<(), ApiError> {
        let less = |left: usize| left.checked_sub(bytes);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).map(drop).map_err(|_| full())
    }
}

fn full() -> ApiError {
    ApiError::too_many(format!("the answer would be over {API_ANSWER_BYTES_MAX} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_more_than_the_share_leaves_less_to_others() {
        let room = Allowance::shared_by(4);
        assert_eq!(room.share().map(ByteSize::bytes), Ok(API_ANSWER_BYTES_MAX / 4));
        room.take(API_ANSWER_BYTES_MAX - 10);
        assert_eq!(room.share().map(ByteSize::bytes), Ok(10));
        assert!(room.fit(11).is_err(), "nothing is taken then");
        assert_eq!(room.fit(4), Ok(()));
        room.take(11);
        assert!(room.share().is_err());
    }
}
