//! What this node wants to stand in Redis: its members, each with what has become of it there. Calls
//! change the book at once; the [`super::writer`] takes what differs, writes it, and settles it here.
//!
//! Nothing waits in a queue of its own: a member is named at most once among those that differ, so what
//! waits is bounded by who is here, however long Redis is away.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::model::{ChannelName, ConnectionId};
use crate::presence::{Departure, Entry, PresenceError};
use crate::telemetry::Metrics;

type Answer = Result<(), PresenceError>;
type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// The members of this node.
#[derive(Debug)]
pub(super) struct Book {
    state: Mutex<State>,
    /// Told when there is something to write, or a timer to wait for.
    changed: Notify,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct State {
    channels: Map<ChannelName, Map<ConnectionId, Member>>,
    /// Members that differ from what stands in Redis.
    differing: VecDeque<(ChannelName, ConnectionId)>,
    /// Members whose change Redis has refused: tried again with the next heartbeat.
    postponed: Vec<(ChannelName, ConnectionId)>,
    /// When parked members are to go, by the clock; the number makes keys unique.
    timers: BTreeMap<Timer, (ChannelName, ConnectionId)>,
    /// For revisions and timers.
    number: u64,
    /// The node goes down: nobody enters any more.
    retired: bool,
}

type Timer = (Duration, u64);

#[derive(Debug)]
struct Member {
    entry: Entry,
    wish: Wish,
    stands: Stands,
    /// Its join is told if it is not there.
    announce: bool,
    /// It has left and entered again since it was last written: both are to be told.
    leave_first: bool,
    /// To be entered again, by the present holder.
    moving: bool,
    /// It is among those that differ, or postponed.
    named: bool,
    /// Counts what was wished.
    revision: u64,
    /// Who wants to know, and of which revision.
    waiting: Vec<(u64, oneshot::Sender<Answer>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Present,
    /// Present until then, and others of its user may take its place.
    Parked(Timer),
    Gone,
}

/// What is known of a member in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    /// It was never sent there, or its removal was confirmed.
    Nothing,
    /// It was sent, and never confirmed.
    Unsure,
    /// It was confirmed once; if it has vanished since, that is not its fault.
    Held,
}

/// One member's change, on its way to Redis.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) client: ConnectionId,
    pub(super) what: What,
    revision: u64,
    before: Stands,
}

#[derive(Debug)]
pub(super) enum What {
    Enter {
        entry: Box<Entry>,
        /// Tell the join if it was not there.
        announce: bool,
        /// Leave first, then enter.
        leave_first: bool,
        /// Enter, then park.
        park: bool,
    },
    Park,
    Leave,
    /// Say whether it stands.
    Check,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It stands.
    Made,
    /// Redis will not; nothing was done.
    Refused(String),
    /// It was never sent.
    Unsent(String),
    /// Perhaps it stands, perhaps it will yet.
    Unknown(String),
    /// Nothing was done, and it is to be sent again at once.
    Again,
}

/// Who waits for an entrance. Given up when dropped before the answer has come.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    book: &'a Book,
    channel: &'a ChannelName,
    client: ConnectionId,
    revision: u64,
    answer: oneshot::Receiver<Answer>,
    answered: bool,
}

impl Ticket<'_> {
    /// Waits for the answer; the deadline is the caller's, who drops this when it has passed.
    pub(super) async fn answer(mut self) -> Answer {
        let answer = (&mut self.answer).await;
        self.answered = true;
        answer.unwrap_or_else(|_| Err(gone()))
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.book.give_up(self.channel, self.client, self.revision);
        }
    }
}

fn gone() -> PresenceError {
    PresenceError::Unavailable("the member has left before it was noted".into())
}

