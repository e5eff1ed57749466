//! What a publisher asks for besides delivery.

use std::time::Duration;

use fanfare_proto::limits::IDEMPOTENCY_KEY_BYTES_MAX;

use super::BrokerError;

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

impl PublishOptions {
    /// Whether nothing is to be kept of the publication: it is only sent.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.retention.is_none() && self.key.is_none()
    }

    /// Refuses what no broker can keep.
    pub(super) fn check(&self) -> Result<(), BrokerError> {
        match &self.key {
            Some(key) if !key.is_well_formed() => {
                Err(BrokerError::Refused("an idempotency key is 1 to 128 bytes of printable ASCII".into()))
            }
            _ => Ok(()),
        }
    }
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

impl IdempotencyKey {
    /// Whether the text is what it should be.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&self.text.len())
            && self.text.bytes().all(|byte| matches!(byte, 0x20..=0x7e))
    }
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
