//! Which names are wanted, and how far each one is. Pure bookkeeping, no I/O.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::Arc;

/// What is known of one wanted name.
#[derive(Debug)]
struct Wanted<T> {
    /// Tells this want from an earlier one of the same name, whose confirmations may still be under way.
    life: Life,
    topic: T,
    /// Somebody was told that the subscription stands, and has not taken it back.
    held: bool,
    /// Requests that have not been answered yet.
    waiting: usize,
    /// Confirmed on the present connection.
    live: bool,
    /// Was live on an earlier connection, and the listener has not been told of the gap yet.
    gap: bool,
}

/// Numbers the times that a name came to be wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Life(u64);

/// All wanted names.
#[derive(Debug)]
pub(super) struct Book<T> {
    wanted: HashMap<Arc<str>, Wanted<T>, foldhash::fast::RandomState>,
    lives: u64,
}

impl<T: Clone> Book<T> {
    pub(super) fn new(permanent: Vec<(Arc<str>, T)>) -> Self {
        let mut book = Self { wanted: HashMap::default(), lives: 0 };
        for (name, topic) in permanent {
            book.ask(&name, &topic);
            book.grant(&name);
        }
        book
    }

    pub(super) fn len(&self) -> usize {
        self.wanted.len()
    }

    /// Everything that a new connection must subscribe.
    pub(super) fn all(&self) -> impl Iterator<Item = (Arc<str>, Life)> {
        self.wanted.iter().map(|(name, wanted)| (name.clone(), wanted.life))
    }

    /// What a live name means; none before its confirmation and after its release.
    pub(super) fn topic(&self, name: &str) -> Option<&T> {
        self.wanted.get(name).filter(|wanted| wanted.live).map(|wanted| &wanted.topic)
    }

    /// Somebody asks for a name and will be granted or denied it. Answers the life to be confirmed, or
    /// none if the name is live already.
    pub(super) fn ask(&mut self, name: &Arc<str>, topic: &T) -> Option<Life> {
        let wanted = self.wanted.entry(name.clone()).or_insert_with(|| {
            self.lives += 1;
            let life = Life(self.lives);
            Wanted { life, topic: topic.clone(), held: false, waiting: 0, live: false, gap: false }
        });
        wanted.waiting += 1;
        (!wanted.live).then_some(wanted.life)
    }

    /// An asker was told that it has the name.
    pub(super) fn grant(&mut self, name: &str) {
        if let Some(wanted) = self.wanted.get_mut(name) {
            wanted.waiting = wanted.waiting.saturating_sub(1);
            wanted.held = true;
        }
    }

    /// An asker was told that it has not, or is gone. True if nobody is left who wants the name.
    pub(super) fn deny(&mut self, name: &Arc<str>) -> bool {
        let Entry::Occupied(mut entry) = self.wanted.entry(name.clone()) else { return false };
        let wanted = entry.get_mut();
        wanted.waiting = wanted.waiting.saturating_sub(1);
        let unwanted = !wanted.held && wanted.waiting == 0;
        if unwanted {
            entry.remove();
        }
        unwanted
    }

    /// The holder takes it back. True if it was wanted.
    pub(super) fn release(&mut self, name: &str) -> bool {
        self.wanted.remove(name).is_some()
    }

    /// The server confirmed a subscription. If the name is live from here on: what it means, and
    /// whether it was live before, on another connection.
    pub(super) fn confirm(&mut self, name: &str, life: Life) -> Option<(T, bool)> {
        let wanted = self.wanted.get_mut(name).filter(|wanted| wanted.life == life && !wanted.live)?;
        wanted.live = true;
        Some((wanted.topic.clone(), std::mem::take(&mut wanted.gap)))
    }

    /// The connection is gone, and with it what may come on every live name.
    pub(super) fn lose(&mut self) {
        for wanted in self.wanted.values_mut() {
            wanted.gap |= std::mem::take(&mut wanted.live);
        }
    }
}

/// What one confirmation is waited for with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Subscribe,
    Unsubscribe,
}

impl Verb {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Subscribe => "SUBSCRIBE",
            Self::Unsubscribe => "UNSUBSCRIBE",
        }
    }
}

