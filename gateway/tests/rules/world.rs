//! The gateway of a run: a real node with the broker in memory, real sessions, and a tape for each client
//! that keeps what it is told. Everything runs on one thread, so that a step can be waited out.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use fanfare_gateway::auth::Auth;
use fanfare_gateway::broker::memory::MemoryBroker;
use fanfare_gateway::broker::{Broker, HistoryQuery, Outgoing};
use fanfare_gateway::channel::Rules;
use fanfare_gateway::codec::centrifuge::Json;
use fanfare_gateway::config::section::{ChannelConfig, ChannelOptions, HistoryOptions, Namespace, PublishAck};
use fanfare_gateway::hub::{OutboxReader, Pipe, Signal};
use fanfare_gateway::limit::Limits;
use fanfare_gateway::model::command::{Ask, Command, Connect, HistoryAsk, Since, Subscribe};
use fanfare_gateway::model::wire::Frame;
use fanfare_gateway::model::{ByteSize, ChannelName, NameRegex, Publication};
use fanfare_gateway::node::{Node, PublishAsk};
use fanfare_gateway::session::heartbeat::Wheel;
use fanfare_gateway::session::{Flow, Session, Shared};
use fanfare_gateway::task::Tasks;
use fanfare_proto::envelope::{Revocation, What};
use fanfare_proto::pattern::Pattern;
use jsonwebtoken::{EncodingKey, Header};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::alone::{Alone, LONG, dev};
use crate::model::{All, Got};
use crate::script::{CLIENTS, House, Options, Step, Ticket, Token};

const SECRET: &str = "a-secret-that-nobody-needs-to-keep-in-a-test";
/// Turns of all tasks after which nothing moves any more: a delivery takes three.
const TURNS: usize = 16;

pub(crate) struct World {
    node: Arc<Node>,
    broker: Arc<MemoryBroker>,
    shared: Arc<Shared>,
    tasks: Tasks,
    seats: [Option<Seat>; CLIENTS],
    /// How much has been said.
    said: u64,
    id: u32,
}

struct Seat {
    session: Session,
    reader: OutboxReader,
    tape: Tape,
}

/// A way out that takes everything.
#[derive(Clone, Debug, Default)]
struct Tape(Arc<Mutex<Vec<u8>>>);

impl Pipe for Tape {
    fn head(&self, _: &Frame, out: &mut Vec<u8>) {
        out.push(b'\n');
    }

    fn gather(&self) -> usize {
        1 << 16
    }

