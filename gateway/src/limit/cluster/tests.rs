use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::super::person::People;
use super::*;
use crate::model::rate::{Per, Rate};
use crate::model::time::TestClock;

const S: Duration = Duration::from_secs(1);

/// Counts what is asked of it, and has so many to give.
#[derive(Debug, Default)]
struct Book {
    left: AtomicU32,
    asked: AtomicU32,
    away: AtomicBool,
}

impl Tally for Book {
    fn take<'a>(&'a self, _: &'a UserId, _: Kind, _: &'a Pace, wanted: u32) -> BoxFuture<'a, Result<Taken, LinkError>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.away.load(Ordering::SeqCst) {
                return Err(LinkError::Timeout);
            }
            let left = self.left.load(Ordering::SeqCst);
            let taken = left.min(wanted);
            self.left.store(left - taken, Ordering::SeqCst);
            Ok(if taken > 0 { Taken::Some(taken) } else { Taken::None(S) })
        })
    }
}

struct Case {
    book: Book,
    person: Arc<Person>,
    pace: Pace,
    clock: Arc<TestClock>,
    metrics: Metrics,
}

impl Case {
    fn new(burst: u32, left: u32) -> Self {
        Self {
            book: Book { left: left.into(), ..Book::default() },
            person: People::default().get(&UserId::new("42"), S),
            pace: Rate { count: burst, per: Per::Second, burst }.into(),
            clock: TestClock::at_unix_ms(0),
            metrics: Metrics::new(),
        }
    }

    async fn spend(&self) -> Result<(), Duration> {
        spend(&self.book, &self.person, Kind::Publish, &self.pace, self.clock.as_ref(), &self.metrics).await
    }

    fn asked(&self) -> u32 {
        self.book.asked.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_few_are_taken_at_once() {
    let case = Case::new(160, 160);
    for _ in 0..100 {
        case.spend().await.unwrap();
    }
    assert_eq!(case.asked(), 10);
    assert_eq!(case.book.left.load(Ordering::SeqCst), 60);
}

#[tokio::test]
async fn while_there_is_nothing_nobody_asks() {
    let case = Case::new(10, 1);
    case.spend().await.unwrap();
    for _ in 0..10 {
        assert_eq!(case.spend().await, Err(S));
    }
    assert_eq!(case.asked(), 2);
    case.book.left.store(1, Ordering::SeqCst);
    case.clock.advance(S);
    case.spend().await.unwrap();
    assert_eq!(case.asked(), 3);
}

#[tokio::test]
async fn who_does_not_answer_refuses_nobody() {
    let case = Case::new(10, 0);
    case.book.away.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        case.spend().await.unwrap();
    }
    assert_eq!(case.metrics.limit_cluster_misses.get(), 5);
}
