//! What was written about hooks: their names, what each needs, and whether those that are asked exist.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Checker;
use crate::config::duration::show_duration;
use crate::config::raw::{RawHook, RawHookUse, RawNamedHook};
use crate::config::section::{ChannelConfig, ChannelOptions, HookChoice, HookConfig, HookScheme, HooksConfig};
use crate::model::ByteSize;

/// Clients give up a server that does not ping for longer; and their other commands wait as long.
const TIMEOUT_MAX: Duration = Duration::from_secs(30);
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// Made by whoever sends a request, never passed on.
const OWN_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "fanfare-hook",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Checker<'_> {
    /// Also gives channels that ask the usual hook its name.
    pub(super) fn hooks(
        &mut self,
        usual: RawHookUse,
        named: Vec<RawNamedHook>,
        channel: &mut ChannelConfig,
    ) -> HooksConfig {
        let mut targets = BTreeMap::new();
        for RawNamedHook { path, name, hook } in named {
            let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
            if !name.bytes().all(good) {
                self.problem(&path, format!("{name:?} cannot name a hook: write small letters, digits, `-`, `_`"));
            }
            if let Some(hook) = self.hook(&path, hook) {
                targets.insert(name, hook);
            } else {
                // Known, so that those who name it are not told that it does not exist.
                targets.insert(name, HookConfig::example());
            }
        }
        let usual = [
            ("connect", usual.connect),
            ("refresh", usual.refresh),
            ("subscribe", usual.subscribe),
            ("sub_refresh", usual.sub_refresh),
            ("publish", usual.publish),
            ("rpc", usual.rpc),
        ];
        for (key, name) in usual.iter().filter_map(|(key, name)| Some((key, name.as_ref()?))) {
            self.hook_exists(&format!("hook.{key}"), name, &targets);
        }
        let usual = BTreeMap::from(usual);
        let one = |key: &str| usual.get(key).cloned().flatten();
        self.resolve("channel.default", &mut channel.default, &usual, &targets);
        for (index, namespace) in channel.namespaces.iter_mut().enumerate() {
            self.resolve(&format!("channel.namespace[{index}]"), &mut namespace.options, &usual, &targets);
        }
        HooksConfig { connect: one("connect"), refresh: one("refresh"), rpc: one("rpc"), targets }
    }

    /// None without a URL.
    fn hook(&mut self, path: &str, raw: RawHook) -> Option<HookConfig> {
        let at = |key: &str| format!("{path}.{key}");
        self.not_zero(&at("timeout"), raw.timeout);
        self.not_zero(&at("breaker_pause"), raw.breaker_pause);
        for (key, value, most) in
            [("timeout", raw.timeout, TIMEOUT_MAX), ("breaker_pause", raw.breaker_pause, PAUSE_MAX)]
        {
            if value > most {
                let text = format!("{} is too long: write {} or less", show_duration(value), show_duration(most));
                self.problem(&at(key), text);
            }
        }
        self.size_between(&at("answer_max"), raw.answer_max, ByteSize::kib(1), ByteSize::mib(64));
        self.between(&at("concurrency_max"), raw.concurrency_max, 1, 65_536);
        self.between(&at("breaker_failures"), raw.breaker_failures, 1, 1_000_000);
        let headers = raw.headers.map(|headers| headers.0).unwrap_or_default();
        let fixed: Vec<String> = headers.iter().map(|(name, _)| name.clone()).collect();
        for (key, names) in
            [("headers", &fixed), ("header_allow", &raw.header_allow), ("emulated_headers", &raw.emulated_headers)]
        {
            self.header_names(&at(key), names);
        }
        for (key, names) in [("header_allow", &raw.header_allow), ("emulated_headers", &raw.emulated_headers)] {
            if let Some(twice) = names.iter().find(|name| fixed.iter().any(|fixed| fixed.eq_ignore_ascii_case(name))) {
                let text =
                    format!("{twice:?} is in headers, too, so that it never would be passed on: take one of them out");
                self.problem(&at(key), text);
            }
        }
        let Some(url) = raw.url else {
            // One that cannot be read has been complained about already.
            if self.settings.get(&at("url")).is_none() {
                self.problem(&at("url"), "is missing: write url = \"http://...\" or \"grpc://...\"");
            }
            return None;
        };
        if url.scheme() == HookScheme::Grpc && !raw.status_to_code.is_empty() {
            self.problem(&at("status_to_code"), "is for HTTP: a gRPC backend answers with error or disconnect itself");
        }
        Some(HookConfig {
            url,
            timeout: raw.timeout,
            headers,
            header_allow: raw.header_allow,
            emulated_headers: raw.emulated_headers,
            binary: raw.binary,
            include_connection_meta: raw.include_connection_meta,
            answer_max: raw.answer_max,
            concurrency_max: raw.concurrency_max,
            breaker_failures: raw.breaker_failures,
            breaker_pause: raw.breaker_pause,
            status_to_code: raw.status_to_code,
        })
    }

    fn header_names(&mut self, path: &str, names: &[String]) {
        for name in names {
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            let lower = name.to_ascii_lowercase();
            if name.is_empty() || !name.bytes().all(token) {
                self.problem(path, format!("{name:?} is not a header's name"));
            } else if OWN_HEADERS.contains(&lower.as_str()) || lower.starts_with("grpc-") {
                self.problem(path, format!("{name:?} belongs to the call itself: take it out"));
            }
        }
    }

    fn hook_exists(&mut self, path: &str, name: &str, targets: &BTreeMap<String, HookConfig>) {
        if !targets.contains_key(name) {
            self.problem(path, format!("there is no hook {name:?}: add a section [hook.{name}] with its url"));
        }
    }

    /// Gives each choice of a channel's rules the name that it stands for.
    fn resolve(
        &mut self,
        path: &str,
        options: &mut ChannelOptions,
        usual: &BTreeMap<&str, Option<String>>,
        targets: &BTreeMap<String, HookConfig>,
    ) {
        let choices = [
            ("subscribe_hook", "subscribe", &mut options.subscribe_hook),
            ("sub_refresh_hook", "sub_refresh", &mut options.sub_refresh_hook),
            ("publish_hook", "publish", &mut options.publish_hook),
        ];
        for (key, kind, choice) in choices {
            let path = format!("{path}.{key}");
            match choice {
                HookChoice::Off => {}
                HookChoice::Named(name) => self.hook_exists(&path, name, targets),
                HookChoice::Usual => match usual.get(kind).cloned().flatten() {
                    Some(name) => *choice = HookChoice::Named(name),
                    None => self.problem(&path, format!("needs a hook: set hook.{kind}, or write its name here")),
                },
            }
        }
    }
}
