//! One client, from its first command to goodbye: what it may do, and what it is told. Wire-free: it
//! takes [`Command`]s and answers with events through its outbox; it never sees a socket.
//!
//! One task owns a session and calls it with one thing at a time; nothing here needs a lock.

mod admission;
mod connect;
pub mod heartbeat;
mod history;
mod hook;
mod limit;
mod obey;
mod observe;
mod presence;
mod publish;
mod refresh;
mod renew;
mod rpc;
mod state;
mod subscribe;
mod unsubscribe;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fanfare_proto::code::{CloseCode, ErrorCode};

use crate::auth::Auth;
use crate::backend::{Brought, Hooks};
use crate::channel::permission::{Carries, Trust};
use crate::config::section::ClientConfig;
use crate::hub::{Outbox, OutboxReader, Pipe};
use crate::limit::Limits;
use crate::model::command::{Ask, Command};
use crate::model::event::{Event, Push, Reply};
use crate::model::wire::{Encode, Frame, WireKey};
use crate::model::{Address, ChannelName, Close, ConnectionId, CustomError, SessionId, Token, TransportHeaders};
use crate::node::Node;
use crate::presence::Departure;
use crate::task::Tasks;
use crate::telemetry::metrics::CodeLabel;

use heartbeat::{Heartbeat, Wheel};
use state::{Live, State};

/// What all sessions of a node share.
#[derive(Debug)]
pub struct Shared {
    /// The node they are on.
    pub node: Arc<Node>,
    /// Whose tokens are good.
    pub auth: Arc<Auth>,
    /// Limits and habits.
    pub config: ClientConfig,
    /// How much anyone may ask for.
    pub limits: Arc<Limits>,
    /// Wakes sessions at their deadlines.
    pub wheel: Arc<Wheel>,
    /// The application's, if it wants to be asked.
    pub hooks: Hooks,
    /// Where questions run that no command waits for.
    tasks: Option<Tasks>,
    /// The node goes down: sessions that have not connected yet will not.
    ending: AtomicBool,
}

/// What happens next with the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It goes on.
    Continue,
    /// It ends.
    Close(Close),
}

impl From<CloseCode> for Flow {
    fn from(code: CloseCode) -> Self {
        Self::Close(code.into())
    }
}

/// How a command ends that does not end well: told to the client as an error, or by closing.
enum Refusal {
    Error(ErrorCode),
    /// In the application's own words.
    Custom(CustomError),
    Close(Close),
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self::Error(code)
    }
}

impl Flow {
    fn into_result(self) -> Result<(), Refusal> {
        match self {
            Self::Continue => Ok(()),
            Self::Close(close) => Err(close.into()),
        }
    }
}

impl From<CloseCode> for Refusal {
    fn from(code: CloseCode) -> Self {
        Self::Close(code.into())
    }
}

impl From<Close> for Refusal {
    fn from(close: Close) -> Self {
        Self::Close(close)
    }
}

/// One client's logical life.
#[derive(Debug)]
pub struct Session {
    shared: Arc<Shared>,
    connection: ConnectionId,
    id: SessionId,
    wire: Arc<dyn Encode>,
    outbox: Outbox,
    /// Nothing has been told yet: the first thing told goes before all that the hub has queued.
    corked: bool,
    /// From the upgrade's header; empty if none.
    header_token: Token,
    state: State,
    heartbeat: Heartbeat,
    /// What hooks want to know; none if there are none.
    brought: Option<Arc<Brought>>,
}