impl Book {
    pub(super) fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), changed: Notify::new(), metrics })
    }

    /// Notes a member; the ticket tells when it stands.
    pub(super) fn enter<'a>(&'a self, channel: &'a ChannelName, entry: Entry) -> Result<Ticket<'a>, PresenceError> {
        let (client, (sender, answer)) = (entry.client, oneshot::channel());
        let mut state = self.state.lock();
        if state.retired {
            return Err(PresenceError::Unavailable("this node is going down".into()));
        }
        let revision = state.next();
        let members = state.channels.entry(channel.clone()).or_default();
        let member = members.entry(client).or_insert_with(|| {
            self.metrics.presence_members.inc();
            Member::new(entry.clone())
        });
        let (before, told) = (member.wish, entry.told);
        member.entry = entry;
        member.wish = Wish::Present;
        member.revision = revision;
        member.waiting.push((revision, sender));
        if before == Wish::Gone {
            member.leave_first |= member.stands != Stands::Nothing;
            member.announce = told;
        }
        if let Wish::Parked(timer) = before {
            state.timers.remove(&timer);
        }
        state.name(channel, client);
        self.tell(&state);
        drop(state);
        Ok(Ticket { book: self, channel, client, revision, answer, answered: false })
    }

    /// A member is to go, now or after its delay.
    pub(super) fn leave(&self, channel: &ChannelName, client: ConnectionId, departure: Departure, now: Duration) {
        let mut state = self.state.lock();
        let Some(member) = state.member(channel, client) else { return };
        let (wish, stands, delay) = (member.wish, member.stands, member.entry.leave_delay);
        let lost = departure == Departure::Lost && !delay.is_zero();
        if wish == Wish::Gone || lost && matches!(wish, Wish::Parked(_)) {
            return;
        }
        if stands == Stands::Nothing {
            return self.strike(&mut state, channel, client);
        }
        let number = state.next();
        let wish = if lost { Wish::Parked((now.saturating_add(delay), number)) } else { Wish::Gone };
        state.wish(channel, client, wish);
        self.tell(&state);
    }

    /// Lets those go whose delay is over; answers when the next one's is.
    pub(super) fn expire(&self, now: Duration) -> Option<Duration> {
        let mut state = self.state.lock();
        while let Some(first) = state.timers.first_entry().filter(|first| first.key().0 <= now) {
            let (channel, client) = first.remove();
            state.wish(&channel, client, Wish::Gone);
        }
        self.metrics.presence_waiting.set(state.waiting());
        state.timers.first_key_value().map(|((end, _), _)| *end)
    }

    /// Everybody is to go, and nobody comes any more.
    pub(super) fn retire(&self) {
        let mut state = self.state.lock();
        state.retired = true;
        for (channel, client) in state.everybody() {
            state.wish(&channel, client, Wish::Gone);
        }
        self.tell(&state);
    }

    /// Whether the node goes down and nothing is left to write.
    pub(super) fn has_retired(&self) -> bool {
        let state = self.state.lock();
        state.retired && state.channels.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state.lock().channels.is_empty()
    }

    /// Those of the channels where this node has nobody.
    pub(super) fn without_members(&self, channels: Vec<ChannelName>) -> Vec<ChannelName> {
        let state = self.state.lock();
        channels.into_iter().filter(|channel| !state.channels.contains_key(channel)).collect()
    }

    /// Those of the channels where this node has somebody, each with a member that stands in Redis
    /// unless somebody has deleted it there.
    pub(super) fn samples(&self, channels: Vec<ChannelName>) -> Vec<(ChannelName, Option<ConnectionId>)> {
        let state = self.state.lock();
        let sample = |channel: ChannelName| {
            let members = state.channels.get(&channel)?;
            let stands = members
                .iter()
                .find(|(_, member)| !member.named && member.wish == Wish::Present && member.stands == Stands::Held);
            Some((channel, stands.map(|(client, _)| *client)))
        };
        channels.into_iter().filter_map(sample).collect()
    }

    /// The channels where this node has somebody.
    pub(super) fn channels(&self) -> VecDeque<ChannelName> {
        self.state.lock().channels.keys().cloned().collect()
    }

    /// Waits until there is something to write, or another timer. Cancel-safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// All members are to be entered again, by another holder.
    pub(super) fn move_all(&self) {
        let mut state = self.state.lock();
        for (channel, client) in state.everybody() {
            state.enter_again(&channel, client);
        }
    }

    /// A question about a member, which changes nothing and need not be settled.
    pub(super) fn check(client: ConnectionId) -> Change {
        Change { client, what: What::Check, revision: 0, before: Stands::Held }
    }

    /// A channel's members have vanished from Redis: they are to be entered again.
    pub(super) fn restore(&self, channel: &ChannelName) {
        let mut state = self.state.lock();
        let members: Vec<ConnectionId> = state.channels.get(channel).into_iter().flat_map(Map::keys).copied().collect();
        for client in members {
            state.enter_again(channel, client);
        }
    }

    /// Whether members are yet to be entered again. With `announce` the joins of those are told, if they
    /// are not there: their leaves were.
    pub(super) fn is_moving(&self, announce: bool) -> bool {
        let mut state = self.state.lock();
        let mut any = false;
        for member in state.channels.values_mut().flat_map(Map::values_mut).filter(|member| member.moving) {
            member.announce |= announce && member.entry.told;
            any = true;
        }
        any
    }

    /// What Redis has refused is to be tried again.
    pub(super) fn try_postponed(&self) {
        let mut state = self.state.lock();
        let postponed = std::mem::take(&mut state.postponed);
        state.differing.extend(postponed);
    }

    /// Takes changes to be written, at most `max`, by channel.
    pub(super) fn take(&self, max: usize) -> Vec<(ChannelName, Vec<Change>)> {
        let mut state = self.state.lock();
        let mut taken: Map<ChannelName, Vec<Change>> = Map::default();
        for _ in 0..max {
            let Some((channel, client)) = state.differing.pop_front() else { break };
            let Some(member) = state.member(&channel, client) else { continue };
            member.named = false;
            match member.take(client) {
                Some(change) => taken.entry(channel).or_default().push(change),
                None => self.strike(&mut state, &channel, client),
            }
        }
        self.metrics.presence_waiting.set(state.waiting());
        taken.into_iter().collect()
    }

    /// Notes what became of a change.
    pub(super) fn settle(&self, channel: &ChannelName, change: Change, outcome: &Outcome) {
        let mut state = self.state.lock();
        let Some(member) = state.member(channel, change.client) else { return };
        let client = change.client;
        match member.settle(change, outcome) {
            Next::Rest => {}
            Next::Write => state.name(channel, client),
            Next::Postpone => state.postpone(channel, client),
            Next::Strike => self.strike(&mut state, channel, client),
        }
    }

    /// Nobody waits any more for an entrance: who is not noted yet is not to be noted.
    fn give_up(&self, channel: &ChannelName, client: ConnectionId, revision: u64) {
        let mut state = self.state.lock();
        let Some(member) = state.member(channel, client).filter(|member| member.revision == revision) else { return };
        match member.stands {
            // It was noted before; either info may stand.
            Stands::Held => {}
            Stands::Nothing => self.strike(&mut state, channel, client),
            Stands::Unsure => {
                state.wish(channel, client, Wish::Gone);
                self.tell(&state);
            }
        }
    }

    fn strike(&self, state: &mut State, channel: &ChannelName, client: ConnectionId) {
        let Some(members) = state.channels.get_mut(channel) else { return };
        if let Some(member) = members.remove(&client) {
            self.metrics.presence_members.dec();
            if let Wish::Parked(timer) = member.wish {
                state.timers.remove(&timer);
            }
        }
        if state.channels.get(channel).is_some_and(Map::is_empty) {
            state.channels.remove(channel);
        }
    }

    fn tell(&self, state: &State) {
        self.metrics.presence_waiting.set(state.waiting());
        self.changed.notify_one();
    }
}

