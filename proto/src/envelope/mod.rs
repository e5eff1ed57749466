//! What travels on the broker: one version byte, one kind byte, then Protobuf
//! (`schema/envelope.proto`). `docs/protocol/redis.md` is the norm; golden files hold the bytes.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

/// The messages, generated from the schema.
#[allow(missing_docs, reason = "generated; the schema has the comments")]
#[allow(clippy::all, reason = "generated")]
#[allow(unreachable_pub, reason = "generated")]
mod schema {
    include!(concat!(env!("OUT_DIR"), "/fanfare.envelope.rs"));
}

pub use schema::control::Order;
pub use schema::revocation::What;
pub use schema::{
    ClientInfo, Control, Disconnect, IssuedBefore, Membership, Publication, Refresh, Revocation, Since, Subscribe,
    Target, Unsubscribe,
};

/// The version that is written. Readers take this one and, once there is a second, the one before.
pub const VERSION: u8 = 1;

/// Bytes of the version and the kind.
const HEAD: usize = 2;

const PUBLICATION: u8 = b'p';
const CONTROL: u8 = b'c';
const MEMBERSHIP: u8 = b'm';

/// Anything that two nodes tell each other.
#[derive(Clone, Debug, PartialEq)]
pub enum Envelope {
    /// Something was said on a channel.
    Publication(Publication),
    /// Somebody joined a channel or left it.
    Membership(Membership),
    /// Something is to be done about some sessions.
    Control(Control),
}

/// Why bytes are not an envelope. The fault of whoever wrote them into the broker.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not even two bytes.
    #[error("an envelope has at least two bytes")]
    Short,
    /// From a newer or a foreign writer.
    #[error("envelope version {0} is not known here (this is version {VERSION})")]
    Version(u8),
    /// From a newer writer.
    #[error("envelope kind {0:?} is not known here")]
    Kind(char),
    /// The rest is not the message it should be.
    #[error("malformed envelope: {0}")]
    Malformed(#[from] prost::DecodeError),
}

impl Envelope {
    /// Reads an envelope; payloads share the input's memory.
    ///
    /// # Errors
    /// When the bytes are no envelope of a known version.
    pub fn decode(mut bytes: Bytes) -> Result<Self, EnvelopeError> {
        if bytes.len() < HEAD {
            return Err(EnvelopeError::Short);
        }
        let head = bytes.split_to(HEAD);
        match (head[0], head[1]) {
            (VERSION, PUBLICATION) => Ok(Self::Publication(Publication::decode(bytes)?)),
            (VERSION, MEMBERSHIP) => Ok(Self::Membership(Membership::decode(bytes)?)),
            (VERSION, CONTROL) => Ok(Self::Control(Control::decode(bytes)?)),
            (VERSION, kind) => Err(EnvelopeError::Kind(kind.into())),
            (version, _) => Err(EnvelopeError::Version(version)),
        }
    }

    /// Writes an envelope of the current version.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.encoded_len());
        self.encode_into(&mut bytes);
        bytes.freeze()
    }

    /// How many bytes [`encode`](Self::encode) makes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        HEAD + match self {
            Self::Publication(publication) => publication.encoded_len(),
            Self::Membership(membership) => membership.encoded_len(),
            Self::Control(control) => control.encoded_len(),
        }
    }

    /// Appends what [`encode`](Self::encode) makes to a buffer that grows, as `Vec` and `BytesMut` do: for those
    /// who gather many.
    pub fn encode_into(&self, out: &mut impl BufMut) {
        match self {
            Self::Publication(publication) => write(PUBLICATION, publication, out),
            Self::Membership(membership) => write(MEMBERSHIP, membership, out),
            Self::Control(control) => write(CONTROL, control, out),
        }
    }
}

fn write(kind: u8, message: &impl Message, out: &mut impl BufMut) {
    out.put_u8(VERSION);
    out.put_u8(kind);
    message.encode(out).expect("a growing buffer has room");
}
