//! Good logs: a small world in which nothing goes wrong that is not told, played by dice. Channels with
//! streams of which a window is kept, nodes that fall silent, clients that come and go at any moment and
//! hear everything late. What it writes must pass the judge, always.

use std::collections::{BTreeMap, VecDeque};

use super::{Entry, Id, Log, Name, Place, Told};
use crate::dice::Dice;

/// Publications of a channel that are kept.
const WINDOW: u64 = 12;

/// How old the canary of a node that says it is ready may be, in this world.
pub(super) const CANARY_MS: u64 = 2_000;

#[derive(Debug)]
struct Stream {
    name: Name,
    epoch: Name,
    top: u64,
    kept: BTreeMap<u64, (Id, u64)>,
    /// The epoch before this one, if the numbering has gone on.
    previous: Option<(Name, u64)>,
}

#[derive(Debug, Default)]
struct Seat {
    /// What it has seen; none before the first subscribe.
    at: Option<Place>,
    live: bool,
    /// On its way to the client.
    queue: VecDeque<(Place, Id, u64)>,
    /// Its node has noticed that something is missing: it will be told before it gets anything.
    doubtful: bool,
}

#[derive(Debug)]
struct World {
    log: Log,
    dice: Dice,
    now_ms: u64,
    streams: Vec<Stream>,
    clients: Vec<Name>,
    /// By client, then channel.
    seats: Vec<Vec<Seat>>,
    nodes: Vec<(Name, u64)>,
    next: u64,
    epochs: usize,
    /// Acknowledgements on their way to the publisher.
    acks: Vec<Entry>,
}

/// A log of `steps` events.
pub(super) fn good(seed: u64, steps: usize) -> Log {
    let mut world = World::new(seed);
    for _ in 0..steps {
        world.now_ms += world.dice.between(1, 40);
        world.beat();
        world.step();
    }
    world.finish();
    world.log
}

impl World {
    fn new(seed: u64) -> Self {
        let (mut log, mut dice) = (Log::default(), Dice::new(seed));
        let clients: Vec<Name> = (0..dice.between(2, 6)).map(|i| log.name(&format!("client{i}"))).collect();
        let nodes: Vec<(Name, u64)> = (0..dice.between(2, 3)).map(|i| (log.name(&format!("node{i}")), 0)).collect();
        let channels = dice.between(2, 4);
        let mut world = Self {
            log,
            dice,
            now_ms: 0,
            streams: Vec::new(),
            clients,
            seats: Vec::new(),
            nodes,
            next: 1,
            epochs: 0,
            acks: Vec::new(),
        };
        for i in 0..channels {
            let (name, epoch) = (world.log.name(&format!("channel{i}")), world.epoch());
            world.streams.push(Stream { name, epoch, top: 0, kept: BTreeMap::new(), previous: None });
        }
        world.seats = world.clients.iter().map(|_| world.streams.iter().map(|_| Seat::default()).collect()).collect();
        for (node, _) in world.nodes.clone() {
            world.say(Entry::Started { node });
            let (files, memory) = (world.dice.between(20, 200), world.dice.between(10 << 20, 50 << 20));
            world.say(Entry::Baseline { node, files, memory });
        }
        world
    }

    fn say(&mut self, entry: Entry) {
        self.log.push(self.now_ms, entry);
    }

    fn epoch(&mut self) -> Name {
        self.epochs += 1;
        self.log.name(&format!("epoch{}", self.epochs))
    }

    /// Canaries and readiness of all nodes.
    fn beat(&mut self) {
        for i in 0..self.nodes.len() {
            let (node, silent_until) = self.nodes[i];
            if self.now_ms >= silent_until {
                self.say(Entry::Canary { node });
                self.say(Entry::Ready { node, ready: true });
                if self.dice.below(400) == 0 {
                    self.nodes[i].1 = self.now_ms + self.dice.between(100, 6_000);
                }
            } else if silent_until - self.now_ms > 100 {
                self.say(Entry::Ready { node, ready: false });
            }
        }
    }

