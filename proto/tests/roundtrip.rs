//! Properties of the client protocol's two forms: what is written can be read, both forms say the same,
//! the fast road writes what the slow one writes, and no input makes a reader panic.

use std::collections::BTreeMap;

use bytes::Bytes;
use fanfare_proto::centrifuge::schema::{self, ConnectRequest, PublishRequest, SubscribeRequest};
use fanfare_proto::centrifuge::{ClientInfo, Command, CommandError, Publication, Request, json, protobuf};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

/// A payload: JSON, or nothing.
fn data() -> impl Strategy<Value = Bytes> {
    let text = prop_oneof![
        Just(String::new()),
        Just("null".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        vec(any::<String>(), 0..4).prop_map(|texts| serde_json::Value::from(texts).to_string()),
    ];
    text.prop_map(Bytes::from)
}

fn subscribe() -> impl Strategy<Value = SubscribeRequest> {
    let flags = any::<(bool, bool, bool, bool)>();
    (any::<String>(), any::<String>(), any::<(String, u64, i32, i64)>(), data(), flags).prop_map(
        |(channel, token, (epoch, offset, limit, flag), data, (recover, positioned, recoverable, join_leave))| {
            SubscribeRequest {
                channel,
                token,
                recover,
                epoch,
                offset,
                data,
                positioned,
                recoverable,
                join_leave,
                limit,
                flag,
                ..SubscribeRequest::default()
            }
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    let connect = (any::<(String, String, String)>(), data(), btree_map(any::<String>(), subscribe(), 0..3)).prop_map(
        |((token, name, version), data, subs)| {
            Request::Connect(ConnectRequest { token, data, subs, name, version, ..ConnectRequest::default() })
        },
    );
    prop_oneof![
        connect,
        subscribe().prop_map(Request::Subscribe),
        (any::<String>(), data()).prop_map(|(channel, data)| {
            Request::Publish(PublishRequest { channel, data, ..PublishRequest::default() })
        }),
        any::<String>().prop_map(|channel| Request::Unsubscribe(schema::UnsubscribeRequest { channel })),
        any::<String>().prop_map(|channel| Request::PresenceStats(schema::PresenceStatsRequest { channel })),
        any::<String>().prop_map(|token| Request::Refresh(schema::RefreshRequest { token })),
        (any::<String>(), data()).prop_map(|(method, data)| Request::Rpc(schema::RpcRequest { data, method })),
        data().prop_map(|data| Request::Send(schema::SendRequest { data })),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let pong = Just(Command { id: 0, request: Request::Pong });
    prop_oneof![9 => (any::<u32>(), request()).prop_map(|(id, request)| Command { id, request }), 1 => pong]
}

#[derive(Clone, Debug)]
struct Said {
    channel: String,
    data: Bytes,
    info: Option<(String, String, Bytes, Bytes)>,
    offset: u64,
    tags: BTreeMap<String, String>,
    time: i64,
    epoch: String,
}

impl Said {
    fn borrow(&self) -> Publication<'_> {
        let info = self.info.as_ref();
        Publication {
            channel: &self.channel,
            data: &self.data,
            info: info.map(|(user, client, conn_info, chan_info)| ClientInfo { user, client, conn_info, chan_info }),
            offset: self.offset,
            tags: &self.tags,
            time: self.time,
            epoch: &self.epoch,
        }
    }
}

fn said() -> impl Strategy<Value = Said> {
    let info = proptest::option::of((any::<String>(), any::<String>(), data(), data()));
    let tags = btree_map(any::<String>(), any::<String>(), 0..4);
    let offset = prop_oneof![Just(0), Just(1), any::<u64>()];
    (any::<String>(), data(), info, offset, tags, any::<i64>(), any::<String>()).prop_map(
        |(channel, data, info, offset, tags, time, epoch)| Said { channel, data, info, offset, tags, time, epoch },
    )
}

fn written_json(commands: &[Command], separator: &str) -> Vec<u8> {
    let lines: Vec<_> = commands.iter().map(|command| json::command(&command.clone().into())).collect();
    lines.join(separator.as_bytes())
}

fn written_protobuf(commands: &[Command]) -> Bytes {
    let messages: Vec<_> = commands.iter().map(|command| protobuf::command(&command.clone().into())).collect();
    messages.concat().into()
}

proptest! {
    #[test]
    fn commands_survive_both_forms(commands in vec(command(), 1..5), separator in "[ \r\t]{0,2}\n[ \r\t\n]{0,2}", end in "\n?") {
        let mut lines = written_json(&commands, &separator);
        lines.extend(end.bytes());
        let read: Result<Vec<_>, _> = json::commands(&lines).collect();
        prop_assert_eq!(read.unwrap(), commands.clone());
        let read: Result<Vec<_>, _> = protobuf::commands(written_protobuf(&commands)).collect();
        prop_assert_eq!(read.unwrap(), commands);
    }

    #[test]
    fn a_frame_cut_off_gives_the_commands_before_the_cut(commands in vec(command(), 1..4), at in any::<prop::sample::Index>()) {
        let frame = written_protobuf(&commands);
        let cut = frame.slice(..at.index(frame.len()));
        let mut whole = 0;
        for command in protobuf::commands(cut) {
            match command {
                Ok(command) => { prop_assert_eq!(&command, &commands[whole]); whole += 1; }
                Err(error) => prop_assert!(matches!(error, CommandError::Delimit(_) | CommandError::Empty), "{}", error),
            }
        }
        prop_assert!(whole < commands.len());
    }

    #[test]
    fn publications_by_the_fast_road_are_those_of_the_slow_one(said in said()) {
        let slow = schema::Reply::from(&said.borrow());
        prop_assert_eq!(protobuf::publication(&said.borrow()), protobuf::reply(&slow));
        prop_assert_eq!(json::publication(&said.borrow()), json::reply(&slow));
        prop_assert!(!json::publication(&said.borrow()).contains(&b'\n'));
        prop_assert_eq!(protobuf::replies(protobuf::publication(&said.borrow())).unwrap(), vec![slow.clone()]);
        prop_assert_eq!(json::replies(&json::publication(&said.borrow())).unwrap(), vec![slow]);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..200)) {
        // Whatever it is: one error at most, and as the last item.
        for errors in [
            json::commands(&bytes).map(|command| command.is_err()).collect::<Vec<_>>(),
            protobuf::commands(bytes.clone().into()).map(|command| command.is_err()).collect(),
        ] {
            prop_assert!(errors.iter().rev().skip(1).all(|is_error| !is_error));
        }
        let _ = json::replies(&bytes);
        let _ = protobuf::replies(bytes.into());
    }

    #[test]
    fn no_damage_makes_a_reader_panic(commands in vec(command(), 1..3), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut lines = written_json(&commands, "\n");
        let place = at.index(lines.len());
        lines[place] = byte;
        json::commands(&lines).for_each(drop);
        let mut messages = written_protobuf(&commands).to_vec();
        let place = at.index(messages.len());
        messages[place] = byte;
        protobuf::commands(messages.into()).for_each(drop);
    }
}
