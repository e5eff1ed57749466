//! Orders to all nodes, by the control log: each entry is carried out once and in order here, whether
//! it was announced to this node or found in the log after an interruption.
//!
//! One task knows the last entry that was carried out. What is announced goes on from there; whenever
//! announcements may be missing (after each connection, after a queue that was full) the log is read
//! first. The log's entries name their predecessor, so a log that no longer reaches back is noticed.
//!
//! A Redis may come back with an older log: a snapshot, or a replica that lacked the latest entries. Then
//! the log is read from this node's birth on, and what was carried out already is known by its id. That
//! matters: a session that was made since then must not be closed by an order from before it.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_proto::envelope::Envelope;
use fanfare_proto::keys::Keys;
use fanfare_proto::script::{self, LogId};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::broker::BrokerEvent;
use crate::model::time::Clock;
use crate::redis_link::{Link, LinkError, pipe};
use crate::task::backoff::Backoff;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::ReasonLabel;

/// Announcements that may wait for the task. Orders are rare; what does not fit is read from the log.
pub(super) const NEWS_MAX: usize = 256;

/// Entries that are read from the log at once.
const PAGE: usize = 500;

/// What whole milliseconds can be off by when two of them are subtracted.
const ROUNDING_MS: u64 = 2;

/// Ids of carried-out orders that are kept: those of a whole log, and as many again, since an older log
/// that comes back ends before the newest of them.
const DONE_MAX: usize = 2 * script::CONTROL_LOG_MAX as usize;

/// What the subscriber tells the control task.
#[derive(Debug)]
pub(super) enum News {
    /// Announcements come from here on; what was announced before may be missing, unless it was before
    /// the given time.
    Linked {
        /// When the link was last seen to deliver.
        heard: Duration,
    },
    /// An order was logged and announced.
    Order { id: LogId, envelope: Bytes },
}

/// Entries as Redis answers them: id, fields.
type Entries = Vec<(String, Vec<(String, Vec<u8>)>)>;

/// One entry of the log.
#[derive(Debug)]
struct Entry {
    id: LogId,
    previous: LogId,
    envelope: Bytes,
}

/// The task's state.
pub(super) struct Reader {
    pub(super) link: Arc<Link>,
    pub(super) keys: Keys,
    pub(super) news: mpsc::Receiver<News>,
    /// Told when `news` was full.
    pub(super) missed: Arc<Notify>,
    pub(super) intake: mpsc::Sender<BrokerEvent>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Arc<dyn Clock>,
    /// When this node started: orders from before are not for it.
    pub(super) born: Duration,
    pub(super) stop: CancellationToken,
    /// The last entry that was carried out, or that was there before; none before the log was first
    /// read.
    pub(super) last: Option<LogId>,
    /// The place of the node's birth in the log.
    pub(super) birth: Option<LogId>,
    pub(super) done: Done,
}

/// The orders that were carried out here, the latest [`DONE_MAX`] of them.
#[derive(Debug, Default)]
pub(super) struct Done {
    ids: HashSet<LogId, foldhash::fast::RandomState>,
    /// The same, the oldest first.
    queue: VecDeque<LogId>,
}

impl Done {
    /// Notes an id; answers whether it is new.
    fn insert(&mut self, id: LogId) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        if self.queue.len() == DONE_MAX
            && let Some(oldest) = self.queue.pop_front()
        {
            self.ids.remove(&oldest);
        }
        self.queue.push_back(id);
        true
    }
}

/// Nobody takes orders any more.
struct Closed;

impl Reader {
    pub(super) async fn run(mut self) {
        let stop = self.stop.clone();
        // At its end nobody is left to carry orders out, so it does not matter where it is cut.
        let _ = stop.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&mut self) -> Result<(), Closed> {
        loop {
            tokio::select! {
                biased;
                // The link held all the time: only the queue was full. First, since a later order from
                // the queue would move this node's place past what was dropped.
                () = self.missed.notified() => self.catch_up(self.clock.now()).await?,
                news = self.news.recv() => match news.ok_or(Closed)? {
                    News::Linked { heard } => self.catch_up(heard).await?,
                    News::Order { id, envelope } => self.announced(id, envelope).await?,
                },
            }
        }
    }

    async fn announced(&mut self, id: LogId, envelope: Bytes) -> Result<(), Closed> {
        match self.last {
            // Skips what was read from the log already. Lower ids than the last one may be new: a lost
            // log begins anew under a clock that may be behind.
            Some(_) => self.carry_out(id, envelope).await,
            None => self.catch_up(self.clock.now()).await,
        }
    }