    fn step(&mut self) {
        let (client, channel) = (self.dice.below(self.clients.len()), self.dice.below(self.streams.len()));
        match self.dice.below(1_000) {
            0..380 => self.publish(channel),
            380..820 => self.deliver(client, channel),
            820..880 => self.answer(),
            880..970 if self.seats[client][channel].live => self.leave(client, channel),
            880..970 => self.come(client, channel),
            970..980 => self.seats[client][channel].doubtful = true,
            980..985 => self.forget(channel),
            985..990 => self.flush(channel),
            990..995 => self.fail_over(channel),
            _ => {
                for seat in 0..self.streams.len() {
                    self.leave(client, seat);
                }
            }
        }
    }

    fn publish(&mut self, channel: usize) {
        let (id, hash, name) = (Id(self.next), self.dice.next(), self.streams[channel].name);
        self.next += 1;
        self.say(Entry::Invoked { id, channel: name, hash });
        match self.dice.below(20) {
            0 => return self.say(Entry::Failed { id }),
            1 => return self.say(Entry::Unknown { id }),
            _ => {}
        }
        let place = self.store(channel, id, hash);
        match self.dice.below(10) {
            0 => self.say(Entry::Unknown { id }),
            1 => self.acks.push(Entry::Acked { id, place: None }),
            // The first try's answer was lost, the second says the same.
            2 => {
                self.say(Entry::Unknown { id });
                self.acks.push(Entry::Acked { id, place: Some(place) });
            }
            _ => self.acks.push(Entry::Acked { id, place: Some(place) }),
        }
    }

    /// Numbers, keeps and sends.
    fn store(&mut self, channel: usize, id: Id, hash: u64) -> Place {
        let stream = &mut self.streams[channel];
        stream.top += 1;
        let place = Place { epoch: stream.epoch, offset: stream.top };
        stream.kept.insert(stream.top, (id, hash));
        stream.kept.retain(|offset, _| offset + WINDOW > stream.top);
        for seat in self.seats.iter_mut().map(|seats| &mut seats[channel]).filter(|seat| seat.live) {
            seat.queue.push_back((place, id, hash));
        }
        place
    }

    fn answer(&mut self) {
        let mut acks = std::mem::take(&mut self.acks);
        self.dice.shuffle(&mut acks);
        acks.into_iter().for_each(|ack| self.say(ack));
    }

    fn deliver(&mut self, client: usize, channel: usize) {
        let seat = &mut self.seats[client][channel];
        if seat.doubtful && seat.live {
            return self.doubt(client, channel);
        }
        let Some((place, id, hash)) = seat.queue.pop_front() else { return };
        seat.at = Some(place);
        let (client, channel) = (self.clients[client], self.streams[channel].name);
        self.say(Entry::Delivered { client, channel, place: Some(place), id, hash });
    }

    /// The node knows that this client may have missed something, and says so.
    fn doubt(&mut self, client: usize, channel: usize) {
        let closed = self.dice.percent(30);
        let what = if closed { Told::Closed } else { Told::Unsubscribed };
        let reason = self.log.name("insufficient state");
        let told = Entry::Told { client: self.clients[client], channel: self.streams[channel].name, what, reason };
        self.say(told);
        if closed {
            (0..self.streams.len()).for_each(|seat| self.leave(client, seat));
        } else {
            self.leave(client, channel);
        }
        if self.dice.percent(50) {
            self.come(client, channel);
        }
    }

    fn leave(&mut self, client: usize, channel: usize) {
        let seat = &mut self.seats[client][channel];
        if seat.live {
            seat.queue.clear();
            (seat.live, seat.doubtful) = (false, false);
            self.say(Entry::Ended { client: self.clients[client], channel: self.streams[channel].name });
        }
    }

