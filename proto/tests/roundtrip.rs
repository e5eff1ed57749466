//! Properties of the client protocol's two forms: what is written can be read, both forms say the same,
//! the fast road writes what the slow one writes, and no input makes a reader panic.

use std::collections::BTreeMap;

use bytes::Bytes;
use fanfare_proto::centrifuge::reply::{Connected, History, Subscribed};
use fanfare_proto::centrifuge::schema::{self, ConnectRequest, PublishRequest, SubscribeRequest};
use fanfare_proto::centrifuge::{
    Answer, ClientInfo, Command, CommandError, Data, Publication, Request, json, protobuf,
};
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

#[derive(Clone, Copy, Debug)]
enum Form {
    Plain,
    Whole,
    Patch,
}

#[derive(Clone, Debug)]
struct Said {
    form: Form,
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
        let data = match self.form {
            Form::Plain => Data::Plain(&self.data),
            Form::Whole => Data::Whole(&self.data),
            Form::Patch => Data::Patch(&self.data),
        };
        Publication {
            data,
            info: info.map(|(user, client, conn_info, chan_info)| ClientInfo { user, client, conn_info, chan_info }),
            offset: self.offset,
            tags: &self.tags,
            time: self.time,
            epoch: &self.epoch,
        }
    }

    /// As the generated code takes it for Protobuf.
    fn slow(&self) -> schema::Publication {
        (&self.borrow()).into()
    }

    /// For JSON: patches, and what they are for, are strings.
    fn slow_json(&self) -> schema::Publication {
        let slow = self.slow();
        match self.form {
            Form::Patch | Form::Whole if !slow.data.is_empty() => {
                let text = std::str::from_utf8(&slow.data).expect("made of text");
                schema::Publication { data: serde_json::Value::from(text).to_string().into(), ..slow }
            }
            Form::Plain | Form::Whole | Form::Patch => slow,
        }
    }
}

fn said() -> impl Strategy<Value = Said> {
    let data = prop_oneof![
        4 => (prop_oneof![Just(Form::Plain), Just(Form::Whole)], data()),
        1 => (Just(Form::Patch), any::<String>().prop_map(Bytes::from)),
    ];
    let info = proptest::option::of((any::<String>(), any::<String>(), self::data(), self::data()));
    let tags = btree_map(any::<String>(), any::<String>(), 0..4);
    let offset = prop_oneof![Just(0), Just(1), any::<u64>()];
    (data, info, offset, tags, any::<i64>(), any::<String>()).prop_map(
        |((form, data), info, offset, tags, time, epoch)| Said { form, data, info, offset, tags, time, epoch },
    )
}

/// What an application sends along: not looked at by anybody yet.
fn unseen() -> impl Strategy<Value = Bytes> {
    prop_oneof![data(), Just("{\"a\":\n1}".into()), Just(" [1] ".into()), any::<String>().prop_map(Bytes::from)]
}

#[derive(Clone, Debug)]
struct Began {
    /// With all but publications.
    result: schema::SubscribeResult,
    said: Vec<Said>,
}

fn began() -> impl Strategy<Value = Began> {
    let flags = any::<([bool; 3], [bool; 3])>();
    let numbers = (prop_oneof![Just(0), any::<u32>()], prop_oneof![Just(0), any::<u64>()]);
    (flags, numbers, "[a-z]{0,4}", unseen(), vec(said(), 0..4)).prop_map(|(flags, (ttl, offset), epoch, data, said)| {
        let ([expires, recoverable, recovered], [positioned, was_recovering, delta]) = flags;
        let result = schema::SubscribeResult {
            expires,
            ttl,
            recoverable,
            epoch,
            recovered,
            offset,
            positioned,
            data,
            was_recovering,
            delta,
            ..schema::SubscribeResult::default()
        };
        Began { result, said }
    })
}

impl Began {
    fn borrow<'a>(&'a self, publications: &'a [Bytes]) -> Subscribed<'a> {
        Subscribed {
            expires: self.result.expires,
            ttl: self.result.ttl,
            recoverable: self.result.recoverable,
            epoch: &self.result.epoch,
            publications: publications.iter().map(|bytes| &bytes[..]).collect(),
            recovered: self.result.recovered,
            offset: self.result.offset,
            positioned: self.result.positioned,
            data: self.result.data.clone(),
            was_recovering: self.result.was_recovering,
            delta: self.result.delta,
        }
    }

    fn slow(&self, publication: impl Fn(&Said) -> schema::Publication) -> schema::SubscribeResult {
        let publications = self.said.iter().map(publication).collect();
        schema::SubscribeResult { publications, ..self.result.clone() }
    }
}

