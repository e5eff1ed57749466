//! What was written about channels: the names of namespaces, and what options need of each other. What
//! cannot be had as written is a problem; what does nothing is warned of.

use std::collections::HashSet;
use std::time::Duration;

use fanfare_proto::name;
use fanfare_proto::pattern::Pattern;

use super::Checker;
use crate::config::duration::show_duration;
use crate::config::load::Purpose;
use crate::config::raw::{Raw, RawChannelOptions, RawNamespace};
use crate::config::section::{
    BrokerUrl, ChannelConfig, ChannelOptions, HistoryOptions, Namespace, PublishAck, RecoveryMode,
};
use crate::model::NameRegex;

/// Redis reads a stream in one go and serves nobody else meanwhile: with so many publications, for
/// tenths of a second. Who has to keep more needs a database.
const HISTORY_SIZE_MAX: usize = 100_000;
/// A window in which nobody can come back helps nobody.
const HISTORY_TTL_MIN: Duration = Duration::from_secs(1);
/// Longer than any reconnect; a client that is still not back has left.
const LEAVE_DELAY_MAX: Duration = Duration::from_secs(60);

impl Checker<'_> {
    pub(super) fn channel(&mut self, default: &RawChannelOptions, namespaces: Vec<RawNamespace>) -> ChannelConfig {
        let default = self.options("channel.default", default);
        let mut seen = HashSet::new();
        let mut patterns = Vec::new();
        let mut checked = Vec::with_capacity(namespaces.len());
        for RawNamespace { path, name, pattern, options } in namespaces {
            let options = self.options(&path, &options);
            let pattern = self.pattern(&format!("{path}.pattern"), pattern.as_deref(), &mut patterns);
            let path = format!("{path}.name");
            let Some(name) = name else {
                // A name of the wrong kind has been complained about already.
                if self.settings.get(&path).is_none() {
                    self.problem(&path, "is missing: write name = \"...\"");
                }
                continue;
            };
            if !name::is_namespace(&name) {
                let text = format!("{name:?} cannot name a namespace: write two or more letters, digits, `-`, `_`");
                self.problem(&path, text);
            } else if !seen.insert(name.clone()) {
                self.problem(&path, format!("{name:?} is there twice: put all its options into one section"));
            }
            checked.push(Namespace { name, pattern, options });
        }
        ChannelConfig { default, namespaces: checked }
    }

    /// Reads a pattern. Two that one name could fit, and neither of which is the narrower, stop the start:
    /// nobody could say which rules hold.
    fn pattern(&mut self, path: &str, written: Option<&str>, others: &mut Vec<Pattern>) -> Option<Pattern> {
        let pattern = match Pattern::parse(written?) {
            Ok(pattern) => pattern,
            Err(wrong) => {
                self.problem(path, format!("{:?} is no pattern: {wrong}", written?));
                return None;
            }
        };
        if let Some(other) = others.iter().find(|other| other.clashes_with(&pattern)) {
            let text = format!("{pattern} and {other} fit the same channels, and neither is narrower: change one");
            self.problem(path, text);
        }
        others.push(pattern.clone());
        Some(pattern)
    }

    fn channel_regex(&mut self, path: &str, raw: &RawChannelOptions) -> Option<NameRegex> {
        let text = raw.channel_regex.as_deref()?;
        let compiled = NameRegex::compile(text);
        compiled.map_err(|wrong| self.option(path, "channel_regex", format!("{text:?}: {wrong}"))).ok()
    }

    fn options(&mut self, path: &str, raw: &RawChannelOptions) -> ChannelOptions {
        self.anonymous_ones(path, raw);
        self.what_needs_history(path, raw);
        self.what_needs_positions(path, raw);
        self.what_needs_presence(path, raw);
        self.user_limited(path, raw);
        ChannelOptions {
            allow_subscribe_for_client: raw.allow_subscribe_for_client,
            allow_subscribe_for_anonymous: raw.allow_subscribe_for_anonymous,
            allow_publish_for_client: raw.allow_publish_for_client,
            allow_publish_for_subscriber: raw.allow_publish_for_subscriber,
            allow_publish_for_anonymous: raw.allow_publish_for_anonymous,
            allow_user_limited_channels: raw.allow_user_limited_channels,
            channel_regex: self.channel_regex(path, raw),
            exclude_publisher: raw.exclude_publisher,
            publication_data_format: raw.publication_data_format,
            history: self.kept(path, raw),
            force_positioning: raw.force_positioning,
            allow_positioning: raw.allow_positioning,
            force_recovery: raw.force_recovery,
            allow_recovery: raw.allow_recovery,
            force_recovery_mode: raw.force_recovery_mode,
            allow_history_for_client: raw.allow_history_for_client,
            allow_history_for_subscriber: raw.allow_history_for_subscriber,
            allow_history_for_anonymous: raw.allow_history_for_anonymous,
            allowed_delta: raw.allowed_delta_types.first().copied(),
            delta_publish: raw.delta_publish,
            presence: raw.presence,
            join_leave: raw.join_leave,
            force_push_join_leave: raw.force_push_join_leave,
            leave_delay: raw.leave_delay,
            allow_presence_for_client: raw.allow_presence_for_client,
            allow_presence_for_subscriber: raw.allow_presence_for_subscriber,
            allow_presence_for_anonymous: raw.allow_presence_for_anonymous,
            subscribe_hook: raw.subscribe_hook.clone(),
            sub_refresh_hook: raw.sub_refresh_hook.clone(),
            publish_hook: raw.publish_hook.clone(),
        }
    }

    /// None where nothing is kept.
    fn kept(&mut self, path: &str, raw: &RawChannelOptions) -> Option<HistoryOptions> {
        let (size, ttl, meta_ttl) = (raw.history_size, raw.history_ttl, raw.history_meta_ttl);
        match (size, ttl.is_zero()) {
            (0, true) => {
                if self.differs(path, "history_meta_ttl") {
                    self.warn_option(path, "history_meta_ttl", "does nothing without history_size and history_ttl");
                }
                return None;
            }
            (0, false) => {
                let ttl = show_duration(ttl);
                let text =
                    format!("is 0, so that nothing is kept in spite of history_ttl, {ttl}: set both, or neither");
                self.option(path, "history_size", text);
                return None;
            }
            (size, true) => {
                let text =
                    format!("is 0, so that nothing is kept in spite of history_size, {size}: set both, or neither");
                self.option(path, "history_ttl", text);
                return None;
            }
            (_, false) => {}
        }
        self.between(&format!("{path}.history_size"), size, 1, HISTORY_SIZE_MAX);
        if ttl < HISTORY_TTL_MIN {
            let text = format!("{} is too short to come back in: write \"1s\" or more", show_duration(ttl));
            self.option(path, "history_ttl", text);
        }
        if meta_ttl < ttl {
            let (meta_ttl, ttl) = (show_duration(meta_ttl), show_duration(ttl));
            let text = format!(
                "{meta_ttl} is less than history_ttl, {ttl}, so that the numbering would end before what is numbered: \
                 lengthen it"
            );
            self.option(path, "history_meta_ttl", text);
        }
        Some(HistoryOptions { size, ttl, meta_ttl, ack: raw.publish_ack })
    }

    fn what_needs_history(&mut self, path: &str, raw: &RawChannelOptions) {
        // With one of the two it is wanted, and its lack is complained about once.
        if raw.history_size > 0 || !raw.history_ttl.is_zero() {
            return;
        }
        let needy = [
            ("force_positioning", raw.force_positioning),
            ("allow_positioning", raw.allow_positioning),
            ("force_recovery", raw.force_recovery),
            ("allow_recovery", raw.allow_recovery),
            ("allow_history_for_client", raw.allow_history_for_client),
            ("allow_history_for_subscriber", raw.allow_history_for_subscriber),
            ("allow_history_for_anonymous", raw.allow_history_for_anonymous),
            ("publish_ack", raw.publish_ack == PublishAck::Replicated),
            ("allowed_delta_types", !raw.allowed_delta_types.is_empty()),
            ("delta_publish", raw.delta_publish),
        ];
        for (key, _) in needy.into_iter().filter(|(_, on)| *on) {
            self.option(path, key, "needs history: set history_size and history_ttl, too");
        }
    }

    fn what_needs_positions(&mut self, path: &str, raw: &RawChannelOptions) {
        let readers = raw.allow_history_for_client || raw.allow_history_for_subscriber;
        let recoverable = raw.force_recovery || raw.allow_recovery || readers;
        if raw.force_recovery_mode == RecoveryMode::Cache && !recoverable {
            let text = "\"cache\" needs recovery: set force_recovery or allow_recovery, too";
            self.option(path, "force_recovery_mode", text);
        }
        if raw.allowed_delta_types.len() > 1 {
            self.option(path, "allowed_delta_types", "names \"fossil\" more than once: write [\"fossil\"]");
        }
        let positioned = recoverable || raw.force_positioning || raw.allow_positioning;
        if !raw.allowed_delta_types.is_empty() && !positioned {
            let text = "does nothing: only subscribers with positioning or recovery get patches";
            self.warn_option(path, "allowed_delta_types", text);
        }
        if raw.delta_publish && raw.allowed_delta_types.is_empty() {
            self.warn_option(path, "delta_publish", "does nothing without allowed_delta_types");
        }
    }

    fn what_needs_presence(&mut self, path: &str, raw: &RawChannelOptions) {
        let needy = [
            ("join_leave", raw.join_leave),
            ("allow_presence_for_client", raw.allow_presence_for_client),
            ("allow_presence_for_subscriber", raw.allow_presence_for_subscriber),
            ("allow_presence_for_anonymous", raw.allow_presence_for_anonymous),
        ];
        for (key, _) in needy.into_iter().filter(|(_, on)| *on && !raw.presence) {
            self.option(path, key, "needs presence: set presence = true, too");
        }
        if raw.force_push_join_leave && !raw.join_leave {
            self.option(path, "force_push_join_leave", "needs join_leave: set join_leave = true, too");
        }
        let seers = raw.allow_presence_for_client || raw.allow_presence_for_subscriber;
        if raw.join_leave && !raw.force_push_join_leave && !seers {
            let text = "does nothing: who is not made to be told by force_push_join_leave has to be allowed to ask for \
                        presence";
            self.warn_option(path, "join_leave", text);
        }
        if raw.leave_delay > LEAVE_DELAY_MAX {
            let (delay, max) = (show_duration(raw.leave_delay), LEAVE_DELAY_MAX.as_secs());
            let text = format!("{delay} is too long for somebody who is gone to be shown: write \"{max}s\" or less");
            self.option(path, "leave_delay", text);
        }
        if !raw.presence && self.differs(path, "leave_delay") {
            self.warn_option(path, "leave_delay", "does nothing without presence");
        }
    }

    /// Options for anonymous users only widen others.
    fn anonymous_ones(&mut self, path: &str, raw: &RawChannelOptions) {
        if raw.allow_subscribe_for_anonymous && !raw.allow_subscribe_for_client {
            let text = "does nothing without allow_subscribe_for_client";
            self.warn_option(path, "allow_subscribe_for_anonymous", text);
        }
        let anonymous = [
            (
                "publish",
                raw.allow_publish_for_anonymous,
                raw.allow_publish_for_client,
                raw.allow_publish_for_subscriber,
            ),
            (
                "history",
                raw.allow_history_for_anonymous,
                raw.allow_history_for_client,
                raw.allow_history_for_subscriber,
            ),
            (
                "presence",
                raw.allow_presence_for_anonymous,
                raw.allow_presence_for_client,
                raw.allow_presence_for_subscriber,
            ),
        ];
        for (what, anonymous, client, subscriber) in anonymous {
            if anonymous && !client && !subscriber {
                let text = format!("does nothing without allow_{what}_for_client or allow_{what}_for_subscriber");
                self.warn_option(path, &format!("allow_{what}_for_anonymous"), text);
            }
        }
    }

    /// A name keeps others from subscribing, but not those from asking who need not subscribe for it.
    fn user_limited(&mut self, path: &str, raw: &RawChannelOptions) {
        let open = [
            ("history", raw.allow_history_for_client, "read the history of"),
            ("presence", raw.allow_presence_for_client, "ask who is on"),
        ];
        for (what, on, may) in open {
            if on && raw.allow_user_limited_channels {
                let text = format!(
                    "lets every user {may} user-limited channels: allow_{what}_for_subscriber lets only those whom they \
                     list"
                );
                self.warn_option(path, &format!("allow_{what}_for_client"), text);
            }
        }
    }

    /// A node on its own has no replicas. What only looks keys up may not know of any Redis.
    pub(super) fn replicas(&mut self, raw: &Raw) {
        let known = self.sources.purpose != Purpose::LookUp || self.settings.is_given("broker.url");
        if raw.broker.url != BrokerUrl::Memory || !known {
            return;
        }
        let namespaces = raw.namespaces.iter().map(|namespace| (namespace.path.as_str(), &namespace.options));
        for (path, options) in [("channel.default", &raw.channel_default)].into_iter().chain(namespaces) {
            if options.publish_ack == PublishAck::Replicated {
                let text = "\"replicated\" needs Redis, and broker.url is \"memory://\": set broker.url, or write \
                            \"stored\"";
                self.option(path, "publish_ack", text);
            }
        }
    }

    fn option(&mut self, path: &str, key: &str, text: impl Into<String>) {
        self.problem(&format!("{path}.{key}"), text);
    }

    fn warn_option(&mut self, path: &str, key: &str, text: impl std::fmt::Display) {
        self.warn(&format!("{path}.{key}"), text);
    }

    /// Whether somebody has written something else than the default.
    fn differs(&self, path: &str, key: &str) -> bool {
        let manual = RawChannelOptions::MANUAL.keys.iter().find(|known| known.name == key);
        let written = self.settings.get(&format!("{path}.{key}"));
        written.zip(manual).is_some_and(|(written, manual)| (manual.show)(&written.value) != Some(manual.shown()))
    }
}
