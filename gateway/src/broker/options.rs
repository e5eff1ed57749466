//! What a publisher asks for besides delivery.

use std::time::Duration;

/// What is to be done with a publication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishOptions {
    /// Keeps it in the channel's stream; none: it is only sent.
    pub retention: Option<Retention>,
    /// Makes repeats harmless.
    pub key: Option<IdempotencyKey>,
    /// Drops it if it is not newer than what was said before; for channels with history.
    pub version: Option<Version>,
    /// When the publisher is answered.
    pub ack: Ack,
}

/// How much of a stream is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Publications; at least 1.
    pub size: usize,
    /// How long the stream is kept after its last publication.
    pub ttl: Duration,
    /// How long its numbering and epoch are; at least `ttl`.
    pub meta_ttl: Duration,
}

/// A publisher's name for one publication to one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// 1 to [`fanfare_proto::limits::IDEMPOTENCY_KEY_BYTES_MAX`] bytes of printable ASCII.
    pub text: String,
    /// How long it is remembered, from its last use.
    pub window: Duration,
}

/// A publication's place in the application's own order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// Dropped unless above the one before.
    pub number: u64,
    /// Versions of different epochs are not compared: the new one wins.
    pub epoch: String,
}

/// When a publisher is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ack {
    /// When it is stored (with history) or sent (without).
    #[default]
    Stored,
    /// When so many replicas have confirmed it, too; given up after a time.
    Replicated {
        /// Replicas; at least 1.
        replicas: u64,
        /// How long to wait for them.
        timeout: Duration,
    },
}
