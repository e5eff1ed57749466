//! Cases of the seam, one by one; `model` tries all that can come together.

mod model;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::broker::Stream;
use crate::model::Publication;

const NOW: Duration = Duration::from_secs(1);
const BOUNDS: Bounds = Bounds { count: 100, size: ByteSize::kib(64) };

fn position(epoch: &str, offset: u64) -> Position {
    Position { offset, epoch: Arc::from(epoch) }
}

fn said(epoch: &str, offset: u64) -> Arc<Retained> {
    let publication = Publication {
        data: Bytes::from(format!("{epoch}{offset}")),
        position: Some(position(epoch, offset)),
        ..Publication::default()
    };
    Arc::new(Retained::new(publication).unwrap())
}

/// A page of a stream at `top` that holds these offsets.
fn page(epoch: &str, top: u64, offsets: impl IntoIterator<Item = u64>) -> HistoryPage {
    HistoryPage {
        stream: Stream { top: position(epoch, top), previous: None },
        publications: offsets.into_iter().map(|offset| said(epoch, offset)).collect(),
    }
}

fn after(previous: (&str, u64), page: HistoryPage) -> HistoryPage {
    let previous = Some(Previous { epoch: Arc::from(previous.0), top: previous.1 });
    HistoryPage { stream: Stream { previous, ..page.stream }, ..page }
}

/// A cursor at this place.
fn at(epoch: &str, offset: u64) -> Cursor {
    let mut cursor = Cursor::new(true, ByteSize::mib(4));
    let healed = cursor.open(&page(epoch, offset, []), u64::MAX, NOW);
    assert!(!healed.lost && !healed.again && healed.deliver.is_empty());
    cursor
}

fn since(epoch: &str, offset: u64) -> Since {
    Since { offset, epoch: Arc::from(epoch) }
}

fn offsets(publications: &[Arc<Retained>]) -> Vec<u64> {
    publications.iter().map(|publication| publication.position().offset).collect()
}

/// Learns a page on behalf of somebody who came back.
fn learned(cursor: &mut Cursor, page: &HistoryPage, seen: u64) -> bool {
    let back = Since { offset: seen, epoch: Arc::from("") };
    let _ = cursor.join(Wish::Everything(&back), BOUNDS, false, NOW);
    cursor.learn(page, seen)
}

