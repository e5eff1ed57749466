//! The seam between those who have something to tell (hub, session) and those who know how a client
//! wants it written (codecs): the hub encodes once for each [`WireKey`], never for each client.

use std::fmt;

use bytes::Bytes;

use super::event::Event;

/// Names one way of writing events. Clients with the same key share encoded frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WireKey {
    /// Centrifuge client protocol v2 in JSON.
    CentrifugeJson,
    /// Centrifuge client protocol v2 in Protobuf.
    CentrifugeProtobuf,
}

impl WireKey {
    /// How many there are: the size of a table indexed by [`WireKey::index`].
    pub const COUNT: usize = 2;

    /// The key's place in a table.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// In which form a subscription gets data, apart from patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// As it was published.
    Plain,
    /// As subscriptions get it that have agreed to patches.
    Delta,
}

impl Form {
    /// How many there are: the size of a table indexed by [`Form::index`].
    pub const COUNT: usize = 2;

    /// The form's place in a table.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// An encoded message, ready for a transport. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// UTF-8 text.
    Text(Bytes),
    /// Any bytes.
    Binary(Bytes),
}

impl Frame {
    /// The bytes, of either kind.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }

    /// The bytes, of either kind, for good.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }

    /// Size in bytes, without the transport's own framing.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// True for a frame without content.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(bytes) => write!(f, "Text({})", String::from_utf8_lossy(bytes)),
            Self::Binary(bytes) => write!(f, "Binary({bytes:?})"),
        }
    }
}

/// Writes events in one wire's form. Implemented by codecs; cannot fail, because what cannot be
/// written on a wire is refused where it enters the gateway.
pub trait Encode: fmt::Debug + Send + Sync + 'static {
    /// Which wire this is.
    fn key(&self) -> WireKey;

    /// One event, one frame.
    fn encode(&self, event: &Event<'_>) -> Frame;

    /// Several frames of this wire as one message, which says the same in the same order; none where a message is
    /// one event and no more.
    fn join(&self, _frames: &[Frame]) -> Option<Frame> {
        None
    }
}
