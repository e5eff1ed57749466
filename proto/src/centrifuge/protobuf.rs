//! The Protobuf form: each message after its length, any number of them in a binary frame.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::command::{Command, CommandError};
use super::reply::{Answer, ClientInfo, Connected, History, Publication, Subscribed};
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

/// Writes a publication to a channel's subscribers, allocating once.
#[must_use]
pub fn publication(channel: &str, publication: &Publication<'_>) -> Bytes {
    // From the inside out, since each length stands before what it measures.
    let inner = publication_len(publication);
    let push = bytes_len(channel.as_bytes()) + field_len(inner);
    let mut out = framed(field_len(push));
    put_head(&mut out, 4, push);
    put_bytes(&mut out, 2, channel.as_bytes());
    put_head(&mut out, 4, inner);
    put_publication(&mut out, publication);
    out.freeze()
}

/// Writes a publication as answers hold it, allocating once.
#[must_use]
pub fn listed(publication: &Publication<'_>) -> Bytes {
    let mut out = BytesMut::with_capacity(publication_len(publication));
    put_publication(&mut out, publication);
    out.freeze()
}

/// Writes an answer that may hold publications, allocating once.
#[must_use]
pub fn answer(id: u32, answer: &Answer<'_>) -> Bytes {
    let (field, body) = match answer {
        Answer::Connect(connected) => (5, connected_len(connected)),
        Answer::Subscribe(subscribed) => (6, subscribed_len(subscribed)),
        Answer::History(history) => (11, history_len(history)),
    };
    let mut out = framed(number_len(id.into()) + field_len(body));
    put_number(&mut out, 1, id.into());
    put_head(&mut out, field, body);
    match answer {
        Answer::Connect(connected) => put_connected(&mut out, connected),
        Answer::Subscribe(subscribed) => put_subscribed(&mut out, subscribed),
        Answer::History(history) => put_history(&mut out, history),
    }
    out.freeze()
}

/// A buffer for a message of so many bytes, with its length in it.
fn framed(len: usize) -> BytesMut {
    let mut out = BytesMut::with_capacity(varint_len(len) + len);
    encode_varint(len as u64, &mut out);
    out
}

fn put_publication(out: &mut BytesMut, publication: &Publication<'_>) {
    put_bytes(out, 4, publication.data.bytes());
    if let Some(info) = &publication.info {
        put_head(out, 5, client_info_len(info));
        put_bytes(out, 1, info.user.as_bytes());
        put_bytes(out, 2, info.client.as_bytes());
        put_bytes(out, 3, info.conn_info);
        put_bytes(out, 4, info.chan_info);
    }
    put_number(out, 6, publication.offset);
    for (key, value) in publication.tags {
        put_head(out, 7, tag_len(key, value));
        put_bytes(out, 1, key.as_bytes());
        put_bytes(out, 2, value.as_bytes());
    }
    put_number(out, 8, publication.data.is_patch().into());
    put_number(out, 9, publication.time.cast_unsigned());
    put_bytes(out, 14, publication.epoch.as_bytes());
}

