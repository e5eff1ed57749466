//! The Protobuf form: each message after its length, any number of them in a binary frame.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::command::{Command, CommandError};
use super::reply::{ClientInfo, Publication};
use super::{delimit, schema};

/// A server's ping and a client's pong: a message without content.
pub const EMPTY: &[u8] = b"\0";

/// Reads a client's frame, command by command; payloads share its memory. Ends after the first error.
/// A frame without commands is an error.
pub fn commands(frame: Bytes) -> impl Iterator<Item = Result<Command, CommandError>> {
    let mut nothing_yet = true;
    let mut rest = Some(frame);
    std::iter::from_fn(move || {
        let frame = rest.as_mut()?;
        if frame.is_empty() {
            rest = None;
            return nothing_yet.then_some(Err(CommandError::Empty));
        }
        nothing_yet = false;
        let command = take_command(frame);
        if command.is_err() {
            rest = None;
        }
        Some(command)
    })
}

fn take_command(frame: &mut Bytes) -> Result<Command, CommandError> {
    let message = delimit::take(frame)?;
    let empty = message.is_empty();
    Command::check(schema::Command::decode(message)?, empty)
}

/// Reads a server's frame: what a client does.
///
/// # Errors
/// When a message is cut off or is no reply.
pub fn replies(mut frame: Bytes) -> Result<Vec<schema::Reply>, CommandError> {
    let mut replies = Vec::new();
    while !frame.is_empty() {
        replies.push(schema::Reply::decode(delimit::take(&mut frame)?)?);
    }
    Ok(replies)
}

/// Writes a command: what a client does.
#[must_use]
pub fn command(command: &schema::Command) -> Bytes {
    command.encode_length_delimited_to_vec().into()
}

/// Writes a reply or a push.
#[must_use]
pub fn reply(reply: &schema::Reply) -> Bytes {
    reply.encode_length_delimited_to_vec().into()
}

/// Writes a publication, allocating once.
#[must_use]
pub fn publication(publication: &Publication<'_>) -> Bytes {
    // From the inside out, since each length stands before what it measures.
    let info = publication.info.as_ref().map(client_info_len);
    let inner = publication_len(publication, info);
    let push = bytes_len(publication.channel.as_bytes()) + field_len(inner);
    let reply = field_len(push);

    let mut out = BytesMut::with_capacity(varint_len(reply) + reply);
    encode_varint(reply as u64, &mut out);
    put_head(&mut out, 4, push);
    put_bytes(&mut out, 2, publication.channel.as_bytes());
    put_head(&mut out, 4, inner);
    put_bytes(&mut out, 4, publication.data);
    if let (Some(info), Some(len)) = (&publication.info, info) {
        put_head(&mut out, 5, len);
        put_bytes(&mut out, 1, info.user.as_bytes());
        put_bytes(&mut out, 2, info.client.as_bytes());
        put_bytes(&mut out, 3, info.conn_info);
        put_bytes(&mut out, 4, info.chan_info);
    }
    put_number(&mut out, 6, publication.offset);
    for (key, value) in publication.tags {
        put_head(&mut out, 7, tag_len(key, value));
        put_bytes(&mut out, 1, key.as_bytes());
        put_bytes(&mut out, 2, value.as_bytes());
    }
    put_number(&mut out, 9, publication.time.cast_unsigned());
    put_bytes(&mut out, 14, publication.epoch.as_bytes());
    out.freeze()
}

fn publication_len(publication: &Publication<'_>, info: Option<usize>) -> usize {
    let tags: usize = publication.tags.iter().map(|(key, value)| field_len(tag_len(key, value))).sum();
    bytes_len(publication.data)
        + info.map_or(0, field_len)
        + number_len(publication.offset)
        + tags
        + number_len(publication.time.cast_unsigned())
        + bytes_len(publication.epoch.as_bytes())
}

fn client_info_len(info: &ClientInfo<'_>) -> usize {
    bytes_len(info.user.as_bytes())
        + bytes_len(info.client.as_bytes())
        + bytes_len(info.conn_info)
        + bytes_len(info.chan_info)
}

fn tag_len(key: &str, value: &str) -> usize {
    bytes_len(key.as_bytes()) + bytes_len(value.as_bytes())
}

// Fields 1 to 15 have a key of one byte, and a publication has no others. Empty and zero are not written.

fn field_len(len: usize) -> usize {
    1 + varint_len(len) + len
}

fn bytes_len(bytes: &[u8]) -> usize {
    if bytes.is_empty() { 0 } else { field_len(bytes.len()) }
}

fn number_len(number: u64) -> usize {
    if number == 0 { 0 } else { 1 + encoded_len_varint(number) }
}

fn varint_len(len: usize) -> usize {
    encoded_len_varint(len as u64)
}

fn put_head(out: &mut BytesMut, field: u32, len: usize) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(len as u64, out);
}

fn put_bytes(out: &mut BytesMut, field: u32, bytes: &[u8]) {
    if !bytes.is_empty() {
        put_head(out, field, bytes.len());
        out.put_slice(bytes);
    }
}

fn put_number(out: &mut BytesMut, field: u32, number: u64) {
    if number != 0 {
        encode_key(field, WireType::Varint, out);
        encode_varint(number, out);
    }
}
