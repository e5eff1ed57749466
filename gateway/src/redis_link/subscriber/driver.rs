//! The task that owns the subscriber's socket: connects, restores what is wanted, serves until the
//! connection ends, and begins anew.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::book::{Book, Life, Order, Orders, Verb};
use super::{Answer, Intake, Listener, Request, Stop, Surroundings, no_link};
use crate::redis_link::outage::Outage;
use crate::redis_link::resp::{self, Frame};
use crate::redis_link::{LinkError, Target, Timing};
use crate::task::backoff::Backoff;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::ReasonLabel;

/// Names in one command at most: large enough to make a round trip cheap, small enough not to hold up
/// the server.
const BATCH_MAX: usize = 512;

/// Orders that may wait to be written before no more requests are taken.
const ORDERS_MAX: usize = 16 * BATCH_MAX;

/// Room for reading that is made before each read, in bytes.
const READ_BYTES: usize = 16 * 1024;

/// Bytes that may wait to be written before the next command is put to them.
const WRITE_BYTES: usize = 64 * 1024;

/// What a driver is told once.
pub(super) struct Setting<L: Listener> {
    pub(super) target: Target,
    pub(super) timing: Timing,
    pub(super) listener: L,
    pub(super) intake: Intake<L::Event>,
}

/// The driver's ends of what it shares with the handle.
pub(super) struct Ends<T> {
    pub(super) requests: mpsc::Receiver<Request<T>>,
    pub(super) up: watch::Sender<bool>,
    pub(super) give_up: watch::Receiver<()>,
    pub(super) stop: Stop,
}

pub(super) struct Driver<L: Listener> {
    setting: Setting<L>,
    ends: Ends<L::Topic>,
    book: Book<L::Topic>,
    metrics: Arc<Metrics>,
    outage: Outage,
}

/// Why a connection, or the driver, ended.
enum End {
    /// The connection broke, or was not worth keeping.
    Broken(String),
    /// Nobody took what came.
    Overflow,
    /// The process goes down, or nobody is left to work for.
    Stopped,
}

/// A request that was not answered yet.
struct Pending {
    answer: Answer,
    /// Confirmations to come.
    left: usize,
    /// What is granted or denied with the answer; empty for an unsubscribe.
    asked: Vec<Arc<str>>,
}

/// What belongs to one connection.
struct Session {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    input: BytesMut,
    output: BytesMut,
    orders: Orders,
    /// Written commands, in order; what is left of each to be confirmed.
    expected: VecDeque<VecDeque<Order>>,
    pending: HashMap<u64, Pending>,
    next_request: u64,
    /// Names that were wanted when the connection came, not confirmed yet.
    restoring: usize,
    /// Pings without an answer.
    pings: usize,
    /// When the server was last heard, or given something to answer after a silence.
    heard: Instant,
    heartbeat: Interval,
}

impl<L: Listener> Driver<L> {
    pub(super) fn new(
        setting: Setting<L>,
        ends: Ends<L::Topic>,
        permanent: Vec<(Arc<str>, L::Topic)>,
        surroundings: &Surroundings<'_>,
    ) -> Self {
        let metrics = surroundings.metrics.clone();
        let outage =
            Outage::new("subscriptions", setting.target.to_string(), metrics.clone(), surroundings.clock.clone());
        Self { setting, ends, book: Book::new(permanent), metrics, outage }
    }

    pub(super) async fn run(mut self) {
        let timing = self.setting.timing;
        let mut backoff = Backoff::new(timing.backoff_first, timing.backoff_max);
        loop {
            let target = self.setting.target.clone();
            let Some(connected) = self.while_down(async move { connect(&target, timing).await }).await else { break };
            match connected {
                Ok(stream) => {
                    let (end, restored) = self.serve(stream).await;
                    if restored {
                        backoff.reset();
                    }
                    match end {
                        End::Stopped => break,
                        End::Broken(why) => self.report(restored, &why),
                        End::Overflow => {
                            self.report(restored, "this node takes its messages too slowly");
                            if self.wait_for_room().await.is_none() {
                                break;
                            }
                        }
                    }
                }
                Err(error) => self.outage.failed(&error.why()),
            }
            let wait = backoff.next_wait();
            if self.while_down(tokio::time::sleep(wait)).await.is_none() {
                break;
            }
        }
    }

    fn report(&mut self, restored: bool, why: &str) {
        if restored { self.outage.lost(why) } else { self.outage.failed(why) }
    }

