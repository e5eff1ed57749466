//! Just enough of Redis' protocol (RESP 2) to publish: commands as bytes, and replies as slices of what was heard.

use fanfare_proto::envelope::Envelope;

/// Arrays within arrays; ROLE has two levels.
const DEPTH_MAX: usize = 4;

/// One reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply<'a> {
    Number(i64),
    /// A command failed: the first word is a code.
    Error(&'a [u8]),
    /// Anything else, as it came.
    Other(&'a [u8]),
}

/// These bytes are no RESP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Appends any command.
pub(super) fn command(out: &mut Vec<u8>, parts: &[&str]) {
    push_head(out, b'*', parts.len());
    for part in parts {
        push_part(out, part.as_bytes());
    }
}

/// Appends a PUBLISH, the envelope straight into its place.
pub(super) fn publish(out: &mut Vec<u8>, name: &str, envelope: &Envelope) {
    out.extend_from_slice(b"*3\r\n$7\r\nPUBLISH\r\n");
    push_part(out, name.as_bytes());
    let len = envelope.encoded_len();
    out.reserve(len + 32);
    push_head(out, b'$', len);
    envelope.encode_into(out);
    out.extend_from_slice(b"\r\n");
}

/// The first reply and its length in bytes; none if it is not all here.
pub(super) fn reply(bytes: &[u8]) -> Result<Option<(Reply<'_>, usize)>, Malformed> {
    let Some(len) = len(bytes, DEPTH_MAX)? else { return Ok(None) };
    let whole = &bytes[..len];
    let reply = match whole[0] {
        b':' => Reply::Number(number(&whole[1..len - 2])?),
        b'-' => Reply::Error(&whole[1..len - 2]),
        _ => Reply::Other(whole),
    };
    Ok(Some((reply, len)))
}

/// Bytes of the first reply.
fn len(bytes: &[u8], depth: usize) -> Result<Option<usize>, Malformed> {
    let Some(line) = bytes.iter().position(|byte| *byte == b'\n').map(|end| end + 1) else { return Ok(None) };
    let Some(head) = bytes[..line].strip_suffix(b"\r\n").filter(|head| !head.is_empty()) else { return Err(Malformed) };
    match head[0] {
        b':' | b'+' | b'-' => Ok(Some(line)),
        b'$' => {
            // -1 is nothing, without a line of its own.
            let end = match usize::try_from(number(&head[1..])?) {
                Ok(len) => line.saturating_add(len).saturating_add(2),
                Err(_) => line,
            };
            Ok((bytes.len() >= end).then_some(end))
        }
        b'*' if depth > 0 => {
            let mut end = line;
            for _ in 0..number(&head[1..])? {
                match len(&bytes[end..], depth - 1)? {
                    Some(part) => end += part,
                    None => return Ok(None),
                }
            }
            Ok(Some(end))
        }
        _ => Err(Malformed),
    }
}

fn number(digits: &[u8]) -> Result<i64, Malformed> {
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(Malformed)
}

fn push_part(out: &mut Vec<u8>, part: &[u8]) {
    push_head(out, b'$', part.len());
    out.extend_from_slice(part);
    out.extend_from_slice(b"\r\n");
}

/// A kind, a number and the end of the line. By hand: formatting would cost more than all the rest of a command.
fn push_head(out: &mut Vec<u8>, kind: u8, mut number: usize) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.push(kind);
    out.extend_from_slice(&digits[first..]);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use fanfare_proto::envelope::Publication;

    use super::*;

    #[test]
    fn commands_are_those_of_the_crate() {
        let envelope = Envelope::Publication(Publication { data: vec![b'x'; 1234].into(), ..Publication::default() });
        for name in ["", "n", "fanfare:0:ch:{news}"] {
            let mut ours = Vec::new();
            publish(&mut ours, name, &envelope);
            let mut theirs = redis::cmd("PUBLISH");
            theirs.arg(name).arg(&envelope.encode()[..]);
            assert_eq!(ours, theirs.get_packed_command());
        }
        let mut ours = Vec::new();
        command(&mut ours, &["AUTH", "a user", "0123456789"]);
        assert_eq!(ours, redis::cmd("AUTH").arg("a user").arg("0123456789").get_packed_command());
    }

    #[test]
    fn a_reply_ends_where_it_ends() {
        let role = b"*3\r\n$6\r\nmaster\r\n:7\r\n*1\r\n*2\r\n$1\r\na\r\n$1\r\n9\r\n";
        for (whole, wanted) in [
            (&b":12\r\n"[..], Reply::Number(12)),
            (b"-NOPERM no\r\n", Reply::Error(b"NOPERM no")),
            (b"+OK\r\n", Reply::Other(b"+OK\r\n")),
            (b"$-1\r\n", Reply::Other(b"$-1\r\n")),
            (b"$4\r\na\r\nb\r\n", Reply::Other(b"$4\r\na\r\nb\r\n")),
            (role, Reply::Other(role)),
        ] {
            let two = [whole, b":1\r\n"].concat();
            assert_eq!(reply(&two), Ok(Some((wanted, whole.len()))));
            for end in 0..whole.len() {
                assert_eq!(reply(&whole[..end]), Ok(None), "{end} of {wanted:?}");
            }
        }
    }

    #[test]
    fn what_is_no_reply_is_found_out() {
        let deep = b"*1\r\n".repeat(DEPTH_MAX + 1);
        for bytes in
            [&b"HTTP/1.1 400\r\n"[..], b"\r\n", b"\n", b":\r\n", b":x\r\n", b"$y\r\n", b"*z\r\n", b":1\n", &deep]
        {
            assert_eq!(reply(bytes), Err(Malformed), "{bytes:?}");
        }
    }
}