impl State {
    fn next(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn member(&mut self, channel: &ChannelName, client: ConnectionId) -> Option<&mut Member> {
        self.channels.get_mut(channel)?.get_mut(&client)
    }

    fn everybody(&self) -> Vec<(ChannelName, ConnectionId)> {
        let all = self.channels.iter().flat_map(|(channel, members)| members.keys().map(|id| (channel.clone(), *id)));
        all.collect()
    }

    fn waiting(&self) -> i64 {
        i64::try_from(self.differing.len() + self.postponed.len()).unwrap_or(i64::MAX)
    }

    fn wish(&mut self, channel: &ChannelName, client: ConnectionId, wish: Wish) {
        let revision = self.next();
        let Some(member) = self.member(channel, client) else { return };
        let before = std::mem::replace(&mut member.wish, wish);
        member.revision = revision;
        if let Wish::Parked(timer) = before {
            self.timers.remove(&timer);
        }
        if let Wish::Parked(timer) = wish {
            self.timers.insert(timer, (channel.clone(), client));
        }
        self.name(channel, client);
    }

    fn enter_again(&mut self, channel: &ChannelName, client: ConnectionId) {
        let Some(member) = self.member(channel, client) else { return };
        // Who is to go is removed as it stands, and who was never there is entered anyway.
        member.moving = member.wish != Wish::Gone && member.stands == Stands::Held;
        self.name(channel, client);
    }

    fn name(&mut self, channel: &ChannelName, client: ConnectionId) {
        let Some(member) = self.member(channel, client) else { return };
        if !std::mem::replace(&mut member.named, true) {
            self.differing.push_back((channel.clone(), client));
        }
    }

    fn postpone(&mut self, channel: &ChannelName, client: ConnectionId) {
        let Some(member) = self.member(channel, client) else { return };
        if !std::mem::replace(&mut member.named, true) {
            self.postponed.push((channel.clone(), client));
        }
    }
}

/// What is to be done with a member whose change was settled.
enum Next {
    Rest,
    Write,
    Postpone,
    Strike,
}

impl Member {
    fn new(entry: Entry) -> Self {
        Self {
            announce: entry.told,
            entry,
            wish: Wish::Present,
            stands: Stands::Nothing,
            leave_first: false,
            moving: false,
            named: false,
            revision: 0,
            waiting: Vec::new(),
        }
    }

