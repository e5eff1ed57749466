//! Members of a node that is alone: the reference for the contract. One task tells who came and went, in
//! order, and lets those go whose delay is over.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::{BoxFuture, Departure, Entry, Presence, PresenceError};
use crate::model::event::PresenceStats;
use crate::model::time::Clock;
use crate::model::{Change, ChannelName, ClientInfo, ConnectionId, Membership, UserId};
use crate::task::Tasks;
use crate::telemetry::Metrics;

/// Brings what is to be told to the channel's listeners; never waits for long.
pub type Tell = Arc<dyn Fn(ChannelName, Membership) -> BoxFuture<'static, ()> + Send + Sync>;

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// When a member is to go; the number makes it unique.
type Timer = (Duration, u64);

/// The book of members of one node.
pub struct MemoryPresence {
    book: Arc<Book>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Book {
    state: Mutex<State>,
    /// Told when there is something to tell, or a timer to wait for.
    changed: Notify,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct State {
    channels: Map<ChannelName, Room>,
    timers: BTreeMap<Timer, (ChannelName, ConnectionId)>,
    /// What is to be told. Who enters waits until it was, and leaves only once: so this holds at most two
    /// for each member there has been at one time.
    telling: VecDeque<Telling>,
    number: u64,
    /// The node goes down: nobody enters any more.
    retired: bool,
}

/// One channel.
#[derive(Debug, Default)]
struct Room {
    members: Map<ConnectionId, Member>,
    /// How many members a user is.
    users: Map<UserId, u64>,
    /// Who may be replaced, by user; never the anonymous one's.
    parked: Map<UserId, BTreeMap<Timer, ConnectionId>>,
}

#[derive(Debug)]
struct Member {
    entry: Entry,
    /// Its connection is lost; it stays until then.
    until: Option<Timer>,
}

#[derive(Debug)]
struct Telling {
    channel: ChannelName,
    membership: Membership,
    told: Option<oneshot::Sender<()>>,
}

impl MemoryPresence {
    /// An empty book; `tell` gets what is to be told, in order. Its task ends with `tasks`.
    #[must_use]
    pub fn start(tell: Tell, clock: Arc<dyn Clock>, tasks: &Tasks, metrics: Arc<Metrics>) -> Arc<Self> {
        let book = Arc::new(Book { state: Mutex::default(), changed: Notify::new(), metrics });
        tasks.spawn("presence", run(book.clone(), tell, clock.clone(), tasks.stop()));
        Arc::new(Self { book, clock })
    }
}

impl fmt::Debug for MemoryPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryPresence").finish_non_exhaustive()
    }
}

async fn run(book: Arc<Book>, tell: Tell, clock: Arc<dyn Clock>, stop: CancellationToken) {
    let work = async {
        loop {
            let next = book.expire(clock.now());
            while let Some(Telling { channel, membership, told }) = book.next_to_tell() {
                tell(channel, membership).await;
                // Who has stopped waiting need not know.
                let _ = told.map(|told| told.send(()));
            }
            let wait = next.map(|end| end.saturating_sub(clock.now()));
            tokio::select! {
                () = book.changed.notified() => {}
                () = tokio::time::sleep(wait.unwrap_or(Duration::MAX)), if wait.is_some() => {}
            }
        }
    };
    // Cancel-safe: who is told of members goes down, too.
    let _: Option<()> = stop.run_until_cancelled(work).await;
}

impl Book {
    /// Lets those go whose delay is over; answers when the next one's is.
    fn expire(&self, now: Duration) -> Option<Duration> {
        let mut state = self.state.lock();
        while let Some(first) = state.timers.first_entry().filter(|first| first.key().0 <= now) {
            let (channel, client) = first.remove();
            self.strike(&mut state, &channel, client);
        }
        state.timers.first_key_value().map(|((end, _), _)| *end)
    }

    fn next_to_tell(&self) -> Option<Telling> {
        self.state.lock().telling.pop_front()
    }

    /// Notes a member; answers what to wait for.
    fn enter(&self, channel: &ChannelName, entry: Entry) -> Result<Option<oneshot::Receiver<()>>, PresenceError> {
        let mut state = self.state.lock();
        if state.retired {
            return Err(PresenceError::Unavailable("this node is going down".into()));
        }
        let room = state.channels.entry(channel.clone()).or_default();
        if let Some(before) = room.remove(entry.client).or_else(|| room.remove_parked(&entry.info.user)) {
            room.insert(entry);
            if let Some(timer) = before.until {
                state.timers.remove(&timer);
            }
            return Ok(None);
        }
        self.metrics.presence_members.inc();
        let (told, who) = (entry.told, entry.info.clone());
        room.insert(entry);
        Ok(told.then(|| {
            let (sender, receiver) = oneshot::channel();
            let membership = Membership { change: Change::Joined, who };
            state.telling.push_back(Telling { channel: channel.clone(), membership, told: Some(sender) });
            self.changed.notify_one();
            receiver
        }))
    }

