//! Makes Redis agree with the [`super::book`]: one task, which takes what differs, writes it together,
//! and notes what became of it. It also renews what would expire: the holder's lease with each
//! heartbeat, and each channel's keys every few minutes, some with each heartbeat.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fanfare_proto::keys::Keys;
use fanfare_proto::script::presence::{Holder, LATE, MISSING, TTL_MS};
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::book::{Book, Change, Outcome, What};
use super::tenure::Tenures;
use super::wire;
use crate::model::time::Clock;
use crate::model::{self, ChannelName};
use crate::redis_link::{Link, LinkError, LinkState, Script, cmd, pipe};
use crate::telemetry::Metrics;

/// Changes that are written before anything else is looked at.
const BATCH_MAX: usize = 2048;

/// Changes in one script: enough to be quick, and few enough not to hold up the server.
const CHANGES_MAX: usize = 64;

/// Channels whose keys are renewed in one go.
const RENEWED_MAX: usize = 64;

/// How long the renewal of all channels may take: a third of their keys' life.
const ROUND: Duration = Duration::from_millis(TTL_MS / 3);

/// A round must be written again from the start.
#[derive(Debug)]
struct Interrupted;

/// The task's state.
pub(super) struct Writer {
    pub(super) link: Arc<Link>,
    pub(super) keys: Keys,
    pub(super) book: Arc<Book>,
    pub(super) tenures: Tenures,
    pub(super) script: Script,
    pub(super) heartbeat: Duration,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) stop: CancellationToken,
    /// The generation whose tenure has begun: what earlier ones held is dead.
    pub(super) generation: Arc<AtomicU64>,
    /// Told when all members of a node that goes down are written out.
    pub(super) retired: watch::Sender<bool>,
    /// Channels that stand in the holder's list.
    pub(super) listed: HashSet<ChannelName, foldhash::fast::RandomState>,
    /// Channels to be renewed in this round.
    pub(super) round: VecDeque<ChannelName>,
    /// How many of them with each heartbeat.
    pub(super) pace: usize,
    /// The server has run the script in this tenure.
    pub(super) script_known: bool,
    /// Which server answered last.
    pub(super) server: Option<String>,
    /// The link has changed since.
    pub(super) unknown_server: bool,
    pub(super) last_beat: Duration,
}

impl Writer {
    pub(super) async fn run(mut self) {
        let stop = self.stop.clone();
        // Cancel-safe: what a node leaves behind half done is removed by others.
        let _ = stop.run_until_cancelled(self.write_on()).await;
    }

