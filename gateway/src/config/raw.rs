//! The configuration as it was written, key by key. The comments here are the manual: the printed
//! file and docs/config.md are made of them.
//!
//! Each key is declared once, with its type, its comment and either its `default` or, where there is
//! none, an `example`, both as one would write them in a variable. Not a serde twin, because serde
//! stops at the first mistake: [`Reader`] goes on and knows the line.

use std::net::SocketAddr;
use std::time::Duration;

use crate::config::manual::{Key, Section, Unset, show};
use crate::config::secret::Secret;
use crate::config::section::{AddressHeader, BrokerUrl, LogFormat, ProxyProtocol};
use crate::config::settings::Reader;
use crate::config::value::Value;
use crate::config::web_url::WebUrl;
use crate::model::{ByteSize, Network};

pub(crate) use auth::{RawIssuer, RawSubscriptionToken, RawToken};
pub(crate) use channel::{RawChannelOptions, RawHistory, RawNamespaceName, RawPresence};
pub(crate) use hook::{RawHook, RawHookUse};
pub(crate) use limit::{RawConnectionLimit, RawLimit, RawUserLimit};
pub(crate) use tls::RawTls;
pub(crate) use webhook::RawWebhook;

/// The path of the list of namespaces.
pub(crate) const NAMESPACES: &str = "channel.namespace";

/// The path of the list of issuers.
pub(crate) const ISSUERS: &str = "auth.issuer";

/// Lists of tables: what a table is called in complaints, and a table as in a variable.
pub(crate) const LISTS: &[(&str, &str, &str)] = &[
    (NAMESPACES, "namespace", r#"{"name":"chat","allow_subscribe_for_client":true}"#),
    (ISSUERS, "issuer", r#"{"name":"staff","issuer":"https://staff.example.com","public_keys":["staff.pem"]}"#),
];
/// The section that holds the hooks, each with its own name, and how the manual calls one.
pub(crate) const HOOKS: &str = "hook";
pub(crate) const HOOK: &str = "hook.app";

/// Every section, in the order of the manual.
pub const SECTIONS: &[Section] = &[
    RawServer::MANUAL,
    RawTls::MANUAL,
    RawClient::MANUAL,
    RawPersonalChannel::MANUAL,
    RawToken::MANUAL,
    RawSubscriptionToken::MANUAL,
    RawIssuer::MANUAL,
    RawChannelOptions::MANUAL,
    RawNamespaceName::MANUAL,
    RawHookUse::MANUAL,
    RawHook::MANUAL,
    RawApi::MANUAL,
    RawLimit::MANUAL,
    RawConnectionLimit::MANUAL,
    RawUserLimit::MANUAL,
    RawWebhook::MANUAL,
    RawHistory::MANUAL,
    RawPresence::MANUAL,
    RawBroker::MANUAL,
    RawTelemetry::MANUAL,
    RawShutdown::MANUAL,
];

/// Everything that can be written.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) server: RawServer,
    pub(crate) tls: RawTls,
    pub(crate) client: RawClient,
    pub(crate) personal_channel: RawPersonalChannel,
    pub(crate) token: RawToken,
    pub(crate) subscription_token: RawSubscriptionToken,
    /// Each with its path, `auth.issuer[0]`.
    pub(crate) issuers: Vec<(String, RawIssuer)>,
    pub(crate) channel_default: RawChannelOptions,
    pub(crate) namespaces: Vec<RawNamespace>,
    pub(crate) hook_use: RawHookUse,
    pub(crate) hooks: Vec<RawNamedHook>,
    pub(crate) api: RawApi,
    pub(crate) limit: RawLimit,
    pub(crate) connection_limit: RawConnectionLimit,
    pub(crate) user_limit: RawUserLimit,
    pub(crate) webhook: RawWebhook,
    pub(crate) history: RawHistory,
    pub(crate) presence: RawPresence,
    pub(crate) broker: RawBroker,
    pub(crate) telemetry: RawTelemetry,
    pub(crate) shutdown: RawShutdown,
}

/// One `[[channel.namespace]]`.
#[derive(Debug)]
pub(crate) struct RawNamespace {
    /// `channel.namespace[0]`
    pub(crate) path: String,
    pub(crate) name: Option<String>,
    pub(crate) pattern: Option<String>,
    pub(crate) options: RawChannelOptions,
}

/// One `[hook.app]`.
#[derive(Debug)]
pub(crate) struct RawNamedHook {
    /// `hook.app`
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) hook: RawHook,
}

