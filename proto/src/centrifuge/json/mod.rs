//! The JSON form: messages separated by line feeds, any number of them in a text frame; `bytes` fields
//! are JSON values embedded as they are; what is zero or empty is left out.
//!
//! Readers take any white space between and within messages, so that a person may type commands as they
//! like. Unknown fields are skipped without recursion, however deep they are; `null` is the same as
//! nothing.

use bytes::{Bytes, BytesMut};
use serde::Deserialize;

use self::write::{Count, Object, Out};
use super::command::{Command, CommandError};
use super::reply::Publication;
use super::schema;

pub(super) mod field;
mod write;

/// A server's ping and a client's pong: a message without content.
pub const EMPTY: &[u8] = b"{}";

/// Reads a client's frame, command by command. Ends after the first error. A frame without commands is
/// an error.
pub fn commands(frame: &[u8]) -> impl Iterator<Item = Result<Command, CommandError>> {
    let mut messages = serde_json::Deserializer::from_slice(frame).into_iter::<Message<schema::Command>>();
    let mut nothing_yet = true;
    let mut broken = false;
    std::iter::from_fn(move || {
        if broken {
            return None;
        }
        let start = messages.byte_offset();
        let command = match messages.next() {
            Some(Ok(Message(command))) => Command::check(command, is_empty(&frame[start..messages.byte_offset()])),
            Some(Err(error)) => Err(error.into()),
            None if nothing_yet => Err(CommandError::Empty),
            None => return None,
        };
        nothing_yet = false;
        broken = command.is_err();
        Some(command)
    })
}

/// Whether the text of an object says that there is nothing in it.
fn is_empty(object: &[u8]) -> bool {
    object.iter().filter(|byte| !byte.is_ascii_whitespace()).eq(EMPTY)
}

/// Reads a server's frame: what a client does.
///
/// # Errors
/// When something in it is no reply.
pub fn replies(frame: &[u8]) -> Result<Vec<schema::Reply>, CommandError> {
    let replies = serde_json::Deserializer::from_slice(frame).into_iter::<Message<schema::Reply>>();
    replies.map(|reply| Ok(reply?.0)).collect()
}

/// Writes a command: what a client does.
#[must_use]
pub fn command(command: &schema::Command) -> Bytes {
    print(command)
}

/// Writes a reply or a push, without a line feed. Payloads are put on one line; what is no acceptable data
/// ([`crate::data`]) becomes `null`.
#[must_use]
pub fn reply(reply: &schema::Reply) -> Bytes {
    print(reply)
}

fn print(message: &impl serde::Serialize) -> Bytes {
    // A vector grows, maps have text as keys, and `field::raw` does not fail.
    serde_json::to_vec(message).expect("messages of the schema can be written").into()
}

/// Writes a publication, without a line feed, allocating once. Payloads are trusted to be
/// JSON on one line.
#[must_use]
pub fn publication(publication: &Publication<'_>) -> Bytes {
    let mut size = Count(0);
    write_publication(publication, &mut size);
    let mut out = BytesMut::with_capacity(size.0);
    write_publication(publication, &mut out);
    out.freeze()
}

/// In the order of the schema, so that the bytes are those of [`reply`].
fn write_publication(publication: &Publication<'_>, out: &mut impl Out) {
    let mut reply = Object::open(out);
    let mut push = reply.object("push");
    push.text("channel", publication.channel);
    let mut body = push.object("pub");
    body.raw("data", publication.data);
    if let Some(info) = &publication.info {
        let mut object = body.object("info");
        object.text("user", info.user);
        object.text("client", info.client);
        object.raw("conn_info", info.conn_info);
        object.raw("chan_info", info.chan_info);
        object.close();
    }
    body.number("offset", publication.offset.into());
    if !publication.tags.is_empty() {
        let mut tags = body.object("tags");
        for (key, value) in publication.tags {
            tags.entry(key, value);
        }
        tags.close();
    }
    body.number("time", publication.time.into());
    body.text("epoch", publication.epoch);
    body.close();
    push.close();
    reply.close();
}

/// A message at the top of a frame: an object, never an array of its fields.
struct Message<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Message<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(field::ObjectVisitor::new()).map(Self)
    }
}

#[cfg(test)]
mod tests;
