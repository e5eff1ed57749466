use super::*;
use crate::model::rate::{Per, Rate};
use crate::model::time::TestClock;

const S: Duration = Duration::from_secs(1);

/// Nothing is limited.
pub(super) fn unlimited() -> LimitConfig {
    LimitConfig {
        connections_per_user: None,
        connections_per_address: None,
        connect_rate: None,
        connect_wait: Duration::ZERO,
        connect_queue_max: 1,
        connect_rate_per_address: None,
        channels: None,
        connection: CommandRates::default(),
        refusals: None,
        user: CommandRates::default(),
        cluster: false,
    }
}

fn rate(count: u32) -> Option<Rate> {
    Some(Rate { count, per: Per::Second, burst: count })
}

fn limits(config: &LimitConfig) -> (Arc<Limits>, Arc<TestClock>) {
    let clock = TestClock::at_unix_ms(0);
    (Limits::new(config, None, clock.clone(), Arc::new(Metrics::new())), clock)
}

fn counted(limits: &Limits, limit: Limit) -> u64 {
    limits.metrics.limited.get_or_create(&LimitLabel { limit: limit.name() }).get()
}

#[test]
fn what_is_off_keeps_nothing_of_a_connection() {
    let (limits, _) = limits(&unlimited());
    assert!(limits.enter(&UserId::new("42")).unwrap().is_none());
    assert!(limits.admission.is_none() && limits.users.is_none() && limits.addresses.is_none());
    limits.open_channel(i64::MAX).unwrap();
}

#[test]
fn a_user_has_so_many_places_and_the_anonymous_any_number() {
    let (limits, _) = limits(&LimitConfig { connections_per_user: Some(1), ..unlimited() });
    let first = limits.enter(&UserId::new("42")).unwrap();
    let over = limits.enter(&UserId::new("42")).unwrap_err();
    assert_eq!(over.limit, Limit::ConnectionsPerUser);
    assert_eq!(counted(&limits, Limit::ConnectionsPerUser), 1);
    limits.enter(&UserId::new("43")).unwrap();
    let _crowd: Vec<_> = (0..10).map(|_| limits.enter(&UserId::default()).unwrap()).collect();
    drop(first);
    limits.enter(&UserId::new("42")).unwrap();
}

#[tokio::test]
async fn an_address_has_so_many_places() {
    let (limits, _) = limits(&LimitConfig { connections_per_address: Some(2), ..unlimited() });
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let _first = limits.admit(address("2001:db8::1")).await.unwrap();
    let second = limits.admit(address("2001:db8::2")).await.unwrap();
    let over = limits.admit(address("2001:db8::3")).await.unwrap_err();
    assert_eq!(over, Over { limit: Limit::ConnectionsPerAddress, wait: RETRY_FULL });
    limits.admit(address("2001:db8:0:1::1")).await.unwrap();
    drop(second);
    limits.admit(address("2001:db8::3")).await.unwrap();
}

#[tokio::test]
async fn who_does_not_get_a_turn_gives_the_place_back() {
    let per_address = Some(Rate { count: 1, per: Per::Second, burst: 1 });
    let config = LimitConfig { connections_per_address: Some(2), connect_rate_per_address: per_address, ..unlimited() };
    let (limits, clock) = limits(&config);
    let address = "192.0.2.1".parse::<IpAddr>().unwrap();
    let _first = limits.admit(address).await.unwrap();
    for _ in 0..5 {
        assert_eq!(limits.admit(address).await.unwrap_err().limit, Limit::ConnectRatePerAddress);
    }
    clock.advance(S);
    limits.admit(address).await.unwrap();
}

#[tokio::test]
async fn each_kind_has_its_rate_and_all_together_one() {
    let rates = CommandRates { commands: rate(10), publishes: rate(3), ..CommandRates::default() };
    let (limits, clock) = limits(&LimitConfig { connection: rates, ..unlimited() });
    let mut one = limits.enter(&UserId::default()).unwrap().expect("something is counted");
    for _ in 0..3 {
        one.spend(&limits, Kind::Command).await.unwrap();
        one.spend(&limits, Kind::Publish).await.unwrap();
    }
    one.spend(&limits, Kind::Command).await.unwrap();
    let over = one.spend(&limits, Kind::Publish).await.unwrap_err();
    assert_eq!(over.limit, Limit::Connection(Kind::Publish));
    for _ in 0..6 {
        one.spend(&limits, Kind::Command).await.unwrap();
    }
    assert_eq!(one.spend(&limits, Kind::Command).await.unwrap_err().limit, Limit::Connection(Kind::Command));
    one.spend(&limits, Kind::Subscribe).await.unwrap();
    let mut other = limits.enter(&UserId::default()).unwrap().unwrap();
    other.spend(&limits, Kind::Publish).await.unwrap();
    clock.advance(S);
    one.spend(&limits, Kind::Publish).await.unwrap();
    assert_eq!(counted(&limits, Limit::Connection(Kind::Publish)), 1);
}

#[tokio::test]
async fn a_users_rate_is_for_all_connections_and_outlives_them() {
    let rates = CommandRates { subscribes: rate(2), ..CommandRates::default() };
    let (limits, clock) = limits(&LimitConfig { user: rates, ..unlimited() });
    let user = UserId::new("42");
    let mut one = limits.enter(&user).unwrap().unwrap();
    one.spend(&limits, Kind::Subscribe).await.unwrap();
    let mut two = limits.enter(&user).unwrap().unwrap();
    two.spend(&limits, Kind::Subscribe).await.unwrap();
    assert_eq!(one.spend(&limits, Kind::Subscribe).await.unwrap_err().limit, Limit::User(Kind::Subscribe));
    drop((one, two));
    let mut again = limits.enter(&user).unwrap().unwrap();
    assert!(again.spend(&limits, Kind::Subscribe).await.is_err(), "coming back fills no bucket");
    clock.advance(S);
    again.spend(&limits, Kind::Subscribe).await.unwrap();
    assert!(limits.enter(&UserId::default()).unwrap().is_none(), "the anonymous are no user");
}

#[test]
fn who_goes_on_regardless_has_to_go() {
    let (limits, clock) = limits(&LimitConfig { refusals: rate(5), connections_per_user: Some(9), ..unlimited() });
    let mut one = limits.enter(&UserId::new("42")).unwrap().unwrap();
    for _ in 0..5 {
        one.refused(&limits).unwrap();
    }
    assert_eq!(one.refused(&limits).unwrap_err().limit, Limit::Refusals);
    clock.advance(S);
    one.refused(&limits).unwrap();
}

#[test]
fn channels_are_opened_up_to_the_limit() {
    let (limits, _) = limits(&LimitConfig { channels: Some(10), ..unlimited() });
    limits.open_channel(9).unwrap();
    assert_eq!(limits.open_channel(10).unwrap_err().limit, Limit::Channels);
}

#[test]
fn every_limit_has_a_name_of_its_own() {
    let kinds = [Kind::Command, Kind::Subscribe, Kind::Publish, Kind::Rpc, Kind::NewChannel];
    assert_eq!(kinds.map(|kind| kind as usize), [0, 1, 2, 3, 4], "the order in which rates are kept");
    assert_eq!(kinds.len(), Kind::COUNT);
    let of_kinds = kinds.iter().flat_map(|kind| [Limit::Connection(*kind), Limit::User(*kind)]);
    for limit in of_kinds {
        let (Limit::Connection(kind) | Limit::User(kind)) = limit else { unreachable!("as made above") };
        assert!(limit.name().ends_with(kind.name()), "{}", limit.name());
    }
}