impl Raw {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        Self {
            server: RawServer::read(reader, "server"),
            tls: RawTls::read(reader, "server.tls"),
            client: RawClient::read(reader, "client"),
            personal_channel: RawPersonalChannel::read(reader, "client.subscribe_to_user_personal_channel"),
            token: RawToken::read(reader, "auth.token"),
            subscription_token: RawSubscriptionToken::read(reader, "auth.subscription_token"),
            issuers: read_issuers(reader),
            channel_default: RawChannelOptions::read(reader, "channel.default"),
            namespaces: read_namespaces(reader),
            hook_use: RawHookUse::read(reader, HOOKS),
            hooks: read_hooks(reader),
            api: RawApi::read(reader, "api"),
            limit: RawLimit::read(reader, "limit"),
            connection_limit: RawConnectionLimit::read(reader, "limit.connection"),
            user_limit: RawUserLimit::read(reader, "limit.user"),
            webhook: RawWebhook::read(reader, "webhook"),
            history: RawHistory::read(reader, "history"),
            presence: RawPresence::read(reader, "presence"),
            broker: RawBroker::read(reader, "broker"),
            telemetry: RawTelemetry::read(reader, "telemetry"),
            shutdown: RawShutdown::read(reader, "shutdown"),
        }
    }
}

fn read_namespaces(reader: &mut Reader) -> Vec<RawNamespace> {
    let mut namespaces = Vec::new();
    loop {
        let path = format!("{NAMESPACES}[{}]", namespaces.len());
        if !reader.has_table(&path) {
            reader.skip_empty_list(NAMESPACES);
            return namespaces;
        }
        let RawNamespaceName { name, pattern } = RawNamespaceName::read(reader, &path);
        let options = RawChannelOptions::read(reader, &path);
        namespaces.push(RawNamespace { path, name, pattern, options });
    }
}

fn read_issuers(reader: &mut Reader) -> Vec<(String, RawIssuer)> {
    let mut issuers = Vec::new();
    loop {
        let path = format!("{ISSUERS}[{}]", issuers.len());
        if !reader.has_table(&path) {
            reader.skip_empty_list(ISSUERS);
            return issuers;
        }
        let issuer = RawIssuer::read(reader, &path);
        issuers.push((path, issuer));
    }
}

fn read_hooks(reader: &mut Reader) -> Vec<RawNamedHook> {
    // What the section's own keys are called is no name: `hook.connect.url` stays unknown, and is explained.
    let is_free = |name: &String| RawHookUse::MANUAL.keys.iter().all(|key| key.name != name);
    let names = reader.tables_of(HOOKS).into_iter().filter(is_free);
    names
        .map(|name| {
            let path = format!("{HOOKS}.{name}");
            let hook = RawHook::read(reader, &path);
            RawNamedHook { path, name, hook }
        })
        .collect()
}

/// The type of a key's field: with a default it is always there.
macro_rules! field {
    (default $type:ty) => { $type };
    (example $type:ty) => { Option<$type> };
}

macro_rules! unset {
    (default $text:literal) => {
        Unset::Default($text)
    };
    (example $text:literal) => {
        Unset::Example($text)
    };
}

macro_rules! read {
    ($reader:ident, $at:ident, $key:expr, default $text:literal) => {
        $reader.or_default($at, $key, $text)
    };
    ($reader:ident, $at:ident, $key:expr, example $text:literal) => {
        $reader.optional($at, $key)
    };
}

