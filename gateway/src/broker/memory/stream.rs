//! Streams and idempotency keys of one process. What has ended is not found any more; it is removed a few
//! at a time whenever something is asked for, so that nothing piles up and nobody waits for a large sweep.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::due::Due;
use crate::broker::{
    BrokerError, HistoryPage, HistoryQuery, IdempotencyKey, Outcome, PublishOptions, Published, Retention, Stream,
    Version, fresh_epoch,
};
use crate::model::{ChannelName, Position, Publication, Retained};

/// Things that are looked at for having ended, with each call.
const SWEEP_MAX: usize = 16;

/// Streams at most. Beyond it the one that ends first is forgotten, as by a Redis whose memory is full: its
/// next epoch tells whoever had a place in it.
const STREAMS_MAX: usize = 1_000_000;

/// Idempotency keys at most. Beyond it publications with a key are refused: to forget one would break what
/// was promised.
const KEYS_MAX: usize = 1_000_000;

/// All streams of a broker.
#[derive(Debug, Default)]
pub(super) struct Store {
    streams: HashMap<ChannelName, Kept, RandomState>,
    /// Streams with publications, by their end.
    full_due: Due<ChannelName>,
    /// All streams, by the end of their numbering.
    meta_due: Due<ChannelName>,
    once: HashMap<OnceName, Once, RandomState>,
    once_due: Due<OnceName>,
}

type OnceName = (ChannelName, Box<str>);

/// What a publication with a key was answered, and how long that is remembered.
#[derive(Debug)]
struct Once {
    position: Option<Position>,
    end: Duration,
}

/// One stream.
#[derive(Debug)]
struct Kept {
    epoch: Arc<str>,
    top: u64,
    /// Without gaps up to the top.
    publications: VecDeque<Arc<Retained>>,
    /// When they are forgotten.
    end: Duration,
    /// When the numbering is.
    meta_end: Duration,
    version: Option<Version>,
    /// It stands in `full_due`.
    listed: bool,
}

impl Kept {
    fn new() -> Self {
        Self {
            epoch: Arc::from(fresh_epoch()),
            top: 0,
            publications: VecDeque::new(),
            end: Duration::ZERO,
            meta_end: Duration::ZERO,
            version: None,
            listed: false,
        }
    }

    fn top(&self) -> Position {
        Position { offset: self.top, epoch: self.epoch.clone() }
    }

    /// Whether this version is no newer than the last one.
    fn is_stale(&self, version: Option<&Version>) -> bool {
        matches!((version, &self.version), (Some(new), Some(old)) if new.epoch == old.epoch && new.number <= old.number)
    }

    fn push(&mut self, mut publication: Publication, retention: Retention) -> Position {
        self.top += 1;
        let position = self.top();
        publication.position = Some(position.clone());
        self.publications.extend(Retained::new(publication).map(Arc::new));
        while self.publications.len() > retention.size.max(1) {
            self.publications.pop_front();
        }
        position
    }
}

impl Store {
    /// Takes a publication in, as [`crate::broker::Broker::publish`] says; who called sends it if the
    /// outcome is [`Outcome::Sent`].
    pub(super) fn accept(
        &mut self,
        now: Duration,
        channel: &ChannelName,
        publication: &Publication,
        options: &PublishOptions,
    ) -> Result<Published, BrokerError> {
        self.sweep(now);
        if let Some(key) = &options.key
            && let Some(position) = self.repeated(now, channel, key)
        {
            return Ok(Published { position, outcome: Outcome::Repeated });
        }
        if options.key.is_some() && self.once.len() >= KEYS_MAX {
            return Err(BrokerError::Refused("too many idempotency keys are remembered already".into()));
        }
        let position = match options.retention {
            Some(retention) => {
                let kept = self.kept(now, channel, retention.meta_ttl.max(retention.ttl));
                if kept.is_stale(options.version.as_ref()) {
                    return Ok(Published { position: Some(kept.top()), outcome: Outcome::Stale });
                }
                Some(self.store(now, channel, publication, retention, options.version.as_ref()))
            }
            None => None,
        };
        if let Some(key) = &options.key {
            self.remember(now, channel, key, position.clone());
        }
        Ok(Published { position, outcome: Outcome::Sent })
    }

    fn store(
        &mut self,
        now: Duration,
        channel: &ChannelName,
        publication: &Publication,
        retention: Retention,
        version: Option<&Version>,
    ) -> Position {
        let kept = self.kept(now, channel, retention.meta_ttl.max(retention.ttl));
        let position = kept.push(publication.clone(), retention);
        kept.end = now.saturating_add(retention.ttl);
        if let Some(version) = version {
            kept.version = Some(version.clone());
        }
        let end = kept.end;
        if !std::mem::replace(&mut kept.listed, true) {
            self.full_due.put(end, channel.clone());
        }
        position
    }