    /// Runs something while there is no connection; requests are answered at once. None when all ends.
    async fn while_down<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                () = self.ends.stop.cancelled() => return None,
                out = &mut work => return Some(out),
                request = self.ends.requests.recv() => match request? {
                    // Who asked may have gone: nothing to undo then.
                    Request::Subscribe { answer, .. } => drop(answer.send(Err(no_link()))),
                    Request::Unsubscribe { names, answer } => {
                        for name in names {
                            self.book.release(&name);
                        }
                        drop(answer.send(Ok(())));
                    }
                },
            }
        }
    }

    /// Until half of the intake is free: with less, the restored connection would soon be lost again.
    async fn wait_for_room(&mut self) -> Option<()> {
        let Intake { events, bytes, bytes_max } = &self.setting.intake;
        let (events, bytes, half_bytes) = (events.clone(), bytes.clone(), permits(bytes_max / 2));
        let half = (events.max_capacity() / 2).max(1);
        let waiting = async move {
            drop(bytes.acquire_many(half_bytes).await.ok()?);
            events.reserve_many(half).await.map(drop).ok()
        };
        self.while_down(waiting).await?
    }

    /// Serves one connection to its end; answers the end, and whether everything had been restored.
    async fn serve(&mut self, stream: TcpStream) -> (End, bool) {
        self.ends.give_up.mark_unchanged();
        let mut session = Session::new(stream, self.setting.timing);
        for (name, life) in self.book.all() {
            session.order(Verb::Subscribe, name, life, None);
        }
        session.restoring = self.book.len();
        let Err(end) = self.turn(&mut session).await;
        self.ends.up.send_replace(false);
        self.book.lose();
        for pending in session.pending.into_values() {
            for name in &pending.asked {
                self.book.deny(name);
            }
            // An unsubscribe is true now, and stays true.
            let answer = if pending.asked.is_empty() { Ok(()) } else { Err(no_link()) };
            drop(pending.answer.send(answer));
        }
        (end, session.restoring == 0)
    }

    async fn turn(&mut self, session: &mut Session) -> Result<std::convert::Infallible, End> {
        let timing = self.setting.timing;
        loop {
            session.write_orders();
            session.input.reserve(READ_BYTES);
            let silence = session.heard + timing.command;
            // Every arm is cancel-safe: each either has done all of its work or none.
            tokio::select! {
                () = self.ends.stop.cancelled() => return Err(End::Stopped),
                changed = self.ends.give_up.changed() => {
                    changed.map_err(|_| End::Stopped)?;
                    return Err(broken("what this node sends to itself does not come back"));
                }
                read = session.reader.read_buf(&mut session.input) => {
                    if read.map_err(|error| End::Broken(error.to_string()))? == 0 {
                        return Err(broken("the server closed it"));
                    }
                    self.take_in(session).await?;
                    session.heard = Instant::now();
                }
                written = session.writer.write_buf(&mut session.output), if !session.output.is_empty() => {
                    written.map_err(|error| End::Broken(error.to_string()))?;
                }
                request = self.ends.requests.recv(), if session.orders.len() < ORDERS_MAX => {
                    self.accept(session, request.ok_or(End::Stopped)?);
                    self.accept_waiting(session);
                }
                _ = session.heartbeat.tick() => session.ping(),
                () = tokio::time::sleep_until(silence), if session.is_waiting() => {
                    return Err(broken("the server does not answer"));
                }
            }
        }
    }

    /// Takes the requests that have gathered, so that they become one command.
    fn accept_waiting(&mut self, session: &mut Session) {
        while session.orders.len() < BATCH_MAX {
            let Ok(request) = self.ends.requests.try_recv() else { return };
            self.accept(session, request);
        }
    }

    fn accept(&mut self, session: &mut Session, request: Request<L::Topic>) {
        let number = session.next_request;
        session.next_request += 1;
        let before = session.orders.len();
        let (answer, asked) = match request {
            // Who asked has given up already.
            Request::Subscribe { answer, .. } if answer.is_closed() => return,
            Request::Subscribe { names, answer } => {
                for (name, topic) in &names {
                    if let Some(life) = self.book.ask(name, topic) {
                        session.order(Verb::Subscribe, name.clone(), life, Some(number));
                    }
                }
                (answer, names.into_iter().map(|(name, _)| name).collect())
            }
            Request::Unsubscribe { names, answer } => {
                for name in names {
                    if self.book.release(&name) {
                        session.order(Verb::Unsubscribe, name, Life::default(), Some(number));
                    }
                }
                (answer, Vec::new())
            }
        };
        let pending = Pending { answer, left: session.orders.len() - before, asked };
        if pending.left == 0 {
            self.settle(session, pending, Ok(()))
        } else {
            drop(session.pending.insert(number, pending))
        }
    }

    /// Answers a request. Where nobody hears a good answer, it is taken back.
    fn settle(&mut self, session: &mut Session, pending: Pending, outcome: Result<(), LinkError>) {
        let good = outcome.is_ok();
        let heard = pending.answer.send(outcome).is_ok();
        for name in pending.asked {
            if good && heard {
                self.book.grant(&name);
            } else if self.book.deny(&name) {
                session.order(Verb::Unsubscribe, name, Life::default(), None);
            }
        }
    }

    /// Handles everything that has been read whole.
    async fn take_in(&mut self, session: &mut Session) -> Result<(), End> {
        while let Some(frame) = resp::read_frame(&mut session.input).map_err(|error| End::Broken(error.to_string()))? {
            match frame {
                Frame::Message { name, payload } => {
                    let topic = std::str::from_utf8(&name).ok().and_then(|name| self.book.topic(name));
                    // No topic: a name that was released, with messages still under way.
                    let bytes = payload.len();
                    let event = topic.and_then(|topic| self.setting.listener.message(topic, payload));
                    if let Some(event) = event {
                        self.deliver(event, bytes).await?;
                    }
                }
                Frame::Subscribed(name) => self.confirmed(session, Verb::Subscribe, &name).await?,
                Frame::Unsubscribed(name) => self.confirmed(session, Verb::Unsubscribe, &name).await?,
                Frame::Pong => session.pings = session.pings.saturating_sub(1),
                Frame::Okay => return Err(broken("an answer to nothing")),
                Frame::Error(error) => self.refused(session, &error)?,
            }
        }
        Ok(())
    }

    async fn confirmed(&mut self, session: &mut Session, verb: Verb, name: &Bytes) -> Result<(), End> {
        let order = session.next_expected().filter(|order| order.verb == verb && order.name.as_bytes() == name);
        let order = order.ok_or_else(|| broken("confirmations are out of step"))?;
        if verb == Verb::Subscribe
            && let Some((topic, gap)) = self.book.confirm(&order.name, order.life)
            && let Some(event) = self.setting.listener.subscribed(&topic, gap)
        {
            self.deliver(event, 0).await?;
            if gap {
                self.metrics.broker_gaps.inc();
            }
        }
        match order.request {
            Some(number) => self.one_less(session, number),
            None if verb == Verb::Subscribe => {
                session.restoring -= 1;
                if session.restoring == 0 {
                    self.ends.up.send_replace(true);
                    self.outage.over(&format!("{} names subscribed", self.book.len()));
                }
            }
            None => {}
        }
        Ok(())
    }

    fn one_less(&mut self, session: &mut Session, number: u64) {
        let Some(pending) = session.pending.get_mut(&number) else { return };
        pending.left -= 1;
        if pending.left == 0
            && let Some(pending) = session.pending.remove(&number)
        {
            self.settle(session, pending, Ok(()));
        }
    }

    /// The server refuses a whole command with one error.
    fn refused(&mut self, session: &mut Session, error: &str) -> Result<(), End> {
        let batch = session.expected.pop_front().ok_or_else(|| End::Broken(error.to_owned()))?;
        for order in batch {
            // Not a request's: then it is something that must be.
            let number = order.request.ok_or_else(|| End::Broken(error.to_owned()))?;
            if let Some(pending) = session.pending.remove(&number) {
                self.settle(session, pending, Err(LinkError::Refused(error.to_owned())));
            }
        }
        Ok(())
    }

    /// Hands an event of so many bytes on; waits a while for room, and then gives up.
    async fn deliver(&self, mut event: L::Event, bytes: usize) -> Result<(), End> {
        let Intake { events, bytes: room, bytes_max } = &self.setting.intake;
        self.metrics.broker_intake.set(i64::try_from(events.max_capacity() - events.capacity()).unwrap_or(i64::MAX));
        let handing_on = async {
            let room = room.clone().acquire_many_owned(permits(bytes.min(*bytes_max))).await;
            L::hold(&mut event, room.map_err(|_| End::Stopped)?);
            events.send(event).await.map_err(|_| End::Stopped)
        };
        tokio::select! {
            biased;
            handed_on = handing_on => handed_on,
            () = self.ends.stop.cancelled() => Err(End::Stopped),
            () = tokio::time::sleep(self.setting.timing.command) => {
                self.metrics.broker_dropped.get_or_create(&ReasonLabel { reason: "intake_full" }).inc();
                Err(End::Overflow)
            }
        }
    }
}

