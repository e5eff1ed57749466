//! How Protobuf messages share a frame: each comes after its length in bytes, a varint.

use bytes::{Buf, Bytes};

/// Why a frame cannot be cut into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DelimitError {
    /// The frame ends within a length or a message.
    #[error("a message is cut off")]
    CutOff,
    /// More bytes than the number needs. No encoder writes that, and one number must not have two forms.
    #[error("a length is written with too many bytes")]
    Overlong,
}

/// Takes the first message off a frame, sharing its memory.
///
/// # Errors
/// When the frame does not start with a whole message. The rest of the frame is then of no use.
pub fn take(frame: &mut Bytes) -> Result<Bytes, DelimitError> {
    let length = take_length(frame)?;
    if length > frame.len() {
        return Err(DelimitError::CutOff);
    }
    Ok(frame.split_to(length))
}

/// Five groups of seven bits are more than any frame has bytes.
const LENGTH_BYTES_MAX: usize = 5;

fn take_length(frame: &mut Bytes) -> Result<usize, DelimitError> {
    let mut length = 0;
    for (place, &byte) in frame.iter().take(LENGTH_BYTES_MAX).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 != 0 {
            continue;
        }
        if byte == 0 && place > 0 {
            return Err(DelimitError::Overlong);
        }
        frame.advance(place + 1);
        // Only where addresses have less than 35 bits, and there no frame is that long.
        return usize::try_from(length).map_err(|_| DelimitError::CutOff);
    }
    Err(if frame.len() < LENGTH_BYTES_MAX { DelimitError::CutOff } else { DelimitError::Overlong })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(frame: &[u8]) -> Result<Vec<Bytes>, DelimitError> {
        let mut frame = Bytes::copy_from_slice(frame);
        let mut messages = Vec::new();
        while !frame.is_empty() {
            messages.push(take(&mut frame)?);
        }
        Ok(messages)
    }

    #[test]
    fn messages_are_told_apart() {
        assert_eq!(take_all(b""), Ok(vec![]));
        assert_eq!(take_all(b"\x00"), Ok(vec![Bytes::new()]));
        assert_eq!(take_all(b"\x01a\x00\x02bc"), Ok(vec![b"a"[..].into(), Bytes::new(), b"bc"[..].into()]));
        let long = [&[0x80, 0x02][..], &[7; 256]].concat();
        assert_eq!(take_all(&long), Ok(vec![vec![7; 256].into()]));
    }

    #[test]
    fn broken_lengths_are_refused() {
        for frame in [&b"\x01"[..], b"\x05abcd", b"\x80", b"\xff\xff", b"\xff\xff\xff\xff\x7fabc"] {
            assert_eq!(take_all(frame), Err(DelimitError::CutOff), "{frame:x?}");
        }
        for frame in
            [&b"\x80\x00"[..], b"\x81\x00a", b"\x80\x80\x80\x80\x80", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"]
        {
            assert_eq!(take_all(frame), Err(DelimitError::Overlong), "{frame:x?}");
        }
    }
}