    /// A page of a stream, which begins here if it does not exist.
    pub(super) fn page(&mut self, now: Duration, channel: &ChannelName, query: &HistoryQuery) -> HistoryPage {
        self.sweep(now);
        let kept = self.kept(now, channel, query.meta_ttl);
        let offset = |retained: &Arc<Retained>| retained.position().offset;
        let all = &kept.publications;
        let publications = if query.reverse {
            let end = query.since.map_or(all.len(), |since| all.partition_point(|one| offset(one) < since));
            cut(all.range(..end).rev(), query)
        } else {
            let from = query.since.map_or(0, |since| all.partition_point(|one| offset(one) <= since));
            cut(all.range(from..), query)
        };
        HistoryPage { stream: Stream { top: kept.top(), previous: None }, publications }
    }

    /// Where a stream stands; none if there is none.
    pub(super) fn top(&self, now: Duration, channel: &ChannelName) -> Option<Position> {
        self.streams.get(channel).filter(|kept| kept.meta_end > now).map(Kept::top)
    }

    /// Forgets a stream's publications.
    pub(super) fn forget(&mut self, channel: &ChannelName) {
        if let Some(kept) = self.streams.get_mut(channel) {
            kept.publications = VecDeque::new();
        }
    }

    /// The living stream, and a longer life for its numbering.
    fn kept(&mut self, now: Duration, channel: &ChannelName, meta_ttl: Duration) -> &mut Kept {
        if !self.streams.contains_key(channel) {
            self.make_room();
            self.meta_due.put(now.saturating_add(meta_ttl), channel.clone());
        }
        let kept = self.streams.entry(channel.clone()).or_insert_with(Kept::new);
        if kept.meta_end <= now {
            // In its old place, where it is listed.
            *kept = Kept { listed: kept.listed, ..Kept::new() };
        }
        if kept.end <= now {
            kept.publications.clear();
        }
        kept.meta_end = now.saturating_add(meta_ttl);
        kept
    }

    fn make_room(&mut self) {
        while self.streams.len() >= STREAMS_MAX
            && let Some((_, channel)) = self.meta_due.take_any()
        {
            self.streams.remove(&channel);
        }
    }

    fn repeated(&mut self, now: Duration, channel: &ChannelName, key: &IdempotencyKey) -> Option<Option<Position>> {
        let once = self.once.get_mut(&(channel.clone(), Box::from(key.text.as_str())))?;
        if once.end <= now {
            return None;
        }
        once.end = now.saturating_add(key.window);
        Some(once.position.clone())
    }

    fn remember(&mut self, now: Duration, channel: &ChannelName, key: &IdempotencyKey, position: Option<Position>) {
        let name: OnceName = (channel.clone(), Box::from(key.text.as_str()));
        let end = now.saturating_add(key.window);
        // One that has ended and was not swept yet stands in the queue already.
        if self.once.insert(name.clone(), Once { position, end }).is_none() {
            self.once_due.put(end, name);
        }
    }

    /// Removes a few of those that have ended.
    fn sweep(&mut self, now: Duration) {
        for _ in 0..SWEEP_MAX {
            let Some(name) = self.once_due.take(now) else { break };
            match self.once.get(&name).map(|once| once.end) {
                Some(end) if end > now => self.once_due.put(end, name),
                _ => drop(self.once.remove(&name)),
            }
        }
        for _ in 0..SWEEP_MAX {
            let Some(channel) = self.full_due.take(now) else { break };
            let Some(kept) = self.streams.get_mut(&channel) else { continue };
            if kept.end > now {
                self.full_due.put(kept.end, channel);
            } else {
                kept.publications = VecDeque::new();
                kept.listed = false;
            }
        }
        for _ in 0..SWEEP_MAX {
            let Some(channel) = self.meta_due.take(now) else { break };
            match self.streams.get(&channel).map(|kept| kept.meta_end) {
                Some(end) if end > now => self.meta_due.put(end, channel),
                _ => drop(self.streams.remove(&channel)),
            }
        }
    }
}