    /// Reads the log from the last entry on, until it succeeds: an order must not be lost because Redis
    /// stumbled. Meanwhile announcements gather, and are skipped later if the log had them.
    async fn catch_up(&mut self, heard: Duration) -> Result<(), Closed> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        let mut changes = self.link.changes();
        loop {
            match self.read_log(heard).await? {
                Ok(()) => return Ok(()),
                Err(error) => tracing::debug!(%error, "cannot read the control log yet"),
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next_wait()) => {}
                () = changes.next() => {}
            }
        }
    }

    async fn read_log(&mut self, heard: Duration) -> Result<Result<(), LinkError>, Closed> {
        let (time, newest) = match self.ask_position().await {
            Ok(position) => position,
            Err(error) => return Ok(Err(error)),
        };
        let birth = self.birth(time);
        let mut after = match self.last {
            Some(last) if newest.is_some_and(|newest| newest < last) => {
                self.overrun("the control log is an older one, or began anew under a clock that is behind");
                birth
            }
            Some(last) => last,
            None => birth,
        };
        let mut unchecked = self.last == Some(after);
        let mut read_any = false;
        loop {
            let page = match self.read_page(after).await {
                Ok(page) => page,
                Err(error) => return Ok(Err(error)),
            };
            if let (true, Some(entry)) = (std::mem::take(&mut unchecked), page.first()) {
                self.check_reach(after, entry.previous, heard);
                if entry.previous < after {
                    // Another log, without this node's last order: below its id something new may stand.
                    after = birth.min(after);
                    continue;
                }
            }
            let full = page.len() == PAGE;
            for entry in page {
                (after, read_any) = (entry.id, true);
                self.carry_out(entry.id, entry.envelope).await?;
            }
            if !full {
                break;
            }
        }
        if let (false, Some(newest)) = (read_any, newest) {
            // Nothing since this node's birth, or nothing new: its place is at the log's end.
            self.last = Some(newest);
        }
        self.last.get_or_insert_default();
        Ok(Ok(()))
    }

    /// The server's time, in milliseconds since 1970, and the log's newest entry.
    async fn ask_position(&self) -> Result<(u64, Option<LogId>), LinkError> {
        let mut ask = pipe();
        ask.cmd("TIME").cmd("XREVRANGE").arg(self.keys.control_log()).arg("+").arg("-").arg("COUNT").arg(1);
        let ((seconds, micros), newest): ((u64, u64), Entries) = self.link.admin(&ask).await?;
        Ok((seconds * 1000 + micros / 1000, newest.first().and_then(|(id, _)| id.parse().ok())))
    }

    /// The place in the log just before this node was born, by the server's clock: orders given since
    /// then are for it, also those from before it had a link. The earliest that was ever reckoned: the
    /// server's clock may have been put forward since, or this machine may have slept.
    fn birth(&mut self, server_ms: u64) -> LogId {
        let age = self.clock.now().saturating_sub(self.born).as_millis();
        let age = u64::try_from(age).unwrap_or(u64::MAX).saturating_add(ROUNDING_MS);
        let birth = LogId { ms: server_ms.saturating_sub(age), sequence: 0 };
        *self.birth.insert(self.birth.map_or(birth, |before| before.min(birth)))
    }

    async fn read_page(&self, after: LogId) -> Result<Vec<Entry>, LinkError> {
        let mut ask = pipe();
        ask.cmd("XRANGE").arg(self.keys.control_log()).arg(format!("({after}")).arg("+").arg("COUNT").arg(PAGE);
        let (page,): (Entries,) = self.link.admin(&ask).await?;
        page.into_iter().map(|(id, fields)| entry(&id, fields)).collect()
    }

    /// Notices when entries between the last one carried out and the first unread one are gone, or may be.
    fn check_reach(&self, last: LogId, previous: LogId, heard: Duration) {
        let away = self.clock.now().saturating_sub(heard);
        let reaches = if previous == LogId::default() {
            // The first of a log that began anew, most often because it was idle for so long that it
            // expired. Then an order can only have been missed by who was away for as long.
            away < Duration::from_millis(script::CONTROL_LOG_AGE_MS)
        } else {
            // Below: another log, an older one that has gone on without what came after.
            previous == last
        };
        if !reaches {
            self.overrun("the control log does not go on from this node's last order");
        }
    }

    fn overrun(&self, what: &str) {
        self.metrics.control_log_overruns.inc();
        tracing::warn!(what, "orders to sessions may have been missed on this node");
    }

    /// Carries an order out, unless that was done before.
    async fn carry_out(&mut self, id: LogId, envelope: Bytes) -> Result<(), Closed> {
        self.last = Some(id);
        if !self.done.insert(id) {
            return Ok(());
        }
        match Envelope::decode(envelope) {
            Ok(Envelope::Control(control)) => {
                self.intake.send(BrokerEvent::Control(Box::new(control))).await.map_err(|_| Closed)?;
            }
            Ok(Envelope::Publication(_) | Envelope::Membership(_)) => self.unreadable("no order among orders"),
            Err(error) => self.unreadable(&error.to_string()),
        }
        Ok(())
    }

    fn unreadable(&self, why: &str) {
        self.metrics.broker_dropped.get_or_create(&ReasonLabel { reason: "unreadable" }).inc();
        tracing::warn!(why, "an order cannot be read by this version; it is not carried out here");
    }
}

/// Reads one entry. Of an unknown shape, only the id is sure.
fn entry(id: &str, fields: Vec<(String, Vec<u8>)>) -> Result<Entry, LinkError> {
    let id = id.parse().map_err(|_| LinkError::Refused(format!("{id:?} is no stream id")))?;
    let mut entry = Entry { id, previous: LogId::default(), envelope: Bytes::new() };
    for (field, value) in fields {
        match field.as_str() {
            script::FIELD_PREVIOUS => {
                entry.previous = std::str::from_utf8(&value).ok().and_then(|id| id.parse().ok()).unwrap_or_default();
            }
            script::FIELD_ENVELOPE => entry.envelope = value.into(),
            _ => {}
        }
    }
    Ok(entry)
}