/// What a client is answered that comes back with this: offsets it gets, or none if something is lost.
fn recovered(cursor: &mut Cursor, since: &Since) -> Option<Vec<u64>> {
    match cursor.join(Wish::Everything(since), BOUNDS, true, NOW) {
        Join::At(Entrance { recovery: Some(Recovery::Recovered(missed)), .. }) => Some(offsets(&missed)),
        Join::At(Entrance { recovery: Some(Recovery::Unrecovered), .. }) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_next_is_delivered_and_what_was_is_not() {
    let mut cursor = at("a", 5);
    assert!(matches!(cursor.arrive(&said("a", 5), NOW), Arrival::Late));
    assert!(matches!(cursor.arrive(&said("a", 6), NOW), Arrival::Deliver { before: None }));
    let Arrival::Deliver { before: Some(before) } = cursor.arrive(&said("a", 7), NOW) else { panic!() };
    assert_eq!(before.position().offset, 6);
    assert!(matches!(cursor.arrive(&said("a", 6), NOW), Arrival::Late));
}

#[test]
fn what_came_before_the_stream_was_read_is_not_lost_and_not_twice() {
    let mut cursor = Cursor::new(true, ByteSize::mib(4));
    for offset in 4..=7 {
        assert!(matches!(cursor.arrive(&said("a", offset), NOW), Arrival::Wait));
    }
    let healed = cursor.open(&page("a", 5, []), u64::MAX, NOW);
    assert_eq!(offsets(&healed.deliver), [6, 7]);
    assert_eq!(cursor.at(), Some(&position("a", 7)));
}

#[test]
fn a_jump_holds_the_channel_until_history_fills_it() {
    let mut cursor = at("a", 5);
    assert!(matches!(cursor.arrive(&said("a", 8), NOW), Arrival::Heal));
    assert!(matches!(cursor.arrive(&said("a", 9), NOW), Arrival::Wait));
    assert_eq!(cursor.begin_read(), Some(5));
    assert!(matches!(cursor.arrive(&said("a", 10), NOW), Arrival::Wait));
    let healed = cursor.heal(&page("a", 9, 6..=9), NOW);
    assert!(!healed.lost && !healed.again);
    assert_eq!(offsets(&healed.deliver), [6, 7, 8, 9, 10]);
    assert!(matches!(cursor.arrive(&said("a", 11), NOW), Arrival::Deliver { .. }));
}

#[test]
fn a_page_that_was_cut_asks_for_another() {
    let mut cursor = at("a", 0);
    assert!(cursor.gap());
    assert_eq!(cursor.begin_read(), Some(0));
    let healed = cursor.heal(&page("a", 9, 1..=4), NOW);
    assert!(healed.again && cursor.is_held());
    assert_eq!(cursor.begin_read(), Some(4));
    let healed = cursor.heal(&page("a", 9, 5..=9), NOW);
    assert_eq!((offsets(&healed.deliver), healed.again), ((5..=9).collect(), false));
}

#[test]
fn a_gap_while_history_is_read_asks_for_another_page() {
    let mut cursor = at("a", 5);
    assert!(cursor.gap() && cursor.begin_read().is_some());
    assert!(!cursor.gap(), "somebody reads already");
    let healed = cursor.heal(&page("a", 6, [6]), NOW);
    assert!(healed.again && cursor.is_held());
    assert_eq!((offsets(&healed.deliver), cursor.begin_read()), (vec![6], Some(6)));
}

#[test]
fn what_the_stream_no_longer_has_is_lost_and_said_so() {
    for lost in [page("a", 9, 8..=9), page("a", 9, []), page("a", 4, []), page("b", 9, 1..=9), page("a", 9, [6, 8, 9])]
    {
        let mut cursor = at("a", 5);
        cursor.gap();
        cursor.begin_read();
        cursor.arrive(&said(&lost.stream.top.epoch, lost.stream.top.offset + 1), NOW);
        let healed = cursor.heal(&lost, NOW);
        assert!(healed.lost && !healed.again, "{lost:?}");
        assert_eq!(
            cursor.at().map(|at| at.offset),
            Some(lost.stream.top.offset + u64::from(!healed.deliver.is_empty()))
        );
    }
}

#[test]
fn a_stream_that_has_lost_its_end_is_not_followed_beyond_it() {
    let mut cursor = at("a", 5);
    cursor.arrive(&said("a", 7), NOW);
    cursor.begin_read();
    let healed = cursor.heal(&page("a", 3, []), NOW);
    assert!(healed.lost && !healed.again && healed.deliver.is_empty());
    assert_eq!(cursor.at(), Some(&position("a", 3)));
}

#[test]
fn another_epoch_turns_the_cursor_and_late_words_of_the_old_one_do_not_turn_it_back() {
    let mut cursor = at("a", 5);
    assert!(matches!(cursor.arrive(&said("b", 6), NOW), Arrival::Turn));
    assert!(matches!(cursor.arrive(&said("a", 6), NOW), Arrival::Late));
    assert!(matches!(cursor.arrive(&said("b", 7), NOW), Arrival::Deliver { .. }));
}

#[test]
fn words_of_an_unknown_epoch_that_history_does_not_know_do_not_hold_the_channel_for_ever() {
    let mut cursor = at("a", 5);
    cursor.gap();
    cursor.arrive(&said("x", 1), NOW);
    assert_eq!(cursor.begin_read(), Some(5));
    let healed = cursor.heal(&page("a", 5, []), NOW);
    assert!(!healed.again && !cursor.is_held());
}

#[test]
fn more_than_may_wait_is_read_instead() {
    let mut cursor = at("a", 0);
    cursor.arrive(&said("a", 2), NOW);
    for offset in 3..=WAITING_MAX as u64 + 10 {
        cursor.arrive(&said("a", offset), NOW);
    }
    let top = WAITING_MAX as u64 + 10;
    cursor.begin_read();
    let healed = cursor.heal(&page("a", top, 1..=top), NOW);
    assert_eq!((healed.deliver.len() as u64, healed.again), (top, false));
}

#[test]
fn who_comes_back_gets_what_it_missed_from_one_read() {
    let mut cursor = at("a", 5);
    let back = since("a", 2);
    assert!(matches!(cursor.join(Wish::Everything(&back), BOUNDS, false, NOW), Join::Read { since: 2 }));
    assert!(cursor.learn(&page("a", 5, 3..=5), 2));
    assert_eq!(recovered(&mut cursor, &back), Some(vec![3, 4, 5]));
    // Who comes next with the same or less to get costs no read.
    for (seen, missed) in [(2, vec![3, 4, 5]), (4, vec![5]), (5, vec![])] {
        let Join::At(entrance) = cursor.join(Wish::Everything(&since("a", seen)), BOUNDS, false, NOW) else { panic!() };
        let Some(Recovery::Recovered(got)) = entrance.recovery else { panic!() };
        assert_eq!((offsets(&got), entrance.position.offset), (missed, seen));
    }
    cursor.arrive(&said("a", 6), NOW);
    assert_eq!(recovered(&mut cursor, &since("a", 2)), Some(vec![3, 4, 5, 6]));
    assert_eq!(cursor.catch_up(&position("a", 5)).map(|missed| offsets(&missed)), Some(vec![6]));
}

#[test]
fn the_first_who_comes_back_is_served_by_the_read_that_opens_the_stream() {
    let mut cursor = Cursor::new(false, ByteSize::mib(4));
    cursor.open(&page("a", 5, 3..=5), 2, NOW);
    let Join::At(entrance) = cursor.join(Wish::Everything(&since("a", 2)), BOUNDS, false, NOW) else { panic!() };
    assert!(matches!(entrance.recovery, Some(Recovery::Recovered(missed)) if offsets(&missed) == [3, 4, 5]));
}

#[test]
fn what_was_trimmed_is_lost_to_all_who_need_it_without_another_read() {
    let mut cursor = at("a", 9);
    assert!(learned(&mut cursor, &page("a", 9, 6..=9), 2));
    for (seen, got) in [(2, None), (4, None), (5, Some(vec![6, 7, 8, 9]))] {
        let Join::At(entrance) = cursor.join(Wish::Everything(&since("a", seen)), BOUNDS, false, NOW) else {
            panic!("{seen} costs a read")
        };
        let missed = match entrance.recovery {
            Some(Recovery::Recovered(missed)) => Some(offsets(&missed)),
            _ => None,
        };
        assert_eq!(missed, got);
    }
}

#[test]
fn an_empty_epoch_is_any_and_an_unknown_one_is_none() {
    let mut cursor = at("a", 3);
    assert_eq!(recovered(&mut cursor, &since("", 3)), Some(vec![]));
    assert_eq!(recovered(&mut cursor, &since("x", 3)), None);
}

#[test]
fn a_clean_failover_costs_nobody_their_recovery() {
    let mut cursor = at("b", 7);
    assert!(learned(&mut cursor, &after(("a", 5), page("b", 7, 3..=7)), 2));
    assert_eq!(recovered(&mut cursor, &since("a", 5)), Some(vec![6, 7]));
    assert_eq!(recovered(&mut cursor, &since("a", 3)), Some(vec![4, 5, 6, 7]));
    // What it has seen beyond was lost with the old server, and its offset names something else now.
    assert_eq!(recovered(&mut cursor, &since("a", 6)), None);
}

#[test]
fn who_is_ahead_of_the_node_gets_nothing_twice() {
    let mut cursor = at("a", 5);
    let back = since("a", 8);
    assert!(matches!(cursor.join(Wish::Everything(&back), BOUNDS, false, NOW), Join::Read { .. }));
    assert!(cursor.learn(&page("a", 9, []), u64::MAX));
    let Join::At(entrance) = cursor.join(Wish::Everything(&back), BOUNDS, true, NOW) else { panic!() };
    assert_eq!((entrance.ahead, entrance.position.offset, entrance.at.offset), (8, 8, 5));
    // Who claims more than there is has seen another stream.
    assert_eq!(recovered(&mut cursor, &since("a", 10)), None);
    assert_eq!(recovered(&mut cursor, &since("a", u64::MAX)), None);
}

#[test]
fn a_recovery_is_whole_or_none() {
    let mut cursor = at("a", 200);
    assert!(learned(&mut cursor, &page("a", 200, 100..=200), 99));
    assert_eq!(recovered(&mut cursor, &since("a", 100)).map(|got| got.len()), Some(100));
    assert_eq!(recovered(&mut cursor, &since("a", 99)), None, "one more than may be");
    let small = Bounds { count: 100, size: ByteSize(200) };
    let Join::At(entrance) = cursor.join(Wish::Everything(&since("a", 190)), small, false, NOW) else { panic!() };
    assert!(matches!(entrance.recovery, Some(Recovery::Unrecovered)));
}

#[test]
fn in_cache_mode_the_latest_is_all_there_is_to_get() {
    let join = |cursor: &mut Cursor, since: &Since| match cursor.join(Wish::Latest(since), BOUNDS, true, NOW) {
        Join::At(Entrance { recovery: Some(Recovery::Recovered(got)), .. }) => Some(offsets(&got)),
        _ => None,
    };
    let mut cursor = at("a", 0);
    assert_eq!(join(&mut cursor, &since("", 0)), None, "nothing was ever said");
    let mut cursor = at("a", 5);
    assert!(matches!(cursor.join(Wish::Latest(&since("", 0)), BOUNDS, false, NOW), Join::Read { since: 4 }));
    assert!(cursor.learn(&page("a", 5, [5]), 4));
    assert_eq!(join(&mut cursor, &since("", 0)), Some(vec![5]));
    assert_eq!(join(&mut cursor, &since("x", 900)), Some(vec![5]));
    assert_eq!(join(&mut cursor, &since("a", 5)), Some(vec![]));
    let mut expired = at("a", 5);
    assert!(expired.learn(&page("a", 5, []), 4));
    assert_eq!(join(&mut expired, &since("a", 2)), None);
}

#[test]
fn a_check_finds_what_no_broken_link_has_announced() {
    let was = position("a", 5);
    for (top, held) in [
        (Some(position("a", 5)), false),
        (Some(position("a", 6)), true),
        (Some(position("a", 4)), true),
        (Some(position("b", 5)), true),
        (None, true),
    ] {
        let mut cursor = at("a", 5);
        assert_eq!(cursor.compare(&was, top.as_ref(), NOW), held, "{top:?}");
        assert_eq!(cursor.is_held(), held);
    }
    let mut cursor = at("a", 5);
    cursor.arrive(&said("a", 6), NOW);
    assert!(!cursor.compare(&was, Some(&position("a", 5)), NOW), "something has come since it was asked");
}

#[test]
fn quiet_channels_are_due_for_a_check_and_others_are_not() {
    let mut cursor = at("a", 5);
    let age = Duration::from_secs(10);
    assert_eq!(cursor.unproven(age, NOW + age / 2), None);
    assert_eq!(cursor.unproven(age, NOW + age), Some(position("a", 5)));
    cursor.arrive(&said("a", 6), NOW + age);
    assert_eq!(cursor.unproven(age, NOW + age), None);
}

#[test]
fn a_page_with_a_hole_recovers_nobody() {
    let mut cursor = at("a", 5);
    assert!(learned(&mut cursor, &page("a", 5, [3, 5]), 2));
    assert_eq!(recovered(&mut cursor, &since("a", 2)), None);
}

#[test]
fn what_is_known_of_one_epochs_past_is_not_that_of_the_next() {
    let mut cursor = at("b", 7);
    assert!(learned(&mut cursor, &after(("a", 5), page("b", 7, 6..=7)), 5));
    // A new stream, numbered from 1: what "a" called 5 is not in it.
    assert!(matches!(cursor.arrive(&said("c", 6), NOW), Arrival::Turn));
    assert_eq!(recovered(&mut cursor, &since("a", 5)), None);
}
