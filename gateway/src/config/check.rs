//! From what was written to a [`Config`]: every value alone and all of them together. Says everything
//! that is wrong at once; pure, but for what [`Machine`](crate::config::Machine) told.

use std::collections::HashSet;
use std::fmt::Display;
use std::time::Duration;

use fanfare_proto::name;

use crate::config::load::{Purpose, Sources};
use crate::config::manual::variable;
use crate::config::problem::Problem;
use crate::config::raw::{
    Raw, RawApi, RawBroker, RawChannelOptions, RawClient, RawHistory, RawNamespace, RawPersonalChannel, RawServer,
    RawShutdown, RawSubscriptionToken, RawTelemetry, RawToken,
};
use crate::config::secret::Secret;
use crate::config::section::{
    ApiConfig, AuthConfig, BrokerConfig, BrokerUrl, ChannelConfig, ChannelOptions, ClientConfig, HistoryConfig,
    HistoryOptions, Namespace, PersonalChannel, PresenceConfig, ServerConfig, ShutdownConfig, TelemetryConfig,
    TokenConfig,
};
use crate::config::settings::{Reader, Settings};
use crate::config::{Config, unknown};
use crate::model::ByteSize;

/// Files that are not connections: listeners, Redis, logs, the runtime's own, and room to spare.
const FILES_RESERVED: usize = 512;
/// Beyond this a node's other limits are reached first.
const CONNECTIONS_MAX: usize = 1_000_000;
/// When the limit of open files cannot be read.
const CONNECTIONS_MAX_UNKNOWN: usize = 10_000;
/// Shorter secrets can be guessed offline from one token (RFC 7518, 3.2).
const SECRET_BYTES_MIN: usize = 32;

/// Checks everything; what is wrong is added to `problems`, and the result is then of no use.
pub(crate) fn check(
    settings: &Settings,
    sources: &Sources,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<String>,
) -> Config {
    let mut reader = Reader::new(settings);
    let raw = Raw::read(&mut reader);
    let (left, misread) = reader.finish();
    problems.extend(misread);
    for (path, setting) in &left {
        // A table of an unknown list has an entry for itself; its keys say enough.
        let covered = path.ends_with(']') && left.keys().any(|other| other.starts_with(&format!("{path}.")));
        if !covered {
            let origin = Some(setting.origin.clone());
            problems.push(Problem { path: path.clone(), origin, text: unknown::key_text(path) });
        }
    }
    let mut checker = Checker { settings, sources, problems, warnings };
    let auth = checker.auth(&raw.token, &raw.subscription_token, &raw.client);
    let channel = checker.channel(&raw.channel_default, raw.namespaces);
    Config {
        server: checker.server(raw.server),
        client: checker.client(raw.client, raw.personal_channel, &channel),
        channel,
        history: checker.history(&raw.history),
        presence: PresenceConfig { list_max: raw.presence.list_max },
        broker: checker.broker(raw.broker),
        auth,
        api: checker.api(raw.api),
        telemetry: checker.telemetry(raw.telemetry),
        shutdown: checker.shutdown(&raw.shutdown),
    }
}

struct Checker<'a> {
    settings: &'a Settings,
    sources: &'a Sources,
    problems: &'a mut Vec<Problem>,
    warnings: &'a mut Vec<String>,
}