fn publication_len(publication: &Publication<'_>) -> usize {
    let tags: usize = publication.tags.iter().map(|(key, value)| field_len(tag_len(key, value))).sum();
    bytes_len(publication.data.bytes())
        + publication.info.as_ref().map_or(0, |info| field_len(client_info_len(info)))
        + number_len(publication.offset)
        + tags
        + number_len(publication.data.is_patch().into())
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

fn put_history(out: &mut BytesMut, history: &History<'_>) {
    put_list(out, 1, &history.publications);
    put_bytes(out, 2, history.epoch.as_bytes());
    put_number(out, 3, history.offset);
}

fn history_len(history: &History<'_>) -> usize {
    list_len(&history.publications) + bytes_len(history.epoch.as_bytes()) + number_len(history.offset)
}

fn put_subscribed(out: &mut BytesMut, subscribed: &Subscribed<'_>) {
    put_number(out, 1, subscribed.expires.into());
    put_number(out, 2, subscribed.ttl.into());
    put_number(out, 3, subscribed.recoverable.into());
    put_bytes(out, 6, subscribed.epoch.as_bytes());
    put_list(out, 7, &subscribed.publications);
    put_number(out, 8, subscribed.recovered.into());
    put_number(out, 9, subscribed.offset);
    put_number(out, 10, subscribed.positioned.into());
    put_bytes(out, 11, &subscribed.data);
    put_number(out, 12, subscribed.was_recovering.into());
    put_number(out, 13, subscribed.delta.into());
}

fn subscribed_len(subscribed: &Subscribed<'_>) -> usize {
    let flags = [
        subscribed.expires,
        subscribed.recoverable,
        subscribed.recovered,
        subscribed.positioned,
        subscribed.was_recovering,
        subscribed.delta,
    ];
    flags.iter().map(|flag| number_len((*flag).into())).sum::<usize>()
        + number_len(subscribed.ttl.into())
        + bytes_len(subscribed.epoch.as_bytes())
        + list_len(&subscribed.publications)
        + number_len(subscribed.offset)
        + bytes_len(&subscribed.data)
}

fn put_connected(out: &mut BytesMut, connected: &Connected<'_>) {
    put_bytes(out, 1, connected.client.as_bytes());
    put_bytes(out, 2, connected.version.as_bytes());
    put_number(out, 3, connected.expires.into());
    put_number(out, 4, connected.ttl.into());
    put_bytes(out, 5, &connected.data);
    for (channel, subscribed) in &connected.subs {
        put_head(out, 6, sub_len(channel, subscribed));
        put_bytes(out, 1, channel.as_bytes());
        // Also when there is nothing in it: the official JavaScript client reads a missing value as null.
        put_head(out, 2, subscribed_len(subscribed));
        put_subscribed(out, subscribed);
    }
    put_number(out, 7, connected.ping.into());
    put_number(out, 8, connected.pong.into());
    put_bytes(out, 9, connected.session.as_bytes());
    put_bytes(out, 10, connected.node.as_bytes());
    put_number(out, 11, connected.time.cast_unsigned());
}

fn connected_len(connected: &Connected<'_>) -> usize {
    let subs: usize = connected.subs.iter().map(|(channel, sub)| field_len(sub_len(channel, sub))).sum();
    bytes_len(connected.client.as_bytes())
        + bytes_len(connected.version.as_bytes())
        + number_len(connected.expires.into())
        + number_len(connected.ttl.into())
        + bytes_len(&connected.data)
        + subs
        + number_len(connected.ping.into())
        + number_len(connected.pong.into())
        + bytes_len(connected.session.as_bytes())
        + bytes_len(connected.node.as_bytes())
        + number_len(connected.time.cast_unsigned())
}

fn sub_len(channel: &str, subscribed: &Subscribed<'_>) -> usize {
    bytes_len(channel.as_bytes()) + field_len(subscribed_len(subscribed))
}

// Fields 1 to 15 have a key of one byte, and these messages have no others. Empty and zero are not
// written; the messages of a list are, also when they are empty.

fn put_list(out: &mut BytesMut, field: u32, messages: &[&[u8]]) {
    for message in messages {
        put_head(out, field, message.len());
        out.put_slice(message);
    }
}

fn list_len(messages: &[&[u8]]) -> usize {
    messages.iter().map(|message| field_len(message.len())).sum()
}

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

#[cfg(test)]
mod tests {
    use super::super::command::Request;
    use super::*;

    fn read(frame: &[u8]) -> Vec<Result<Command, String>> {
        let frame = Bytes::copy_from_slice(frame);
        commands(frame).map(|command| command.map_err(|error| error.to_string())).collect()
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        let mut frame = BytesMut::new();
        encode_varint(message.len() as u64, &mut frame);
        frame.put_slice(message);
        frame.to_vec()
    }

    #[test]
    fn an_empty_message_is_a_pong_and_an_empty_frame_is_nothing() {
        assert_eq!(read(EMPTY), [Ok(Command { id: 0, request: Request::Pong })]);
        assert_eq!(read(b""), [Err("the frame holds no command".to_owned())]);
        // An id without a request, and id 0 written out: not the empty message.
        assert_eq!(read(b"\x02\x08\x01"), [Err("unknown command".to_owned())]);
        assert_eq!(read(b"\x02\x08\x00"), [Err("unknown command".to_owned())]);
    }

    #[test]
    fn an_id_over_32_bits_is_noticed() {
        let send = schema::Command { send: Some(schema::SendRequest::default()), ..schema::Command::default() };
        for (id, ok) in [(1, true), (u64::from(u32::MAX), true), (1 << 32, false), (u64::MAX, false)] {
            let frame = command(&schema::Command { id, ..send.clone() });
            assert_eq!(read(&frame)[0].is_ok(), ok, "{id}");
        }
    }

    #[test]
    fn two_requests_in_one_command_are_refused() {
        let both = schema::Command {
            id: 1,
            connect: Some(schema::ConnectRequest::default()),
            publish: Some(schema::PublishRequest::default()),
            ..schema::Command::default()
        };
        assert_eq!(read(&command(&both)), [Err("two commands in one".to_owned())]);
    }

    #[test]
    fn unknown_fields_are_skipped_and_unknown_commands_are_not() {
        // Field 99 (varint) within a subscribe, and field 100 beside it.
        let frame = framed(b"\x08\x07\x2a\x06\x0a\x01c\x98\x06\x05\xa2\x06\x01x");
        let subscribe = schema::SubscribeRequest { channel: "c".into(), ..schema::SubscribeRequest::default() };
        assert_eq!(read(&frame), [Ok(Command { id: 7, request: Request::Subscribe(subscribe) })]);
        // Field 100 alone.
        assert_eq!(read(&framed(b"\x08\x07\xa2\x06\x01x")), [Err("unknown command".to_owned())]);
    }

    #[test]
    fn the_commands_before_a_broken_one_are_read() {
        for broken in [&b"\x05ab"[..], b"\x80", b"\x80\x00", b"\x01\xff", b"\x03\x3a\x05a", b"\x03\x08\x01\x07"] {
            let commands = read(&[EMPTY, broken, EMPTY].concat());
            assert!(commands.len() == 2 && commands[0].is_ok() && commands[1].is_err(), "{broken:x?} {commands:?}");
        }
    }

    #[test]
    fn depth_is_refused_without_recursion_to_match() {
        let mut filter = schema::FilterNode::default();
        for _ in 0..200 {
            filter = schema::FilterNode { nodes: vec![filter], ..schema::FilterNode::default() };
        }
        let subscribe = schema::SubscribeRequest { tf: Some(filter), ..schema::SubscribeRequest::default() };
        let frame = command(&schema::Command { id: 1, subscribe: Some(subscribe), ..schema::Command::default() });
        assert!(read(&frame)[0].as_ref().unwrap_err().contains("recursion"));
    }

    #[test]
    fn payloads_share_the_frames_memory() {
        let publish = schema::PublishRequest { data: Bytes::from(vec![7; 100]), ..schema::PublishRequest::default() };
        let frame = command(&schema::Command { id: 1, publish: Some(publish), ..schema::Command::default() });
        let Some(Ok(Command { request: Request::Publish(publish), .. })) = commands(frame.clone()).next() else {
            panic!("a publish command");
        };
        assert!(frame.as_ptr_range().contains(&publish.data.as_ptr()));
    }

    #[test]
    fn a_subscription_without_content_is_there() {
        let subs = [("a", Subscribed::default())].into();
        let connected = Connected { subs, ..Connected::default() };
        let frame = answer(1, &Answer::Connect(Box::new(connected)));
        // Field 6, an entry of 5 bytes: its key, and its value of no bytes.
        assert!(frame.ends_with(b"\x32\x05\x0a\x01a\x12\x00"), "{frame:x?}");
        let replies = replies(frame).unwrap();
        assert!(replies[0].connect.as_ref().unwrap().subs.contains_key("a"));
    }
}
