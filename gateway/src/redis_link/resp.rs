//! As much of Redis' protocol (RESP2) as a subscriber speaks: commands out, and in what a connection
//! in subscribed mode gets. Pure: bytes in, frames out.
//!
//! Why not the redis crate here: its push channel either has no bound or throws away what does not fit.
//! This reader is simply not called while there is no room, which Redis feels as a slow reader.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Largest piece that is accepted, in bytes. Publications are far smaller; a length beyond is garbage.
const PIECE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most pieces in one frame. Redis sends three on a subscribed connection.
const PIECES_MAX: usize = 8;

/// Longest line, in bytes: a length or an error message.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// What a subscriber gets from Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Something was published.
    Message {
        /// The pub/sub name.
        name: Bytes,
        /// What was published.
        payload: Bytes,
    },
    /// `SUBSCRIBE` took effect for one name.
    Subscribed(Bytes),
    /// `UNSUBSCRIBE` took effect for one name.
    Unsubscribed(Bytes),
    /// The answer to `PING`.
    Pong,
    /// The answer to `AUTH`.
    Okay,
    /// A command was refused.
    Error(String),
}

/// What came is not what a Redis sends to a subscriber.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the Redis protocol: {0}")]
pub(super) struct ProtocolError(&'static str);

/// Appends a command.
pub(super) fn write_command<'a>(out: &mut BytesMut, arguments: impl ExactSizeIterator<Item = &'a [u8]>) {
    write_length(out, b'*', arguments.len());
    for argument in arguments {
        write_length(out, b'$', argument.len());
        out.put_slice(argument);
        out.put_slice(b"\r\n");
    }
}

fn write_length(out: &mut BytesMut, kind: u8, length: usize) {
    out.put_u8(kind);
    out.put_slice(length.to_string().as_bytes());
    out.put_slice(b"\r\n");
}

/// Takes one frame from the front of the buffer; `None` if it is not whole yet. Pieces share the
/// buffer's memory.
pub(super) fn read_frame(buffer: &mut BytesMut) -> Result<Option<Frame>, ProtocolError> {
    // First measure, then cut: an incomplete frame leaves the buffer as it is.
    let Some(shape) = measure(buffer)? else { return Ok(None) };
    let bytes = buffer.split_to(shape.len).freeze();
    let pieces: Vec<Bytes> = shape.pieces.iter().map(|(from, to)| bytes.slice(*from..*to)).collect();
    match shape.kind {
        b'+' if &pieces[0][..] == b"PONG" => Ok(Some(Frame::Pong)),
        b'+' => Ok(Some(Frame::Okay)),
        b'-' => Ok(Some(Frame::Error(String::from_utf8_lossy(&pieces[0]).into_owned()))),
        b'*' => array(&pieces).map(Some),
        _ => Err(ProtocolError("an unexpected kind of answer")),
    }
}

fn array(pieces: &[Bytes]) -> Result<Frame, ProtocolError> {
    match pieces {
        [kind, name, payload] if &kind[..] == b"message" => {
            Ok(Frame::Message { name: name.clone(), payload: payload.clone() })
        }
        [kind, name, _count] if &kind[..] == b"subscribe" => Ok(Frame::Subscribed(name.clone())),
        [kind, name, _count] if &kind[..] == b"unsubscribe" => Ok(Frame::Unsubscribed(name.clone())),
        [kind, _payload] if &kind[..] == b"pong" => Ok(Frame::Pong),
        _ => Err(ProtocolError("an unexpected push")),
    }
}

/// From where to where in the buffer.
type Span = (usize, usize);

/// Where a frame's pieces lie.
struct Shape {
    kind: u8,
    len: usize,
    pieces: Vec<Span>,
}