impl Session {
    fn new(stream: TcpStream, timing: Timing) -> Self {
        let (reader, writer) = stream.into_split();
        let mut heartbeat = tokio::time::interval(timing.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            reader,
            writer,
            input: BytesMut::new(),
            output: BytesMut::new(),
            orders: Orders::default(),
            expected: VecDeque::new(),
            pending: HashMap::new(),
            next_request: 0,
            restoring: 0,
            pings: 0,
            heard: Instant::now(),
            heartbeat,
        }
    }

    fn order(&mut self, verb: Verb, name: Arc<str>, life: Life, request: Option<u64>) {
        self.orders.push(Order { verb, name, life, request });
    }

    /// Writes commands to the output buffer as long as it is small; the rest follows.
    fn write_orders(&mut self) {
        while self.output.len() < WRITE_BYTES {
            let Some(batch) = self.orders.next_batch(BATCH_MAX) else { return };
            let verb = batch[0].verb.text().as_bytes();
            let words: Vec<&[u8]> =
                std::iter::once(verb).chain(batch.iter().map(|order| order.name.as_bytes())).collect();
            resp::write_command(&mut self.output, words.into_iter());
            self.will_wait();
            self.expected.push_back(batch);
        }
    }

    /// A sign of life is wanted, unless one is on its way.
    fn ping(&mut self) {
        if self.pings == 0 {
            self.will_wait();
            self.pings += 1;
            resp::write_command(&mut self.output, [&b"PING"[..]].into_iter());
        }
    }

