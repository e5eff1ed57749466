//! Who may connect when: a rate for each address, and one for the node, with a queue before it.
//!
//! In a storm everybody comes at once, and to refuse most of them makes them come again at once. So who comes
//! too early waits for a turn, a short time and in a bounded queue; turns go round among addresses, so that
//! one that sends thousands holds up its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use foldhash::quality::RandomState;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::line::{Line, Ticket};
use super::{Bucket, Limit, Over, Pace};
use crate::config::section::LimitConfig;
use crate::model::Address;
use crate::model::time::Clock;
use crate::telemetry::Metrics;

/// Addresses whose rates are counted apart; the rest share one bucket. Some 5 MB of memory.
const ADDRESSES_MAX: usize = 100_000;

/// How exact turns are: what came in meanwhile is handed out together.
const RESOLUTION: Duration = Duration::from_millis(1);

/// The way in.
#[derive(Debug)]
pub(super) struct Admission {
    node: Option<Pace>,
    address: Option<Pace>,
    patience: Duration,
    state: Mutex<State>,
    /// Somebody has joined an empty line.
    bell: Notify,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct State {
    node: Bucket,
    line: Line,
    /// Buckets that are not full.
    addresses: HashMap<Address, Bucket, RandomState>,
}

/// A place in the line, left when dropped.
struct Waiting<'a> {
    admission: &'a Admission,
    address: Address,
    ticket: Ticket,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.admission.state.lock();
        state.line.leave(self.address, self.ticket);
        self.admission.show(&state);
    }
}

impl Admission {
    /// None if everybody may come at any time.
    pub(super) fn new(config: &LimitConfig, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Option<Self> {
        let (node, address) = (config.connect_rate.map(Pace::from), config.connect_rate_per_address.map(Pace::from));
        (node.is_some() || address.is_some()).then(|| Self {
            node,
            address,
            patience: config.connect_wait,
            state: Mutex::new(State {
                node: Bucket::default(),
                line: Line::new(config.connect_queue_max),
                addresses: HashMap::default(),
            }),
            bell: Notify::new(),
            clock,
            metrics,
        })
    }

    /// Waits for the turn of a client of this address.
    pub(super) async fn pass(&self, address: Address) -> Result<(), Over> {
        let now = self.clock.now();
        if let Some(pace) = &self.address {
            self.state
                .lock()
                .take(address, pace, now)
                .map_err(|wait| Over { limit: Limit::ConnectRatePerAddress, wait })?;
        }
        let Some(pace) = &self.node else { return Ok(()) };
        let Some((waiting, turn)) = self.join(address, pace, now)? else { return Ok(()) };
        let turn = tokio::time::timeout(self.patience, turn).await;
        drop(waiting);
        match turn {
            Ok(Ok(())) => Ok(()),
            // Too late, or somebody else got the place in the line.
            Ok(Err(_)) | Err(_) => Err(self.busy(pace)),
        }
    }

    /// Passes at once, or joins the line.
    fn join(
        &self,
        address: Address,
        pace: &Pace,
        now: Duration,
    ) -> Result<Option<(Waiting<'_>, tokio::sync::oneshot::Receiver<()>)>, Over> {
        let mut state = self.state.lock();
        // Nobody overtakes those who wait.
        if state.line.len() == 0 && state.node.take(pace, now).is_ok() {
            return Ok(None);
        }
        let joined = if self.patience.is_zero() { None } else { state.line.join(address) };
        self.show(&state);
        drop(state);
        let (ticket, turn) = joined.ok_or_else(|| self.busy(pace))?;
        self.bell.notify_one();
        Ok(Some((Waiting { admission: self, address, ticket }, turn)))
    }

    /// The line is too long: it is worth while to come again when it will have gone by.
    fn busy(&self, pace: &Pace) -> Over {
        let ahead = u32::try_from(self.state.lock().line.len()).unwrap_or(u32::MAX);
        Over { limit: Limit::ConnectRate, wait: self.patience + pace.interval().saturating_mul(ahead) }
    }

    /// Hands out turns.
    pub(super) async fn run(&self) {
        loop {
            match self.release(self.clock.now()) {
                Some(wait) => tokio::time::sleep(wait.max(RESOLUTION)).await,
                None => self.bell.notified().await,
            }
        }
    }

    /// Lets those go whose turn it is; answers when the next one's is, none if nobody waits.
    fn release(&self, now: Duration) -> Option<Duration> {
        let pace = self.node.as_ref()?;
        let mut state = self.state.lock();
        let mut next = None;
        while state.line.len() > 0 {
            let wait = state.node.wait(pace, now);
            if !wait.is_zero() {
                next = Some(wait);
                break;
            }
            // A turn that nobody takes costs nothing.
            if state.line.next().is_some_and(|turn| turn.send(()).is_ok()) {
                let _ = state.node.take(pace, now);
            }
        }
        self.show(&state);
        next
    }

    fn show(&self, state: &State) {
        self.metrics.connects_waiting.set(i64::try_from(state.line.len()).unwrap_or(i64::MAX));
    }
}

impl State {
    /// Takes from the bucket of an address. Only buckets that are not full are kept, and of those so many.
    fn take(&mut self, address: Address, pace: &Pace, now: Duration) -> Result<(), Duration> {
        let known = self.addresses.contains_key(&address);
        if !known && self.addresses.len() >= ADDRESSES_MAX {
            self.addresses.retain(|_, bucket| !bucket.is_full(now));
        }
        let full = !known && self.addresses.len() >= ADDRESSES_MAX;
        let counted = if full { Address::REST } else { address };
        self.addresses.entry(counted).or_default().take(pace, now)
    }
}

#[cfg(test)]
mod tests;