fn measure(buffer: &[u8]) -> Result<Option<Shape>, ProtocolError> {
    let Some((kind, line)) = line(buffer, 0)? else { return Ok(None) };
    if kind != b'*' {
        return Ok(Some(Shape { kind, len: line.1 + 2, pieces: vec![line] }));
    }
    let count = number(&buffer[line.0..line.1])?;
    if count > PIECES_MAX {
        return Err(ProtocolError("too many pieces"));
    }
    let mut at = line.1 + 2;
    let mut pieces = Vec::with_capacity(count);
    for _ in 0..count {
        let Some((kind, line)) = self::line(buffer, at)? else { return Ok(None) };
        at = line.1 + 2;
        match kind {
            b':' => pieces.push(line),
            // Absent, which reads as empty: the name when all were unsubscribed, a pong's payload.
            b'$' if &buffer[line.0..line.1] == b"-1" => pieces.push((at, at)),
            b'$' => {
                let len = number(&buffer[line.0..line.1])?;
                if len > PIECE_BYTES_MAX {
                    return Err(ProtocolError("a piece is too large"));
                }
                if buffer.len() < at + len + 2 {
                    return Ok(None);
                }
                pieces.push((at, at + len));
                at += len + 2;
                if &buffer[at - 2..at] != b"\r\n" {
                    return Err(ProtocolError("a piece does not end where it should"));
                }
            }
            _ => return Err(ProtocolError("an unexpected kind of piece")),
        }
    }
    Ok(Some(Shape { kind: b'*', len: at, pieces }))
}

/// A line from `at` on: its kind byte, and from where to where its text reaches, without CR LF.
fn line(buffer: &[u8], at: usize) -> Result<Option<(u8, Span)>, ProtocolError> {
    let Some(rest) = buffer.get(at..).filter(|rest| rest.has_remaining()) else { return Ok(None) };
    let window = &rest[..rest.len().min(LINE_BYTES_MAX)];
    match window.iter().position(|b| *b == b'\r') {
        Some(0) => Err(ProtocolError("an empty line")),
        Some(end) if end + 1 >= rest.len() => Ok(None),
        Some(end) if rest[end + 1] == b'\n' => Ok(Some((rest[0], (at + 1, at + end)))),
        Some(_) => Err(ProtocolError("a bare CR")),
        None if rest.len() >= LINE_BYTES_MAX => Err(ProtocolError("a line is too long")),
        None => Ok(None),
    }
}

fn number(text: &[u8]) -> Result<usize, ProtocolError> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(ProtocolError("not a length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> Result<Vec<Frame>, ProtocolError> {
        let mut buffer = BytesMut::from(bytes);
        let mut frames = Vec::new();
        while let Some(frame) = read_frame(&mut buffer)? {
            frames.push(frame);
        }
        assert!(buffer.is_empty(), "{buffer:?} is left");
        Ok(frames)
    }

    const STREAM: &[u8] =
        b"+OK\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$4\r\n\r\n\x00x\r\n\
        *3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n+PONG\r\n-ERR no\r\n";

    fn frames() -> Vec<Frame> {
        vec![
            Frame::Okay,
            Frame::Subscribed("a".into()),
            Frame::Message { name: "a".into(), payload: Bytes::from_static(b"\r\n\x00x") },
            Frame::Unsubscribed(Bytes::new()),
            Frame::Pong,
            Frame::Pong,
            Frame::Error("ERR no".into()),
        ]
    }

    #[test]
    fn a_stream_in_one_piece() {
        assert_eq!(read_all(STREAM).unwrap(), frames());
    }

    #[test]
    fn a_stream_byte_by_byte() {
        let (mut buffer, mut seen) = (BytesMut::new(), Vec::new());
        for byte in STREAM {
            buffer.put_u8(*byte);
            seen.extend(read_frame(&mut buffer).unwrap());
        }
        assert_eq!(seen, frames());
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic() {
        for bad in [
            &b"HTTP/1.1 400\r\n"[..],
            b"\r\n",
            b"*9\r\n",
            b"*x\r\n",
            b"*-1\r\n",
            b"*1\r\n$99999999999\r\n",
            b"*1\r\n$1\r\nabc",
            b"*1\r\n*1\r\n",
            b"*1\r\n$3\r\nfoo\r\n",
            b"+a\rb\r\n",
            b":1\r\n",
        ] {
            assert!(read_all(bad).is_err(), "{bad:?}");
        }
        assert!(read_all(&vec![b'x'; LINE_BYTES_MAX]).is_err());
    }

    #[test]
    fn commands() {
        let mut out = BytesMut::new();
        write_command(&mut out, [&b"SUBSCRIBE"[..], b"a b"].into_iter());
        assert_eq!(&out[..], b"*2\r\n$9\r\nSUBSCRIBE\r\n$3\r\na b\r\n");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes(bytes: Vec<u8>) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = read_frame(&mut buffer) {}
        }
    }
}
