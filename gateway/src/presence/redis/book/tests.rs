use super::*;
use std::sync::Arc;

use bytes::Bytes;

use crate::model::{ClientInfo, UserId};

fn book() -> Arc<Book> {
    Book::new(Arc::new(Metrics::new()))
}

fn channel() -> ChannelName {
    ChannelName::parse("c").unwrap()
}

fn entry(delay: u64) -> Entry {
    let client = ConnectionId::random();
    let info = ClientInfo {
        user: UserId::new("u"),
        client: Arc::from(client.to_string()),
        connection_info: Bytes::new(),
        channel_info: Bytes::new(),
    };
    Entry { client, info, told: true, leave_delay: Duration::from_secs(delay) }
}

/// Takes everything; answers it in short.
fn take(book: &Book) -> (Vec<Change>, Vec<String>) {
    let changes: Vec<Change> = book.take(usize::MAX).into_iter().flat_map(|(_, changes)| changes).collect();
    let short = changes.iter().map(|change| match &change.what {
        What::Park => "park".to_owned(),
        What::Leave => "leave".to_owned(),
        What::Check => "check".to_owned(),
        What::Enter { announce, leave_first, park, .. } => {
            let words = [(*leave_first, "leave "), (true, "enter"), (*announce, " aloud"), (*park, " park")];
            words.into_iter().filter_map(|(is, word)| is.then_some(word)).collect()
        }
    });
    let short = short.collect();
    (changes, short)
}

/// Takes everything and settles it; answers what it was.
fn write(book: &Book, outcome: &Outcome) -> Vec<String> {
    let (changes, short) = take(book);
    changes.into_iter().for_each(|change| book.settle(&channel(), change, outcome));
    short
}

fn unknown() -> Outcome {
    Outcome::Unknown("no answer".into())
}

const NOW: Duration = Duration::from_secs(100);

#[tokio::test]
async fn an_entrance_is_written_once_and_answered() {
    let (book, channel, entry) = (book(), channel(), entry(0));
    let ticket = book.enter(&channel, entry.clone()).unwrap();
    assert_eq!(write(&book, &Outcome::Made), ["enter aloud"]);
    assert_eq!(ticket.answer().await, Ok(()));
    assert_eq!(write(&book, &Outcome::Made), [""; 0]);
    // Its info may change: nobody is told.
    let ticket = book.enter(&channel, entry.clone()).unwrap();
    assert_eq!(write(&book, &Outcome::Made), ["enter"]);
    assert_eq!(ticket.answer().await, Ok(()));
    book.leave(&channel, entry.client, Departure::Final, NOW);
    book.leave(&channel, entry.client, Departure::Final, NOW);
    assert_eq!(write(&book, &Outcome::Made), ["leave"]);
    assert!(book.is_empty());
}

#[tokio::test]
async fn who_nobody_waits_for_is_not_noted() {
    let (book, channel) = (book(), channel());
    // Never sent.
    drop(book.enter(&channel, entry(0)).unwrap());
    assert!(book.is_empty());
    assert_eq!(write(&book, &Outcome::Made), [""; 0]);
    // On its way.
    let ticket = book.enter(&channel, entry(0)).unwrap();
    let (changes, _) = take(&book);
    drop(ticket);
    changes.into_iter().for_each(|change| book.settle(&channel, change, &Outcome::Made));
    assert_eq!(write(&book, &Outcome::Made), ["leave"]);
    // Noted before: it stays.
    let noted = entry(0);
    let ticket = book.enter(&channel, noted.clone()).unwrap();
    write(&book, &Outcome::Made);
    assert_eq!(ticket.answer().await, Ok(()));
    drop(book.enter(&channel, noted).unwrap());
    assert_eq!(write(&book, &Outcome::Made), ["enter"]);
    assert!(!book.is_empty());
}

#[tokio::test]
async fn what_failed_is_undone_or_tried_again() {
    let (book, channel) = (book(), channel());
    for (outcome, then) in [
        (Outcome::Refused("no".into()), vec![]),
        (Outcome::Unsent("no".into()), vec![]),
        // It may stand: it is to go.
        (unknown(), vec!["leave"]),
    ] {
        let ticket = book.enter(&channel, entry(0)).unwrap();
        assert_eq!(write(&book, &outcome), ["enter aloud"]);
        assert!(ticket.answer().await.is_err(), "{outcome:?}");
        assert_eq!(write(&book, &Outcome::Made), then, "{outcome:?}");
        assert!(book.is_empty());
    }
    let ticket = book.enter(&channel, entry(0)).unwrap();
    assert_eq!(write(&book, &Outcome::Again), ["enter aloud"]);
    assert_eq!(write(&book, &Outcome::Made), ["enter aloud"]);
    assert_eq!(ticket.answer().await, Ok(()));
}

