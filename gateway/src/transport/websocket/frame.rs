//! Frames as RFC 6455, section 5, has them: heads of frames in and out, and the mask.

use crate::model::wire::Frame;

/// The largest head that a server writes: two bytes and a length of eight.
const HEAD_MAX: usize = 10;

/// What a frame is (5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn parse(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

impl From<&Frame> for Opcode {
    fn from(frame: &Frame) -> Self {
        match frame {
            Frame::Text(_) => Self::Text,
            Frame::Binary(_) => Self::Binary,
        }
    }
}

/// The head of a frame from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) opcode: Opcode,
    /// The last frame of its message.
    pub(super) last: bool,
    pub(super) mask: [u8; 4],
    /// Bytes of payload.
    pub(super) len: u64,
    /// Bytes of the head itself.
    pub(super) size: usize,
}

/// The head is none that a client may send: an extension that was not agreed upon, an unknown opcode, no
/// mask, or a control frame that is long or in pieces (5.2, 5.3, 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadHead;

impl Head {
    /// Reads a head; none if there is not all of it yet.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, BadHead> {
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        let last = first & 0x80 != 0;
        let opcode = Opcode::parse(first & 0x0F).ok_or(BadHead)?;
        let (reserved, masked) = (first & 0x70, second & 0x80 != 0);
        let short = second & 0x7F;
        if reserved != 0 || !masked || (opcode.is_control() && (short > 125 || !last)) {
            return Err(BadHead);
        }
        let (len, rest) = match short {
            126 => match rest.split_first_chunk::<2>() {
                Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk::<8>() {
                Some((len, rest)) => (u64::from_be_bytes(*len), rest),
                None => return Ok(None),
            },
            short => (u64::from(short), rest),
        };
        let Some((mask, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        Ok(Some(Self { opcode, last, mask: *mask, len, size: bytes.len() - rest.len() }))
    }
}

/// Appends the head of a whole, unmasked frame: a server masks nothing (5.1).
pub(super) fn write_head(opcode: Opcode, len: usize, out: &mut Vec<u8>) {
    let first = 0x80 | opcode.bits();
    out.reserve(HEAD_MAX);
    match len {
        // Casts to a byte and to two: the arms say that they fit.
        0..=125 => out.extend_from_slice(&[first, len as u8]),
        126..=0xFFFF => {
            out.extend_from_slice(&[first, 126]);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.extend_from_slice(&[first, 127]);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
}

/// A whole frame.
pub(super) fn whole(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_MAX + payload.len());
    write_head(opcode, payload.len(), &mut out);
    out.extend_from_slice(payload);
    out
}

/// Takes the mask off a payload (5.3), eight bytes at a time.
pub(super) fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = payload.chunks_exact_mut(8);
    for word in &mut words {
        let bytes: [u8; 8] = std::array::from_fn(|i| word[i]);
        word.copy_from_slice(&(u64::from_ne_bytes(bytes) ^ wide).to_ne_bytes());
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
}
