//! Who waits to connect, and whose turn it is: addresses take turns, however many wait behind each. Pure:
//! neither clock nor task.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use foldhash::quality::RandomState;
use tokio::sync::oneshot;

use crate::model::Address;

/// The queue. Each who waits holds the other end of a channel: a message is the turn, the end of the channel
/// is that there will be none. Nothing here walks over all who wait: it is for when there are many.
#[derive(Debug)]
pub(super) struct Line {
    queues: HashMap<Address, Queue, RandomState>,
    /// Each address with somebody waiting, by when its turn comes.
    turns: BTreeMap<u64, Address>,
    /// The same by how many wait.
    lengths: BTreeSet<(usize, Address)>,
    len: usize,
    max: usize,
    /// Tickets and turns that were given.
    given: u64,
}

/// Those of one address, in the order of their tickets.
#[derive(Debug, Default)]
struct Queue {
    turn: u64,
    waiters: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    turn: oneshot::Sender<()>,
}

/// Whoever waits, to be told apart from others of the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

impl Line {
    /// Room for `max`.
    pub(super) fn new(max: usize) -> Self {
        let (queues, turns, lengths) = (HashMap::default(), BTreeMap::new(), BTreeSet::new());
        Self { queues, turns, lengths, len: 0, max, given: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Joins the queue. If it is full, whoever came last from the address with the most waiting has to go;
    /// none if that is the one who comes.
    pub(super) fn join(&mut self, address: Address) -> Option<(Ticket, oneshot::Receiver<()>)> {
        if self.len >= self.max && !self.make_room(address) {
            return None;
        }
        self.given += 1;
        let ticket = self.given;
        let (turn, receiver) = oneshot::channel();
        self.change(address, |queue| queue.waiters.push_back(Waiter { ticket, turn }));
        Some((Ticket(ticket), receiver))
    }

    /// Leaves the queue, if still there.
    pub(super) fn leave(&mut self, address: Address, ticket: Ticket) {
        self.change(address, |queue| {
            if let Ok(place) = queue.waiters.binary_search_by_key(&ticket.0, |waiter| waiter.ticket) {
                queue.waiters.remove(place);
            }
        });
    }

    /// Whose turn it is; none if nobody waits.
    pub(super) fn next(&mut self) -> Option<oneshot::Sender<()>> {
        let (_, address) = self.turns.pop_first()?;
        self.given += 1;
        let turn = self.given;
        // Behind all others; taken away again if this was the last one of the address.
        self.turns.insert(turn, address);
        self.change(address, |queue| {
            queue.turn = turn;
            queue.waiters.pop_front()
        })
        .map(|waiter| waiter.turn)
    }

    /// Sends the last of the address with the most away, unless the newcomer's would then have as many.
    fn make_room(&mut self, newcomer: Address) -> bool {
        let own = self.queues.get(&newcomer).map_or(0, |queue| queue.waiters.len());
        match self.lengths.last().copied() {
            Some((most, address)) if own + 1 < most => {
                self.change(address, |queue| queue.waiters.pop_back());
                true
            }
            _ => false,
        }
    }

    /// Changes the queue of an address, and what is known of it with it.
    fn change<T>(&mut self, address: Address, change: impl FnOnce(&mut Queue) -> T) -> T {
        let queue = self.queues.entry(address).or_default();
        let before = queue.waiters.len();
        let done = change(queue);
        let (after, turn) = (queue.waiters.len(), queue.turn);
        self.len = self.len + after - before;
        self.lengths.remove(&(before, address));
        if after > 0 {
            self.lengths.insert((after, address));
        }
        match (before, after) {
            (0, 1..) => {
                self.given += 1;
                queue.turn = self.given;
                self.turns.insert(self.given, address);
            }
            (_, 0) => {
                self.turns.remove(&turn);
                self.queues.remove(&address);
            }
            _ => {}
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn address(n: u8) -> Address {
        Address::from(IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)))
    }

    /// Lets so many go and answers which of the receivers had their turn.
    fn turns(line: &mut Line, count: usize, waiting: &mut [(u8, oneshot::Receiver<()>)]) -> Vec<u8> {
        let mut order = Vec::new();
        for _ in 0..count {
            let Some(turn) = line.next() else { break };
            turn.send(()).unwrap();
            order.extend(waiting.iter_mut().filter_map(|(n, receiver)| receiver.try_recv().ok().map(|()| *n)));
        }
        order
    }

    #[test]
    fn addresses_take_turns_however_many_wait_behind_each() {
        let mut line = Line::new(100);
        let mut waiting: Vec<_> = [1, 1, 1, 1, 2, 3, 3].map(|n| (n, line.join(address(n)).unwrap().1)).into();
        assert_eq!(turns(&mut line, 100, &mut waiting), [1, 2, 3, 1, 3, 1, 1]);
        assert_eq!(line.len(), 0);
        assert!(line.turns.is_empty() && line.queues.is_empty(), "nothing is kept of those who are gone");
        assert!(line.lengths.is_empty());
    }

    #[test]
    fn in_a_full_line_the_longest_queue_makes_room() {
        let mut line = Line::new(4);
        let mut crowd: Vec<_> = (0..4).map(|_| line.join(address(1)).unwrap().1).collect();
        assert!(line.join(address(1)).is_none(), "the crowd itself gets no more");
        let _single = line.join(address(2)).unwrap();
        assert_eq!(line.len(), 4);
        assert_eq!(crowd.pop().unwrap().try_recv(), Err(oneshot::error::TryRecvError::Closed), "the last one goes");
        assert_eq!(crowd.pop().unwrap().try_recv(), Err(oneshot::error::TryRecvError::Empty));
        let _second = line.join(address(2)).unwrap();
        assert!(line.join(address(2)).is_none(), "two and two: nobody has more");
        assert_eq!(line.len(), 4);
    }

    #[test]
    fn who_leaves_holds_nobody_up() {
        let mut line = Line::new(10);
        let (ticket, gone) = line.join(address(1)).unwrap();
        let (_, mut stays) = line.join(address(1)).unwrap();
        line.leave(address(1), ticket);
        line.leave(address(1), ticket);
        drop(gone);
        assert_eq!(line.len(), 1);
        line.next().unwrap().send(()).unwrap();
        assert!(stays.try_recv().is_ok());
        assert!(line.next().is_none());
    }
}
