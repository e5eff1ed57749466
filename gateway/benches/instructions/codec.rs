//! From publications to frames, from messages to commands.

use std::hint::black_box;

use bytes::Bytes;
use fanfare_gateway::codec::Codec;
use fanfare_gateway::codec::centrifuge::{Json, Protobuf};
use fanfare_gateway::model::event::Event;
use fanfare_gateway::model::wire::Encode;
use fanfare_gateway::model::{ChannelName, ClientInfo, Position, Publication, UserId};
use fanfare_proto::centrifuge::schema::{Command, ConnectRequest, PublishRequest, SubscribeRequest};
use fanfare_proto::centrifuge::{json, protobuf};

use crate::fanout::PAYLOAD;
use crate::measure::measured;

/// How often each is done.
pub(crate) const ROUNDS: usize = 1000;

/// As long as the token of an application that puts a user's name into it.
const TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.\
                     eyJzdWIiOiJhbm5hIiwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwMDM2MDAsImluZm8iOnsibmFtZSI6IkFubmEifX0.\
                     c2lnbmF0dXJlLW9mLXRoaXJ0eS10d28tYnl0ZXMtLi4u";

pub(crate) fn encode_json() {
    encode(&Json);
}

pub(crate) fn encode_protobuf() {
    encode(&Protobuf);
}

pub(crate) fn decode_connect_json() {
    decode(&Json, json::command(&connect()));
}

pub(crate) fn decode_connect_protobuf() {
    decode(&Protobuf, protobuf::command(&connect()));
}

pub(crate) fn decode_subscribe_json() {
    decode(&Json, json::command(&subscribe()));
}

pub(crate) fn decode_subscribe_protobuf() {
    decode(&Protobuf, protobuf::command(&subscribe()));
}

pub(crate) fn decode_publish_json() {
    decode(&Json, json::command(&publish()));
}

pub(crate) fn decode_publish_protobuf() {
    decode(&Protobuf, protobuf::command(&publish()));
}

fn encode(codec: &dyn Encode) {
    let channel = ChannelName::parse("chat:lobby").expect("a good name");
    let info = ClientInfo {
        user: UserId::new("anna"),
        client: "3f0a1a3e-4f5e-4d8a-9d3c-3b1f6a1c2d4e".into(),
        connection_info: Bytes::from_static(br#"{"name":"Anna"}"#),
        channel_info: Bytes::new(),
    };
    let publication = Publication {
        data: Bytes::from_static(PAYLOAD),
        info: Some(info),
        position: Some(Position { offset: 4711, epoch: "abcdefghij".into() }),
        ..Publication::default()
    };
    let event = Event::Publication { channel: &channel, publication: &publication };
    assert!(codec.encode(&event).len() > PAYLOAD.len());
    measured(|| {
        for _ in 0..ROUNDS {
            black_box(codec.encode(black_box(&event)));
        }
    });
}

fn decode(codec: &dyn Codec, message: Bytes) {
    assert_eq!(codec.decode(message.clone()).commands.len(), 1);
    measured(|| {
        for _ in 0..ROUNDS {
            black_box(codec.decode(black_box(message.clone())));
        }
    });
}

fn connect() -> Command {
    let connect =
        ConnectRequest { token: TOKEN.into(), name: "js".into(), version: "5.3.0".into(), ..ConnectRequest::default() };
    Command { id: 1, connect: Some(connect), ..Command::default() }
}

fn subscribe() -> Command {
    let subscribe = SubscribeRequest {
        channel: "chat:lobby".into(),
        recover: true,
        offset: 4711,
        epoch: "abcdefghij".into(),
        ..SubscribeRequest::default()
    };
    Command { id: 2, subscribe: Some(subscribe), ..Command::default() }
}

fn publish() -> Command {
    let data = Bytes::from_static(PAYLOAD);
    let publish = PublishRequest { channel: "chat:lobby".into(), data, ..PublishRequest::default() };
    Command { id: 3, publish: Some(publish), ..Command::default() }
}
