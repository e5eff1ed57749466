//! Names of keys and pub/sub channels in Redis: the whole layout is in `docs/protocol/redis.md`.
//!
//! Pub/sub is global to a Redis server whatever database is selected, so the database's number is a
//! part of every pub/sub name. A channel's name stands in braces, so that all that belongs to a channel
//! lies in one slot of a Redis Cluster; what would break the braces is percent-escaped.

use std::fmt::Write;

/// Makes names under one prefix and database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    prefix: String,
    db: i64,
}

impl Keys {
    /// `prefix` is `broker.prefix`, `db` the number at the end of the broker's URL.
    #[must_use]
    pub fn new(prefix: &str, db: i64) -> Self {
        Self { prefix: prefix.to_owned(), db }
    }

    /// Pub/sub: the publications of a channel.
    #[must_use]
    pub fn channel(&self, channel: &str) -> String {
        let mut name = String::with_capacity(self.prefix.len() + channel.len() + 12);
        let _ = write!(name, "{}:{}:ch:", self.prefix, self.db);
        push_tag(&mut name, channel);
        name
    }

    /// Reads a name that [`Keys::channel`] made; `None` for any other.
    #[must_use]
    pub fn parse_channel(&self, name: &str) -> Option<String> {
        let rest = name.strip_prefix(self.prefix.as_str())?.strip_prefix(':')?;
        let (db, rest) = rest.split_once(":ch:")?;
        if db.parse() != Ok(self.db) {
            return None;
        }
        let tag = rest.strip_prefix('{')?.strip_suffix('}')?;
        Some(tag.replace("%7B", "{").replace("%7D", "}").replace("%25", "%"))
    }

    /// Stream: a channel's publications; the id of an entry is its offset.
    #[must_use]
    pub fn stream(&self, channel: &str) -> String {
        self.of_channel("stream", channel)
    }

    /// Hash: the epoch and numbering of a channel's stream ([`crate::script`]).
    #[must_use]
    pub fn meta(&self, channel: &str) -> String {
        self.of_channel("meta", channel)
    }

    /// String with a TTL: what a publication with this idempotency key was answered.
    #[must_use]
    pub fn once(&self, channel: &str, key: &str) -> String {
        let mut name = self.of_channel("once", channel);
        name.push(':');
        name.push_str(key);
        name
    }

    /// Hash: a channel's members, client id to value ([`crate::script::presence`]).
    #[must_use]
    pub fn members(&self, channel: &str) -> String {
        self.of_channel("members", channel)
    }

    /// Hash: the users among a channel's members, and how many members each of them is.
    #[must_use]
    pub fn member_users(&self, channel: &str) -> String {
        self.of_channel("members:users", channel)
    }

    /// Sorted set: members whose connection is lost and whose leave is not told yet, by user.
    #[must_use]
    pub fn members_parked(&self, channel: &str) -> String {
        self.of_channel("members:parked", channel)
    }

    /// Set: who holds members, or has died and may have left some.
    #[must_use]
    pub fn holders(&self) -> String {
        format!("{}:holders", self.prefix)
    }

    /// String with a lease: a holder is alive.
    #[must_use]
    pub fn holder(&self, holder: &str) -> String {
        format!("{}:holder:{holder}", self.prefix)
    }

    /// Set: channels on which a holder may have members.
    #[must_use]
    pub fn holder_channels(&self, holder: &str) -> String {
        format!("{}:holder:{holder}:channels", self.prefix)
    }

    /// String with a TTL: who is striking a dead holder's members out, so that others need not.
    #[must_use]
    pub fn holder_reaper(&self, holder: &str) -> String {
        format!("{}:holder:{holder}:reaper", self.prefix)
    }

    /// String with a TTL: members of this holder were struck out, and told.
    #[must_use]
    pub fn holder_reaped(&self, holder: &str) -> String {
        format!("{}:holder:{holder}:reaped", self.prefix)
    }

    /// String with a TTL: when a user's bucket of this kind of command will be full again
    /// ([`crate::script::RATE`]).
    #[must_use]
    pub fn rate(&self, kind: &str, user: &str) -> String {
        let mut name = String::with_capacity(self.prefix.len() + kind.len() + user.len() + 9);
        let _ = write!(name, "{}:rate:{kind}:", self.prefix);
        push_tag(&mut name, user);
        name
    }

    fn of_channel(&self, kind: &str, channel: &str) -> String {
        let mut name = String::with_capacity(self.prefix.len() + kind.len() + channel.len() + 4);
        let _ = write!(name, "{}:{kind}:", self.prefix);
        push_tag(&mut name, channel);
        name
    }

    /// Pub/sub: control messages for all nodes.
    #[must_use]
    pub fn control(&self) -> String {
        format!("{}:{}:control", self.prefix, self.db)
    }

    /// Pub/sub: what a node sends to itself to see whether the broker delivers.
    #[must_use]
    pub fn probe(&self, node: &str) -> String {
        format!("{}:{}:probe:{node}", self.prefix, self.db)
    }

    /// Stream: the latest control messages, for nodes whose link was down.
    #[must_use]
    pub fn control_log(&self) -> String {
        format!("{}:control:log", self.prefix)
    }

    /// Sorted set: node ids by the end of their lease, in milliseconds since 1970 by Redis' clock.
    #[must_use]
    pub fn nodes(&self) -> String {
        format!("{}:nodes", self.prefix)
    }

    /// String with a lease: what a node says of itself, as JSON.
    #[must_use]
    pub fn node(&self, node: &str) -> String {
        format!("{}:node:{node}", self.prefix)
    }

