//! From frames to commands, from events to frames: one folder for each protocol. Knows wires and the
//! model, nothing else; holds no state of a connection.

pub mod centrifuge;

use bytes::Bytes;

use crate::model::Close;
use crate::model::command::Command;
use crate::model::wire::Encode;

/// Reads and writes one wire.
pub trait Codec: Encode {
    /// Reads one message of the transport. Bytes of the commands share the message's memory where the
    /// wire allows it. Never panics and never recurses with the input's depth.
    fn decode(&self, message: Bytes) -> Decoded;
}

/// What a message held.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The commands that could be read, in order.
    pub commands: Vec<Command>,
    /// Set when the rest could not be read: carry the commands out, then close.
    pub then: Option<Close>,
}
