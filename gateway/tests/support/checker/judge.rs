//! Reads a log once, from front to back, and then once more through what was learnt: O(n).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::claim::{Claim, Turn};
use super::{Entry, Id, Invariant, Line, Log, Name, Place, Told, Violation};

/// Violations of one invariant that are described; the rest is counted.
const DESCRIBED_MAX: usize = 20;

/// What one subscriber misses at the end is counted up to here.
const TAIL_MAX: usize = 10_000;

/// What is still well.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For how long a node may say that it is ready while no canary comes through.
    pub canary_ms: u64,
    /// Files above the baseline.
    pub files: u64,
    /// Bytes above the baseline.
    pub memory: u64,
}

/// The verdict, and how much it stands on.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub violations: Vec<Violation>,
    /// How often each invariant was broken, described or not.
    pub broken: BTreeMap<Invariant, usize>,
    pub acked: usize,
    pub failed: usize,
    pub unknown: usize,
    pub deliveries: usize,
    /// Stretches of claimed continuity.
    pub claims: usize,
    pub recovered: usize,
    /// Recoveries that failed and were told so.
    pub unrecovered: usize,
    /// 2500, 3010 and 112.
    pub told: usize,
    /// Publications seen twice after the keys may have been forgotten: no violation, never silent.
    pub excused: usize,
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.broken.is_empty()
    }
}

/// Judges a whole run.
pub fn check(log: &Log, limits: Limits) -> Report {
    let mut judge = Judge::new(log, limits);
    for (at, line) in log.lines.iter().enumerate() {
        judge.at = at;
        judge.read(line);
    }
    judge.at = log.lines.len();
    judge.conclude();
    judge.report
}

/// A publication as its publisher knows it.
#[derive(Debug)]
struct Publication {
    channel: Name,
    hash: u64,
    invoked: usize,
    acked: bool,
    failed: bool,
    placed: bool,
}

/// What is known of a node.
#[derive(Debug, Default)]
struct Node {
    canary_ms: u64,
    /// When it began to say that it is ready; none: it said no.
    ready_ms: Option<u64>,
    baseline: Option<(u64, u64)>,
    settled: bool,
}

/// Continuity was claimed from one epoch into another.
#[derive(Clone, Copy, Debug)]
struct Crossing {
    /// The lowest and highest offset at which it was.
    lowest: u64,
    highest: u64,
    at: usize,
}

#[derive(Debug)]
struct Judge<'a> {
    log: &'a Log,
    limits: Limits,
    at: usize,
    report: Report,
    publications: HashMap<Id, Publication>,
    /// (channel, epoch) to what stands where.
    streams: HashMap<(Name, Name), BTreeMap<u64, Id>>,
    /// Where a publication stands in an epoch.
    places: HashMap<(Id, Name), u64>,
    /// The epoch of the last acknowledgement on a channel.
    present: HashMap<Name, Name>,
    claims: HashMap<(Name, Name), Claim>,
    /// Who is subscribed to what, with or without a claim.
    live: HashSet<(Name, Name)>,
    crossings: HashMap<(Name, Name, Name), Crossing>,
    nodes: BTreeMap<Name, Node>,
    /// Keys of what was invoked before this line may be forgotten.
    amnesia: usize,
    quiet: bool,
}

impl<'a> Judge<'a> {
    fn new(log: &'a Log, limits: Limits) -> Self {
        Self {
            log,
            limits,
            at: 0,
            report: Report::default(),
            publications: HashMap::new(),
            streams: HashMap::new(),
            places: HashMap::new(),
            present: HashMap::new(),
            claims: HashMap::new(),
            live: HashSet::new(),
            crossings: HashMap::new(),
            nodes: BTreeMap::new(),
            amnesia: 0,
            quiet: false,
        }
    }

    fn blame(&mut self, invariant: Invariant, what: impl FnOnce(&Log) -> String) {
        let count = self.report.broken.entry(invariant).or_default();
        *count += 1;
        if *count <= DESCRIBED_MAX {
            self.report.violations.push(Violation { invariant, at: self.at, what: what(self.log) });
        }
    }

