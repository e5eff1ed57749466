//! A client of our own: the protocol as it is on the wire, nothing smoothed over. It comes back wherever
//! it is sent away, asks to go on from where it was, and writes down everything as it comes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::checker::{Entry, Id, Name, Place, Told};
use crate::dice::Dice;
use crate::recorder::{Names, Recorder, hash, id_in, payload};
use crate::token;
use crate::wire::{Line, Publication, Push, Refusal, Subscribed, Unsubscribed};

/// For each step of coming back.
const STEP_LIMIT: Duration = Duration::from_secs(5);

/// The server pings more often than this: a longer silence is the end of the connection.
const SILENCE_MAX: Duration = Duration::from_secs(12);

/// How long it waits before it comes back.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(400));

/// What a client is like.
#[derive(Clone, Debug)]
pub(crate) struct Character {
    pub(crate) name: String,
    /// Doors to the nodes; each time one of them.
    pub(crate) doors: Vec<SocketAddr>,
    pub(crate) channels: Vec<String>,
    /// Leaves channels and comes back, about so often.
    pub(crate) restless: Option<Duration>,
    /// Publishes on its channels, about so often.
    pub(crate) publishes: Option<Duration>,
}

/// What a run tells its clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Orders {
    /// No more unrest: be there and listen.
    pub(crate) calm: bool,
    /// Stay away until this is over.
    pub(crate) away: bool,
    /// Go, for good.
    pub(crate) leave: bool,
    /// Each increase cuts the connection.
    pub(crate) cuts: u64,
}

/// What all clients of a run share.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) recorder: Recorder,
    pub(crate) orders: watch::Receiver<Orders>,
    /// Numbers for publications.
    pub(crate) next_id: Arc<AtomicU64>,
}

/// A channel, as this client sees it.
#[derive(Debug)]
struct Seat {
    channel: String,
    name: Name,
    at: Option<Place>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Off,
    /// The command of this id is under way.
    Coming(u64),
    On,
    Going(u64),
    /// Tries again then.
    Later(Instant),
}

/// Why a connection is over.
#[derive(Debug)]
enum End {
    /// A close code; 0 without one.
    Closed(u16),
    /// The run is.
    Leave,
}

#[derive(Debug)]
struct Client {
    character: Character,
    around: Surroundings,
    dice: Dice,
    me: Name,
    seats: Vec<Seat>,
    names: Names,
    next_command: u64,
    /// Publications that wait for their answer: command and publication.
    published: Vec<(u64, Id)>,
}

type Socket = WebSocketStream<TcpStream>;

/// Lives until the run is over.
pub(crate) async fn live(character: Character, around: Surroundings, mut dice: Dice) {
    let me = around.recorder.name(&character.name);
    let seats = character.channels.iter().map(|channel| Seat {
        channel: channel.clone(),
        name: around.recorder.name(channel),
        at: None,
        state: State::Off,
    });
    let seats = seats.collect();
    let dice = dice.fork();
    let (names, published) = (Names::default(), Vec::new());
    let mut client = Client { character, around, dice, me, seats, names, next_command: 10, published };
    client.run().await;
}

impl Client {
    async fn run(&mut self) {
        let mut orders = self.around.orders.clone();
        loop {
            match orders.wait_for(|orders| !orders.away || orders.leave).await {
                Ok(orders) if !orders.leave => {}
                _ => return,
            }
            if let Some(socket) = self.connect().await {
                let end = self.stay(socket, orders.clone()).await;
                self.ended(&end);
                if matches!(end, End::Leave) {
                    return;
                }
            }
            sleep(self.dice.time(BACKOFF.0, BACKOFF.1)).await;
        }
    }

