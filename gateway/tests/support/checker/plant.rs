//! Planted violations: each kind of mutation breaks a good log at a place that dice choose, and says which
//! invariant is broken then. It looks for places where the mutation means something (what a client got
//! while it claimed continuity, say) by its own reading of the log, not by the judge's.

use std::collections::HashMap;

use super::Invariant::{self, I1, I2, I3, I4, I5, I6, I7, I8};
use super::{Entry, Id, Line, Log, Name, Place, Report, Told};
use crate::dice::Dice;

/// The kit's own mistakes.
const KIT: Invariant = Invariant::Log;

impl Kind {
    /// What is wrong with a verdict on a log that has been broken so; none: it found that, and only that.
    pub fn missed(&self, report: &Report) -> Option<String> {
        let found: Vec<Invariant> = report.broken.keys().copied().collect();
        let strange = found.iter().any(|found| *found != self.breaks && !self.also.contains(found));
        let missed = !found.contains(&self.breaks) || strange;
        missed.then(|| format!("{:?} {:?}: found {found:?}", self.breaks, self.name))
    }
}

type Mutation = fn(&mut Planter) -> Option<()>;

/// What was done to a log.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub name: &'static str,
    /// What must be found.
    pub breaks: Invariant,
    /// What may be found beside it, as a consequence.
    pub also: &'static [Invariant],
    mutate: Mutation,
}

const fn kind(breaks: Invariant, name: &'static str, also: &'static [Invariant], mutate: Mutation) -> Kind {
    Kind { name, breaks, also, mutate }
}

/// All kinds: invariant by mutation.
pub const KINDS: &[Kind] = &[
    kind(I1, "drop one delivery", &[], |p| p.drop_run(1)),
    kind(I1, "drop a run of deliveries", &[], |p| p.drop_run(4)),
    kind(I1, "drop the last delivery of all", &[], |p| p.drop_tail(1)),
    kind(I1, "stop delivering, and say nothing", &[], |p| p.drop_tail(5)),
    kind(I1, "recover, and leave out one", &[], |p| p.drop_recovered()),
    kind(I1, "acknowledge, and tell nobody", &[], |p| p.vanish(true)),
    kind(I1, "acknowledge without a place, and tell nobody", &[], |p| p.vanish(false)),
    kind(I1, "claim a failed recovery was none", &[I5, I3, I2, KIT], |p| p.flatter(Across::Window)),
    kind(I1, "silence a failed recovery", &[I5], |p| p.silence(Across::Window)),
    kind(I2, "swap neighbours", &[], |p| p.reorder(2)),
    kind(I2, "reverse a run", &[], |p| p.reorder(4)),
    kind(I2, "hold one back", &[], |p| p.hold_back()),
    kind(I2, "deliver from before the subscription", &[], |p| p.too_early()),
    kind(I3, "deliver twice at once", &[], |p| p.double(false)),
    kind(I3, "deliver again later", &[], |p| p.double(true)),
    kind(I3, "replay a run", &[], |p| p.replay()),
    kind(I3, "store a retry again", &[], |p| p.store_again()),
    kind(I4, "alter a payload", &[], |p| p.alter()),
    kind(I4, "exchange two payloads", &[I1, I3, I5], |p| p.exchange()),
    kind(I4, "reissue an offset", &[I1, I3], |p| p.reissue()),
    kind(I4, "begin anew under the old epoch", &[I1, I2, I3, I5, KIT], |p| p.restore()),
    kind(I5, "claim continuity into another stream", &[I1, I2, I3, I4, KIT], |p| p.flatter(Across::Epochs)),
    kind(I5, "change the epoch, and say nothing", &[I1], |p| p.silence(Across::Epochs)),
    kind(I5, "tell without a reason", &[], |p| p.mumble()),
    kind(I5, "hide that a recovery was asked for", &[], |p| p.unask(false)),
    kind(I5, "hide that a recovery succeeded", &[], |p| p.unask(true)),
    kind(I5, "recover who had not asked", &[], |p| p.unbidden()),
    kind(I5, "leave one behind in an old epoch", &[I1], |p| p.strand()),
    kind(I6, "move to another channel", &[I1], |p| p.move_over()),
    kind(I6, "deliver another channel's publication", &[], |p| p.leak_across()),
    kind(I6, "deliver to one who left", &[], |p| p.haunt()),
    kind(I6, "deliver to one who never came", &[], |p| p.stranger()),
    kind(I6, "deliver what nobody published", &[], |p| p.invent()),
    kind(I6, "deliver what was refused", &[], |p| p.refuse()),
    kind(I7, "leak files", &[], |p| p.leak(true)),
    kind(I7, "leak memory", &[], |p| p.leak(false)),
    kind(I7, "do not measure again", &[], |p| p.unmeasured()),
    kind(I8, "ready while the canary is silent", &[], |p| p.mute(false)),
    kind(I8, "ready by another node's canary", &[], |p| p.mute(true)),
    kind(I8, "ready in the middle of an outage", &[], |p| p.boast()),
    kind(KIT, "never come to rest", &[], |p| p.restless()),
];