    fn read(&mut self, line: &Line) {
        match line.entry {
            Entry::Invoked { id, channel, hash } => self.invoked(id, channel, hash),
            Entry::Acked { id, place } => self.acked(id, place),
            Entry::Failed { id } => {
                self.report.failed += 1;
                self.publications.entry(id).and_modify(|publication| publication.failed = true);
            }
            Entry::Unknown { .. } => self.report.unknown += 1,
            Entry::Subscribed { .. } => self.subscribed(&line.entry),
            Entry::Delivered { client, channel, place, id, hash } => self.delivered((client, channel), place, id, hash),
            Entry::Told { client, channel, what, reason } => self.told(client, channel, what, reason),
            Entry::Ended { client, channel } => {
                self.live.remove(&(client, channel));
                self.claims.entry((client, channel)).and_modify(|claim| claim.live = false);
            }
            Entry::Started { node } => {
                self.nodes.insert(node, Node { canary_ms: line.at_ms, ..Node::default() });
            }
            Entry::Canary { node } => self.nodes.entry(node).or_default().canary_ms = line.at_ms,
            Entry::Ready { node, ready } => self.ready(node, ready, line.at_ms),
            Entry::Baseline { node, files, memory } => {
                self.nodes.entry(node).or_default().baseline = Some((files, memory));
            }
            Entry::Settled { node, files, memory } => self.settled(node, files, memory),
            Entry::Amnesia { over } => self.amnesia = if over { self.at } else { usize::MAX },
            Entry::Quiet => self.quiet(),
        }
    }

    fn invoked(&mut self, id: Id, channel: Name, hash: u64) {
        let publication = Publication { channel, hash, invoked: self.at, acked: false, failed: false, placed: false };
        if self.publications.insert(id, publication).is_some() {
            self.blame(Invariant::Log, |_| format!("{:x} was invoked twice", id.0));
        }
    }

    fn acked(&mut self, id: Id, place: Option<Place>) {
        let Some(publication) = self.publications.get_mut(&id) else {
            return self.blame(Invariant::Log, |_| format!("{:x} was acknowledged and never invoked", id.0));
        };
        publication.acked = true;
        let channel = publication.channel;
        self.report.acked += 1;
        if let Some(place) = place {
            self.present.insert(channel, place.epoch);
            self.stands(id, channel, place);
        }
    }

    /// A publication is said to stand here, by an acknowledgement or a delivery.
    fn stands(&mut self, id: Id, channel: Name, place: Place) {
        let stream = self.streams.entry((channel, place.epoch)).or_default();
        let there = *stream.entry(place.offset).or_insert(id);
        if there != id {
            return self.blame(Invariant::I4, |log| {
                let (channel, epoch) = (log.text(channel), log.text(place.epoch));
                format!("{channel} {epoch}/{}: both {:x} and {:x}", place.offset, there.0, id.0)
            });
        }
        let first = *self.places.entry((id, place.epoch)).or_insert(place.offset);
        let Some(publication) = self.publications.get_mut(&id) else { return };
        publication.placed = true;
        if first != place.offset {
            if publication.invoked < self.amnesia {
                self.report.excused += 1;
                return;
            }
            self.blame(Invariant::I3, |log| {
                format!("{}: {:x} stands at {first} and at {}", log.text(channel), id.0, place.offset)
            });
        }
    }

    fn subscribed(&mut self, entry: &Entry) {
        let Entry::Subscribed { client, channel, asked, place, recovered, was_recovering } = *entry else { return };
        let key = (client, channel);
        if !self.live.insert(key) {
            self.blame(Invariant::Log, |log| {
                format!("{} was subscribed to {} already", log.text(client), log.text(channel))
            });
        }
        let who = |log: &Log| format!("{} on {}", log.text(client), log.text(channel));
        match (recovered, was_recovering, asked) {
            (true, _, None) => {
                self.blame(Invariant::I5, |log| format!("{}: recovered, and had not asked", who(log)));
            }
            (true, false, Some(_)) => {
                self.blame(Invariant::I5, |log| format!("{}: recovered without was_recovering", who(log)));
            }
            (false, false, Some(_)) => {
                self.blame(Invariant::I5, |log| format!("{}: not told that its recovery failed", who(log)));
            }
            _ => {}
        }
        self.report.recovered += usize::from(recovered);
        self.report.unrecovered += usize::from(asked.is_some() && !recovered);
        let Some(place) = place else { return };
        let old = self.claims.remove(&key);
        let claim = match (old, recovered.then_some(asked).flatten()) {
            (Some(old), Some(asked)) => {
                if asked.offset != old.last || asked.epoch != old.epoch {
                    self.blame(Invariant::Log, |log| format!("{} asked from where it was not", who(log)));
                }
                self.carry_on(channel, old, place.epoch)
            }
            (None, Some(asked)) => {
                self.report.claims += 1;
                Claim::begin(asked, self.at)
            }
            (old, None) => {
                self.report.claims += 1;
                old.into_iter().for_each(|old| self.close(key, &old));
                Claim::begin(place, self.at)
            }
        };
        self.claims.insert(key, claim);
    }

