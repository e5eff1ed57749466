//! What is said of limits.

use super::*;
use crate::config::section::{CommandRates, LimitConfig};
use crate::model::rate::{Per, Rate};

/// What holds where nothing is written.
pub(super) fn are_the_defaults(limit: &LimitConfig) {
    assert_eq!((limit.connections_per_user, limit.connections_per_address), (Some(1_000), None));
    assert_eq!((limit.connect_rate, limit.connect_rate_per_address), (None, None));
    assert_eq!((limit.connect_wait, limit.connect_queue_max), (Duration::from_secs(3), 8_192));
    assert_eq!(limit.channels, Some(1_000_000));
    assert_eq!((limit.connection, limit.user, limit.cluster), Default::default());
    assert_eq!(limit.refusals, Some(Rate { count: 10, per: Per::Second, burst: 300 }));
}

#[test]
fn rates_and_numbers() {
    let file = "
        [limit]
        connections_per_user = 0
        connections_per_address = 50
        connect_rate = \"2000/s\"
        connect_wait = \"0s\"
        [limit.connection]
        publishes = \"5/s burst 20\"
        refusals = \"off\"
        [limit.user]
        new_channels = \"10/m burst 200\"
    ";
    let limit = good(file, &[("FANFARE_LIMIT__USER__COMMANDS", "50/s")]).config.limit;
    let per_second = |count, burst| Some(Rate { count, per: Per::Second, burst });
    assert_eq!((limit.connections_per_user, limit.connections_per_address), (None, Some(50)));
    assert_eq!((limit.connect_rate, limit.connect_wait), (per_second(2_000, 2_000), Duration::ZERO));
    assert_eq!(limit.connection, CommandRates { publishes: per_second(5, 20), ..CommandRates::default() });
    assert_eq!(limit.refusals, None);
    let new_channels = Some(Rate { count: 10, per: Per::Minute, burst: 200 });
    assert_eq!(limit.user, CommandRates { commands: per_second(50, 50), new_channels, ..CommandRates::default() });
}

#[test]
fn what_makes_no_limit_is_refused() {
    let cases = [
        (
            "limit.connect_rate = \"fast\"",
            "limit.connect_rate (gateway.toml:1): \"fast\" is not a rate such as \"20/s\", \"600/m burst 100\" or \
             \"off\"",
        ),
        (
            "limit.connection.commands = \"0/s\"",
            "limit.connection.commands (gateway.toml:1): would let nothing through: write at least 1, or \"off\"",
        ),
        (
            "limit.connect_wait = \"1m\"",
            "limit.connect_wait (gateway.toml:1): is longer than clients wait for an answer: write \"30s\" or less",
        ),
        (
            "limit.connect_queue_max = 0",
            "limit.connect_queue_max (gateway.toml:1): 0 is out of range: write 1 to 1000000",
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(problems(file, &[]), [expected], "{file}");
    }
}

#[test]
fn a_cluster_of_nothing_is_warned_of() {
    let warnings = good("limit.user.cluster = true\nbroker.url = \"memory://\"\n", &[]).warnings;
    assert_eq!(
        warnings,
        [
            "limit.user.cluster (gateway.toml:1): counts nothing more: with broker.url = \"memory://\" this node is alone",
            "limit.user.cluster (gateway.toml:1): counts nothing: no rate of [limit.user] is set",
        ]
    );
}
