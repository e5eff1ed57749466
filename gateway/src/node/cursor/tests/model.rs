//! A small world around a cursor: a stream that is written, trimmed, restarted and failed over; a link
//! that breaks; clients that come, go and come back. Everything takes its steps in any order. Whatever
//! happens, no client gets anything twice or out of order, and in the end each has everything or was
//! told that it has not.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// One step of anybody.
#[derive(Clone, Copy, Debug)]
enum Step {
    Publish,
    /// The node takes the next thing from its link.
    Take,
    LinkBreaks,
    LinkIsBack,
    /// Only the newest publications stay.
    Trim(u8),
    /// Another server takes over, without the newest publications.
    Failover(u8),
    /// The server comes back with nothing.
    Restart,
    /// A page is read for the cursor: to open it, or to heal it.
    Read,
    /// The page arrives.
    Apply,
    Check,
    /// A client goes on with what it is at.
    Client(u8),
    Leave(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Publish),
        10 => Just(Step::Take),
        1 => Just(Step::LinkBreaks),
        3 => Just(Step::LinkIsBack),
        1 => (0..4_u8).prop_map(Step::Trim),
        1 => (0..3_u8).prop_map(Step::Failover),
        1 => Just(Step::Restart),
        6 => Just(Step::Read),
        6 => Just(Step::Apply),
        2 => Just(Step::Check),
        12 => (0..3_u8).prop_map(Step::Client),
        2 => (0..3_u8).prop_map(Step::Leave),
    ];
    proptest::collection::vec(step, 1..120)
}

/// The truth: what the broker keeps.
struct Server {
    epoch: u32,
    epochs: u32,
    previous: Option<(u32, u64)>,
    /// A failover that no publication has followed yet.
    turned: bool,
    top: u64,
    kept: VecDeque<Arc<Retained>>,
    said: u64,
}

enum Message {
    Said(Arc<Retained>),
    Gap,
}

#[derive(Default)]
struct Client {
    phase: Phase,
    /// What it would say it has seen.
    seen: Option<Since>,
    ahead: u64,
    /// What it has, since it last began anew, in order: offsets and what was said.
    has: Vec<(u64, Bytes)>,
    /// The offset before the first of these.
    from: u64,
}

#[derive(Default)]
enum Phase {
    #[default]
    Out,
    Reading(HistoryPage, u64),
    Entering(Entrance),
    In,
}

struct World {
    server: Server,
    cursor: Cursor,
    queue: VecDeque<Message>,
    linked: bool,
    /// A page on its way, and what it was read after.
    page: Option<(HistoryPage, u64)>,
    opening: bool,
    clients: [Client; 3],
}

fn name(epoch: u32) -> String {
    format!("e{epoch}")
}

impl World {
    fn new() -> Self {
        let server =
            Server { epoch: 1, epochs: 1, previous: None, turned: false, top: 0, kept: VecDeque::new(), said: 0 };
        Self {
            server,
            cursor: Cursor::new(true, ByteSize::mib(4)),
            queue: VecDeque::new(),
            linked: true,
            page: None,
            opening: true,
            clients: Default::default(),
        }
    }