    /// A claim that goes on, perhaps into another epoch.
    fn carry_on(&mut self, channel: Name, mut claim: Claim, epoch: Name) -> Claim {
        claim.live = true;
        if claim.epoch != epoch {
            let new = Crossing { lowest: claim.last, highest: claim.last, at: self.at };
            let crossing = self.crossings.entry((channel, claim.epoch, epoch)).or_insert(new);
            crossing.lowest = crossing.lowest.min(claim.last);
            crossing.highest = crossing.highest.max(claim.last);
            claim.epoch = epoch;
        }
        claim
    }

    /// A claim ends: what is missing below its end is lost.
    fn close(&mut self, (client, channel): (Name, Name), claim: &Claim) {
        for offset in claim.missing() {
            self.blame(Invariant::I1, |log| {
                let (client, channel, epoch) = (log.text(client), log.text(channel), log.text(claim.epoch));
                format!("{client} on {channel} never got {epoch}/{offset}, and was not told")
            });
        }
    }

    fn told(&mut self, client: Name, channel: Name, what: Told, reason: Name) {
        self.report.told += 1;
        if self.log.text(reason).is_empty() {
            self.blame(Invariant::I5, |log| {
                format!("{} on {}: told {what:?} without a reason", log.text(client), log.text(channel))
            });
        }
        if what == Told::Unrecoverable
            && let Some(claim) = self.claims.remove(&(client, channel))
        {
            self.close((client, channel), &claim);
        }
    }

    fn delivered(&mut self, key: (Name, Name), place: Option<Place>, id: Id, hash: u64) {
        self.report.deliveries += 1;
        let (client, channel) = key;
        let who = |log: &Log| format!("{} on {} got {:x}", log.text(client), log.text(channel), id.0);
        if !self.live.contains(&key) {
            return self.blame(Invariant::I6, |log| format!("{} and is not subscribed", who(log)));
        }
        match self.publications.get(&id) {
            None => return self.blame(Invariant::I6, |log| format!("{}, which nobody published", who(log))),
            Some(publication) if publication.failed => {
                return self.blame(Invariant::I6, |log| format!("{}, whose publisher was told it failed", who(log)));
            }
            Some(publication) if publication.channel != channel => {
                let there = publication.channel;
                return self.blame(Invariant::I6, |log| format!("{}, published on {}", who(log), log.text(there)));
            }
            Some(publication) if publication.hash != hash => {
                self.blame(Invariant::I4, |log| format!("{} with another payload than was published", who(log)));
            }
            Some(_) => {}
        }
        let Some(place) = place else { return };
        self.stands(id, channel, place);
        let Some(claim) = self.claims.get_mut(&key) else {
            return self.blame(Invariant::Log, |log| format!("{} with a position, without claiming one", who(log)));
        };
        if claim.epoch != place.epoch {
            *claim = Claim::begin(place, self.at);
            return self.blame(Invariant::I5, |log| format!("{} in a new epoch, and was not told", who(log)));
        }
        let turn = claim.take(place.offset);
        let at = |log: &Log| format!("{}/{}", log.text(place.epoch), place.offset);
        match turn {
            Turn::Next | Turn::Ahead => {}
            Turn::Late => self.blame(Invariant::I2, |log| format!("{} at {}, after later ones", who(log), at(log))),
            Turn::Before => {
                self.blame(Invariant::I2, |log| format!("{} at {}, before where it began", who(log), at(log)));
            }
            Turn::Again => self.blame(Invariant::I3, |log| format!("{} at {} again", who(log), at(log))),
        }
    }

    /// What comes first when an outage is over, the node's own canary or ours, is not ours to say: silence
    /// counts from when the node began to say that it is ready.
    fn ready(&mut self, node: Name, ready: bool, now_ms: u64) {
        let known = self.nodes.entry(node).or_default();
        if !ready {
            known.ready_ms = None;
            return;
        }
        let since_ms = *known.ready_ms.get_or_insert(now_ms);
        let silent_ms = now_ms.saturating_sub(known.canary_ms.max(since_ms));
        if silent_ms > self.limits.canary_ms {
            self.blame(Invariant::I8, |log| {
                format!("{} says it is ready, and its canary was silent for {silent_ms} ms", log.text(node))
            });
        }
    }

