//! What a broker tells its node, and how much of it may wait.

use std::sync::Arc;

use fanfare_proto::envelope::Control;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Outgoing;
use crate::model::{ChannelName, Membership};

/// Bytes of publications that may wait for the node, beside the bound on their number
/// (`broker.intake_max`): that many of the largest size would be all of the memory. Enough for a busy
/// second, and for some dozens of the largest.
pub const INTAKE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The node's end of the stream. Bounded in number and in bytes; when the node is slower than the broker, `publish` waits
/// (memory), or Redis is read no further and, after the command timeout, the link is given up and a gap
/// is told: nothing is dropped in silence.
pub type Events = mpsc::Receiver<BrokerEvent>;

/// Something from the broker.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "the large one is the common one, and is moved, not kept")]
pub enum BrokerEvent {
    /// Something was said on a channel.
    Published {
        /// The channel.
        channel: ChannelName,
        /// What was said, with the publisher's trace context.
        outgoing: Outgoing,
        /// The room it takes up until it has been handled.
        room: Option<Room>,
    },
    /// Somebody joined a channel or left it.
    Member {
        /// The channel.
        channel: ChannelName,
        /// Who, and which of the two.
        membership: Membership,
        /// The room it takes up until it has been handled.
        room: Option<Room>,
    },
    /// An order about some sessions, from any node. Comes once: a second time it could close a session
    /// that was made since.
    Control(Box<Control>),
    /// Publications of this channel may be missing between the one before and the one after.
    Gap {
        /// The channel.
        channel: ChannelName,
    },
}

/// Room that a waiting message takes up; free again when this is dropped.
#[derive(Clone, Debug)]
pub struct Room {
    _bytes: Arc<OwnedSemaphorePermit>,
}

impl Room {
    /// All the room of one intake.
    #[must_use]
    pub(super) fn all() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(INTAKE_BYTES_MAX))
    }

    pub(super) fn new(bytes: OwnedSemaphorePermit) -> Self {
        Self { _bytes: Arc::new(bytes) }
    }

    /// How much of the room a publication takes: what is larger than all of it takes all of it.
    pub(super) fn needed(bytes: usize) -> u32 {
        u32::try_from(bytes.min(INTAKE_BYTES_MAX)).expect("the bound fits")
    }
}
