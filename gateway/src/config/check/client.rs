//! What was written about clients.

use std::time::Duration;

use super::Checker;
use crate::config::raw::{RawClient, RawPersonalChannel};
use crate::config::section::{ChannelConfig, ClientConfig, HookConfig, HooksConfig, PersonalChannel};
use crate::model::ByteSize;

impl Checker<'_> {
    pub(super) fn client(
        &mut self,
        raw: RawClient,
        personal: RawPersonalChannel,
        channel: &ChannelConfig,
    ) -> ClientConfig {
        if raw.insecure {
            self.warn("client.insecure", "EVERYONE MAY DO EVERYTHING, tokens or not. Never use it outside of tests");
        }
        self.origins(&raw.allowed_origins);
        if let Some(cookie) = &raw.token_cookie {
            self.token_cookie(cookie, &raw.allowed_origins);
        }
        if let Some(parameter) = &raw.token_query_parameter {
            if !parameter.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
                let text = format!("{parameter:?} is not a parameter's name: write letters, digits, `-`, `_`");
                self.problem("client.token_query_parameter", text);
            }
            self.warn("client.token_query_parameter", "tokens in URLs reach logs: only for tools that need it");
        }
        self.pings(raw.ping_interval, raw.pong_timeout);
        self.not_zero("client.stale_close_delay", raw.stale_close_delay);
        let (kib, mib) = (ByteSize::kib, ByteSize::mib);
        self.size_between("client.message_size_limit", raw.message_size_limit, kib(1), mib(16));
        self.size_between("client.queue_max_size", raw.queue_max_size, kib(2), mib(1024));
        if raw.queue_max_size.bytes() / 2 < raw.message_size_limit.bytes() {
            let (queue, message) = (raw.queue_max_size, raw.message_size_limit);
            let text = format!("{queue} is less than two messages of client.message_size_limit, {message}: raise it");
            self.problem("client.queue_max_size", text);
        }
        self.between("client.channel_limit", raw.channel_limit, 1, 100_000);
        ClientConfig {
            insecure: raw.insecure,
            allow_anonymous: raw.allow_anonymous,
            disallow_anonymous_connection_tokens: raw.disallow_anonymous_connection_tokens,
            allowed_origins: raw.allowed_origins,
            token_query_parameter: raw.token_query_parameter,
            token_cookie: raw.token_cookie,
            ping_interval: raw.ping_interval,
            pong_timeout: raw.pong_timeout,
            stale_close_delay: raw.stale_close_delay,
            expired_close_delay: raw.expired_close_delay,
            expired_sub_close_delay: raw.expired_sub_close_delay,
            queue_max_size: raw.queue_max_size,
            message_size_limit: raw.message_size_limit,
            channel_limit: raw.channel_limit,
            subscribe_to_user_personal_channel: self.personal_channel(personal, channel),
        }
    }

    fn origins(&mut self, origins: &[String]) {
        let path = "client.allowed_origins";
        for origin in origins {
            if origin == "*" {
                self.warn(path, "\"*\" lets pages of any origin connect");
            } else if let Some(why) = wrong_origin(origin) {
                self.problem(path, format!("{origin:?} {why}"));
            }
        }
    }

    /// A browser sends cookies whoever's page asks: the page's origin has to say whether it may.
    fn token_cookie(&mut self, cookie: &str, origins: &[String]) {
        let path = "client.token_cookie";
        // The characters of a token in HTTP (RFC 9110, 5.6.2).
        let good = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if !cookie.bytes().all(good) {
            self.problem(path, format!("{cookie:?} is not a cookie's name: write letters, digits, `-`, `_`"));
        }
        let fix = "list the origins of your own pages in client.allowed_origins, such as \"https://example.com\"";
        if origins.is_empty() {
            self.problem(path, format!("would never be read, because no page's origin is listed: {fix}"));
        } else if origins.iter().any(|origin| origin == "*") {
            let text = format!(
                "with \"*\" in client.allowed_origins any page could act as whoever opens it: remove \"*\", and {fix}"
            );
            self.problem(path, text);
        }
    }

    /// A hook that is told cookies and asked who connects lets people in by them, as we would.
    pub(super) fn cookies_of_hooks(&mut self, hooks: &HooksConfig, origins: &[String]) {
        let told = |hook: &HookConfig| hook.header_allow.iter().any(|name| name.eq_ignore_ascii_case("cookie"));
        let any = origins.iter().any(|origin| origin == "*");
        for (name, _) in hooks.targets.iter().filter(|(_, hook)| any && told(hook)) {
            let path = format!("hook.{name}.header_allow");
            if hooks.connect.as_ref() == Some(name) {
                let text = "with Cookie in it, and \"*\" in client.allowed_origins, any page could act as whoever opens it: list \
                            the origins of your own pages there, such as \"https://example.com\"";
                self.problem(&path, text);
            } else {
                let text = "has Cookie in it, and client.allowed_origins has \"*\": decide nothing by a cookie, which comes along \
                            whoever's page connects";
                self.warn(&path, text);
            }
        }
    }

    fn pings(&mut self, interval: Duration, pong: Duration) {
        if interval < Duration::from_secs(1) || interval.subsec_nanos() != 0 {
            self.problem("client.ping_interval", "clients are told it in whole seconds: write \"1s\" or more");
        }
        self.not_zero("client.pong_timeout", pong);
        if pong >= interval {
            self.problem("client.pong_timeout", "is not shorter than client.ping_interval: shorten it");
        }
    }

    fn personal_channel(&mut self, raw: RawPersonalChannel, channel: &ChannelConfig) -> PersonalChannel {
        if let Some(namespace) = &raw.namespace
            && !channel.namespaces.iter().any(|known| known.name == *namespace)
        {
            let text = format!("there is no namespace {namespace:?}: add a [[channel.namespace]] of that name");
            self.problem("client.subscribe_to_user_personal_channel.namespace", text);
        }
        if raw.enabled {
            self.personal_channels_are_personal(raw.namespace.as_deref(), channel);
        }
        PersonalChannel { enabled: raw.enabled, namespace: raw.namespace }
    }

    /// The name of a personal channel keeps others out only where names are looked at.
    fn personal_channels_are_personal(&mut self, namespace: Option<&str>, channel: &ChannelConfig) {
        let options = match namespace {
            None => Some(&channel.default),
            Some(name) => channel.namespaces.iter().find(|known| known.name == name).map(|known| &known.options),
        };
        let Some(options) = options else { return };
        let open = [
            (
                options.allow_subscribe_for_client && !options.allow_user_limited_channels,
                ("allow_subscribe_for_client", "read the personal channels of all others"),
                "allow_user_limited_channels",
            ),
            (
                options.allow_history_for_client && options.history.is_some(),
                ("allow_history_for_client", "read the history of the personal channels of all others"),
                "allow_history_for_subscriber",
            ),
            (
                options.allow_presence_for_client && options.presence,
                ("allow_presence_for_client", "ask who is on the personal channels of all others"),
                "allow_presence_for_subscriber",
            ),
        ];
        for (_, (key, could), fix) in open.into_iter().filter(|(open, ..)| *open) {
            // One is to be added, the others to be put in the place of what opens too much.
            let instead = if key == "allow_subscribe_for_client" { "" } else { " instead" };
            let text = match namespace {
                None => format!(
                    "by channel.default.{key} every user could {could}: set channel.default.{fix} = true{instead}"
                ),
                Some(name) => format!(
                    "by {key} of the namespace {name:?} every user could {could}: set {fix} = true there{instead}"
                ),
            };
            self.problem("client.subscribe_to_user_personal_channel.enabled", text);
        }
    }
}

