//! The keys about how much anyone may ask for.

use std::time::Duration;

use crate::config::manual::{Key, Section, Unset, show};
use crate::config::settings::Reader;
use crate::config::value::Value;
use crate::model::rate::Rate;

section! {
    /// How much anyone may ask for of this node. More limits are where they belong: `server.connections_max`,
    /// `client.channel_limit`, `client.message_size_limit`. docs/operations/security/limits.md lists them all.
    RawLimit at "limit" {
        /// Open connections of one user on this node; the next one is closed with 3504 and stays away. 0: any
        /// number. Anonymous clients are not counted: they are no user. A connection that was lost counts until
        /// it has not answered a ping, so leave room for a few.
        connections_per_user: usize, default "1000";
        /// Open connections of one client address on this node, an IPv6 network of /64 being one address; the
        /// next one is answered 429. 0: any number. Off by default: many people may share an address, and
        /// behind a balancer that is not trusted to name the client all do.
        connections_per_address: usize, default "0";
        /// How often clients may connect to this node, "2000/s" for instance. Who comes too early waits for a
        /// turn; the turns go round among addresses. Off by default: how much a node can bear depends on the
        /// machine.
        connect_rate: Option<Rate>, default "off";
        /// How long a client may wait for its turn before it is answered 503.
        connect_wait: Duration, default "3s";
        /// How many may wait; of those beyond, the address with the most loses one, with 503.
        connect_queue_max: usize, default "8192";
        /// How often clients of one address may connect, "20/s burst 200" for instance; who comes too early is
        /// answered 429.
        connect_rate_per_address: Option<Rate>, default "off";
        /// Channels with subscribers on this node beyond which clients open no further ones by themselves: they
        /// are answered 111. Those that a token names or a backend asks for are not refused. 0: any number.
        channels: usize, default "1000000";
    }
}

section! {
    /// How often one connection may ask for something. Too early is answered with error 111, which clients try
    /// again later. "20/s" is 20 a second and at most 20 at once; "20/s burst 100" is 100 at once.
    RawConnectionLimit at "limit.connection" {
        /// Commands of any kind, those below included; answers to pings are none.
        commands: Option<Rate>, default "off";
        /// Subscribe commands.
        subscribes: Option<Rate>, default "off";
        /// Publish commands.
        publishes: Option<Rate>, default "off";
        /// Calls of the application, and messages to it.
        rpcs: Option<Rate>, default "off";
        /// Channels without a subscriber on this node that the client names by itself, without a token, to
        /// subscribe, publish or read the history. With history each costs some 230 bytes in Redis for
        /// `history_meta_ttl`, whether anybody ever publishes there or not.
        new_channels: Option<Rate>, default "off";
        /// How often a client may be refused by any of these, or by `limit.user`, before it is disconnected
        /// with 3013 and comes back after a while.
        refusals: Option<Rate>, default "10/s burst 300";
    }
}

section! {
    /// The same for all connections of one user together. Anonymous clients are no user.
    RawUserLimit at "limit.user" {
        /// Counted in Redis, for all nodes together. Costs up to one more trip to Redis for each command that is
        /// counted. While Redis does not answer, and where it is off, each node counts by itself.
        cluster: bool, default "false";
        /// As `limit.connection.commands`.
        commands: Option<Rate>, default "off";
        /// As `limit.connection.subscribes`.
        subscribes: Option<Rate>, default "off";
        /// As `limit.connection.publishes`.
        publishes: Option<Rate>, default "off";
        /// As `limit.connection.rpcs`.
        rpcs: Option<Rate>, default "off";
        /// As `limit.connection.new_channels`.
        new_channels: Option<Rate>, default "off";
    }
}
