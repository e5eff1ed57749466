//! The Centrifuge client protocol v2: [`Json`] and [`Protobuf`]. How messages are written is
//! `fanfare_proto::centrifuge`'s affair; what they mean to the gateway is said here, once for both forms.
//! Must not know who sends and when what is allowed: that is the session's.
//!
//! `docs/protocol/centrifuge.md` lists what is supported, with a test for each row.

mod decode;
mod encode;

use bytes::Bytes;
use fanfare_proto::centrifuge::{json, protobuf};

use self::encode::{Lists, Outgoing};
use super::{Codec, Decoded};
use crate::model::event::Event;
use crate::model::wire::{Encode, Form, Frame, WireKey};

/// Text frames of JSON objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json;

/// Binary frames of Protobuf messages, each after its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protobuf;

impl Codec for Json {
    fn decode(&self, message: Bytes) -> Decoded {
        decode::all(json::commands(&message))
    }
}

impl Codec for Protobuf {
    fn decode(&self, message: Bytes) -> Decoded {
        decode::all(protobuf::commands(message))
    }
}

impl Encode for Json {
    fn key(&self) -> WireKey {
        WireKey::CentrifugeJson
    }

    fn encode(&self, event: &Event<'_>) -> Frame {
        let lists = Lists { wire: self.key(), patched: Form::Delta, write: json::listed };
        Frame::Text(match encode::outgoing(event, lists) {
            Outgoing::Ping => Bytes::from_static(json::EMPTY),
            Outgoing::Publication(channel, publication) => json::publication(channel, &publication),
            Outgoing::Answer(id, answer) => json::answer(id, &answer),
            Outgoing::Reply(reply) => json::reply(&reply),
        })
    }

    fn join(&self, frames: &[Frame]) -> Option<Frame> {
        Some(Frame::Text(encode::joined(frames, b"\n")))
    }
}

impl Encode for Protobuf {
    fn key(&self) -> WireKey {
        WireKey::CentrifugeProtobuf
    }

    fn encode(&self, event: &Event<'_>) -> Frame {
        // Bytes are bytes here, whatever the subscription has agreed to.
        let lists = Lists { wire: self.key(), patched: Form::Plain, write: protobuf::listed };
        Frame::Binary(match encode::outgoing(event, lists) {
            Outgoing::Ping => Bytes::from_static(protobuf::EMPTY),
            Outgoing::Publication(channel, publication) => protobuf::publication(channel, &publication),
            Outgoing::Answer(id, answer) => protobuf::answer(id, &answer),
            Outgoing::Reply(reply) => protobuf::reply(&reply),
        })
    }

    fn join(&self, frames: &[Frame]) -> Option<Frame> {
        // Each has its length before it.
        Some(Frame::Binary(encode::joined(frames, b"")))
    }
}

#[cfg(test)]
mod tests;
