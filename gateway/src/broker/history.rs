//! Questions about a channel's stream, and answers.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{ByteSize, Position, Retained};

/// Which part of a stream to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Only publications after this offset (before it, in reverse); none: from the oldest one kept (from
    /// the newest, in reverse).
    pub since: Option<u64>,
    /// At most so many; 0 only asks where the stream stands.
    pub limit: usize,
    /// Ends the page before it grows beyond this; the first publication is always in it.
    pub size: ByteSize,
    /// From new to old.
    pub reverse: bool,
    /// How long the stream's numbering is kept from now on.
    pub meta_ttl: Duration,
}

/// A channel's stream, as it stood at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its newest publication; offset 0 if there has been none.
    pub top: Position,
    /// Its life before this epoch, if it went on under a new one.
    pub previous: Option<Previous>,
}

/// The epoch that a stream had before, in the same numbering: a client that has seen nothing beyond its
/// top has seen nothing that is not in this stream, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// Its name.
    pub epoch: Arc<str>,
    /// The last offset of it that the stream still knew when the new epoch began.
    pub top: u64,
}

/// A part of a stream, read in one step with where the stream stood.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    /// Where the stream stood.
    pub stream: Stream,
    /// In the order asked for, all with a position in the stream's present epoch. Fewer than the limit if
    /// the page's size was reached, or no more are kept. Not necessarily without gaps: what has expired
    /// or was evicted is not there.
    pub publications: Vec<Arc<Retained>>,
}