    async fn write_on(&mut self) {
        let mut beat = tokio::time::interval(self.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (book, mut link) = (self.book.clone(), self.link.changes());
        loop {
            let next = book.expire(self.clock.now()).map(|end| end.saturating_sub(self.clock.now()));
            let mut due = false;
            tokio::select! {
                () = book.changed() => {}
                () = link.next() => self.unknown_server = true,
                () = tokio::time::sleep(next.unwrap_or(Duration::MAX)), if next.is_some() => {}
                _ = beat.tick() => due = true,
            }
            book.expire(self.clock.now());
            if self.link.state() != LinkState::Up {
                continue;
            }
            // What is left to do is done with the next heartbeat, or when the link is back.
            if let Err(error) = self.catch_up(due).await {
                tracing::debug!(?error, "presence is not written yet");
            }
        }
    }

    async fn catch_up(&mut self, due: bool) -> Result<(), LinkError> {
        if self.unknown_server {
            self.check_server().await?;
        }
        if due {
            self.book.try_postponed();
            self.beat().await?;
        }
        while self.write().await?.is_some() {
            if self.clock.now().saturating_sub(self.last_beat) >= self.heartbeat {
                self.beat().await?;
            }
        }
        if self.book.has_retired() && !*self.retired.borrow() {
            self.tenures.farewell(&self.link, &self.keys).await?;
            self.retired.send_replace(true);
        }
        Ok(())
    }

    /// Another server than before may lack the latest writes, or have them still: all is written anew.
    async fn check_server(&mut self) -> Result<(), LinkError> {
        let info: Result<String, LinkError> = self.link.command(cmd("INFO").arg("server")).await;
        let server = match info {
            Ok(info) => info.lines().find_map(|line| line.strip_prefix("run_id:")).map(|id| id.trim().to_owned()),
            // Not allowed to ask: then each link leads to another server.
            Err(LinkError::Refused(_)) => None,
            Err(error) => return Err(error),
        };
        if server.is_none() || server != self.server {
            self.tenures.end();
        }
        self.server = server;
        self.unknown_server = false;
        Ok(())
    }

    async fn beat(&mut self) -> Result<(), LinkError> {
        self.last_beat = self.clock.now();
        if self.tenures.present.is_none() {
            return Ok(());
        }
        if !self.tenures.renew(&self.link, &self.keys).await? {
            self.tenures.end();
            return Ok(());
        }
        if self.tenures.is_moving() {
            let told = self.tenures.keep_reapers_off(&self.link, &self.keys).await?;
            if !self.book.is_moving(told) {
                self.tenures.has_moved(&self.link, &self.keys).await?;
            }
        }
        self.renew_channels().await
    }

    /// Begins a tenure, unless there is one. Only who has members needs one.
    async fn hold(&mut self) -> Result<Option<(Holder, u64)>, LinkError> {
        if self.tenures.present.is_none() {
            if self.book.is_empty() {
                return Ok(None);
            }
            let first = !self.tenures.is_moving();
            self.tenures.begin(&self.link, &self.keys).await?;
            let told = match self.tenures.keep_reapers_off(&self.link, &self.keys).await {
                Ok(told) => told,
                Err(error) => {
                    self.tenures.end();
                    return Err(error);
                }
            };
            self.listed.clear();
            self.round.clear();
            self.script_known = false;
            if !first {
                self.metrics.presence_resyncs.inc();
                tracing::info!(told, "this node's members are entered again: its lease or the link was lost");
                self.book.move_all();
                self.book.is_moving(told);
            }
        }
        let tenure = self.tenures.present.as_ref();
        if let Some(tenure) = tenure {
            self.generation.store(tenure.holder.generation, Ordering::Release);
        }
        Ok(tenure.map(|tenure| (tenure.holder.clone(), tenure.until_ms)))
    }

    /// Writes one batch; none if there was nothing to write.
    async fn write(&mut self) -> Result<Option<()>, LinkError> {
        let Some((holder, until_ms)) = self.hold().await? else { return Ok(None) };
        let taken = self.book.take(BATCH_MAX);
        if taken.is_empty() {
            return Ok(None);
        }
        let new: Vec<ChannelName> = taken
            .iter()
            .filter(|(_, changes)| changes.iter().any(|change| matches!(change.what, What::Enter { .. })))
            .map(|(channel, _)| channel.clone())
            .filter(|channel| !self.listed.contains(channel))
            .collect();
        // Listed first: what a dead node has not listed, nobody finds.
        if let Err(error) = self.list(&holder, &new).await {
            let outcome = Outcome::Unsent(error.clone().why());
            for (channel, changes) in taken {
                changes.into_iter().for_each(|change| self.book.settle(&channel, change, &outcome));
            }
            return Err(error);
        }
        self.listed.extend(new);
        let touched = taken.iter().map(|(channel, _)| channel.clone()).collect();
        let mut slices = taken.into_iter().flat_map(|(channel, changes)| slices(channel, changes));
        // A server that is new to the script learns it from the first, not from all at once.
        let alone = if std::mem::replace(&mut self.script_known, true) { None } else { slices.next() };
        let mut sent = Vec::new();
        if let Some(slice) = alone {
            sent.push(self.send(&holder, until_ms, slice).await);
        }
        sent.extend(join_all(slices.map(|slice| self.send(&holder, until_ms, slice))).await);
        if sent.into_iter().any(|sent| sent.is_err()) {
            self.tenures.end();
            return Ok(Some(()));
        }
        self.unlist(&holder, self.book.without_members(touched)).await;
        Ok(Some(()))
    }

    /// Sends some changes of one channel, and settles them. An error is the end of the tenure.
    async fn send(
        &self,
        holder: &Holder,
        until_ms: u64,
        (channel, changes): (ChannelName, Vec<Change>),
    ) -> Result<(), Interrupted> {
        let (outcome, end) = match self.change(holder, until_ms, &channel, &changes).await {
            Ok(answer) if answer.first().is_some_and(|word| word == LATE) => (Outcome::Again, Err(Interrupted)),
            Ok(answer) => {
                let mut outcomes = answer.into_iter().skip(1);
                for change in changes {
                    let outcome = outcome_of(&change, &mut outcomes);
                    self.book.settle(&channel, change, &outcome);
                }
                return Ok(());
            }
            Err(LinkError::Refused(why)) => {
                tracing::debug!(%channel, why, "Redis refuses to note members");
                (Outcome::Refused(why), Ok(()))
            }
            Err(error) => (Outcome::Unknown(error.why()), Err(Interrupted)),
        };
        for change in changes {
            self.book.settle(&channel, change, &outcome);
        }
        end
    }

    async fn change(
        &self,
        holder: &Holder,
        until_ms: u64,
        channel: &ChannelName,
        changes: &[Change],
    ) -> Result<Vec<String>, LinkError> {
        let name = channel.as_str();
        let keys = [self.keys.members(name), self.keys.member_users(name), self.keys.members_parked(name)];
        let head = [self.keys.channel(name), holder.node.clone(), holder.generation.to_string(), until_ms.to_string()];
        let mut arguments: Vec<Vec<u8>> = head.into_iter().map(String::into_bytes).collect();
        arguments.push(TTL_MS.to_string().into_bytes());
        for change in changes {
            print(holder, change, &mut arguments);
        }
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        self.link.run_script(&self.script, &keys, &arguments).await
    }

    /// Puts channels on the holder's list. Both at once: a list that comes late must expire, too.
    async fn list(&self, holder: &Holder, channels: &[ChannelName]) -> Result<(), LinkError> {
        if channels.is_empty() {
            return Ok(());
        }
        let key = self.keys.holder_channels(&holder.to_string());
        let names: Vec<&str> = channels.iter().map(ChannelName::as_str).collect();
        let mut write = pipe();
        write.atomic();
        write.cmd("SADD").arg(&key).arg(names).ignore();
        write.cmd("PEXPIRE").arg(&key).arg(TTL_MS).ignore();
        self.link.admin(&write).await
    }

    /// Takes channels without members off the list.
    async fn unlist(&mut self, holder: &Holder, channels: Vec<ChannelName>) {
        let gone: Vec<ChannelName> = channels.into_iter().filter(|channel| self.listed.remove(channel)).collect();
        if gone.is_empty() {
            return;
        }
        let names: Vec<&str> = gone.iter().map(ChannelName::as_str).collect();
        let key = self.keys.holder_channels(&holder.to_string());
        let removed: Result<u64, LinkError> = self.link.command(cmd("SREM").arg(key).arg(names)).await;
        if let Err(error) = removed {
            // It may come late, when a channel is on the list again.
            tracing::debug!(%error, "cannot say which channels are empty; beginning anew");
            self.tenures.end();
        }
    }

    /// Renews the keys of some channels, so that all have had their turn in time.
    async fn renew_channels(&mut self) -> Result<(), LinkError> {
        let Some((holder, until_ms)) = self.hold().await? else { return Ok(()) };
        if self.round.is_empty() {
            self.round = self.book.channels();
            let beats = ROUND.as_millis() / self.heartbeat.as_millis().max(1);
            self.pace = self.round.len().div_ceil(usize::try_from(beats).unwrap_or(usize::MAX).max(1));
        }
        let mut left = self.pace.min(self.round.len());
        while left > 0 {
            let channels: Vec<ChannelName> = self.round.drain(..left.min(RENEWED_MAX)).collect();
            left -= channels.len();
            let samples = self.book.samples(channels);
            let channels: Vec<ChannelName> = samples.iter().map(|(channel, _)| channel.clone()).collect();
            self.list(&holder, &channels).await?;
            self.listed.extend(channels);
            // One member for all: keys vanish whole.
            let runs = samples.iter().map(|(channel, sample)| {
                let check: Vec<Change> = sample.map(Book::check).into_iter().collect();
                let (this, holder) = (&*self, &holder);
                async move { this.change(holder, until_ms, channel, &check).await }
            });
            for ((channel, _), answer) in samples.iter().zip(join_all(runs).await) {
                match answer {
                    Ok(answer) if answer.get(1).is_some_and(|word| word == MISSING) => self.book.restore(channel),
                    // A late one: the next heartbeat sees that the lease has ended.
                    Ok(_) | Err(LinkError::Refused(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

/// Cuts what is to be changed on a channel into scripts.
fn slices(channel: ChannelName, mut changes: Vec<Change>) -> Vec<(ChannelName, Vec<Change>)> {
    let mut slices = Vec::new();
    while changes.len() > CHANGES_MAX {
        let rest = changes.split_off(CHANGES_MAX);
        slices.push((channel.clone(), std::mem::replace(&mut changes, rest)));
    }
    slices.push((channel, changes));
    slices
}

/// Writes a change as the script reads it.
fn print(holder: &Holder, change: &Change, arguments: &mut Vec<Vec<u8>>) {
    let client = change.client.to_string().into_bytes();
    let mut one = |what: &str, value: &[u8], join: &[u8]| {
        arguments.extend([what.into(), client.clone(), value.to_vec(), join.to_vec()]);
    };
    match &change.what {
        What::Park => one("park", b"", b""),
        What::Leave => one("leave", b"", b""),
        What::Check => one("check", b"", b""),
        What::Enter { entry, announce, leave_first, park } => {
            if *leave_first {
                one("leave", b"", b"");
            }
            let join = announce.then(|| wire::membership(&entry.info, model::Change::Joined)).unwrap_or_default();
            one("enter", &wire::value(holder, entry), &join);
            if *park {
                one("park", b"", b"");
            }
        }
    }
}

/// Reads what the script answered to [`print`]'s lines. One that was refused is enough: they are all
/// tried again.
fn outcome_of(change: &Change, answers: &mut impl Iterator<Item = String>) -> Outcome {
    let lines = match &change.what {
        What::Park | What::Leave | What::Check => 1,
        What::Enter { leave_first, park, .. } => 1 + usize::from(*leave_first) + usize::from(*park),
    };
    let answers: Vec<String> = answers.take(lines).collect();
    let problem = answers.iter().find(|answer| !answer.is_empty());
    match problem {
        Some(problem) => Outcome::Refused(problem.clone()),
        None if answers.len() == lines => Outcome::Made,
        None => Outcome::Refused("the script did not answer to all changes".into()),
    }
}