    fn is_waiting(&self) -> bool {
        self.pings > 0 || !self.expected.is_empty()
    }

    /// The silence that matters begins when the first thing is asked, not with the last thing heard.
    fn will_wait(&mut self) {
        if !self.is_waiting() {
            self.heard = Instant::now();
        }
    }

    fn next_expected(&mut self) -> Option<Order> {
        let batch = self.expected.front_mut()?;
        let order = batch.pop_front();
        if batch.is_empty() {
            self.expected.pop_front();
        }
        order
    }
}

/// A number of bytes as permits.
fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn broken(why: &str) -> End {
    End::Broken(why.to_owned())
}

/// A socket on which the server knows who we are.
async fn connect(target: &Target, timing: Timing) -> Result<TcpStream, LinkError> {
    let connecting = TcpStream::connect((target.host.as_str(), target.port));
    let mut stream =
        tokio::time::timeout(timing.connect, connecting).await.map_err(|_| LinkError::Timeout)?.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    if target.password.is_some() {
        tokio::time::timeout(timing.command, log_in(&mut stream, target)).await.map_err(|_| LinkError::Timeout)??;
    }
    Ok(stream)
}

async fn log_in(stream: &mut TcpStream, target: &Target) -> Result<(), LinkError> {
    let mut words: Vec<&[u8]> = vec![b"AUTH"];
    words.extend(target.user.as_deref().map(str::as_bytes));
    words.extend(target.password.as_ref().map(|password| password.expose().as_bytes()));
    let mut bytes = BytesMut::new();
    resp::write_command(&mut bytes, words.into_iter());
    stream.write_all(&bytes).await.map_err(unreachable)?;
    bytes.clear();
    loop {
        match resp::read_frame(&mut bytes).map_err(|error| LinkError::Unreachable(error.to_string()))? {
            Some(Frame::Okay) => return Ok(()),
            Some(Frame::Error(error)) => return Err(LinkError::Unreachable(error)),
            Some(_) => return Err(LinkError::Unreachable("an unexpected answer to AUTH".into())),
            None => {}
        }
        if stream.read_buf(&mut bytes).await.map_err(unreachable)? == 0 {
            return Err(LinkError::Unreachable("the server closed the connection".into()));
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "used with map_err")]
fn unreachable(error: std::io::Error) -> LinkError {
    LinkError::Unreachable(error.to_string())
}