    /// What is to be written; none if it is to go and is not there.
    fn take(&mut self, client: ConnectionId) -> Option<Change> {
        let before = self.stands;
        let what = match self.wish {
            Wish::Gone if before == Stands::Nothing => return None,
            Wish::Gone => What::Leave,
            Wish::Parked(_) if before == Stands::Held && !self.moving => What::Park,
            Wish::Present | Wish::Parked(_) => {
                if before == Stands::Nothing {
                    self.stands = Stands::Unsure;
                }
                What::Enter {
                    entry: Box::new(self.entry.clone()),
                    announce: self.announce,
                    leave_first: std::mem::take(&mut self.leave_first),
                    park: self.wish != Wish::Present,
                }
            }
        };
        Some(Change { client, what, revision: self.revision, before })
    }

    fn settle(&mut self, change: Change, outcome: &Outcome) -> Next {
        let unchanged = self.revision == change.revision;
        match (change.what, outcome) {
            (What::Enter { .. }, Outcome::Made) => {
                self.stands = Stands::Held;
                self.moving = false;
                // Unless it has left and entered again meanwhile.
                self.announce &= self.leave_first;
                self.answer(change.revision, &Ok(()));
                Next::Rest
            }
            (What::Enter { leave_first, .. }, outcome) => {
                self.leave_first |= leave_first;
                self.entrance_failed(change.revision, change.before, outcome, unchanged)
            }
            (What::Leave, Outcome::Made) => {
                self.stands = Stands::Nothing;
                self.leave_first = false;
                if unchanged { Next::Strike } else { Next::Rest }
            }
            (What::Park, Outcome::Made) | (What::Check, _) => Next::Rest,
            (What::Leave | What::Park, Outcome::Refused(_)) => Next::Postpone,
            (What::Leave | What::Park, _) => Next::Write,
        }
    }

    fn entrance_failed(&mut self, revision: u64, before: Stands, outcome: &Outcome, unchanged: bool) -> Next {
        let (why, sent) = match outcome {
            Outcome::Made | Outcome::Again => {
                self.stands = before;
                return Next::Write;
            }
            Outcome::Refused(why) | Outcome::Unsent(why) => (why, false),
            Outcome::Unknown(why) => (why, true),
        };
        self.answer(revision, &Err(PresenceError::Unavailable(why.clone())));
        if before == Stands::Held {
            return if matches!(outcome, Outcome::Refused(_)) { Next::Postpone } else { Next::Write };
        }
        if !sent {
            self.stands = before;
        }
        if !unchanged {
            return Next::Write;
        }
        // Its caller was told that it is not noted.
        self.wish = Wish::Gone;
        if self.stands == Stands::Nothing { Next::Strike } else { Next::Write }
    }

    /// Answers those who asked for this revision or an earlier one.
    fn answer(&mut self, revision: u64, answer: &Answer) {
        for (asked, sender) in std::mem::take(&mut self.waiting) {
            if asked <= revision {
                // Who has stopped waiting has given up already.
                let _ = sender.send(answer.clone());
            } else {
                self.waiting.push((asked, sender));
            }
        }
    }
}

#[cfg(test)]
#[path = "book/tests.rs"]
mod tests;
