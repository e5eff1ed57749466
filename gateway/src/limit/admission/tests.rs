use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::model::rate::{Per, Rate};
use crate::model::time::TestClock;
use crate::telemetry::Metrics;

const S: Duration = Duration::from_secs(1);

fn rate(count: u32, burst: u32) -> Option<Rate> {
    Some(Rate { count, per: Per::Second, burst })
}

fn address(n: u8) -> Address {
    Address::from(IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)))
}

/// A way in whose clock stands still until it is moved.
fn way_in(config: LimitConfig) -> (Admission, Arc<TestClock>) {
    let clock = TestClock::at_unix_ms(1_000);
    let admission = Admission::new(&config, clock.clone(), Arc::new(Metrics::new())).expect("something is limited");
    (admission, clock)
}

fn config(node: Option<Rate>, address: Option<Rate>) -> LimitConfig {
    LimitConfig {
        connect_rate: node,
        connect_rate_per_address: address,
        connect_wait: 3 * S,
        connect_queue_max: 4,
        ..crate::limit::tests::unlimited()
    }
}

/// Looks once; nothing here depends on being woken.
fn look<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn who_comes_in_time_does_not_wait() {
    let (way, _) = way_in(config(rate(10, 2), None));
    assert_eq!(look(pin!(way.pass(address(1)))), Poll::Ready(Ok(())));
    assert_eq!(look(pin!(way.pass(address(1)))), Poll::Ready(Ok(())));
    assert!(look(pin!(way.pass(address(1)))).is_pending(), "the third one waits");
    assert_eq!(way.metrics.connects_waiting.get(), 0, "and who gives up waiting has left the line");
}

#[tokio::test]
async fn who_comes_too_early_gets_a_turn_in_time() {
    let (way, clock) = way_in(config(rate(10, 1), None));
    assert_eq!(look(pin!(way.pass(address(1)))), Poll::Ready(Ok(())));
    let (mut first, mut second) = (pin!(way.pass(address(1))), pin!(way.pass(address(1))));
    assert!(look(first.as_mut()).is_pending() && look(second.as_mut()).is_pending());
    assert_eq!(way.metrics.connects_waiting.get(), 2);
    assert_eq!(way.release(clock.now()), Some(S / 10), "the next turn comes by itself");
    assert!(look(first.as_mut()).is_pending(), "not yet");
    clock.advance(S / 10);
    assert_eq!(way.release(clock.now()), Some(S / 10));
    assert_eq!(look(first.as_mut()), Poll::Ready(Ok(())));
    assert!(look(second.as_mut()).is_pending());
    clock.advance(S / 10);
    assert_eq!(way.release(clock.now()), None);
    assert_eq!(look(second.as_mut()), Poll::Ready(Ok(())));
}

#[tokio::test]
async fn nobody_overtakes_those_who_wait() {
    let (way, clock) = way_in(config(rate(10, 1), None));
    let _ = look(pin!(way.pass(address(1))));
    let mut waits = pin!(way.pass(address(1)));
    assert!(look(waits.as_mut()).is_pending());
    clock.advance(S);
    let mut newcomer = pin!(way.pass(address(2)));
    assert!(look(newcomer.as_mut()).is_pending(), "there is a turn to be had, and it is not this one's");
    way.release(clock.now());
    assert_eq!(look(waits.as_mut()), Poll::Ready(Ok(())));
}

#[tokio::test]
async fn who_waits_too_long_is_told_when_to_come_again() {
    let patience = Duration::from_millis(20);
    let (way, _) = way_in(LimitConfig { connect_wait: patience, ..config(rate(1, 1), None) });
    way.pass(address(1)).await.unwrap();
    let over = way.pass(address(1)).await.unwrap_err();
    assert_eq!(over.limit, Limit::ConnectRate);
    assert!(over.wait >= patience, "{:?}", over.wait);
    assert_eq!(way.metrics.connects_waiting.get(), 0);
}

#[tokio::test]
async fn a_full_line_refuses_at_once_and_makes_room_for_the_rare() {
    let (way, _) = way_in(config(rate(1, 1), None));
    let _ = look(pin!(way.pass(address(1))));
    let mut crowd: Vec<_> = (0..4).map(|_| Box::pin(way.pass(address(1)))).collect();
    assert!(crowd.iter_mut().all(|one| look(one.as_mut()).is_pending()));
    assert!(matches!(look(pin!(way.pass(address(1)))), Poll::Ready(Err(_))), "a fifth of the same address");
    let mut rare = pin!(way.pass(address(2)));
    assert!(look(rare.as_mut()).is_pending(), "one of another address finds room");
    assert!(matches!(look(crowd[3].as_mut()), Poll::Ready(Err(_))), "which the last of the crowd had");
    assert!(look(crowd[2].as_mut()).is_pending());
}

#[tokio::test]
async fn a_turn_that_nobody_takes_costs_nothing() {
    let (way, clock) = way_in(config(rate(10, 1), None));
    let _ = look(pin!(way.pass(address(1))));
    let (_, gone) = way.state.lock().line.join(address(1)).unwrap();
    drop(gone);
    let mut waits = pin!(way.pass(address(2)));
    assert!(look(waits.as_mut()).is_pending());
    clock.advance(S / 10);
    way.release(clock.now());
    assert_eq!(look(waits.as_mut()), Poll::Ready(Ok(())));
}

#[tokio::test]
async fn without_patience_nobody_waits() {
    let (way, _) = way_in(LimitConfig { connect_wait: Duration::ZERO, ..config(rate(1, 1), None) });
    assert_eq!(look(pin!(way.pass(address(1)))), Poll::Ready(Ok(())));
    assert!(matches!(look(pin!(way.pass(address(1)))), Poll::Ready(Err(_))));
}

#[tokio::test]
async fn an_address_has_a_rate_of_its_own() {
    let (way, clock) = way_in(config(None, rate(1, 2)));
    for _ in 0..2 {
        assert_eq!(look(pin!(way.pass(address(1)))), Poll::Ready(Ok(())));
    }
    let over = Over { limit: Limit::ConnectRatePerAddress, wait: S };
    assert_eq!(look(pin!(way.pass(address(1)))), Poll::Ready(Err(over)));
    assert_eq!(look(pin!(way.pass(address(2)))), Poll::Ready(Ok(())));
    clock.advance(S);
    assert_eq!(look(pin!(way.pass(address(1)))), Poll::Ready(Ok(())));
}

#[test]
fn no_more_addresses_are_remembered_than_there_is_room_for() {
    let (way, clock) = way_in(config(None, rate(1, 1)));
    let pace = way.address.unwrap();
    let mut state = way.state.lock();
    let nth = |n: u32| Address::from(IpAddr::V4(Ipv4Addr::from_bits(n)));
    for n in 0..u32::try_from(ADDRESSES_MAX).unwrap() {
        assert_eq!(state.take(nth(n), &pace, clock.now()), Ok(()));
    }
    let beyond = u32::try_from(ADDRESSES_MAX).unwrap();
    assert_eq!(state.take(nth(beyond), &pace, clock.now()), Ok(()), "the rest has one bucket");
    assert!(state.take(nth(beyond + 1), &pace, clock.now()).is_err());
    assert_eq!(state.addresses.len(), ADDRESSES_MAX + 1);
    clock.advance(S);
    assert_eq!(state.take(nth(beyond + 1), &pace, clock.now()), Ok(()));
    assert_eq!(state.addresses.len(), 1, "full buckets are forgotten");
}