/// Each publication written by itself.
fn listed(said: &[Said], write: impl Fn(&Publication<'_>) -> Bytes) -> Vec<Bytes> {
    said.iter().map(|said| write(&said.borrow())).collect()
}

/// What was written, if its buffer has just the size of it.
fn exactly(written: Bytes) -> Bytes {
    let buffer = written.try_into_mut().expect("nobody else has it");
    assert_eq!(buffer.capacity(), buffer.len());
    buffer.freeze()
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
    fn publications_by_the_fast_road_are_those_of_the_slow_one(channel in any::<String>(), said in said()) {
        let pushed = |publication| {
            let push = schema::Push { channel: channel.clone(), r#pub: Some(publication), ..schema::Push::default() };
            schema::Reply { push: Some(push), ..schema::Reply::default() }
        };
        let (binary, text) = (pushed(said.slow()), pushed(said.slow_json()));
        let fast_binary = exactly(protobuf::publication(&channel, &said.borrow()));
        let fast_text = exactly(json::publication(&channel, &said.borrow()));
        prop_assert_eq!(&fast_binary, &protobuf::reply(&binary));
        prop_assert_eq!(&fast_text, &json::reply(&text));
        prop_assert!(!fast_text.contains(&b'\n'));
        prop_assert_eq!(protobuf::replies(fast_binary).unwrap(), vec![binary]);
        prop_assert_eq!(json::replies(&fast_text).unwrap(), vec![text]);
    }

    #[test]
    fn answers_by_the_fast_road_are_those_of_the_slow_one(id in any::<u32>(), began in began(), epoch in "[a-z]{0,4}") {
        let (binary, text) = (listed(&began.said, protobuf::listed), listed(&began.said, json::listed));
        let subscribed = |result| schema::Reply { id, subscribe: Some(result), ..schema::Reply::default() };
        let fast = |publications| Answer::Subscribe(began.borrow(publications));
        prop_assert_eq!(
            exactly(protobuf::answer(id, &fast(&binary))), protobuf::reply(&subscribed(began.slow(Said::slow)))
        );
        prop_assert_eq!(
            exactly(json::answer(id, &fast(&text))), json::reply(&subscribed(began.slow(Said::slow_json)))
        );

        let offset = began.result.offset;
        let history = |publications| {
            let history = schema::HistoryResult { publications, epoch: epoch.clone(), offset };
            schema::Reply { id, history: Some(history), ..schema::Reply::default() }
        };
        let fast = |publications| {
            let Subscribed { publications, .. } = began.borrow(publications);
            Answer::History(History { publications, epoch: &epoch, offset })
        };
        let slow = history(began.said.iter().map(Said::slow).collect());
        prop_assert_eq!(exactly(protobuf::answer(id, &fast(&binary))), protobuf::reply(&slow));
        let slow = history(began.said.iter().map(Said::slow_json).collect());
        prop_assert_eq!(exactly(json::answer(id, &fast(&text))), json::reply(&slow));
    }

    #[test]
    fn answers_to_connect_too(
        (id, ttl, ping, time) in any::<(u32, u32, u32, i64)>(),
        (expires, pong) in any::<(bool, bool)>(),
        (client, version) in any::<(String, String)>(),
        data in unseen(),
        subs in btree_map(any::<String>(), began(), 0..3),
    ) {
        let (session, node) = (version.clone(), client.clone());
        let slow = |publication: fn(&Said) -> schema::Publication| {
            let subs = subs.iter().map(|(channel, began)| (channel.clone(), began.slow(publication))).collect();
            let result = schema::ConnectResult {
                client: client.clone(), version: version.clone(), expires, ttl, data: data.clone(), subs, ping, pong,
                session: session.clone(), node: node.clone(), time, ..schema::ConnectResult::default()
            };
            schema::Reply { id, connect: Some(result), ..schema::Reply::default() }
        };
        let fast = |publications: &BTreeMap<String, Vec<Bytes>>, write: fn(u32, &Answer<'_>) -> Bytes| {
            let subs = subs.iter().map(|(channel, began)| (&channel[..], began.borrow(&publications[channel])));
            let connected = Connected {
                client: client.clone(), version: &version, expires, ttl, data: data.clone(), subs: subs.collect(), ping,
                pong, session: session.clone(), node: node.clone(), time,
            };
            exactly(write(id, &Answer::Connect(Box::new(connected))))
        };
        let all = |write: fn(&Publication<'_>) -> Bytes| {
            subs.iter().map(|(channel, began)| (channel.clone(), listed(&began.said, write))).collect()
        };
        prop_assert_eq!(fast(&all(protobuf::listed), protobuf::answer), protobuf::reply(&slow(Said::slow)));
        prop_assert_eq!(fast(&all(json::listed), json::answer), json::reply(&slow(Said::slow_json)));
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
