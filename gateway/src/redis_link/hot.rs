//! The road of everything that is quick: one multiplexed connection, on which commands of all tasks
//! travel in one pipeline, and a keeper that replaces it when it breaks. Never for blocking commands:
//! one of them would hold up everybody.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, ProtocolVersion, PushInfo, PushKind, RedisError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::outage::Outage;
use super::{LinkError, SetupError, Target, Timing};
use crate::model::time::Clock;
use crate::task::Tasks;
use crate::task::backoff::Backoff;
use crate::telemetry::Metrics;

/// Commands that may wait to be written: what gathers is written in one go.
const PIPELINE_MAX: usize = 256;

/// How the link is.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// None; why.
    Down(Arc<str>),
    /// The server answers, and will not take what we have; why.
    Refusing(Arc<str>),
    /// Commands get through.
    Up(Generation),
}

/// One connection's life.
#[derive(Clone)]
pub(super) struct Generation {
    connection: MultiplexedConnection,
    end: End,
}

/// How a connection ends: once, for everybody, for the reason that came first.
#[derive(Clone, Debug, Default)]
struct End {
    /// Cancelled at the end; whoever waits for an answer then fails at once.
    dead: CancellationToken,
    why: Arc<OnceLock<LinkError>>,
}

impl End {
    fn set(&self, why: LinkError) {
        // Another reason may have been first.
        let _ = self.why.set(why);
        self.dead.cancel();
    }

    fn check(&self) -> Result<(), LinkError> {
        if self.dead.is_cancelled() { Err(self.why()) } else { Ok(()) }
    }

    /// What calls are answered after the end.
    fn why(&self) -> LinkError {
        self.why.get().cloned().unwrap_or_else(|| LinkError::Unreachable("the link broke".into()))
    }
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation").field("end", &self.end).finish_non_exhaustive()
    }
}

/// The multiplexed link.
#[derive(Debug)]
pub(super) struct Hot {
    state: watch::Receiver<State>,
    command_timeout: Duration,
}

