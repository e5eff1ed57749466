//! WebSocket frames as a client has them (RFC 6455, section 5): small, because the crowd shares the
//! machine with the server that it measures.

use crate::wire::Message;

/// A frame from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) opcode: u8,
    /// The last one of its message.
    pub(super) last: bool,
    pub(super) payload: &'a [u8],
    /// Bytes of head and payload.
    pub(super) size: usize,
}

pub(super) const CLOSE: u8 = 0x8;
pub(super) const PING: u8 = 0x9;
pub(super) const PONG: u8 = 0xA;

/// The first frame; none if it is not all here.
#[inline]
pub(super) fn first(bytes: &[u8]) -> Option<Frame<'_>> {
    let (&begin, &len) = (bytes.first()?, bytes.get(1)?);
    let (head, len) = match len & 0x7F {
        126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)).ok()?),
        len => (2, usize::from(len)),
    };
    let payload = bytes.get(head..len.checked_add(head)?)?;
    Some(Frame { opcode: begin & 0x0F, last: begin & 0x80 != 0, payload, size: head + len })
}

/// Appends a frame with a mask of zeros: it is allowed, and costs nothing.
pub(super) fn write(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(0x80 | opcode);
    match payload.len() {
        // Casts to a byte and to two: the arms say that they fit.
        len @ 0..=125 => out.push(0x80 | len as u8),
        len @ 126..=0xFFFF => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

pub(super) fn write_message(message: &Message, out: &mut Vec<u8>) {
    match message {
        Message::Text(bytes) => write(0x1, bytes, out),
        Message::Binary(bytes) => write(0x2, bytes, out),
    }
}

/// What a close frame says: a code and a text.
pub(super) fn reason(payload: &[u8]) -> String {
    match payload.split_first_chunk() {
        Some((code, text)) => format!("{} {}", u16::from_be_bytes(*code), String::from_utf8_lossy(text)),
        None => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goodbye_is_a_code_and_a_text() {
        assert_eq!(reason(b"\x0b\xb9shutdown"), "3001 shutdown");
        assert_eq!(reason(b""), "nothing");
    }

    #[test]
    fn frames_of_all_sizes_are_found_when_they_are_whole() {
        for size in [0, 125, 126, 65_535, 65_536] {
            let mut bytes = Vec::new();
            write(0x2, &vec![7; size], &mut bytes);
            // A server's frame has no mask.
            let head = bytes.len() - size - 4;
            bytes[1] &= 0x7F;
            bytes.drain(head..head + 4);
            assert_eq!(first(&bytes[..bytes.len() - 1]), None);
            bytes.push(0xFF);
            let frame = first(&bytes).unwrap();
            assert_eq!((frame.opcode, frame.payload.len(), frame.size), (2, size, bytes.len() - 1));
            assert!(frame.last);
            bytes[0] &= 0x7F;
            assert!(!first(&bytes).unwrap().last);
        }
    }
}