/// Commands to be written, in order; those next to each other with one verb become one command.
#[derive(Debug, Default)]
pub(super) struct Orders {
    queue: VecDeque<Order>,
}

/// One name's part of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) verb: Verb,
    pub(super) name: Arc<str>,
    /// Whom it is for: see [`Book::confirm`].
    pub(super) life: Life,
    /// The request that waits for it; none if it is the driver's own.
    pub(super) request: Option<u64>,
}

impl Orders {
    pub(super) fn push(&mut self, order: Order) {
        self.queue.push_back(order);
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The next command's parts: as many as stand together with one verb, `max` at most.
    pub(super) fn next_batch(&mut self, max: usize) -> Option<VecDeque<Order>> {
        let verb = self.queue.front()?.verb;
        let count = self.queue.iter().take(max).take_while(|order| order.verb == verb).count();
        Some(self.queue.drain(..count).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Arc<str> {
        Arc::from(text)
    }

    fn book() -> (Book<u8>, Life) {
        let book = Book::new(vec![(name("own"), 0)]);
        let life = book.all().next().unwrap().1;
        (book, life)
    }

    #[test]
    fn asked_confirmed_and_granted() {
        let (mut book, _) = book();
        let life = book.ask(&name("a"), &1).unwrap();
        assert_eq!(book.topic("a"), None, "not live yet");
        assert_eq!(book.confirm("a", life), Some((1, false)));
        book.grant("a");
        assert_eq!(book.ask(&name("a"), &1), None, "it is live");
        assert_eq!(book.confirm("a", life), None);
        assert_eq!(book.topic("a"), Some(&1));
        assert!(book.release("a") && !book.release("a"));
        assert_eq!(book.topic("a"), None);
    }

    #[test]
    fn an_old_confirmation_does_not_count_for_a_new_want() {
        let (mut book, _) = book();
        let old = book.ask(&name("a"), &1).unwrap();
        book.release("a");
        let new = book.ask(&name("a"), &1).unwrap();
        assert_eq!(book.confirm("a", old), None);
        assert_eq!(book.topic("a"), None);
        assert_eq!(book.confirm("a", new), Some((1, false)));
    }

    #[test]
    fn a_gap_is_told_once_for_each_interruption_and_only_if_it_was_live() {
        let (mut book, life) = book();
        book.lose();
        assert_eq!(book.confirm("own", life), Some((0, false)), "the first connection");
        book.lose();
        book.lose();
        assert_eq!(book.confirm("own", life), Some((0, true)));
        assert_eq!(book.confirm("own", life), None);
        book.lose();
        assert_eq!(book.confirm("own", life), Some((0, true)));
    }

    #[test]
    fn who_fails_leaves_the_name_to_others() {
        let (mut book, _) = book();
        book.ask(&name("a"), &1);
        book.ask(&name("a"), &1);
        assert!(!book.deny(&name("a")), "the other one waits");
        assert!(book.deny(&name("a")));
        book.ask(&name("b"), &1);
        book.ask(&name("b"), &1);
        book.grant("b");
        assert!(!book.deny(&name("b")), "the other one holds it");
        book.ask(&name("own"), &0);
        assert!(!book.deny(&name("own")), "permanent names are held");
        assert_eq!(book.len(), 2);
    }

    #[test]
    fn orders_are_batched_without_changing_their_order() {
        use Verb::{Subscribe, Unsubscribe};
        let mut orders = Orders::default();
        for (verb, text) in [(Subscribe, "a"), (Subscribe, "b"), (Subscribe, "c"), (Unsubscribe, "a"), (Subscribe, "a")]
        {
            orders.push(Order { verb, name: name(text), life: Life::default(), request: None });
        }
        let mut next = || {
            let batch = orders.next_batch(2)?;
            Some((batch[0].verb, batch.iter().map(|order| &*order.name).collect::<String>()))
        };
        assert_eq!(next(), Some((Subscribe, "ab".into())));
        assert_eq!(next(), Some((Subscribe, "c".into())));
        assert_eq!(next(), Some((Unsubscribe, "a".into())));
        assert_eq!(next(), Some((Subscribe, "a".into())));
        assert_eq!(next(), None);
    }
}