impl Hot {
    /// Starts the keeper, which connects in the background.
    ///
    /// # Errors
    /// When the target cannot be used at all.
    pub(super) fn start(
        target: &Target,
        timing: Timing,
        tasks: &Tasks,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SetupError> {
        // RESP3, because only there the crate tells of a socket's end by itself.
        let settings = target.info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = target.info.clone().set_redis_settings(settings);
        let client = Client::open(info).map_err(|error| SetupError::Url(error.to_string()))?;
        let (sender, state) = watch::channel(State::Down("not connected yet".into()));
        let outage = Outage::new("commands", target.to_string(), metrics, clock);
        let keeper = Keeper { client, timing, state: sender, outage, stop: tasks.stop() };
        tasks.spawn("redis commands", keeper.run());
        Ok(Self { state, command_timeout: timing.command })
    }

    /// The state and, by `changed`, its next change from now on.
    pub(super) fn state(&self) -> watch::Receiver<State> {
        let mut state = self.state.clone();
        // A clone has seen as much as its original, which never looks.
        state.mark_unchanged();
        state
    }

    /// Sends one command. Fails at once while there is no link.
    pub(super) async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, LinkError> {
        let generation = self.generation()?;
        let mut connection = generation.connection.clone();
        self.finish(&generation, command.query_async(&mut connection)).await.and_then(|answer| Ok(answer?))
    }

    /// Sends one command; a server's error is an answer, too.
    pub(super) async fn attempt<T: FromRedisValue>(&self, command: &Cmd) -> Result<Result<T, RedisError>, LinkError> {
        let generation = self.generation()?;
        let mut connection = generation.connection.clone();
        self.finish(&generation, command.query_async(&mut connection)).await
    }

    /// Gives the present connection up; the keeper makes another.
    pub(super) fn give_up(&self, why: LinkError) {
        if let State::Up(generation) = &*self.state.borrow() {
            generation.end.set(why);
        }
    }

    /// Fails unless commands may be sent to the server now.
    pub(super) fn check(&self) -> Result<(), LinkError> {
        match &*self.state.borrow() {
            State::Down(why) => Err(LinkError::Unreachable(why.to_string())),
            State::Refusing(_) => Ok(()),
            State::Up(generation) => generation.end.check(),
        }
    }

    /// Fails unless the server takes writes now, as far as is known.
    pub(super) fn check_takes(&self) -> Result<(), LinkError> {
        self.generation().map(drop)
    }

    fn generation(&self) -> Result<Generation, LinkError> {
        match &*self.state.borrow() {
            State::Down(why) => Err(LinkError::Unreachable(why.to_string())),
            State::Refusing(why) => Err(LinkError::Refused(why.to_string())),
            State::Up(generation) => generation.end.check().map(|()| generation.clone()),
        }
    }

    /// Waits for the answer, not longer than allowed and not beyond the connection's end.
    async fn finish<T>(
        &self,
        generation: &Generation,
        answer: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<Result<T, RedisError>, LinkError> {
        tokio::select! {
            // An answer that is there counts, even if the link has died meanwhile.
            biased;
            answer = answer => match answer {
                Err(error) if is_broken(&error) => {
                    let error = LinkError::from(error);
                    generation.end.set(LinkError::Unreachable(error.clone().why()));
                    Err(error)
                }
                answer => Ok(answer),
            },
            () = generation.end.dead.cancelled() => Err(generation.end.why()),
            () = tokio::time::sleep(self.command_timeout) => {
                // All answers come in one line: if one does not come, none behind it will.
                generation.end.set(LinkError::Unreachable(LinkError::Timeout.why()));
                Err(LinkError::Timeout)
            }
        }
    }
}

fn is_broken(error: &RedisError) -> bool {
    error.is_unrecoverable_error() || error.is_io_error() || error.is_timeout()
}

/// Makes connections, one after the other.
struct Keeper {
    client: Client,
    timing: Timing,
    state: watch::Sender<State>,
    outage: Outage,
    stop: CancellationToken,
}

impl Keeper {
    async fn run(mut self) {
        let stop = self.stop.clone();
        // Cancel-safe: a dropped attempt closes its socket, and the state is set below.
        let _ = stop.run_until_cancelled(self.keep()).await;
        self.state.send_replace(State::Down("this node is going down".into()));
    }

    async fn keep(&mut self) {
        let mut backoff = Backoff::new(self.timing.backoff_first, self.timing.backoff_max);
        loop {
            match self.connect().await {
                Ok(Found::Primary(generation)) => {
                    self.outage.over("");
                    backoff.reset();
                    self.state.send_replace(State::Up(generation.clone()));
                    generation.end.dead.cancelled().await;
                    let why = generation.end.why();
                    self.outage.lost(&why.clone().why());
                    self.state.send_replace(match why {
                        LinkError::Refused(why) => State::Refusing(why.into()),
                        why => State::Down(why.why().into()),
                    });
                }
                Ok(Found::Replica) => {
                    let why = "the server is a read-only replica";
                    self.outage.failed(why);
                    self.state.send_replace(State::Refusing(why.into()));
                }
                Err(error) => {
                    let why = error.why();
                    self.outage.failed(&why);
                    self.state.send_replace(State::Down(why.into()));
                }
            }
            tokio::time::sleep(backoff.next_wait()).await;
        }
    }

    async fn connect(&self) -> Result<Found, LinkError> {
        let end = End::default();
        let watcher = end.clone();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timing.connect))
            // Each answer has its own deadline, see `finish`.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(PIPELINE_MAX)
            // Tells at once when the socket ends, without a command that has to fail first.
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    watcher.set(LinkError::Unreachable("the server closed it".into()));
                }
                Ok::<(), ()>(())
            });
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        // The crate's own limit is for the socket only; a server that accepts and is silent would hold
        // the handshake for ever.
        let limit = self.timing.connect + self.timing.command;
        let connection = tokio::time::timeout(limit, connecting).await.map_err(|_| LinkError::Timeout)??;
        let mut asking = connection.clone();
        let role = redis::cmd("ROLE");
        let role = tokio::time::timeout(self.timing.command, role.query_async::<redis::Value>(&mut asking));
        match role.await.map_err(|_| LinkError::Timeout)? {
            Ok(role) if is_replica(&role) => Ok(Found::Replica),
            Err(error) if is_broken(&error) => Err(error.into()),
            // Not allowed to ask: then writes will tell.
            _ => Ok(Found::Primary(Generation { connection, end })),
        }
    }
}

enum Found {
    Primary(Generation),
    Replica,
}

/// Whether an answer to `ROLE` is a replica's.
pub(super) fn is_replica(role: &redis::Value) -> bool {
    match role {
        redis::Value::Array(parts) => {
            matches!(parts.first(), Some(redis::Value::BulkString(role)) if &role[..] == b"slave")
        }
        _ => false,
    }
}
