//! What comes in: one connection of its own for all names that this node wants. Knows names and bytes;
//! what they mean, the [`Listener`] says.
//!
//! One task (the [`driver`]) owns the socket and the book of wanted names. Requests come to it through a
//! bounded queue; what has gathered there becomes one `SUBSCRIBE`. Events go out through a bounded
//! channel, bounded in number and in bytes. While that is full the socket is not read, which Redis feels as a slow reader; if there is
//! no room for longer than the command timeout the connection is given up, because what is that late is
//! better told as a gap.
//!
//! After a loss all wanted names are subscribed anew, in batches; each confirmation comes before the
//! name's first new message, and with it the listener is told whether there is a gap. One connection is
//! read to its end before the next one is opened, so nothing old can come after something new.

mod book;
mod driver;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{LinkError, Target, Timing};
use crate::model::time::Clock;
use crate::task::Tasks;
use crate::telemetry::Metrics;

/// Requests that may wait for the driver.
const REQUESTS_MAX: usize = 1024;

/// Turns what comes in into events. Called on the driver's task: quick, never waiting.
pub trait Listener: Send + Sync + 'static {
    /// What a name means to the listener.
    type Topic: Clone + Send + Sync + fmt::Debug + 'static;
    /// What goes out.
    type Event: Send + 'static;

    /// Something was published.
    fn message(&mut self, topic: &Self::Topic, payload: Bytes) -> Option<Self::Event>;

    /// The name is subscribed from here on; `gap` if it was before and messages may be missing.
    fn subscribed(&mut self, topic: &Self::Topic, gap: bool) -> Option<Self::Event>;

    /// Binds the room that an event takes up to it; dropping it frees the room.
    fn hold(event: &mut Self::Event, room: OwnedSemaphorePermit);
}

/// Where events go, and how much room they have.
#[derive(Debug)]
pub struct Intake<E> {
    /// Takes so many events.
    pub events: mpsc::Sender<E>,
    /// Takes so many bytes of messages.
    pub bytes: Arc<Semaphore>,
    /// All of `bytes`. What is larger takes all of it.
    pub bytes_max: usize,
}

/// The handle to the one subscriber connection.
#[derive(Debug)]
pub struct Subscriber<T> {
    requests: mpsc::Sender<Request<T>>,
    up: watch::Receiver<bool>,
    give_up: watch::Sender<()>,
    command_timeout: Duration,
}

#[derive(Debug)]
enum Request<T> {
    Subscribe { names: Vec<(Arc<str>, T)>, answer: Answer },
    Unsubscribe { names: Vec<Arc<str>>, answer: Answer },
}

type Answer = oneshot::Sender<Result<(), LinkError>>;

impl<T: Clone + Send + Sync + fmt::Debug + 'static> Subscriber<T> {
    /// Starts connecting in the background. `permanent` names are wanted for ever; `intake` is where
    /// events go.
    pub fn start<L: Listener<Topic = T>>(
        target: &Target,
        timing: Timing,
        permanent: Vec<(Arc<str>, T)>,
        listener: L,
        intake: Intake<L::Event>,
        surroundings: Surroundings<'_>,
    ) -> Self {
        let (requests, incoming) = mpsc::channel(REQUESTS_MAX);
        let (up_sender, up) = watch::channel(false);
        let (give_up, given_up) = watch::channel(());
        let driver = driver::Driver::new(
            driver::Setting { target: target.clone(), timing, listener, intake },
            driver::Ends { requests: incoming, up: up_sender, give_up: given_up, stop: surroundings.tasks.stop() },
            permanent,
            &surroundings,
        );
        surroundings.tasks.spawn("redis subscriptions", driver.run());
        Self { requests, up, give_up, command_timeout: timing.command }
    }

    /// Wants these names. The answer comes after the server has confirmed all of them.
    ///
    /// # Errors
    /// [`LinkError::Unreachable`] at once without a link, and when it breaks meanwhile;
    /// [`LinkError::Timeout`] after the command timeout. None of the names is held then, except those
    /// that were before.
    ///
    /// # Cancel safety
    /// Not cancel-safe: names of a dropped call may stay subscribed.
    pub async fn subscribe(&self, names: Vec<(Arc<str>, T)>) -> Result<(), LinkError> {
        if !*self.up.borrow() {
            return Err(no_link());
        }
        self.ask(|answer| Request::Subscribe { names, answer }).await
    }

    /// Wants these names no more. Without a link that is true at once.
    ///
    /// # Errors
    /// [`LinkError::Timeout`] after the command timeout. Messages may still come, but the names are not
    /// subscribed anew.
    pub async fn unsubscribe(&self, names: Vec<Arc<str>>) -> Result<(), LinkError> {
        self.ask(|answer| Request::Unsubscribe { names, answer }).await
    }

    /// Whether all wanted names are subscribed; `changed` waits for the next change.
    #[must_use]
    pub fn up(&self) -> watch::Receiver<bool> {
        self.up.clone()
    }

    /// Gives the present connection up, if there is one; another is made.
    pub fn give_up(&self) {
        self.give_up.send_replace(());
    }

    async fn ask(&self, request: impl FnOnce(Answer) -> Request<T>) -> Result<(), LinkError> {
        let (answer, mut answered) = oneshot::channel();
        let asking = async {
            self.requests.send(request(answer)).await.map_err(|_| no_link())?;
            (&mut answered).await.map_err(|_| no_link())?
        };
        match tokio::time::timeout(self.command_timeout, asking).await {
            Ok(answer) => answer,
            Err(_) => {
                // Close first: an answer is either seen here or undone by the driver.
                answered.close();
                answered.try_recv().unwrap_or(Err(LinkError::Timeout))
            }
        }
    }
}

/// What every part of a process shares.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// Where the driver runs.
    pub tasks: &'a Tasks,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

fn no_link() -> LinkError {
    LinkError::Unreachable("no link for subscriptions".into())
}

/// Ends when the process stops; the token is the tasks'.
type Stop = CancellationToken;