impl Session {
    /// A session that waits for its first command. `header_token` is a connection token that came with
    /// the transport's own request; empty if none. What the session is told goes out by `pipe`.
    #[must_use]
    pub fn new(
        shared: Arc<Shared>,
        wire: Arc<dyn Encode>,
        header_token: Token,
        pipe: Box<dyn Pipe>,
    ) -> (Self, OutboxReader) {
        let (outbox, reader) = Outbox::new(shared.config.queue_max_size, pipe, Arc::clone(shared.node.metrics()));
        let heartbeat = Heartbeat::waiting_for_connect(shared.now(), shared.config.stale_close_delay);
        let mut session = Self {
            connection: ConnectionId::random(),
            id: SessionId::random(),
            wire,
            outbox,
            corked: true,
            header_token,
            state: State::Fresh,
            heartbeat,
            brought: None,
            shared,
        };
        session.arm();
        if session.shared.is_ending() {
            // Too late for the bell that told the others.
            session.outbox.alarm().ring();
        }
        (session, reader)
    }

    /// Takes what hooks want of the request that opened the connection: where it came from, and headers
    /// ([`Hooks::transport_headers`]).
    #[must_use]
    pub fn brought_by(mut self, address: Option<Address>, transport: TransportHeaders) -> Self {
        if !self.shared.hooks.is_empty() {
            self.brought = Some(Arc::new(Brought { address, transport, ..Brought::default() }));
        }
        self
    }

    /// Carries out one command and answers it.
    ///
    /// # Cancel safety
    /// The session must be dropped if the future is.
    pub async fn handle(&mut self, command: Command) -> Flow {
        let id = command.id;
        if let Err(refusal) = self.spend_on(&command.ask).await {
            return self.turn_down(id, refusal);
        }
        let done = match (&self.state, command.ask) {
            (State::Fresh, Ask::Connect(_)) if self.shared.is_ending() => Err(CloseCode::Shutdown.into()),
            (State::Fresh, Ask::Connect(connect)) => Box::pin(self.connect(id, connect)).await,
            (State::Fresh | State::Refused, _) | (State::Live(_), Ask::Connect(_)) => Err(CloseCode::BadRequest.into()),
            (State::Live(_), Ask::Pong) => self.pong(),
            (State::Live(_), Ask::Subscribe(subscribe)) => Box::pin(self.subscribe(id, subscribe)).await,
            (State::Live(_), Ask::Unsubscribe { channel }) => self.unsubscribe(id, &channel),
            (State::Live(_), Ask::Publish { channel, data }) => Box::pin(self.publish(id, &channel, data)).await,
            (State::Live(_), Ask::Refresh { token }) => Box::pin(self.refresh(id, &token)).await,
            (State::Live(_), Ask::SubRefresh { channel, token }) => {
                Box::pin(self.sub_refresh(id, &channel, &token)).await
            }
            (State::Live(_), Ask::Presence { channel }) => Box::pin(self.presence(id, &channel)).await,
            (State::Live(_), Ask::PresenceStats { channel }) => Box::pin(self.presence_stats(id, &channel)).await,
            (State::Live(_), Ask::History { channel, query }) => Box::pin(self.history(id, &channel, query)).await,
            (State::Live(_), Ask::Rpc { method, data }) => Box::pin(self.rpc(id, &method, data)).await,
            (State::Live(_), Ask::Send { .. }) => Err(ErrorCode::NotAvailable.into()),
        };
        self.arm();
        match done {
            Ok(()) => Flow::Continue,
            Err(refusal) => self.turn_down(id, refusal),
        }
    }

    /// Looks which deadlines have passed.
    pub fn tick(&mut self) -> Flow {
        if self.shared.is_ending() {
            return CloseCode::Shutdown.into();
        }
        let now = self.shared.now();
        let flow = match self.heartbeat.due(now) {
            heartbeat::Due::Nothing => self.expire(),
            heartbeat::Due::Stale => CloseCode::Stale.into(),
            heartbeat::Due::NoPong => CloseCode::NoPong.into(),
            heartbeat::Due::Ping => {
                self.tell(&Event::Ping);
                self.expire()
            }
        };
        self.arm();
        flow
    }

    fn pong(&mut self) -> Result<(), Refusal> {
        if self.heartbeat.pong() { Ok(()) } else { Err(CloseCode::BadRequest.into()) }
    }

