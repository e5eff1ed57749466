//! What a broker tells its node.

use fanfare_proto::envelope::Control;
use tokio::sync::mpsc;

use super::Outgoing;
use crate::model::ChannelName;

/// The node's end of the stream. Bounded; when the node is slower than the broker, `publish` waits
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