    fn try_write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut tape = self.0.lock();
        parts.iter().for_each(|part| tape.extend_from_slice(part));
        Ok(parts.iter().map(|part| part.len()).sum())
    }

    fn poll_writable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl World {
    pub(crate) fn new(house: &House) -> Self {
        let secret = ("FANFARE_AUTH__TOKEN__HMAC_SECRET".to_owned(), SECRET.into());
        let mut config = dev(BTreeMap::from([secret]));
        config.client.subscribe_to_user_personal_channel.enabled = false;
        config.client.allow_anonymous = true;
        let Alone { node, broker, told, clock, metrics, tasks } = Alone::new(&config, Rules::new(&channels(house)));
        node.start(told, &tasks);
        let auth = Arc::new(Auth::new(&config.auth).expect("a secret is a good key"));
        let limits = Limits::new(&config.limit, None, Arc::clone(&clock), metrics);
        let shared = Arc::new(Shared::new(Arc::clone(&node), auth, config.client, limits, Wheel::new(clock)));
        Self { node, broker, shared, tasks, seats: [const { None }; CLIENTS], said: 0, id: 0 }
    }

    /// Does it, waits until it has had all its effects, and answers what each client has got of it.
    pub(crate) async fn play(&mut self, step: &Step) -> All {
        let mut all = All::default();
        match step {
            Step::Connect { client, token } => {
                if self.seats[*client].is_none() {
                    self.seats[*client] = Some(self.sit_down());
                }
                let token = token.as_ref().map(connection_token).unwrap_or_default();
                self.ask(*client, Ask::Connect(Connect { token: token.into(), ..Connect::default() }), &mut all).await;
            }
            Step::Refresh { client, token } => {
                self.ask(*client, Ask::Refresh { token: connection_token(token).into() }, &mut all).await;
            }
            Step::Subscribe { client, channel, ticket, recover } => {
                let token = ticket.as_ref().map(subscription_token).unwrap_or_default();
                // Somebody who knows the stream's name and wants all that was ever said.
                let recover = if *recover { Some(self.beginning(channel).await) } else { None };
                let (channel, recoverable) = ((*channel).to_owned(), recover.is_some());
                let subscribe =
                    Subscribe { channel, token: token.into(), recover, recoverable, ..Subscribe::default() };
                self.ask(*client, Ask::Subscribe(subscribe), &mut all).await;
            }
            Step::Unsubscribe { client, channel } => {
                self.ask(*client, Ask::Unsubscribe { channel: (*channel).to_owned() }, &mut all).await;
            }
            Step::Publish { client, channel } => {
                let (channel, data) = ((*channel).to_owned(), Bytes::from(self.said.to_string()));
                self.ask(*client, Ask::Publish { channel, data }, &mut all).await;
            }
            Step::History { client, channel } => {
                let query = HistoryAsk { limit: -1, ..HistoryAsk::default() };
                self.ask(*client, Ask::History { channel: (*channel).to_owned(), query }, &mut all).await;
            }
            Step::Presence { client, channel } => {
                self.ask(*client, Ask::Presence { channel: (*channel).to_owned() }, &mut all).await;
            }
            Step::Say { channel } => self.say(channel).await,
            Step::Revoke { id } => self.revoke(What::Token(format!("t{id}"))).await,
            Step::Block { user } => self.revoke(What::Block((*user).to_owned())).await,
            Step::Unblock { user } => self.revoke(What::Unblock((*user).to_owned())).await,
        }
        self.settle(&mut all).await;
        self.read(step, &mut all);
        all
    }

    pub(crate) async fn end(mut self) {
        self.seats = [const { None }; CLIENTS];
        self.tasks.shutdown(Duration::from_secs(5)).await.expect("all tasks end");
    }

    fn sit_down(&self) -> Seat {
        let tape = Tape::default();
        let (session, reader) =
            Session::new(Arc::clone(&self.shared), Arc::new(Json), String::new().into(), Box::new(tape.clone()));
        Seat { session, reader, tape }
    }

    async fn ask(&mut self, client: usize, ask: Ask, all: &mut All) {
        self.id += 1;
        // Who was closed does not come back to ask.
        let Some(seat) = &mut self.seats[client] else { return };
        let flow = seat.session.handle(Command { id: self.id, ask }).await;
        self.follow(client, &flow, all);
    }

    fn follow(&mut self, client: usize, flow: &Flow, all: &mut All) {
        if let Flow::Close(close) = flow {
            all[client].closed = Some(close.code);
            self.seats[client] = None;
        }
    }

    /// Lets all tasks have their turns, and sessions carry out what they are ordered.
    async fn settle(&mut self, all: &mut All) {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
            for client in 0..CLIENTS {
                while let Some(seat) = &mut self.seats[client] {
                    let flow = match poll_fn(|cx| Poll::Ready(seat.reader.poll(cx, false))).await {
                        Poll::Pending => break,
                        Poll::Ready(Signal::Directive(directive)) => seat.session.obey(directive).await,
                        Poll::Ready(Signal::Close(close)) => Flow::Close(close),
                        Poll::Ready(Signal::Tick | Signal::Gone) => panic!("nobody rings, and a tape has no end"),
                    };
                    self.follow(client, &flow, all);
                }
            }
        }
    }

    async fn say(&mut self, channel: &str) {
        let channel = ChannelName::parse(channel).unwrap();
        if self.node.rules().options(&channel).is_none() {
            return;
        }
        let publication = Publication { data: Bytes::from(self.said.to_string()), ..Publication::default() };
        let outgoing = Outgoing { publication, traceparent: String::new() };
        self.node.publish(&channel, outgoing, PublishAsk::default()).await.unwrap();
        self.said += 1;
    }

    async fn revoke(&self, what: What) {
        self.node.revoke(Revocation { what: Some(what), expire_at: 0 }).await.unwrap();
    }

    async fn beginning(&self, channel: &str) -> Since {
        let query = HistoryQuery { since: None, limit: 0, size: ByteSize::mib(1), reverse: false, meta_ttl: LONG };
        let page = self.broker.history(&ChannelName::parse(channel).unwrap(), query).await.unwrap();
        Since { offset: 0, epoch: page.stream.top.epoch }
    }

    /// Takes what the clients were told off their tapes.
    fn read(&mut self, step: &Step, all: &mut All) {
        let id = u64::from(self.id);
        for (seat, got) in self.seats.iter().zip(all) {
            let Some(Seat { tape, .. }) = seat else { continue };
            let bytes = std::mem::take(&mut *tape.0.lock());
            for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let told: Value = serde_json::from_slice(line).unwrap();
                note(&told, id, step, got);
            }
            if let (Step::Publish { .. }, Some(0)) = (step, got.answer) {
                self.said += 1;
            }
        }
    }
}