impl Checker<'_> {
    fn problem(&mut self, path: &str, text: impl Into<String>) {
        let origin = self.settings.origin(path).cloned();
        self.problems.push(Problem { path: path.to_owned(), origin, text: text.into() });
    }

    fn warn(&mut self, path: &str, text: impl Display) {
        self.warnings.push(match self.settings.origin(path) {
            Some(origin) => format!("{path} ({origin}): {text}"),
            None => format!("{path}: {text}"),
        });
    }

    /// A number between two, both included.
    fn between(&mut self, path: &str, value: usize, min: usize, max: usize) {
        if !(min..=max).contains(&value) {
            self.problem(path, format!("{value} is out of range: write {min} to {max}"));
        }
    }

    fn size_between(&mut self, path: &str, value: ByteSize, min: ByteSize, max: ByteSize) {
        if !(min..=max).contains(&value) {
            self.problem(path, format!("{value} is out of range: write {min} to {max}"));
        }
    }

    fn not_zero(&mut self, path: &str, value: Duration) {
        if value.is_zero() {
            self.problem(path, "cannot be 0: give it some time");
        }
    }

    fn server(&mut self, raw: RawServer) -> ServerConfig {
        let (public, internal) = (raw.listen, raw.internal_listen);
        let same_ip = public.ip() == internal.ip() || public.ip().is_unspecified() || internal.ip().is_unspecified();
        if public.port() != 0 && public.port() == internal.port() && same_ip {
            self.problem(
                "server.internal_listen",
                format!("{internal} takes the same port as server.listen, {public}: choose another"),
            );
        }
        self.not_zero("server.header_timeout", raw.header_timeout);
        let (kib, mib) = (ByteSize::kib, ByteSize::mib);
        // The HTTP parser's own least buffer is 8 KiB.
        self.size_between("server.header_size_limit", raw.header_size_limit, kib(8), mib(1));
        self.size_between("server.read_buffer", raw.read_buffer, ByteSize(256), mib(1));
        self.size_between("server.write_buffer", raw.write_buffer, ByteSize(256), mib(1));
        ServerConfig {
            listen: public,
            internal_listen: internal,
            node_name: raw.node_name.unwrap_or_else(|| self.sources.machine.host_name.clone()),
            connections_max: self.connections_max(raw.connections_max),
            header_timeout: raw.header_timeout,
            header_size_limit: raw.header_size_limit,
            read_buffer: raw.read_buffer,
            write_buffer: raw.write_buffer,
        }
    }

    fn connections_max(&mut self, given: Option<usize>) -> usize {
        let path = "server.connections_max";
        let files = self.sources.machine.open_files_max;
        let possible = files.map(|files| files.saturating_sub(FILES_RESERVED).max(1));
        if let Some(given) = given {
            self.between(path, given, 1, CONNECTIONS_MAX);
            if let (Some(files), Some(possible)) = (files, possible)
                && given > possible
            {
                self.warn(
                    path,
                    format!("{given} is more than the limit of {files} open files allows: raise the limit"),
                );
            }
            return given;
        }
        let derived = possible.map_or(CONNECTIONS_MAX_UNKNOWN, |possible| possible.min(CONNECTIONS_MAX));
        if let Some(files) = files
            && derived < CONNECTIONS_MAX_UNKNOWN
            && self.sources.purpose == Purpose::Serve
        {
            self.warn(path, format!("the limit of {files} open files allows {derived} connections: raise the limit"));
        }
        derived
    }

    fn client(&mut self, raw: RawClient, personal: RawPersonalChannel, channel: &ChannelConfig) -> ClientConfig {
        if raw.insecure {
            self.warn("client.insecure", "EVERYONE MAY DO EVERYTHING, tokens or not. Never use it outside of tests");
        }
        self.origins(&raw.allowed_origins);
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
            allowed_origins: raw.allowed_origins,
            token_query_parameter: raw.token_query_parameter,
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
            let host = origin.split_once("://").map(|(_, host)| host);
            let good = host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']));
            if origin == "*" {
                self.warn(path, "\"*\" lets pages of any origin connect");
            } else if !good {
                let text = format!("{origin:?} is not an origin: write scheme and host only, \"https://example.com\"");
                self.problem(path, text);
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
        let open =
            |options: &ChannelOptions| options.allow_subscribe_for_client && !options.allow_user_limited_channels;
        if !options.is_some_and(open) {
            return;
        }
        let everyone = "every user could read the personal channels of all others";
        let text = match namespace {
            None => format!(
                "by channel.default.allow_subscribe_for_client {everyone}: set \
                 channel.default.allow_user_limited_channels = true"
            ),
            Some(name) => format!(
                "by allow_subscribe_for_client of the namespace {name:?} {everyone}: set \
                 allow_user_limited_channels = true there"
            ),
        };
        self.problem("client.subscribe_to_user_personal_channel.enabled", text);
    }

    fn channel(&mut self, default: &RawChannelOptions, namespaces: Vec<RawNamespace>) -> ChannelConfig {
        let default = self.options("channel.default", default);
        let mut seen = HashSet::new();
        let mut checked = Vec::with_capacity(namespaces.len());
        for RawNamespace { path, name, options } in namespaces {
            let options = self.options(&path, &options);
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
            checked.push(Namespace { name, options });
        }
        ChannelConfig { default, namespaces: checked }
    }

    fn options(&mut self, path: &str, raw: &RawChannelOptions) -> ChannelOptions {
        if raw.allow_subscribe_for_anonymous && !raw.allow_subscribe_for_client {
            let path = format!("{path}.allow_subscribe_for_anonymous");
            self.warn(&path, "does nothing without allow_subscribe_for_client");
        }
        if raw.allow_publish_for_anonymous && !raw.allow_publish_for_client && !raw.allow_publish_for_subscriber {
            let path = format!("{path}.allow_publish_for_anonymous");
            self.warn(&path, "does nothing without allow_publish_for_client or allow_publish_for_subscriber");
        }
        ChannelOptions {
            allow_subscribe_for_client: raw.allow_subscribe_for_client,
            allow_subscribe_for_anonymous: raw.allow_subscribe_for_anonymous,
            allow_publish_for_client: raw.allow_publish_for_client,
            allow_publish_for_subscriber: raw.allow_publish_for_subscriber,
            allow_publish_for_anonymous: raw.allow_publish_for_anonymous,
            allow_user_limited_channels: raw.allow_user_limited_channels,
            exclude_publisher: raw.exclude_publisher,
            publication_data_format: raw.publication_data_format,
            history: (raw.history_size > 0 && !raw.history_ttl.is_zero()).then(|| HistoryOptions {
                size: raw.history_size,
                ttl: raw.history_ttl,
                meta_ttl: raw.history_meta_ttl,
                ack: raw.publish_ack,
            }),
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
        }
    }

    fn history(&mut self, raw: &RawHistory) -> HistoryConfig {
        HistoryConfig {
            recovery_max_publication_limit: raw.recovery_max_publication_limit,
            position_check_interval: raw.position_check_interval,
            idempotency_window: raw.idempotency_window,
            replicas: raw.replicas as u64,
            replicated_timeout: raw.replicated_timeout,
        }
    }

    fn auth(&mut self, token: &RawToken, subscription: &RawSubscriptionToken, client: &RawClient) -> AuthConfig {
        self.secret("auth.token.hmac_secret", token.hmac_secret.as_ref());
        self.secret("auth.subscription_token.hmac_secret", subscription.hmac_secret.as_ref());
        let lists = [
            ("auth.token.algorithms", Some(&token.algorithms)),
            ("auth.subscription_token.algorithms", subscription.algorithms.as_ref()),
        ];
        for (path, algorithms) in lists {
            if algorithms.is_some_and(Vec::is_empty) {
                self.problem(path, "is empty, so no token could be good: name at least one");
            }
        }
        let path = "auth.token.hmac_secret";
        let somebody = client.insecure || client.allow_anonymous || token.hmac_secret.is_some();
        if self.sources.purpose == Purpose::Serve && !somebody && self.settings.get(path).is_none() {
            let text = format!(
                "is not set, so nobody could connect: set it in the file, by {v} or by {v}_FILE; \
                 or let clients in without tokens by client.allow_anonymous = true",
                v = variable(path)
            );
            self.problem(path, text);
        }
        AuthConfig {
            token: TokenConfig {
                algorithms: token.algorithms.clone(),
                hmac_secret: token.hmac_secret.clone(),
                audience: token.audience.clone(),
                issuer: token.issuer.clone(),
            },
            subscription_token: TokenConfig {
                algorithms: subscription.algorithms.as_ref().unwrap_or(&token.algorithms).clone(),
                hmac_secret: subscription.hmac_secret.as_ref().or(token.hmac_secret.as_ref()).cloned(),
                audience: subscription.audience.as_ref().or(token.audience.as_ref()).cloned(),
                issuer: subscription.issuer.as_ref().or(token.issuer.as_ref()).cloned(),
            },
        }
    }

    fn secret(&mut self, path: &str, secret: Option<&Secret>) {
        if let Some(bytes) = secret.map(|secret| secret.expose().len())
            && bytes < SECRET_BYTES_MIN
        {
            self.warn(
                path,
                format!("has {bytes} bytes and can be guessed: take {SECRET_BYTES_MIN} random ones or more"),
            );
        }
    }

    fn api(&mut self, raw: RawApi) -> ApiConfig {
        if raw.key.as_ref().is_some_and(|key| !key.expose().bytes().all(|b| b.is_ascii_graphic())) {
            self.problem("api.key", "cannot be sent in a header: write printable ASCII characters without spaces");
        }
        self.size_between("api.body_size_limit", raw.body_size_limit, ByteSize::kib(1), ByteSize::mib(256));
        ApiConfig { key: raw.key, body_size_limit: raw.body_size_limit }
    }

    fn broker(&mut self, raw: RawBroker) -> BrokerConfig {
        if raw.url == BrokerUrl::Memory
            && self.sources.purpose == Purpose::Serve
            && !self.settings.is_given("broker.url")
        {
            self.warn("broker.url", "is not set, so this node is alone: \"redis://host:port/db\" joins several");
        }
        let prefix = &raw.prefix;
        if prefix.len() > 64 || !prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b)) {
            let text = format!("{prefix:?} cannot begin a key: write at most 64 letters, digits, `-`, `_`, `.`, `:`");
            self.problem("broker.prefix", text);
        }
        self.not_zero("broker.connect_timeout", raw.connect_timeout);
        self.not_zero("broker.command_timeout", raw.command_timeout);
        self.not_zero("broker.heartbeat_interval", raw.heartbeat_interval);
        if raw.node_lease < raw.heartbeat_interval * 3 {
            let text = "is less than three of broker.heartbeat_interval, so a lost one could end it: lengthen it";
            self.problem("broker.node_lease", text);
        }
        if raw.unready_after < raw.heartbeat_interval * 2 {
            let text = "is less than two of broker.heartbeat_interval, so a late one would show: lengthen it";
            self.problem("broker.unready_after", text);
        }
        self.between("broker.intake_max", raw.intake_max, 16, 16_777_216);
        BrokerConfig {
            url: raw.url,
            prefix: raw.prefix,
            unready_after: raw.unready_after,
            connect_timeout: raw.connect_timeout,
            command_timeout: raw.command_timeout,
            heartbeat_interval: raw.heartbeat_interval,
            node_lease: raw.node_lease,
            intake_max: raw.intake_max,
        }
    }

    fn telemetry(&mut self, raw: RawTelemetry) -> TelemetryConfig {
        self.log_level(&raw.log_level);
        if let Some(endpoint) = &raw.otlp_endpoint {
            let path = "telemetry.otlp_endpoint";
            match endpoint.split_once("://") {
                Some(("http", host)) if !host.is_empty() && !host.contains(' ') => {}
                Some(("https", _)) => self.problem(path, "https is not built yet: send to a collector by http://"),
                _ => self.problem(path, format!("{endpoint:?} is not a URL: write \"http://host:4318\"")),
            }
        }
        if !(0.0..=1.0).contains(&raw.sample_ratio) {
            self.problem("telemetry.sample_ratio", format!("{} is out of range: write 0 to 1", raw.sample_ratio));
        }
        TelemetryConfig {
            log_level: raw.log_level,
            log_format: raw.log_format,
            otlp_endpoint: raw.otlp_endpoint,
            sample_ratio: raw.sample_ratio,
        }
    }

    /// The log library takes any word for a module's name; a mistyped level would switch all logs off.
    fn log_level(&mut self, text: &str) {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let wrong = text.split(',').map(str::trim).find(|directive| match directive.split_once('=') {
            None => !LEVELS.contains(directive),
            Some((_, level)) => !LEVELS.contains(&level),
        });
        let parsed = tracing_subscriber::EnvFilter::try_new(text);
        let wrong = wrong.or_else(|| parsed.is_err().then_some(text));
        if let Some(wrong) = wrong {
            let text = format!(
                "{wrong:?} is not a level: write \"info\", \"debug\" or \"info,fanfare_gateway::broker=debug\""
            );
            self.problem("telemetry.log_level", text);
        }
    }

    fn shutdown(&mut self, raw: &RawShutdown) -> ShutdownConfig {
        if raw.timeout < raw.ready_delay + raw.drain {
            let text = "is less than shutdown.ready_delay and shutdown.drain together: lengthen it, or shorten them";
            self.problem("shutdown.timeout", text);
        }
        ShutdownConfig { ready_delay: raw.ready_delay, drain: raw.drain, timeout: raw.timeout }
    }
}
