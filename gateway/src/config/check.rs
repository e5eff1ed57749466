//! From what was written to a [`Config`]: every value alone and all of them together. Says everything
//! that is wrong at once; pure, but for what [`Machine`](crate::config::Machine) told.

mod auth;
mod channel;
mod client;
mod history;
mod hook;
mod limit;
mod server;
mod webhook;

use std::fmt::Display;
use std::time::Duration;

use crate::config::load::{Purpose, Sources};
use crate::config::problem::Problem;
use crate::config::raw::{Raw, RawApi, RawBroker, RawServer, RawShutdown, RawTelemetry, RawTls};
use crate::config::section::{ApiConfig, BrokerConfig, BrokerUrl, ServerConfig, ShutdownConfig, TelemetryConfig};
use crate::config::settings::{Reader, Settings};
use crate::config::{Config, unknown};
use crate::model::ByteSize;

/// Files that are not connections: listeners, Redis, logs, the runtime's own, and room to spare.
const FILES_RESERVED: usize = 512;
/// Beyond this a node's other limits are reached first.
const CONNECTIONS_MAX: usize = 1_000_000;
/// When the limit of open files cannot be read.
const CONNECTIONS_MAX_UNKNOWN: usize = 10_000;

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
    checker.replicas(&raw);
    let auth = checker.auth(raw.token, raw.subscription_token, raw.issuers, &raw.client);
    let mut channel = checker.channel(&raw.channel_default, raw.namespaces);
    let hook = checker.hooks(raw.hook_use, raw.hooks, &mut channel);
    checker.cookies_of_hooks(&hook, &raw.client.allowed_origins);
    Config {
        server: checker.server(raw.server, raw.tls),
        webhook: checker.webhook(raw.webhook, &channel),
        client: checker.client(raw.client, raw.personal_channel, &channel),
        channel,
        history: checker.history(&raw.history),
        presence: checker.presence(&raw.presence),
        limit: checker.limit(&raw.limit, &raw.connection_limit, &raw.user_limit, &raw.broker.url),
        broker: checker.broker(raw.broker),
        auth,
        hook,
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

    fn server(&mut self, raw: RawServer, tls: RawTls) -> ServerConfig {
        self.proxies(&raw);
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
            trusted_proxies: raw.trusted_proxies,
            client_address_header: raw.client_address_header,
            proxy_protocol: raw.proxy_protocol,
            tls: self.tls(tls),
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
            match endpoint.expose().split_once("://") {
                Some(("http", host)) if !host.is_empty() && !host.contains(' ') => {}
                Some(("https", _)) => self.problem(path, "https is not built yet: send to a collector by http://"),
                _ => self.problem(path, "is not a URL: write \"http://host:4318\""),
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