    /// Asks the wheel to ring at the next deadline.
    fn arm(&mut self) {
        let next = self.state.next_expiry(&self.shared);
        let at = next.map_or(self.heartbeat.next(), |expiry| expiry.min(self.heartbeat.next()));
        if let Some(at) = self.heartbeat.arm(at) {
            self.shared.wheel.ring_at(at, self.outbox.alarm());
        }
    }

    fn live(&mut self) -> Result<&mut Live, Refusal> {
        match &mut self.state {
            State::Live(live) => Ok(live),
            State::Fresh | State::Refused => Err(CloseCode::BadRequest.into()),
        }
    }

    fn carries(&self) -> Carries {
        match self.wire.key() {
            WireKey::CentrifugeJson => Carries::Json,
            WireKey::CentrifugeProtobuf => Carries::Bytes,
        }
    }

    fn reply(&mut self, id: u32, reply: &Reply) {
        self.tell(&Event::Reply { id, reply });
    }

    fn push(&mut self, channel: Option<&ChannelName>, push: &Push) {
        self.tell(&Event::Push { channel, push });
    }

    fn refuse(&mut self, id: u32, code: ErrorCode) {
        self.shared.node.metrics().errors.get_or_create(&CodeLabel { code: code.code() }).inc();
        // Without an id there is nothing to hang an answer on: the count is all that tells.
        if id != 0 {
            self.tell(&Event::Error { id, code });
        }
    }

    fn refuse_by_application(&mut self, id: u32, error: &CustomError) {
        self.shared.node.metrics().errors.get_or_create(&CodeLabel { code: 0 }).inc();
        if id != 0 {
            self.tell(&Event::Refusal { id, error });
        }
    }

    /// Into the outbox. If that is closed the connection is ending anyway, and the reader says why.
    fn tell(&mut self, event: &Event<'_>) {
        let frame = self.wire.encode(event);
        self.send(frame);
    }

    fn send(&mut self, frame: Frame) {
        if std::mem::take(&mut self.corked) {
            self.outbox.uncork(frame);
        } else {
            let _ = self.outbox.reply(frame);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let State::Live(live) = &self.state {
            for (channel, subscription) in live.subscriptions.iter() {
                self.shared.node.unsubscribe(channel, self.connection, Departure::Lost, subscription.overrides);
            }
            self.shared.node.leave(self.connection);
            self.end_seen(live);
        }
    }
}

impl Shared {
    /// Joins the parts.
    #[must_use]
    pub fn new(node: Arc<Node>, auth: Arc<Auth>, config: ClientConfig, limits: Arc<Limits>, wheel: Arc<Wheel>) -> Self {
        let ending = AtomicBool::new(false);
        Self { node, auth, config, limits, wheel, hooks: Hooks::default(), tasks: None, ending }
    }

    /// Adds the application's hooks; `tasks` run the questions that no command waits for.
    #[must_use]
    pub fn with_hooks(self, hooks: Hooks, tasks: Tasks) -> Self {
        Self { hooks, tasks: Some(tasks), ..self }
    }

    /// The node goes down: sessions that have not said who they are end now. Those that have are members
    /// of the hub and are told through their outboxes.
    pub fn begin_shutdown(&self) {
        // SeqCst: set before the alarms ring, seen by the sessions that they wake.
        self.ending.store(true, Ordering::SeqCst);
        self.wheel.ring_all();
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    fn trust(&self) -> Trust {
        if self.config.insecure { Trust::Insecure } else { Trust::Rules }
    }

    fn now(&self) -> Duration {
        self.node.clock().now()
    }

    /// Whole seconds since 1970, as tokens count.
    fn unix_s(&self) -> i64 {
        self.node.clock().unix_ms().div_euclid(1000)
    }

    /// How long until a moment in seconds since 1970; zero if it has passed.
    fn until(&self, unix_s: i64) -> Duration {
        let left_ms = unix_s.saturating_mul(1000).saturating_sub(self.node.clock().unix_ms());
        Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))
    }
}