/// Where a client came back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Across {
    /// The same stream, of which too much is gone.
    Window,
    /// Another stream.
    Epochs,
}

/// Does it at a place of the dice's choice; none: this log has no such place.
pub fn plant(log: &Log, kind: &Kind, dice: &mut Dice) -> Option<Log> {
    let mut planter = Planter { log: log.clone(), dice: dice.fork() };
    (kind.mutate)(&mut planter)?;
    Some(planter.log)
}

/// What a client got on a channel from one beginning to the next, as line numbers.
#[derive(Clone, Debug)]
struct Stretch {
    key: (Name, Name),
    /// The lines of the subscribes that it went through, the first being its beginning.
    comings: Vec<usize>,
    got: Vec<usize>,
    /// Whether the client was still there at the end.
    lasts: bool,
    begin: Place,
}

struct Planter {
    log: Log,
    dice: Dice,
}

impl Planter {
    fn entry(&mut self, at: usize) -> &mut Entry {
        &mut self.log.lines[at].entry
    }

    fn at(&self, at: usize) -> &Entry {
        &self.log.lines[at].entry
    }

    fn insert(&mut self, at: usize, entry: Entry) {
        let at_ms = self.log.lines[at.min(self.log.lines.len() - 1)].at_ms;
        self.log.lines.insert(at, Line { at_ms, entry });
    }