/// As many as the query allows.
fn cut<'a>(publications: impl Iterator<Item = &'a Arc<Retained>>, query: &HistoryQuery) -> Vec<Arc<Retained>> {
    let mut page = Vec::new();
    let mut bytes = 0;
    for publication in publications.take(query.limit) {
        bytes += publication.size();
        if !page.is_empty() && bytes > query.size.bytes() {
            break;
        }
        page.push(publication.clone());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ByteSize;

    const SECOND: Duration = Duration::from_secs(1);

    fn channel(name: &str) -> ChannelName {
        ChannelName::parse(name).unwrap()
    }

    fn options() -> PublishOptions {
        let retention = Retention { size: 3, ttl: SECOND * 10, meta_ttl: SECOND * 100 };
        PublishOptions { retention: Some(retention), ..PublishOptions::default() }
    }

    fn accept(store: &mut Store, now: Duration, name: &str, options: &PublishOptions) -> Published {
        let publication = Publication { data: "x".into(), ..Publication::default() };
        store.accept(now, &channel(name), &publication, options).unwrap()
    }

    fn page(store: &mut Store, now: Duration, name: &str) -> (Position, Vec<u64>) {
        let (since, limit, size, reverse, meta_ttl) = (None, 100, ByteSize::mib(1), false, SECOND * 100);
        let page = store.page(now, &channel(name), &HistoryQuery { since, limit, size, reverse, meta_ttl });
        (page.stream.top, page.publications.iter().map(|one| one.position().offset).collect())
    }

    #[test]
    fn publications_end_before_their_numbering() {
        let mut store = Store::default();
        let first = accept(&mut store, SECOND, "a", &options()).position.unwrap();
        let again = accept(&mut store, SECOND * 10, "a", &options()).position.unwrap();
        assert_eq!((again.offset, &again.epoch), (2, &first.epoch));
        assert_eq!(page(&mut store, SECOND * 19, "a"), (again.clone(), vec![1, 2]));
        assert_eq!(page(&mut store, SECOND * 20, "a"), (again.clone(), vec![]));
        let third = accept(&mut store, SECOND * 30, "a", &options()).position.unwrap();
        assert_eq!((third.offset, &third.epoch), (3, &first.epoch));
        assert_eq!(page(&mut store, SECOND * 30, "a").1, [3]);
        // The page has made the numbering's life longer.
        assert_eq!(store.top(SECOND * 129, &channel("a")), Some(third));
        assert_eq!(store.top(SECOND * 130, &channel("a")), None);
        let anew = accept(&mut store, SECOND * 130, "a", &options()).position.unwrap();
        assert_eq!(anew.offset, 1);
        assert_ne!(anew.epoch, first.epoch);
    }

    #[test]
    fn keys_end_after_their_last_use() {
        let mut store = Store::default();
        let key = Some(IdempotencyKey { text: "k".into(), window: SECOND * 5 });
        let options = PublishOptions { key, ..options() };
        let outcome = |store: &mut Store, at: u32| accept(store, SECOND * at, "a", &options).outcome;
        assert_eq!(outcome(&mut store, 1), Outcome::Sent);
        assert_eq!(outcome(&mut store, 5), Outcome::Repeated);
        assert_eq!(outcome(&mut store, 9), Outcome::Repeated);
        assert_eq!(outcome(&mut store, 14), Outcome::Sent);
        assert_eq!(outcome(&mut store, 15), Outcome::Repeated);
    }

    /// Nothing is left of channels that nobody asks for again, once others were asked for.
    #[test]
    fn what_has_ended_is_removed_on_use() {
        const CHANNELS: usize = 1000;
        let mut store = Store::default();
        let key = Some(IdempotencyKey { text: "k".into(), window: SECOND * 5 });
        let keyed = PublishOptions { key, ..options() };
        for n in 0..CHANNELS {
            accept(&mut store, SECOND, &format!("c{n}"), &keyed);
        }
        assert_eq!((store.streams.len(), store.once.len()), (CHANNELS, CHANNELS));
        let used = |store: &mut Store, now| {
            for _ in 0..=CHANNELS / SWEEP_MAX {
                accept(store, now, "used", &options());
            }
        };
        used(&mut store, SECOND * 20);
        assert_eq!((store.streams.len(), store.once.len()), (CHANNELS + 1, 0));
        let full = store.streams.values().filter(|kept| !kept.publications.is_empty()).count();
        assert_eq!(full, 1, "their publications have ended");
        used(&mut store, SECOND * 101);
        assert_eq!(store.streams.len(), 1);
        assert_eq!(store.full_due.len() + store.meta_due.len() + store.once_due.len(), 2);
    }

    #[test]
    fn being_forgotten_again_and_again_leaves_nothing_behind() {
        let mut store = Store::default();
        for _ in 0..100 {
            accept(&mut store, SECOND, "a", &options());
            store.forget(&channel("a"));
        }
        assert_eq!(page(&mut store, SECOND, "a"), (store.top(SECOND, &channel("a")).unwrap(), vec![]));
        assert_eq!((store.full_due.len(), store.meta_due.len()), (1, 1));
    }
}