/// Declares a section: its struct, its part of the manual and how it is read.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $name:ident at $path:literal {
            $( $(#[doc = $doc:literal])+ $key:ident: $type:ty, $word:ident $text:literal; )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug)]
        pub(crate) struct $name {
            $( $(#[doc = $doc])+ pub(crate) $key: field!($word $type), )+
        }

        impl $name {
            /// What its comments say.
            pub(crate) const MANUAL: Section = Section {
                path: $path,
                about: &[$($about),+],
                keys: &[$(
                    Key {
                        name: stringify!($key),
                        about: &[$($doc),+],
                        unset: unset!($word $text),
                        is_secret: <$type as Value>::SECRET,
                        form: <$type as Value>::FORM,
                        show: show::<$type>,
                    },
                )+],
            };

            /// Takes its keys out of what was written.
            pub(crate) fn read(reader: &mut Reader, at: &str) -> Self {
                Self { $( $key: read!(reader, at, stringify!($key), $word $text), )+ }
            }
        }
    };
}

// Below the macros, which they use.
mod auth;
mod channel;
mod hook;
mod limit;
mod tls;
mod webhook;

section! {
    /// Listeners, and what a connection may cost before it is one.
    RawServer at "server" {
        /// Where clients and the API come in.
        listen: SocketAddr, default "0.0.0.0:8080";
        /// Metrics and health, never for the outside. In a container that is probed or scraped from
        /// outside of it: "0.0.0.0:8081".
        internal_listen: SocketAddr, default "127.0.0.1:8081";
        /// This node's name in the API's `info`. Unset: the host's name.
        node_name: String, example "gateway-1";
        /// Connections that may be open at once; the next ones wait in the kernel's queue. Unset: the
        /// limit of open files less 512, at most 1,000,000.
        connections_max: usize, example "100000";
        /// How long a request's head may take.
        header_timeout: Duration, default "5s";
        /// How large a request's head may be.
        header_size_limit: ByteSize, default "16KiB";
        /// How much is read from a socket at once. Each thread has such a buffer; a connection at rest has none.
        read_buffer: ByteSize, default "16KiB";
        /// How much is gathered before one write to a socket.
        write_buffer: ByteSize, default "16KiB";
        /// Addresses of balancers and other proxies that are believed when they say where a client is:
        /// "10.0.0.0/8", "fd00::/8", "192.0.2.7". All others speak for themselves only.
        trusted_proxies: Vec<Network>, default "[]";
        /// Where they say it: "x-forwarded-for" or "forwarded", both read from the right to the first
        /// address that is not a trusted proxy's, "x-real-ip", or "off".
        client_address_header: AddressHeader, default "x-forwarded-for";
        /// "required": every connection to `listen` begins with a PROXY header, version 1 or 2, and comes
        /// from `trusted_proxies`. "off": none does.
        proxy_protocol: ProxyProtocol, default "off";
    }
}

section! {
    /// Client connections.
    RawClient at "client" {
        /// Everyone may do what no rule speaks about, tokens or not; private channels and those of other
        /// users stay closed. For tests only.
        insecure: bool, default "false";
        /// Clients without a token are let in as the anonymous user.
        allow_anonymous: bool, default "false";
        /// Connection tokens must name a user: those that name none are closed with 3507.
        disallow_anonymous_connection_tokens: bool, default "false";
        /// Origins of web pages that may connect, besides pages from the gateway's own host:
        /// "https://example.com", "https://*.example.com" (one label), "http://localhost:*" (any port),
        /// "*" (any page).
        allowed_origins: Vec<String>, default "[]";
        /// Lets this parameter of the URL carry the connection token, for tools that can do nothing
        /// else. Unset: none, because URLs reach logs.
        token_query_parameter: String, example "token";
        /// Lets this cookie carry the connection token, for pages whose origin `allowed_origins` lists;
        /// not "*", because cookies go along whoever's page asks. Unset: none.
        token_cookie: String, example "__Host-fanfare";
        /// How often a silent connection is pinged; whole seconds.
        ping_interval: Duration, default "25s";
        /// How long the answer may take; shorter than `ping_interval`.
        pong_timeout: Duration, default "8s";
        /// How long a client may take to say who it is.
        stale_close_delay: Duration, default "10s";
        /// How long after its expiry a connection waits for a new token.
        expired_close_delay: Duration, default "25s";
        /// The same for subscriptions.
        expired_sub_close_delay: Duration, default "25s";
        /// What may wait for a slow reader before it is cut off; at least two messages of
        /// `message_size_limit`.
        queue_max_size: ByteSize, default "1MiB";
        /// Largest message from a client. The official JavaScript client never reconnects after a
        /// larger one.
        message_size_limit: ByteSize, default "64KiB";
        /// Channels of one connection, personal and server-side ones included.
        channel_limit: usize, default "128";
    }
}

section! {
    /// A channel for each user, to which all of the user's connections are subscribed.
    RawPersonalChannel at "client.subscribe_to_user_personal_channel" {
        /// Off by default. The channel is `#USER`. Where clients may subscribe by themselves, others are
        /// kept out by `allow_user_limited_channels`, which must be on there. Users whose id has `,`, `#`,
        /// spaces or, without `namespace`, `:` have no channel of their own.
        enabled: bool, default "false";
        /// Makes it `NAMESPACE:#USER`. Unset: no namespace, the rules of `channel.default`.
        namespace: String, example "chat";
    }
}

section! {
    /// The server API, for backends.
    RawApi at "api" {
        /// What backends send as `X-API-Key`. Unset: the API is off.
        key: Secret, example "change-me";
        /// Largest body of a request.
        body_size_limit: ByteSize, default "1MiB";
    }
}

section! {
    /// What joins the nodes.
    RawBroker at "broker" {
        /// "memory://": this node is alone. "redis://[user:password@]host:port/db": all nodes on the
        /// same Redis and prefix are one.
        url: BrokerUrl, default "memory://";
        /// The first part of every key and channel name in Redis.
        prefix: String, default "fanfare";
        /// How long the broker may not deliver before `/ready` says no. Long enough that a blip does
        /// not empty the balancer.
        unready_after: Duration, default "10s";
        /// How long to wait for a link.
        connect_timeout: Duration, default "1s";
        /// How long to wait for an answer.
        command_timeout: Duration, default "4s";
        /// How often a node sends itself a probe and renews its lease.
        heartbeat_interval: Duration, default "2s";
        /// How long a node counts as alive without a heartbeat; at least three of them.
        node_lease: Duration, default "10s";
        /// Messages from the broker that may wait for this node.
        intake_max: usize, default "65536";
    }
}

section! {
    /// Logs and traces.
    RawTelemetry at "telemetry" {
        /// "error", "warn", "info", "debug" or "trace"; more finely: "info,fanfare_gateway::broker=debug".
        log_level: String, default "info";
        /// "text" for people, "json" for machines.
        log_format: LogFormat, default "text";
        /// Where spans go, by OTLP over HTTP. Unset: nowhere.
        otlp_endpoint: WebUrl, example "http://collector:4318";
        /// Share of the traces begun here that are kept, 0 to 1. Traces begun elsewhere keep their own
        /// decision.
        sample_ratio: f64, default "0.0";
    }
}

section! {
    /// How a node goes down.
    RawShutdown at "shutdown" {
        /// How long `/ready` says no before sockets are closed: the balancer's time to notice.
        ready_delay: Duration, default "5s";
        /// Over how long the closing of sockets is spread.
        drain: Duration, default "10s";
        /// When the process ends, whoever is still inside; at least the former two together.
        timeout: Duration, default "30s";
    }
}