/// Why a pattern is none of an origin that a browser would send, and the fix.
fn wrong_origin(origin: &str) -> Option<String> {
    let host = origin.split_once("://").filter(|(scheme, _)| !scheme.is_empty()).map(|(_, host)| host);
    let Some(host) = host.filter(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' '])) else {
        return Some("is not an origin: write scheme and host only, \"https://example.com\"".into());
    };
    if !host.is_ascii() {
        return Some("is not what browsers send: write the host in ASCII, as \"xn--...\"".into());
    }
    let scheme = &origin[..origin.len() - host.len()];
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "https://" => ":443",
        "http://" => ":80",
        _ => return wrong_star(host),
    };
    match host.strip_suffix(default_port) {
        Some(bare) => Some(format!("has a port that browsers leave out: write \"{scheme}{bare}\"")),
        None => wrong_star(host),
    }
}

/// `*` must stand for a label as a whole, or for the port: `*example.com` would let `evilexample.com` in, and
/// `example.*` whoever has a domain of that name elsewhere.
fn wrong_star(host: &str) -> Option<String> {
    let (before, after) = host.split_once('*')?;
    let port = before.ends_with(':') && after.is_empty();
    let label = (before.is_empty() || before.ends_with(['.', '-'])) && after.starts_with('.') && after.len() > 1;
    if after.contains('*') {
        Some("has more than one \"*\": write one, or list the origins".into())
    } else if port || label {
        None
    } else {
        let fix = "write \"https://*.example.com\" or \"http://localhost:*\"";
        Some(format!("lets in others than meant, because \"*\" is not a whole label or port: {fix}"))
    }
}
