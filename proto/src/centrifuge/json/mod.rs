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
use super::reply::{Answer, Connected, Data, Publication, Subscribed};
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

/// Writes a publication to a channel's subscribers, without a line feed, allocating once. Payloads are
/// trusted to be JSON on one line.
#[must_use]
pub fn publication(channel: &str, publication: &Publication<'_>) -> Bytes {
    let mut out = measured(|size| write_push(channel, publication, size));
    write_push(channel, publication, &mut out);
    out.freeze()
}

/// Writes a publication as answers hold it, allocating once.
#[must_use]
pub fn listed(publication: &Publication<'_>) -> Bytes {
    let mut out = measured(|size| write_publication(publication, Object::open(size)));
    write_publication(publication, Object::open(&mut out));
    out.freeze()
}

/// Writes an answer that may hold publications, without a line feed, allocating once.
#[must_use]
pub fn answer(id: u32, answer: &Answer<'_>) -> Bytes {
    let mut out = measured(|size| write_answer(id, answer, size));
    write_answer(id, answer, &mut out);
    out.freeze()
}

/// A buffer for what is written.
fn measured(write: impl FnOnce(&mut Count)) -> BytesMut {
    let mut size = Count(0);
    write(&mut size);
    BytesMut::with_capacity(size.0)
}

// All in the order of the schema, so that the bytes are those of `reply`.

fn write_push(channel: &str, publication: &Publication<'_>, out: &mut impl Out) {
    let mut reply = Object::open(out);
    let mut push = reply.object("push");
    push.text("channel", channel);
    write_publication(publication, push.object("pub"));
    push.close();
    reply.close();
}

fn write_publication(publication: &Publication<'_>, mut body: Object<'_, impl Out>) {
    match publication.data {
        Data::Plain(json) => body.raw("data", json),
        Data::Whole(text) | Data::Patch(text) => body.text_of("data", text),
    }
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
    body.flag("delta", publication.data.is_patch());
    body.number("time", publication.time.into());
    body.text("epoch", publication.epoch);
    body.close();
}

fn write_answer(id: u32, answer: &Answer<'_>, out: &mut impl Out) {
    let mut reply = Object::open(out);
    reply.number("id", id.into());
    match answer {
        Answer::Connect(connected) => write_connected(connected, reply.object("connect")),
        Answer::Subscribe(subscribed) => write_subscribed(subscribed, reply.object("subscribe")),
        Answer::History(history) => {
            let mut body = reply.object("history");
            // As it stands, too, when it is empty: official clients take what is not there for `undefined`.
            body.whole_list("publications", &history.publications);
            body.text_or_empty("epoch", history.epoch);
            body.number_or_zero("offset", history.offset.into());
            body.close();
        }
    }
    reply.close();
}

fn write_connected(connected: &Connected<'_>, mut body: Object<'_, impl Out>) {
    body.text("client", &connected.client);
    body.text("version", connected.version);
    body.flag("expires", connected.expires);
    body.number("ttl", connected.ttl.into());
    body.data("data", &connected.data);
    if !connected.subs.is_empty() {
        let mut subs = body.object("subs");
        for (channel, subscribed) in &connected.subs {
            write_subscribed(subscribed, subs.foreign_object(channel));
        }
        subs.close();
    }
    body.number("ping", connected.ping.into());
    body.flag("pong", connected.pong);
    body.text("session", &connected.session);
    body.text("node", &connected.node);
    body.number("time", connected.time.into());
    body.close();
}

fn write_subscribed(subscribed: &Subscribed<'_>, mut body: Object<'_, impl Out>) {
    body.flag("expires", subscribed.expires);
    body.number("ttl", subscribed.ttl.into());
    body.flag("recoverable", subscribed.recoverable);
    body.text("epoch", subscribed.epoch);
    body.list("publications", &subscribed.publications);
    body.flag("recovered", subscribed.recovered);
    body.number("offset", subscribed.offset.into());
    body.flag("positioned", subscribed.positioned);
    body.data("data", &subscribed.data);
    body.flag("was_recovering", subscribed.was_recovering);
    body.flag("delta", subscribed.delta);
    body.close();
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