    /// A connection to one of the doors that has said hello; none: to be tried again.
    async fn connect(&mut self) -> Option<Socket> {
        let door = *self.dice.pick(&self.character.doors);
        let hello = json!({ "id": 1, "connect": { "token": token::mint(&json!({ "sub": self.character.name })) } });
        let come = async {
            let stream = TcpStream::connect(door).await.ok()?;
            stream.set_nodelay(true).ok()?;
            // Whoever is cut off here is cut off without a word.
            stream.set_zero_linger().ok()?;
            let url = format!("ws://{door}/connection/websocket");
            let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.ok()?;
            socket.send(Message::text(hello.to_string())).await.ok()?;
            match socket.next().await?.ok()? {
                Message::Text(text) if text.contains(r#""connect""#) => Some(socket),
                _ => None,
            }
        };
        timeout(STEP_LIMIT, come).await.ok().flatten()
    }

    /// Until the connection is over.
    async fn stay(&mut self, mut socket: Socket, mut orders: watch::Receiver<Orders>) -> End {
        let first = *orders.borrow_and_update();
        if !self.ask(&mut socket).await {
            return End::Closed(0);
        }
        let mut silence = Instant::now() + SILENCE_MAX;
        let mut mood = Instant::now() + self.wait(self.character.restless);
        let mut word = Instant::now() + self.wait(self.character.publishes);
        loop {
            let retry =
                self.seats.iter().filter_map(|seat| if let State::Later(at) = seat.state { Some(at) } else { None });
            let retry = retry.min().unwrap_or_else(far);
            tokio::select! {
                // Orders first: a flood of publications must not keep a client from going.
                biased;
                changed = orders.changed() => {
                    let now = *orders.borrow_and_update();
                    if changed.is_err() || now.leave {
                        return End::Leave;
                    }
                    if now.cuts != first.cuts || now.away {
                        return End::Closed(0);
                    }
                }
                message = socket.next() => {
                    silence = Instant::now() + SILENCE_MAX;
                    match self.message(&mut socket, message).await {
                        Ok(()) => {}
                        Err(end) => return end,
                    }
                }
                () = sleep_until(silence) => return End::Closed(0),
                () = sleep_until(retry) => if !self.ask(&mut socket).await { return End::Closed(0) },
                () = sleep_until(mood), if !orders.borrow().calm => {
                    mood = Instant::now() + self.wait(self.character.restless);
                    if !self.flit(&mut socket).await { return End::Closed(0) }
                }
                () = sleep_until(word), if !orders.borrow().calm => {
                    word = Instant::now() + self.wait(self.character.publishes);
                    if !self.publish(&mut socket).await { return End::Closed(0) }
                }
            }
        }
    }

    /// About that long; nearly for ever if it never does so.
    fn wait(&mut self, about: Option<Duration>) -> Duration {
        about.map_or(Duration::from_secs(86_400), |about| self.dice.time(about / 4, about * 2))
    }

    async fn message(
        &mut self,
        socket: &mut Socket,
        message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
    ) -> Result<(), End> {
        match message {
            Some(Ok(Message::Text(text))) => {
                for line in text.split('\n') {
                    let goes_on = if line == "{}" { tell(socket, "{}".into()).await } else { self.line(line) };
                    if !goes_on {
                        return Err(End::Closed(0));
                    }
                }
                Ok(())
            }
            Some(Ok(Message::Close(frame))) => {
                let reason = frame.as_ref().map_or("", |frame| frame.reason.as_str()).to_owned();
                let code = frame.map_or(0, |frame| frame.code.into());
                if code == 3010 {
                    self.tell_all(&reason);
                }
                Err(End::Closed(code))
            }
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => Err(End::Closed(0)),
        }
    }

    /// Asks for all channels that it is not on.
    async fn ask(&mut self, socket: &mut Socket) -> bool {
        let now = Instant::now();
        let mut frame = Vec::new();
        for seat in &mut self.seats {
            let due = match seat.state {
                State::Off => true,
                State::Later(at) => at <= now,
                _ => false,
            };
            if !due {
                continue;
            }
            self.next_command += 1;
            seat.state = State::Coming(self.next_command);
            let mut command = json!({ "id": self.next_command, "subscribe": { "channel": seat.channel } });
            if let Some(at) = seat.at {
                let epoch = self.around.recorder.read(|log| log.text(at.epoch).to_owned());
                let subscribe = &mut command["subscribe"];
                (subscribe["recover"], subscribe["epoch"], subscribe["offset"]) =
                    (true.into(), epoch.into(), at.offset.into());
            }
            frame.push(command.to_string());
        }
        frame.is_empty() || tell(socket, frame.join("\n")).await
    }

    /// Leaves one of its channels; comes back when that is answered.
    async fn flit(&mut self, socket: &mut Socket) -> bool {
        let at = self.dice.below(self.seats.len());
        let seat = &mut self.seats[at];
        if seat.state != State::On {
            return true;
        }
        self.next_command += 1;
        seat.state = State::Going(self.next_command);
        tell(socket, json!({ "id": self.next_command, "unsubscribe": { "channel": seat.channel } }).to_string()).await
    }

    async fn publish(&mut self, socket: &mut Socket) -> bool {
        let at = self.dice.below(self.seats.len());
        let seat = &self.seats[at];
        let id = Id(self.around.next_id.fetch_add(1, Ordering::Relaxed));
        let data = payload(id, 20);
        self.around.recorder.push(Entry::Invoked { id, channel: seat.name, hash: hash(&data) });
        self.next_command += 1;
        self.published.push((self.next_command, id));
        let (command, channel) = (self.next_command, &seat.channel);
        tell(socket, format!(r#"{{"id":{command},"publish":{{"channel":"{channel}","data":{data}}}}}"#)).await
    }

    /// Whether the connection goes on.
    fn line(&mut self, line: &str) -> bool {
        if line.is_empty() {
            return true;
        }
        let line: Line<'_> = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if let Some(push) = line.push {
            self.push(push);
            return true;
        }
        if let Some(at) = self.published.iter().position(|(command, _)| *command == line.id) {
            let (_, id) = self.published.swap_remove(at);
            self.around.recorder.push(match line.error {
                None => Entry::Acked { id, place: None },
                Some(error) if error.code == 100 => Entry::Unknown { id },
                Some(_) => Entry::Failed { id },
            });
            return true;
        }
        let Some(at) = self
            .seats
            .iter()
            .position(|seat| seat.state == State::Coming(line.id) || seat.state == State::Going(line.id))
        else {
            return true;
        };
        match (line.error, line.subscribe) {
            (Some(error), _) => self.refused(at, &error),
            (None, Some(subscribed)) => {
                self.subscribed(at, &subscribed);
                true
            }
            (None, None) => {
                // Comes back, mostly from where it was; some begin anew.
                let again = self.dice.time(Duration::ZERO, Duration::from_millis(200));
                self.off(at, State::Later(Instant::now() + again));
                if self.dice.percent(10) {
                    self.seats[at].at = None;
                }
                true
            }
        }
    }

    fn refused(&mut self, at: usize, error: &Refusal) -> bool {
        let seat = &mut self.seats[at];
        let again = Instant::now() + self.dice.time(BACKOFF.0, BACKOFF.1);
        match error.code {
            100 | 111 => {
                seat.state = State::Later(again);
                true
            }
            112 => {
                (seat.state, seat.at) = (State::Later(again), None);
                let reason = self.around.recorder.name(&error.message);
                let (client, channel) = (self.me, seat.name);
                self.around.recorder.push(Entry::Told { client, channel, what: Told::Unrecoverable, reason });
                true
            }
            code => panic!("{} on {}: error {code} {}", self.character.name, seat.channel, error.message),
        }
    }

    fn subscribed(&mut self, at: usize, reply: &Subscribed<'_>) {
        let recorder = self.around.recorder.clone();
        let seat = &mut self.seats[at];
        seat.state = State::On;
        let place = (reply.positioned || reply.recoverable || !reply.epoch.is_empty())
            .then(|| Place { epoch: self.names.get(&recorder, &reply.epoch), offset: reply.offset });
        let (client, channel, asked) = (self.me, seat.name, seat.at);
        let (recovered, was_recovering) = (reply.recovered, reply.was_recovering);
        recorder.push(Entry::Subscribed { client, channel, asked, place, recovered, was_recovering });
        seat.at = match (recovered, asked, place) {
            (true, Some(asked), Some(place)) => Some(Place { epoch: place.epoch, offset: asked.offset }),
            _ => place,
        };
        for publication in &reply.publications {
            self.got(at, publication);
        }
    }

    fn push(&mut self, push: Push<'_>) {
        let Some(at) = self.seats.iter().position(|seat| seat.channel == push.channel) else {
            if let Some(publication) = push.publication {
                // Of a channel that it never asked for.
                let channel = self.around.recorder.name(&push.channel);
                let (id, hash) = (id_in(publication.data.get()), hash(publication.data.get()));
                self.around.recorder.push(Entry::Delivered { client: self.me, channel, place: None, id, hash });
            }
            return;
        };
        if let Some(publication) = push.publication {
            self.got(at, &publication);
        }
        if let Some(Unsubscribed { code, reason }) = push.unsubscribe {
            let (client, channel) = (self.me, self.seats[at].name);
            if code >= 2500 {
                let reason = self.around.recorder.name(&reason);
                self.around.recorder.push(Entry::Told { client, channel, what: Told::Unsubscribed, reason });
            }
            let again = self.dice.time(Duration::ZERO, BACKOFF.1);
            self.off(at, State::Later(Instant::now() + again));
        }
    }

    fn got(&mut self, at: usize, publication: &Publication<'_>) {
        let seat = &mut self.seats[at];
        let data = publication.data.get();
        if let Some(place) = &mut seat.at {
            place.offset = publication.offset;
            if !publication.epoch.is_empty() {
                place.epoch = self.names.get(&self.around.recorder, &publication.epoch);
            }
        }
        let (client, channel, place) = (self.me, seat.name, seat.at);
        let (id, hash) = (id_in(data), hash(data));
        self.around.recorder.push(Entry::Delivered { client, channel, place, id, hash });
    }

    fn off(&mut self, at: usize, state: State) {
        let seat = &mut self.seats[at];
        if matches!(seat.state, State::On | State::Going(_)) {
            self.around.recorder.push(Entry::Ended { client: self.me, channel: seat.name });
        }
        seat.state = state;
    }

    fn tell_all(&self, reason: &str) {
        let reason = self.around.recorder.name(reason);
        for seat in self.seats.iter().filter(|seat| seat.state == State::On) {
            let (client, channel) = (self.me, seat.name);
            self.around.recorder.push(Entry::Told { client, channel, what: Told::Closed, reason });
        }
    }

    fn ended(&mut self, end: &End) {
        (0..self.seats.len()).for_each(|at| self.off(at, State::Off));
        for (_, id) in std::mem::take(&mut self.published) {
            self.around.recorder.push(Entry::Unknown { id });
        }
        if let End::Closed(code @ 3500..4000) = end {
            panic!("{} was sent away for good: {code}", self.character.name);
        }
    }
}

/// For waits that nothing ends.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(86_400)
}

async fn tell(socket: &mut Socket, frame: String) -> bool {
    timeout(STEP_LIMIT, socket.send(Message::text(frame))).await.is_ok_and(|sent| sent.is_ok())
}