    fn read(&self, since: u64, limit: usize) -> HistoryPage {
        let server = &self.server;
        let rest = server.kept.iter().filter(|kept| kept.position().offset > since).take(limit);
        HistoryPage {
            stream: Stream {
                top: position(&name(server.epoch), server.top),
                previous: server.previous.map(|(epoch, top)| Previous { epoch: Arc::from(name(epoch).as_str()), top }),
            },
            // In the present epoch, whichever they were said in.
            publications: rest.map(|kept| renamed(kept, &name(server.epoch))).collect(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish => self.publish(),
            Step::Take => self.take(),
            Step::LinkBreaks => self.linked = false,
            Step::LinkIsBack => {
                if !std::mem::replace(&mut self.linked, true) {
                    self.queue.push_back(Message::Gap);
                }
            }
            Step::Trim(keep) => {
                while self.server.kept.len() > usize::from(keep) {
                    self.server.kept.pop_front();
                }
            }
            Step::Failover(lost) => {
                // The link to the server that is gone breaks, too.
                self.linked = false;
                for _ in 0..lost {
                    self.server.top -= u64::from(self.server.kept.pop_back().is_some());
                }
                self.server.turned = true;
            }
            Step::Restart => {
                self.linked = false;
                self.server.epochs += 1;
                let (epochs, said) = (self.server.epochs, self.server.said);
                self.server = Server {
                    epoch: epochs,
                    epochs,
                    previous: None,
                    turned: false,
                    top: 0,
                    kept: VecDeque::new(),
                    said,
                };
            }
            Step::Read if self.page.is_none() && !self.somebody_reads() => {
                if self.opening {
                    self.page = Some((self.read(u64::MAX, 0), u64::MAX));
                } else if let Some(since) = self.cursor.begin_read() {
                    self.page = Some((self.read(since, 3), since));
                }
            }
            Step::Read => {}
            Step::Apply => self.apply(),
            Step::Check => self.check(),
            Step::Client(which) => self.client(usize::from(which)),
            Step::Leave(which) => self.clients[usize::from(which)].phase = Phase::Out,
        }
    }

    fn publish(&mut self) {
        let server = &mut self.server;
        if std::mem::take(&mut server.turned) {
            server.previous = Some((server.epoch, server.top));
            server.epochs += 1;
            server.epoch = server.epochs;
        }
        server.top += 1;
        server.said += 1;
        let publication = Publication {
            data: Bytes::from(server.said.to_string()),
            position: Some(position(&name(server.epoch), server.top)),
            ..Publication::default()
        };
        let said = Arc::new(Retained::new(publication).unwrap());
        server.kept.push_back(Arc::clone(&said));
        if self.linked {
            self.queue.push_back(Message::Said(said));
        }
    }

    fn take(&mut self) {
        match self.queue.pop_front() {
            Some(Message::Gap) => {
                self.cursor.gap();
            }
            Some(Message::Said(said)) => match self.cursor.arrive(&said, NOW) {
                Arrival::Deliver { .. } => self.deliver(&said),
                Arrival::Turn => self.expel(),
                Arrival::Late | Arrival::Wait | Arrival::Heal => {}
            },
            None => {}
        }
    }

    fn apply(&mut self) {
        let Some((page, since)) = self.page.take() else { return };
        let healed = if self.opening { self.cursor.open(&page, since, NOW) } else { self.cursor.heal(&page, NOW) };
        self.opening = false;
        if healed.lost {
            self.expel();
        }
        for said in &healed.deliver {
            self.deliver(said);
        }
    }

    fn check(&mut self) {
        if let Some(was) = self.cursor.unproven(Duration::ZERO, NOW) {
            let top = position(&name(self.server.epoch), self.server.top);
            self.cursor.compare(&was, Some(&top), NOW);
        }
    }

    fn somebody_reads(&self) -> bool {
        self.clients.iter().any(|client| matches!(client.phase, Phase::Reading(..)))
    }

    /// Takes a client one step on its way in.
    fn client(&mut self, which: usize) {
        let busy = self.page.is_some() || self.somebody_reads();
        match std::mem::take(&mut self.clients[which].phase) {
            Phase::In => self.clients[which].phase = Phase::In,
            Phase::Out => match self.join(which, false) {
                Join::Read { since } if !busy => {
                    let at = self.cursor.at().map_or(0, |at| at.offset);
                    let limit = usize::try_from(at - since).unwrap();
                    let page = self.read(since, limit);
                    self.clients[which].phase = Phase::Reading(page, if limit == 0 { u64::MAX } else { since });
                }
                Join::At(entrance) => self.clients[which].phase = Phase::Entering(entrance),
                Join::Read { .. } | Join::NotOpen => {}
            },
            Phase::Reading(page, since) => {
                if !self.cursor.learn(&page, since) {
                    self.cursor.gap();
                } else if let Join::At(entrance) = self.join(which, true) {
                    self.clients[which].phase = Phase::Entering(entrance);
                }
            }
            Phase::Entering(entrance) => {
                // The stream may have gone on meanwhile.
                if let Some(since) = self.cursor.catch_up(&entrance.at) {
                    self.enter(which, &entrance, &since);
                }
            }
        }
    }

    fn join(&mut self, which: usize, fresh: bool) -> Join {
        let wish = self.clients[which].seen.as_ref().map_or(Wish::Nothing, Wish::Everything);
        self.cursor.join(wish, BOUNDS, fresh, NOW)
    }

    fn enter(&mut self, which: usize, entrance: &Entrance, since: &[Arc<Retained>]) {
        let client = &mut self.clients[which];
        let kept = match &entrance.recovery {
            Some(Recovery::Recovered(missed)) => missed.clone(),
            Some(Recovery::Unrecovered) | None => {
                client.has.clear();
                client.from = entrance.position.offset;
                Vec::new()
            }
        };
        client.seen = Some(Since { offset: entrance.position.offset, epoch: entrance.position.epoch.clone() });
        client.ahead = entrance.ahead;
        client.phase = Phase::In;
        for said in kept.iter().chain(since) {
            client.get(said);
        }
    }

    fn deliver(&mut self, said: &Arc<Retained>) {
        for client in self.clients.iter_mut().filter(|client| matches!(client.phase, Phase::In)) {
            client.get(said);
        }
    }

    fn expel(&mut self) {
        for client in self.clients.iter_mut().filter(|client| matches!(client.phase, Phase::In)) {
            client.phase = Phase::Out;
        }
    }

    /// Lets everything come to rest, everybody inside.
    fn settle(&mut self) {
        self.step(Step::LinkIsBack);
        for _ in 0..200 {
            for step in [Step::Take, Step::Read, Step::Apply] {
                self.step(step);
            }
            for which in 0..3 {
                self.step(Step::Client(which));
            }
            if self.queue.is_empty() {
                self.step(Step::Check);
            }
        }
    }

    /// Each client has all that was said since it began, and nothing else.
    fn judge(&self) {
        let server = &self.server;
        assert_eq!(self.cursor.at(), Some(&position(&name(server.epoch), server.top)));
        assert!(!self.cursor.is_held());
        for client in &self.clients {
            assert!(matches!(client.phase, Phase::In));
            let seen = client.seen.as_ref().unwrap();
            assert_eq!((seen.offset, &*seen.epoch), (server.top, name(server.epoch).as_str()));
            let kept = server.kept.iter().filter(|kept| kept.position().offset > client.from);
            let kept: Vec<_> = kept.map(|kept| (kept.position().offset, kept.publication().data.clone())).collect();
            let has = &client.has[client.has.len() - kept.len()..];
            assert_eq!(has, kept, "it has what is kept");
            assert_eq!(client.has.len() as u64, server.top - client.from, "and what was trimmed since");
        }
    }
}

impl Client {
    fn get(&mut self, said: &Arc<Retained>) {
        let position = said.position();
        if position.offset <= self.ahead {
            return;
        }
        let seen = self.seen.as_mut().unwrap();
        assert_eq!((position.offset, &position.epoch), (seen.offset + 1, &seen.epoch), "in order, once");
        seen.offset = position.offset;
        self.has.push((position.offset, said.publication().data.clone()));
    }
}

fn renamed(kept: &Arc<Retained>, epoch: &str) -> Arc<Retained> {
    let position = Some(position(epoch, kept.position().offset));
    Arc::new(Retained::new(Publication { position, ..kept.publication().clone() }).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn nobody_gets_anything_twice_and_everybody_gets_everything_or_is_told(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.settle();
        world.judge();
    }
}