    fn leave(&self, channel: &ChannelName, client: ConnectionId, departure: Departure, now: Duration) {
        let mut state = self.state.lock();
        state.number += 1;
        let number = state.number;
        let Some(room) = state.channels.get_mut(channel) else { return };
        let Some(member) = room.members.get_mut(&client) else { return };
        let delay = member.entry.leave_delay;
        match departure {
            Departure::Lost if member.until.is_some() => return,
            Departure::Lost if !delay.is_zero() => {
                let timer = (now.saturating_add(delay), number);
                member.until = Some(timer);
                let user = member.entry.info.user.clone();
                if !user.is_anonymous() {
                    room.parked.entry(user).or_default().insert(timer, client);
                }
                state.timers.insert(timer, (channel.clone(), client));
            }
            Departure::Lost | Departure::Final => self.strike(&mut state, channel, client),
        }
        self.changed.notify_one();
    }

    /// Strikes a member out, and tells it.
    fn strike(&self, state: &mut State, channel: &ChannelName, client: ConnectionId) {
        let Some(room) = state.channels.get_mut(channel) else { return };
        let Some(Member { entry, until }) = room.remove(client) else { return };
        if room.members.is_empty() {
            state.channels.remove(channel);
        }
        self.metrics.presence_members.dec();
        if let Some(timer) = until {
            state.timers.remove(&timer);
        }
        if entry.told {
            let membership = Membership { change: Change::Left, who: entry.info };
            state.telling.push_back(Telling { channel: channel.clone(), membership, told: None });
        }
    }
}

impl Room {
    fn insert(&mut self, entry: Entry) {
        *self.users.entry(entry.info.user.clone()).or_default() += 1;
        self.members.insert(entry.client, Member { entry, until: None });
    }

    fn remove(&mut self, client: ConnectionId) -> Option<Member> {
        let member = self.members.remove(&client)?;
        let user = &member.entry.info.user;
        if let Some(count) = self.users.get_mut(user) {
            *count -= 1;
            if *count == 0 {
                self.users.remove(user);
            }
        }
        if let (Some(timer), Some(parked)) = (member.until, self.parked.get_mut(user)) {
            parked.remove(&timer);
            if parked.is_empty() {
                self.parked.remove(user);
            }
        }
        Some(member)
    }

    /// Removes the one of a user's lost members that would go first.
    fn remove_parked(&mut self, user: &UserId) -> Option<Member> {
        let (_, client) = self.parked.get(user)?.first_key_value()?;
        self.remove(*client)
    }
}

/// Somebody waits until a join is told. Who stops waiting before is not to be noted.
struct Waiting<'a> {
    presence: &'a MemoryPresence,
    channel: &'a ChannelName,
    client: ConnectionId,
    done: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.presence.leave(self.channel, self.client, Departure::Final);
        }
    }
}

impl Presence for MemoryPresence {
    fn enter<'a>(&'a self, channel: &'a ChannelName, entry: Entry) -> BoxFuture<'a, Result<(), PresenceError>> {
        Box::pin(async move {
            let client = entry.client;
            if let Some(told) = self.book.enter(channel, entry)? {
                let mut waiting = Waiting { presence: self, channel, client, done: false };
                // An error: the node goes down, and nobody is told any more.
                let _ = told.await;
                waiting.done = true;
            }
            Ok(())
        })
    }

    fn leave(&self, channel: &ChannelName, client: ConnectionId, departure: Departure) {
        self.book.leave(channel, client, departure, self.clock.now());
    }

    fn list<'a>(
        &'a self,
        channel: &'a ChannelName,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ClientInfo>, PresenceError>> {
        let state = self.book.state.lock();
        let members = state.channels.get(channel).map(|room| &room.members);
        let count = members.map_or(0, HashMap::len);
        let listed = if count > limit {
            Err(PresenceError::TooMany { count: count as u64, limit: limit as u64 })
        } else {
            let members = members.into_iter().flat_map(HashMap::values);
            Ok(members.map(|member| member.entry.info.clone()).collect())
        };
        Box::pin(std::future::ready(listed))
    }

    fn count<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<PresenceStats, PresenceError>> {
        let state = self.book.state.lock();
        let stats = state.channels.get(channel).map_or(PresenceStats::default(), |room| PresenceStats {
            clients: room.members.len() as u64,
            users: room.users.len() as u64,
        });
        Box::pin(std::future::ready(Ok(stats)))
    }

    /// Nobody remains who could be told.
    fn retire(&self) -> BoxFuture<'_, ()> {
        let mut state = self.book.state.lock();
        state.retired = true;
        let members: usize = state.channels.values().map(|room| room.members.len()).sum();
        self.book.metrics.presence_members.dec_by(i64::try_from(members).unwrap_or(i64::MAX));
        state.channels.clear();
        state.timers.clear();
        state.telling.clear();
        Box::pin(std::future::ready(()))
    }
}