    fn settled(&mut self, node: Name, files: u64, memory: u64) {
        let limits = self.limits;
        let known = self.nodes.entry(node).or_default();
        known.settled = true;
        let Some((files_before, memory_before)) = known.baseline else {
            return self.blame(Invariant::Log, |log| format!("{} has no baseline", log.text(node)));
        };
        if files > files_before + limits.files {
            self.blame(Invariant::I7, |log| format!("{}: {files_before} files, then {files}", log.text(node)));
        }
        if memory > memory_before + limits.memory {
            self.blame(Invariant::I7, |log| format!("{}: {memory_before} bytes, then {memory}", log.text(node)));
        }
    }

    /// Who is subscribed now must have everything.
    fn quiet(&mut self) {
        self.quiet = true;
        let claims = std::mem::take(&mut self.claims);
        let mut unplaced: HashMap<Name, Vec<(Id, usize)>> = HashMap::new();
        for (id, publication) in &self.publications {
            if publication.acked && !publication.placed {
                unplaced.entry(publication.channel).or_default().push((*id, publication.invoked));
            }
        }
        for (key, claim) in &claims {
            self.close(*key, claim);
            if claim.live {
                self.tail(*key, claim, unplaced.get(&key.1).map_or(&[], Vec::as_slice));
            }
        }
        self.claims = claims;
    }

    /// What a live subscriber has not got yet, and now never will.
    fn tail(&mut self, (client, channel): (Name, Name), claim: &Claim, unplaced: &[(Id, usize)]) {
        let who = |log: &Log| format!("{} on {}", log.text(client), log.text(channel));
        if let Some(present) = self.present.get(&channel).copied().filter(|present| *present != claim.epoch) {
            self.blame(Invariant::I5, |log| {
                let (old, new) = (log.text(claim.epoch), log.text(present));
                format!("{} believes to be in {old}, and was never told of {new}", who(log))
            });
        }
        let stream = self.streams.get(&(channel, claim.epoch));
        let top = stream.and_then(|stream| stream.last_key_value()).map_or(0, |(top, _)| *top);
        for offset in (claim.last + 1..=top).take(TAIL_MAX) {
            self.blame(Invariant::I1, |log| {
                format!("{} is subscribed and never got {}/{offset}", who(log), log.text(claim.epoch))
            });
        }
        for (id, _) in unplaced.iter().filter(|(_, invoked)| *invoked > claim.began) {
            self.blame(Invariant::I1, |log| format!("{}: {:x} was acknowledged, and nobody got it", who(log), id.0));
        }
    }

    fn conclude(&mut self) {
        if !self.quiet {
            self.blame(Invariant::Log, |_| "the run never came to rest: what is missing at its end is unknown".into());
        }
        for ((channel, old, new), crossing) in std::mem::take(&mut self.crossings) {
            self.at = crossing.at;
            self.crossed(channel, old, new, crossing);
        }
        self.at = self.log.lines.len();
        let unmeasured = self.nodes.iter().filter(|(_, node)| node.baseline.is_some() && !node.settled);
        for node in unmeasured.map(|(name, _)| *name).collect::<Vec<_>>() {
            self.blame(Invariant::I7, |log| format!("{} was not measured again", log.text(node)));
        }
    }

    /// Continuity into another epoch is true if the numbering goes on: below the crossing both streams
    /// agree, above it the new one has all that the old one had.
    fn crossed(&mut self, channel: Name, old: Name, new: Name, crossing: Crossing) {
        let empty = BTreeMap::new();
        let before = self.streams.get(&(channel, old)).unwrap_or(&empty);
        let after = self.streams.get(&(channel, new)).unwrap_or(&empty);
        let mut blames = Vec::new();
        for (offset, id) in after.range(..=crossing.highest) {
            if before.get(offset).is_some_and(|there| there != id) {
                blames.push((Invariant::I5, *offset));
            }
        }
        for (offset, id) in before.range(crossing.lowest + 1..) {
            if after.get(offset) != Some(id) {
                blames.push((Invariant::I1, *offset));
            }
        }
        for (invariant, offset) in blames {
            self.blame(invariant, |log| {
                let (channel, old, new) = (log.text(channel), log.text(old), log.text(new));
                format!("{channel}: continuity was claimed from {old} to {new}, but they differ at {offset}")
            });
        }
    }
}