    /// Hash with a lease: channels with subscribers on a node, and how many.
    #[must_use]
    pub fn node_channels(&self, node: &str) -> String {
        format!("{}:node:{node}:channels", self.prefix)
    }

    /// Hash: the next [`Keys::node_channels`] while it is being written; then it is renamed.
    #[must_use]
    pub fn node_channels_next(&self, node: &str) -> String {
        format!("{}:node:{node}:channels:next", self.prefix)
    }

    /// What stands in a shard of the events for the application ([`crate::script::events`]): `log`, `held` and so on.
    #[must_use]
    pub fn events(&self, shard: usize, what: &str) -> String {
        format!("{}:events:{{{shard}}}:{what}", self.prefix)
    }

    /// String: the channel rules that direct publishers keep to ([`crate::rules`]).
    #[must_use]
    pub fn rules(&self) -> String {
        format!("{}:rules", self.prefix)
    }

    /// Sorted set: ids of revoked tokens, by when they may be forgotten.
    #[must_use]
    pub fn revoked_tokens(&self) -> String {
        format!("{}:revoked:tokens", self.prefix)
    }

    /// Sorted set: users of whose tokens the older ones are revoked, by when that may be forgotten.
    #[must_use]
    pub fn revoked_users(&self) -> String {
        format!("{}:revoked:users", self.prefix)
    }

    /// Hash: the moments before which the tokens of [`Keys::revoked_users`] must not have been made.
    #[must_use]
    pub fn revoked_before(&self) -> String {
        format!("{}:revoked:before", self.prefix)
    }

    /// Sorted set: blocked users, by when their blocks end.
    #[must_use]
    pub fn blocked_users(&self) -> String {
        format!("{}:blocked:users", self.prefix)
    }

    /// String with a TTL: the throw-away secrets that `dev` gateways share.
    #[must_use]
    pub fn dev_secrets(&self) -> String {
        format!("{}:dev:secrets", self.prefix)
    }
}

fn push_tag(name: &mut String, channel: &str) {
    name.push('{');
    for c in channel.chars() {
        match c {
            '{' => name.push_str("%7B"),
            '}' => name.push_str("%7D"),
            '%' => name.push_str("%25"),
            c => name.push(c),
        }
    }
    name.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout() {
        let keys = Keys::new("fanfare", 3);
        assert_eq!(keys.channel("chat:1"), "fanfare:3:ch:{chat:1}");
        assert_eq!(keys.stream("chat:1"), "fanfare:stream:{chat:1}");
        assert_eq!(keys.meta("chat:1"), "fanfare:meta:{chat:1}");
        assert_eq!(keys.once("chat:1", "k1"), "fanfare:once:{chat:1}:k1");
        assert_eq!(keys.members("chat:1"), "fanfare:members:{chat:1}");
        assert_eq!(keys.member_users("chat:1"), "fanfare:members:users:{chat:1}");
        assert_eq!(keys.members_parked("chat:1"), "fanfare:members:parked:{chat:1}");
        assert_eq!(keys.holders(), "fanfare:holders");
        assert_eq!(keys.holder("n1.1"), "fanfare:holder:n1.1");
        assert_eq!(keys.holder_channels("n1.1"), "fanfare:holder:n1.1:channels");
        assert_eq!(keys.holder_reaper("n1.1"), "fanfare:holder:n1.1:reaper");
        assert_eq!(keys.holder_reaped("n1.1"), "fanfare:holder:n1.1:reaped");
        assert_eq!(keys.control(), "fanfare:3:control");
        assert_eq!(keys.probe("n1"), "fanfare:3:probe:n1");
        assert_eq!(keys.control_log(), "fanfare:control:log");
        assert_eq!(keys.nodes(), "fanfare:nodes");
        assert_eq!(keys.node("n1"), "fanfare:node:n1");
        assert_eq!(keys.node_channels("n1"), "fanfare:node:n1:channels");
        assert_eq!(keys.node_channels_next("n1"), "fanfare:node:n1:channels:next");
        assert_eq!(keys.rate("publishes", "u{1}"), "fanfare:rate:publishes:{u%7B1%7D}");
        assert_eq!(keys.events(3, "log"), "fanfare:events:{3}:log");
        assert_eq!(keys.rules(), "fanfare:rules");
        assert_eq!(keys.revoked_tokens(), "fanfare:revoked:tokens");
        assert_eq!(keys.revoked_users(), "fanfare:revoked:users");
        assert_eq!(keys.revoked_before(), "fanfare:revoked:before");
        assert_eq!(keys.blocked_users(), "fanfare:blocked:users");
        assert_eq!(keys.dev_secrets(), "fanfare:dev:secrets");
    }

    #[test]
    fn braces_never_break_the_hash_tag() {
        let keys = Keys::new("p", 0);
        for channel in ["{}", "}x", "a{b}c", "100%", "%7B", "%257B"] {
            let name = keys.channel(channel);
            assert_eq!(name.matches('{').count(), 1, "{name}");
            assert_eq!(name.matches('}').count(), 1, "{name}");
            assert_eq!(keys.parse_channel(&name).as_deref(), Some(channel));
        }
    }

    #[test]
    fn other_names_are_not_channels() {
        let keys = Keys::new("p", 0);
        for name in ["p:1:ch:{x}", "q:0:ch:{x}", "p:0:control", "p:0:ch:x", ""] {
            assert_eq!(keys.parse_channel(name), None, "{name}");
        }
    }
}