    fn come(&mut self, client: usize, channel: usize) {
        let stream = &self.streams[channel];
        let top = Place { epoch: stream.epoch, offset: stream.top };
        let seat = &mut self.seats[client][channel];
        // Some forget where they were, and begin anew.
        let asked = if self.dice.percent(10) { None } else { seat.at };
        let missed = asked.and_then(|at| stream.since(at));
        let recovered = missed.is_some();
        (seat.live, seat.doubtful) = (true, false);
        let (name, client_name) = (stream.name, self.clients[client]);
        let place = match asked {
            Some(at) if recovered => Place { epoch: top.epoch, offset: at.offset },
            _ => top,
        };
        seat.at = Some(place);
        seat.queue.extend(missed.into_iter().flatten());
        let many = seat.queue.len();
        if asked.is_some() && !recovered && self.dice.percent(30) {
            let reason = self.log.name("unrecoverable position");
            self.say(Entry::Told { client: client_name, channel: name, what: Told::Unrecoverable, reason });
            self.say(Entry::Subscribed {
                client: client_name,
                channel: name,
                asked: None,
                place: Some(place),
                recovered: false,
                was_recovering: false,
            });
            return;
        }
        let was_recovering = asked.is_some();
        self.say(Entry::Subscribed {
            client: client_name,
            channel: name,
            asked,
            place: Some(place),
            recovered,
            was_recovering,
        });
        (0..many).for_each(|_| self.deliver(client, channel));
    }

    /// Keys are forgotten, and one that is tried again is stored twice.
    fn forget(&mut self, channel: usize) {
        self.say(Entry::Amnesia { over: false });
        let stream = &self.streams[channel];
        let old = stream.kept.values().next().copied();
        if let Some((id, hash)) = old {
            self.store(channel, id, hash);
        }
        self.say(Entry::Amnesia { over: true });
    }

    /// All is lost on this channel, and numbering begins again.
    fn flush(&mut self, channel: usize) {
        let epoch = self.epoch();
        let stream = &mut self.streams[channel];
        (stream.epoch, stream.top, stream.previous) = (epoch, 0, None);
        stream.kept.clear();
        self.doubt_all(channel);
    }

    /// Another Redis goes on, with all that was there.
    fn fail_over(&mut self, channel: usize) {
        let epoch = self.epoch();
        let stream = &mut self.streams[channel];
        stream.previous = Some((stream.epoch, stream.top));
        stream.epoch = epoch;
        self.doubt_all(channel);
    }

    /// Who is there gets nothing more before being told.
    fn doubt_all(&mut self, channel: usize) {
        for client in 0..self.clients.len() {
            let seat = &mut self.seats[client][channel];
            if seat.live {
                seat.queue.clear();
                seat.doubtful = true;
                self.doubt(client, channel);
            }
        }
    }

    /// Heals, lets everybody come and hear all, measures.
    fn finish(&mut self) {
        for node in &mut self.nodes {
            node.1 = 0;
        }
        for client in 0..self.clients.len() {
            for channel in 0..self.streams.len() {
                if self.seats[client][channel].doubtful && self.seats[client][channel].live {
                    self.doubt(client, channel);
                }
                if !self.seats[client][channel].live {
                    self.come(client, channel);
                }
            }
        }
        for channel in 0..self.streams.len() {
            self.last_word(channel);
        }
        for client in 0..self.clients.len() {
            for channel in 0..self.streams.len() {
                while !self.seats[client][channel].queue.is_empty() {
                    self.deliver(client, channel);
                }
            }
        }
        self.answer();
        self.beat();
        for (node, _) in self.nodes.clone() {
            self.say(Entry::Settled { node, files: 20, memory: 10 << 20 });
        }
        self.say(Entry::Quiet);
    }

    /// After this one, everything on the channel has its place.
    fn last_word(&mut self, channel: usize) {
        self.answer();
        let before = self.acks.len();
        while self.acks.len() == before || !matches!(self.acks.last(), Some(Entry::Acked { place: Some(_), .. })) {
            self.publish(channel);
        }
        self.answer();
    }
}

impl Stream {
    /// What came after a position, if that is known and all kept.
    fn since(&self, at: Place) -> Option<Vec<(Place, Id, u64)>> {
        let known = at.epoch == self.epoch && at.offset <= self.top
            || self.previous.is_some_and(|(epoch, top)| epoch == at.epoch && at.offset <= top);
        let missed = self.kept.range(at.offset + 1..);
        let missed: Vec<_> =
            missed.map(|(offset, (id, hash))| (Place { epoch: self.epoch, offset: *offset }, *id, *hash)).collect();
        (known && missed.len() as u64 == self.top - at.offset).then_some(missed)
    }
}