/// Notes one thing that a client was told.
fn note(told: &Value, id: u64, step: &Step, got: &mut Got) {
    let push = &told["push"];
    let channel = push["channel"].as_str().unwrap_or_default().to_owned();
    if told["id"] == id {
        got.answer = Some(told["error"]["code"].as_u64().unwrap_or(0));
        let asked = match step {
            Step::Subscribe { channel, .. } | Step::History { channel, .. } => *channel,
            _ => "",
        };
        for answer in ["subscribe", "history"] {
            let publications = told[answer]["publications"].as_array();
            got.publications.extend(publications.into_iter().flatten().map(|each| (asked.to_owned(), number(each))));
        }
    } else if let Some(publication) = push.get("pub") {
        got.publications.push((channel, number(publication)));
    } else if let Some(unsubscribe) = push.get("unsubscribe") {
        got.ended.insert((channel, unsubscribe["code"].as_u64().unwrap()));
    } else {
        panic!("nobody expects this: {told}");
    }
}

/// A publication's number. Zero is left out nowhere: it is data.
fn number(publication: &Value) -> u64 {
    publication["data"].as_u64().unwrap_or_else(|| panic!("not said by anybody here: {publication}"))
}

fn channels(house: &House) -> ChannelConfig {
    let [default, ns, path, me] = house.places.each_ref().map(options);
    let pattern = |text: &str| Some(Pattern::parse(text).unwrap());
    let namespace = |name: &str, pattern, options| Namespace { name: name.to_owned(), pattern, options };
    ChannelConfig {
        default,
        namespaces: vec![
            namespace("p", pattern("/p/:id"), path),
            namespace("me", pattern("/p/me"), me),
            namespace("ns", None, ns),
        ],
    }
}

fn options(of: &Options) -> ChannelOptions {
    let history = HistoryOptions { size: 100, ttl: LONG, meta_ttl: LONG, ack: PublishAck::Stored };
    ChannelOptions {
        allow_subscribe_for_client: of.subscribe_client,
        allow_subscribe_for_anonymous: of.subscribe_anonymous,
        allow_publish_for_client: of.publish_client,
        allow_publish_for_subscriber: of.publish_subscriber,
        allow_publish_for_anonymous: of.publish_anonymous,
        allow_user_limited_channels: of.user_limited,
        channel_regex: of.digits.then(|| NameRegex::compile("[0-9]").unwrap()),
        history: of.kept.then_some(history),
        allow_recovery: of.allow_recovery,
        allow_history_for_client: of.history_client,
        allow_history_for_subscriber: of.history_subscriber,
        allow_history_for_anonymous: of.history_anonymous,
        presence: of.presence,
        allow_presence_for_client: of.presence_client,
        allow_presence_for_subscriber: of.presence_subscriber,
        allow_presence_for_anonymous: of.presence_anonymous,
        ..ChannelOptions::CLOSED
    }
}

fn connection_token(token: &Token) -> String {
    let caps = token.caps.iter().map(|cap| {
        let mut entry = json!({ "channels": cap.channels, "allow": cap.allow });
        if cap.wildcard {
            entry["match"] = "wildcard".into();
        }
        entry
    });
    let mut claims = json!({ "sub": token.user, "caps": caps.collect::<Vec<_>>(), "channels": token.channels });
    if let Some(id) = token.id {
        claims["jti"] = format!("t{id}").into();
    }
    sign(&claims)
}

fn subscription_token(ticket: &Ticket) -> String {
    let mut claims = json!({ "sub": ticket.user, "channel": ticket.channel });
    if let Some(id) = ticket.id {
        claims["jti"] = format!("t{id}").into();
    }
    sign(&claims)
}

fn sign(claims: &Value) -> String {
    jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}