#[tokio::test]
async fn a_leave_is_tried_until_it_stands() {
    let (book, channel, entry) = (book(), channel(), entry(0));
    let _ticket = book.enter(&channel, entry.clone()).unwrap();
    write(&book, &Outcome::Made);
    book.leave(&channel, entry.client, Departure::Final, NOW);
    assert_eq!(write(&book, &unknown()), ["leave"]);
    assert_eq!(write(&book, &Outcome::Refused("no".into())), ["leave"]);
    // Refused: not before the next heartbeat.
    assert_eq!(write(&book, &Outcome::Made), [""; 0]);
    book.try_postponed();
    assert_eq!(write(&book, &Outcome::Made), ["leave"]);
    assert!(book.is_empty());
}

#[tokio::test]
async fn leaving_and_entering_are_both_told() {
    let (book, channel, entry) = (book(), channel(), entry(0));
    let _one = book.enter(&channel, entry.clone()).unwrap();
    write(&book, &Outcome::Made);
    book.leave(&channel, entry.client, Departure::Final, NOW);
    let _two = book.enter(&channel, entry.clone()).unwrap();
    assert_eq!(write(&book, &unknown()), ["leave enter aloud"]);
    assert_eq!(write(&book, &Outcome::Made), ["leave enter aloud"]);
    // While the leave is on its way.
    book.leave(&channel, entry.client, Departure::Final, NOW);
    let (changes, _) = take(&book);
    let _three = book.enter(&channel, entry.clone()).unwrap();
    changes.into_iter().for_each(|change| book.settle(&channel, change, &Outcome::Made));
    assert_eq!(write(&book, &Outcome::Made), ["enter aloud"]);
}

#[tokio::test]
async fn the_lost_are_parked_until_their_delay_is_over() {
    let (book, channel, entry) = (book(), channel(), entry(5));
    let _ticket = book.enter(&channel, entry.clone()).unwrap();
    write(&book, &Outcome::Made);
    book.leave(&channel, entry.client, Departure::Lost, NOW);
    let end = NOW + Duration::from_secs(5);
    assert_eq!(book.expire(NOW), Some(end));
    assert_eq!(write(&book, &Outcome::Made), ["park"]);
    book.leave(&channel, entry.client, Departure::Lost, end);
    assert_eq!(write(&book, &Outcome::Made), [""; 0]);
    // By another holder, meanwhile.
    book.move_all();
    assert_eq!(write(&book, &Outcome::Made), ["enter park"]);
    assert_eq!(book.expire(end), None);
    assert_eq!(write(&book, &Outcome::Made), ["leave"]);
    assert!(book.is_empty());
}

#[tokio::test]
async fn those_whose_leaves_were_told_are_announced_when_they_move() {
    let (book, channel) = (book(), channel());
    let (noted, fresh) = (entry(0), Entry { told: false, ..entry(0) });
    let _ticket = book.enter(&channel, noted).unwrap();
    write(&book, &Outcome::Made);
    let _ticket = book.enter(&channel, fresh).unwrap();
    book.move_all();
    assert!(book.is_moving(false));
    assert!(book.is_moving(true));
    let mut written = write(&book, &Outcome::Made);
    written.sort();
    assert_eq!(written, ["enter", "enter aloud"]);
    assert!(!book.is_moving(true));
    book.restore(&channel);
    assert_eq!(write(&book, &Outcome::Made), ["enter", "enter"]);
}

#[tokio::test]
async fn nothing_waits_twice() {
    let (book, channel, entry) = (book(), channel(), entry(5));
    for _ in 0..100 {
        let _ticket = book.enter(&channel, entry.clone()).unwrap();
        write(&book, &Outcome::Made);
        for departure in [Departure::Lost, Departure::Final] {
            book.leave(&channel, entry.client, departure, NOW);
        }
        book.move_all();
    }
    assert_eq!(book.metrics.presence_waiting.get(), 1);
    assert_eq!(book.expire(NOW), None);
}