    fn choose<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        (!all.is_empty()).then(|| self.dice.pick(all).clone())
    }

    /// The lines that fit.
    fn lines(&self, fits: impl Fn(&Entry) -> bool) -> Vec<usize> {
        (0..self.log.lines.len()).filter(|at| fits(self.at(*at))).collect()
    }

    fn quiet(&self) -> usize {
        self.lines(|entry| *entry == Entry::Quiet)[0]
    }

    fn place_of(&self, at: usize) -> Option<Place> {
        match self.at(at) {
            Entry::Delivered { place, .. } | Entry::Subscribed { place, .. } | Entry::Acked { place, .. } => *place,
            _ => None,
        }
    }

    fn stretches(&self) -> Vec<Stretch> {
        let mut open: HashMap<(Name, Name), Stretch> = HashMap::new();
        let mut done = Vec::new();
        for (at, line) in self.log.lines.iter().enumerate() {
            match line.entry {
                Entry::Subscribed { client, channel, recovered, place: Some(begin), .. } => {
                    let key = (client, channel);
                    match open.get_mut(&key).filter(|_| recovered) {
                        Some(stretch) => {
                            stretch.lasts = true;
                            stretch.comings.push(at);
                        }
                        None => {
                            let new = Stretch { key, comings: vec![at], got: Vec::new(), lasts: true, begin };
                            done.extend(open.insert(key, new));
                        }
                    }
                }
                Entry::Delivered { client, channel, .. } => {
                    open.get_mut(&(client, channel)).into_iter().for_each(|stretch| stretch.got.push(at));
                }
                Entry::Ended { client, channel } => {
                    open.get_mut(&(client, channel)).into_iter().for_each(|stretch| stretch.lasts = false);
                }
                _ => {}
            }
        }
        let mut last: Vec<_> = open.into_values().collect();
        last.sort_by_key(|stretch| stretch.comings[0]);
        done.extend(last);
        done
    }

    /// A stretch that has got at least so much.
    fn stretch(&mut self, got: usize, fits: impl Fn(&Stretch) -> bool) -> Option<Stretch> {
        let all: Vec<_> = self.stretches().into_iter().filter(|s| s.got.len() >= got && fits(s)).collect();
        self.choose(&all)
    }

    /// So many neighbours in what a stretch got, without an end or another epoch between them, and with the
    /// keys of retries remembered all the while: what is stored twice is excused only after they were not.
    fn run(&mut self, length: usize) -> Option<Vec<usize>> {
        let stretch = self.stretch(length, |_| true)?;
        let from = self.dice.below(stretch.got.len() - length + 1);
        let run = &stretch.got[from..from + length];
        let between = run[0]..run[length - 1];
        let crossed = stretch.comings.iter().any(|coming| between.contains(coming))
            || self.lines(|entry| matches!(entry, Entry::Amnesia { .. })).iter().any(|line| between.contains(line));
        // Whatever is done to it, nothing shall come before it was published.
        let published = run.iter().all(|at| self.invoked(*at).is_some_and(|invoked| invoked < run[0]));
        (!crossed && published).then(|| run.to_vec())
    }

    /// The line at which what was delivered here was published.
    fn invoked(&self, at: usize) -> Option<usize> {
        let Entry::Delivered { id, .. } = *self.at(at) else { return None };
        self.log.lines.iter().position(|line| matches!(line.entry, Entry::Invoked { id: i, .. } if i == id))
    }

    fn remove(&mut self, mut lines: Vec<usize>) {
        lines.sort_unstable();
        for at in lines.iter().rev() {
            self.log.lines.remove(*at);
        }
    }

    fn drop_run(&mut self, most: usize) -> Option<()> {
        let length = 1 + self.dice.below(most);
        let stretch = self.stretch(length + 2, |_| true)?;
        // Not the last one: what a client that has left did not wait for is not lost.
        let from = self.dice.below(stretch.got.len() - length - 1);
        let run = stretch.got[from..from + length].to_vec();
        // Who came back from there would have asked from elsewhere.
        if run.iter().any(|at| self.asks_from(stretch.key, *at)) {
            return None;
        }
        self.remove(run);
        Some(())
    }

    /// Whether the next coming after a line asks for the position which that line gave.
    fn asks_from(&self, (client, channel): (Name, Name), line: usize) -> bool {
        let given = self.place_of(line);
        self.log.lines[line..].iter().any(|line| {
            matches!(&line.entry, Entry::Subscribed { client: c, channel: n, asked, .. }
                if (*c, *n) == (client, channel) && asked.is_some() && *asked == given)
        })
    }

    fn drop_tail(&mut self, most: usize) -> Option<()> {
        let length = 1 + self.dice.below(most);
        let stretch = self.stretch(length, |stretch| stretch.lasts)?;
        let run = stretch.got[stretch.got.len() - length..].to_vec();
        if stretch.comings.iter().any(|coming| *coming > run[0]) {
            return None;
        }
        // Somebody must have it: what nobody ever saw and no one acknowledged is no loss.
        let place = self.place_of(*run.last()?)?;
        let (_, channel) = stretch.key;
        let others = self.lines(|entry| match entry {
            Entry::Delivered { client, channel: c, place: at, .. } => {
                (*client, *c) != stretch.key && *c == channel && *at == Some(place)
            }
            Entry::Acked { place: at, .. } => *at == Some(place),
            _ => false,
        });
        self.choose(&others)?;
        self.remove(run);
        Some(())
    }

    fn drop_recovered(&mut self) -> Option<()> {
        let all = self.stretches();
        let recovered = |stretch: &Stretch| -> Vec<usize> {
            let after = |coming: &usize| -> Vec<usize> {
                stretch.got.iter().copied().filter(|at| at > coming).take_while(|at| at - coming < 8).collect()
            };
            stretch.comings[1..].iter().flat_map(after).filter(|at| stretch.got.last() > Some(at)).collect()
        };
        let sites: Vec<_> = all.iter().flat_map(|s| recovered(s).into_iter().map(|at| (s.key, at))).collect::<Vec<_>>();
        let (key, at) = self.choose(&sites)?;
        if self.asks_from(key, at) {
            return None;
        }
        self.remove(vec![at]);
        Some(())
    }

    /// A publication just before the end, acknowledged with or without a place, that reaches nobody.
    fn vanish(&mut self, placed: bool) -> Option<()> {
        let stretch = self.stretch(1, |stretch| stretch.lasts)?;
        let place = self.place_of(*stretch.got.last()?)?;
        let place = placed.then_some(Place { offset: place.offset + 1, ..place });
        let (id, quiet) = (Id(1 << 40), self.quiet());
        self.insert(quiet, Entry::Acked { id, place });
        let begin = *stretch.comings.last()?;
        let from = begin + 1 + self.dice.below(quiet - begin);
        self.insert(from, Entry::Invoked { id, channel: stretch.key.1, hash: 7 });
        Some(())
    }

    /// Recoveries that failed over something that somebody knows.
    fn failed_recoveries(&self, across: Across) -> Vec<(usize, Place, Place)> {
        let mut known: HashMap<(Name, Name), u64> = HashMap::new();
        let mut channels: HashMap<Id, Name> = HashMap::new();
        let mut note = |channel: Name, place: Place| {
            let top = known.entry((channel, place.epoch)).or_default();
            *top = place.offset.max(*top);
        };
        for line in &self.log.lines {
            match line.entry {
                Entry::Invoked { id, channel, .. } => drop(channels.insert(id, channel)),
                Entry::Acked { id, place: Some(place) } => note(channels[&id], place),
                Entry::Delivered { channel, place: Some(place), .. } => note(channel, place),
                _ => {}
            }
        }
        let fits = |at: &usize| match *self.at(*at) {
            Entry::Subscribed { channel, asked: Some(asked), place: Some(place), recovered: false, .. } => {
                let lost = known.get(&(channel, asked.epoch)).is_some_and(|top| *top > asked.offset);
                let same = asked.epoch == place.epoch;
                let right = if across == Across::Window { same } else { !same };
                (right && lost).then_some((*at, asked, place))
            }
            _ => None,
        };
        self.lines(|entry| matches!(entry, Entry::Subscribed { .. })).iter().filter_map(fits).collect()
    }

    /// Says `recovered` where it was not.
    fn flatter(&mut self, across: Across) -> Option<()> {
        let sites = self.failed_recoveries(across);
        let (at, asked, place) = self.choose(&sites)?;
        if !self.lives_on(at, place) || across == Across::Epochs && !self.differ(at, asked, place) {
            return None;
        }
        if let Entry::Subscribed { recovered, place, .. } = self.entry(at) {
            *recovered = true;
            // What a server that believes it would say.
            *place = place.map(|place| Place { offset: asked.offset, ..place });
        }
        Some(())
    }

    /// Whether the two streams have different publications at an offset that the client has seen, or the
    /// old one has something beyond it that the new one never had.
    fn differ(&self, at: usize, asked: Place, place: Place) -> bool {
        let Entry::Subscribed { channel, .. } = *self.at(at) else { return false };
        let of = |epoch: Name| -> HashMap<u64, Id> {
            let delivered = self.log.lines.iter().filter_map(|line| match line.entry {
                Entry::Delivered { channel: c, place: Some(p), id, .. } if c == channel && p.epoch == epoch => {
                    Some((p.offset, id))
                }
                _ => None,
            });
            delivered.collect()
        };
        let (old, new) = (of(asked.epoch), of(place.epoch));
        old.iter().any(|(offset, id)| *offset <= asked.offset && new.get(offset).is_some_and(|there| there != id))
    }

    /// Whether the client gets something after coming, or stays to the end.
    fn lives_on(&self, coming: usize, place: Place) -> bool {
        let all = self.stretches();
        let stretch = all.iter().find(|stretch| stretch.comings[0] == coming);
        stretch.is_some_and(|s| {
            s.lasts || s.got.first().and_then(|at| self.place_of(*at)).is_some_and(|p| p.epoch == place.epoch)
        })
    }

    /// As if the client had stayed: the telling, the end and the failed recovery are gone.
    fn silence(&mut self, across: Across) -> Option<()> {
        let sites = self.failed_recoveries(across);
        let (at, asked, place) = self.choose(&sites)?;
        let stretches = self.stretches();
        let stretch = stretches.iter().find(|stretch| stretch.comings[0] == at)?;
        // It must get something before it leaves again.
        let leaves = stretch.comings.get(1).copied().unwrap_or(usize::MAX);
        if stretch.got.first().is_none_or(|got| *got > leaves)
            || asked.offset >= place.offset && across == Across::Window
        {
            return None;
        }
        let key = stretch.key;
        let before = (0..at).rev().take_while(|i| {
            !matches!(self.at(*i), Entry::Subscribed { client, channel, .. } | Entry::Delivered { client, channel, .. }
                if (*client, *channel) == key)
        });
        let mut gone: Vec<usize> = before
            .filter(|i| match self.at(*i) {
                Entry::Told { client, channel, .. } | Entry::Ended { client, channel } => (*client, *channel) == key,
                _ => false,
            })
            .collect();
        gone.push(at);
        self.remove(gone);
        Some(())
    }

    fn reorder(&mut self, most: usize) -> Option<()> {
        let length = if most == 2 { 2 } else { 3 + self.dice.below(most - 2) };
        let run = self.run(length)?;
        let entries: Vec<Entry> = run.iter().rev().map(|at| self.at(*at).clone()).collect();
        for (at, entry) in run.iter().zip(entries) {
            *self.entry(*at) = entry;
        }
        // Who comes back asks from where it believes to be: from the highest.
        Some(())
    }

    fn hold_back(&mut self) -> Option<()> {
        let run = self.run(3 + self.dice.clone().below(3))?;
        let entry = self.at(run[0]).clone();
        let last = *run.last()?;
        self.insert(last + 1, entry);
        self.remove(vec![run[0]]);
        Some(())
    }

    /// A publication that stood there when the client came gets to it all the same.
    fn too_early(&mut self) -> Option<()> {
        let stretch = self.stretch(1, |stretch| stretch.begin.offset > 0)?;
        let (client, channel) = stretch.key;
        let older = self.lines(|entry| {
            matches!(entry, Entry::Delivered { channel: c, place: Some(place), .. }
                if *c == channel && place.epoch == stretch.begin.epoch && place.offset <= stretch.begin.offset)
        });
        let older = self.choose(&older)?;
        let Entry::Delivered { place, id, hash, .. } = *self.at(older) else { return None };
        // Which may be of another epoch by now, if the client has been away.
        let first = self.place_of(stretch.got[0])?;
        if older > stretch.got[0] || first.epoch != stretch.begin.epoch {
            return None;
        }
        self.insert(stretch.got[0], Entry::Delivered { client, channel, place, id, hash });
        Some(())
    }

    fn double(&mut self, later: bool) -> Option<()> {
        let run = self.run(if later { 3 } else { 1 })?;
        let entry = self.at(run[0]).clone();
        self.insert(run.last()? + 1, entry);
        Some(())
    }

    fn replay(&mut self) -> Option<()> {
        let run = self.run(3)?;
        let end = run.last()? + 1;
        for at in run.iter().rev() {
            let entry = self.at(*at).clone();
            self.insert(end, entry);
        }
        Some(())
    }

    /// A publication stands a second time, after the last one of its channel, for everybody.
    fn store_again(&mut self) -> Option<()> {
        let stretch = self.stretch(2, |stretch| stretch.lasts)?;
        let channel = stretch.key.1;
        let last = self.place_of(*stretch.got.last()?)?;
        let again = self.choose(&stretch.got)?;
        let Entry::Delivered { id, hash, place: Some(first), .. } = *self.at(again) else { return None };
        // Before its keys were forgotten it would be no violation.
        let amnesia = self.lines(|entry| matches!(entry, Entry::Amnesia { .. })).last().copied();
        if first.epoch != last.epoch || self.invoked(again) < amnesia {
            return None;
        }
        let place = Some(Place { offset: last.offset + 1, ..last });
        let quiet = self.quiet();
        for other in self.stretches().into_iter().filter(|other| other.lasts && other.key.1 == channel) {
            self.insert(quiet, Entry::Delivered { client: other.key.0, channel, place, id, hash });
        }
        Some(())
    }

    fn alter(&mut self) -> Option<()> {
        let run = self.run(1)?;
        if let Entry::Delivered { hash, .. } = self.entry(run[0]) {
            *hash = hash.wrapping_add(1);
        }
        Some(())
    }

    /// Two publications change places for one client alone.
    fn exchange(&mut self) -> Option<()> {
        let run = self.run(2)?;
        let both = |entry: &Entry| match *entry {
            Entry::Delivered { id, hash, .. } => Some((id, hash)),
            _ => None,
        };
        let (first, second) = (both(self.at(run[0]))?, both(self.at(run[1]))?);
        // A retry that was stored twice in a row is nothing to exchange.
        if first == second {
            return None;
        }
        for (at, (new_id, new_hash)) in [(run[0], second), (run[1], first)] {
            if let Entry::Delivered { id, hash, .. } = self.entry(at) {
                (*id, *hash) = (new_id, new_hash);
            }
        }
        let place = self.place_of(run[0])?;
        // Somebody else knows better.
        let others = self.lines(|entry| match entry {
            Entry::Acked { place: Some(at), .. } => *at == place,
            _ => false,
        });
        self.choose(&others).map(drop)
    }

    /// A second publication is acknowledged at a place that is taken.
    fn reissue(&mut self) -> Option<()> {
        let acks = self.lines(|entry| matches!(entry, Entry::Acked { place: Some(_), .. }));
        let at = self.choose(&acks)?;
        let Entry::Acked { id, place } = *self.at(at) else { return None };
        let channel = self.log.lines.iter().find_map(|line| match line.entry {
            Entry::Invoked { id: i, channel, .. } if i == id => Some(channel),
            _ => None,
        })?;
        let id = Id(1 << 41);
        self.insert(at + 1, Entry::Acked { id, place });
        self.insert(at + 1, Entry::Invoked { id, channel, hash: 3 });
        Some(())
    }

    /// A channel's second stream has the name of the first one, everywhere.
    fn restore(&mut self) -> Option<()> {
        let sites = self.failed_recoveries(Across::Epochs);
        let sites: Vec<_> = sites.into_iter().filter(|(at, asked, place)| self.differ(*at, *asked, *place)).collect();
        let (_, old, new) = self.choose(&sites)?;
        let rename = |place: &mut Option<Place>| {
            if let Some(place) = place
                && place.epoch == new.epoch
            {
                place.epoch = old.epoch;
            }
        };
        for line in &mut self.log.lines {
            match &mut line.entry {
                Entry::Acked { place, .. } | Entry::Delivered { place, .. } => rename(place),
                Entry::Subscribed { asked, place, .. } => {
                    rename(asked);
                    rename(place);
                }
                _ => {}
            }
        }
        Some(())
    }

    fn mumble(&mut self) -> Option<()> {
        let told = self.lines(|entry| matches!(entry, Entry::Told { .. }));
        let at = self.choose(&told)?;
        let nothing = self.log.name("");
        if let Entry::Told { reason, .. } = self.entry(at) {
            *reason = nothing;
        }
        Some(())
    }

    fn unask(&mut self, succeeded: bool) -> Option<()> {
        let asked = self.lines(
            |entry| matches!(entry, Entry::Subscribed { asked: Some(_), recovered, .. } if *recovered == succeeded),
        );
        let at = self.choose(&asked)?;
        if let Entry::Subscribed { was_recovering, .. } = self.entry(at) {
            *was_recovering = false;
        }
        Some(())
    }

    fn unbidden(&mut self) -> Option<()> {
        let fresh = self.lines(|entry| matches!(entry, Entry::Subscribed { asked: None, .. }));
        let at = self.choose(&fresh)?;
        if let Entry::Subscribed { recovered, was_recovering, .. } = self.entry(at) {
            (*recovered, *was_recovering) = (true, true);
        }
        Some(())
    }

    /// One client hears nothing of the new epoch, nor that there is one.
    fn strand(&mut self) -> Option<()> {
        let changes = self.lines(|entry| {
            matches!(entry, Entry::Subscribed { asked: Some(asked), place: Some(place), .. }
                if asked.epoch != place.epoch)
        });
        let at = self.choose(&changes)?;
        let Entry::Subscribed { client, channel, .. } = *self.at(at) else { return None };
        let of_it = |entry: &Entry| match entry {
            Entry::Subscribed { client: c, channel: n, .. }
            | Entry::Delivered { client: c, channel: n, .. }
            | Entry::Told { client: c, channel: n, .. }
            | Entry::Ended { client: c, channel: n } => (*c, *n) == (client, channel),
            _ => false,
        };
        let all = self.lines(of_it);
        // From the end that led to this coming on.
        let end =
            all.iter().rev().find(|line| **line < at && matches!(self.at(**line), Entry::Ended { .. })).copied()?;
        self.remove(all.into_iter().filter(|line| *line >= end).collect());
        Some(())
    }

    fn move_over(&mut self) -> Option<()> {
        let stretch = self.stretch(3, |_| true)?;
        let at = stretch.got[self.dice.below(stretch.got.len() - 1)];
        let here = stretch.key.1;
        let others = self.lines(|entry| matches!(entry, Entry::Invoked { channel, .. } if *channel != here));
        let other = self.choose(&others)?;
        let Entry::Invoked { channel: there, .. } = *self.at(other) else { return None };
        if let Entry::Delivered { channel, .. } = self.entry(at) {
            *channel = there;
        }
        (!self.asks_from(stretch.key, at)).then_some(())
    }

    fn leak_across(&mut self) -> Option<()> {
        let stretch = self.stretch(1, |_| true)?;
        let here = stretch.key.1;
        let others = self.lines(|entry| matches!(entry, Entry::Delivered { channel, .. } if *channel != here));
        let other = self.choose(&others)?;
        let Entry::Delivered { place, id, hash, .. } = *self.at(other) else { return None };
        let at = *stretch.got.first()?;
        self.insert(at, Entry::Delivered { client: stretch.key.0, channel: here, place, id, hash });
        Some(())
    }

    fn haunt(&mut self) -> Option<()> {
        let ends = self.lines(|entry| matches!(entry, Entry::Ended { .. }));
        let at = self.choose(&ends)?;
        let Entry::Ended { client, channel } = *self.at(at) else { return None };
        self.deliver_any(at + 1, client, channel)
    }

    fn stranger(&mut self) -> Option<()> {
        let stretch = self.stretch(1, |_| true)?;
        let nobody = self.log.name("stranger");
        self.deliver_any(*stretch.got.first()?, nobody, stretch.key.1)
    }

    /// Delivers something of the channel to a client.
    fn deliver_any(&mut self, at: usize, client: Name, channel: Name) -> Option<()> {
        let any = self.lines(|entry| matches!(entry, Entry::Delivered { channel: c, .. } if *c == channel));
        let any = self.choose(&any)?;
        let Entry::Delivered { place, id, hash, .. } = *self.at(any) else { return None };
        self.insert(at, Entry::Delivered { client, channel, place, id, hash });
        Some(())
    }

    fn invent(&mut self) -> Option<()> {
        let run = self.run(1)?;
        let Entry::Delivered { client, channel, place, .. } = *self.at(run[0]) else { return None };
        let place = place.map(|place| Place { offset: place.offset + 1, ..place });
        self.insert(run[0] + 1, Entry::Delivered { client, channel, place, id: Id(1 << 42), hash: 1 });
        Some(())
    }

    fn refuse(&mut self) -> Option<()> {
        let run = self.run(1)?;
        let Entry::Delivered { client, channel, place, .. } = *self.at(run[0]) else { return None };
        let failed: Vec<Id> = self
            .log
            .lines
            .iter()
            .take(run[0])
            .filter_map(|line| if let Entry::Failed { id } = line.entry { Some(id) } else { None })
            .collect();
        let id = self.choose(&failed)?;
        self.insert(run[0] + 1, Entry::Delivered { client, channel, place, id, hash: 1 });
        Some(())
    }

    fn leak(&mut self, of_files: bool) -> Option<()> {
        let settled = self.lines(|entry| matches!(entry, Entry::Settled { .. }));
        let (at, more) = (self.choose(&settled)?, self.dice.between(1, 1_000));
        if let Entry::Settled { files, memory, .. } = self.entry(at) {
            *if of_files { files } else { memory } += if of_files { 450 + more } else { (more + 300) << 20 };
        }
        Some(())
    }

    fn unmeasured(&mut self) -> Option<()> {
        let settled = self.lines(|entry| matches!(entry, Entry::Settled { .. }));
        let at = self.choose(&settled)?;
        self.remove(vec![at]);
        Some(())
    }

    /// For a while a node's canaries stay away, or are another's; it goes on saying that it is ready.
    fn mute(&mut self, exchanged: bool) -> Option<()> {
        let ready = self.lines(|entry| matches!(entry, Entry::Ready { ready: true, .. }));
        let at = self.choose(&ready)?;
        let Entry::Ready { node, .. } = *self.at(at) else { return None };
        let until = self.log.lines[at].at_ms;
        let from = until.checked_sub(super::good::CANARY_MS * 2)?;
        let wavers = self.log.lines.iter().any(|line| {
            let no = line.entry == Entry::Ready { node, ready: false } || line.entry == Entry::Started { node };
            no && (from..=until).contains(&line.at_ms)
        });
        if wavers {
            return None;
        }
        let other = self.lines(|entry| matches!(entry, Entry::Started { node: n } if *n != node));
        let other = self.choose(&other)?;
        let Entry::Started { node: other } = *self.at(other) else { return None };
        let of_it = |line: &Line| line.entry == Entry::Canary { node } && (from..=until).contains(&line.at_ms);
        if exchanged {
            self.log.lines.iter_mut().filter(|line| of_it(line)).for_each(|l| l.entry = Entry::Canary { node: other });
        } else {
            self.log.lines.retain(|line| !of_it(line));
        }
        Some(())
    }

    /// A node says that it is ready all through an outage.
    fn boast(&mut self) -> Option<()> {
        let mut heard: HashMap<Name, u64> = HashMap::new();
        let mut sites = Vec::new();
        for line in &self.log.lines {
            match line.entry {
                Entry::Canary { node } => drop(heard.insert(node, line.at_ms)),
                Entry::Ready { node, ready: false } if line.at_ms > heard[&node] + super::good::CANARY_MS => {
                    sites.push((node, heard[&node], line.at_ms));
                }
                _ => {}
            }
        }
        let (liar, from, until) = self.choose(&sites)?;
        for line in self.log.lines.iter_mut().filter(|line| (from..=until).contains(&line.at_ms)) {
            if line.entry == (Entry::Ready { node: liar, ready: false }) {
                line.entry = Entry::Ready { node: liar, ready: true };
            }
        }
        Some(())
    }

    fn restless(&mut self) -> Option<()> {
        self.log.lines.retain(|line| line.entry != Entry::Quiet);
        let unfinished = self.lines(|entry| matches!(entry, Entry::Told { what: Told::Closed, .. }));
        self.choose(&unfinished).map(drop)
    }
}
