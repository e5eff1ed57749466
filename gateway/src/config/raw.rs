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
use crate::config::section::auth::Algorithm;
use crate::config::section::{BrokerUrl, LogFormat};
use crate::config::settings::Reader;
use crate::config::value::Value;
use crate::model::ByteSize;

pub(crate) use channel::{RawChannelOptions, RawHistory, RawNamespaceName, RawPresence};

/// The path of the list of namespaces.
pub(crate) const NAMESPACES: &str = "channel.namespace";

/// Every section, in the order of the manual.
pub const SECTIONS: &[Section] = &[
    RawServer::MANUAL,
    RawClient::MANUAL,
    RawPersonalChannel::MANUAL,
    RawToken::MANUAL,
    RawSubscriptionToken::MANUAL,
    RawChannelOptions::MANUAL,
    RawNamespaceName::MANUAL,
    RawApi::MANUAL,
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
    pub(crate) client: RawClient,
    pub(crate) personal_channel: RawPersonalChannel,
    pub(crate) token: RawToken,
    pub(crate) subscription_token: RawSubscriptionToken,
    pub(crate) channel_default: RawChannelOptions,
    pub(crate) namespaces: Vec<RawNamespace>,
    pub(crate) api: RawApi,
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

impl Raw {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        Self {
            server: RawServer::read(reader, "server"),
            client: RawClient::read(reader, "client"),
            personal_channel: RawPersonalChannel::read(reader, "client.subscribe_to_user_personal_channel"),
            token: RawToken::read(reader, "auth.token"),
            subscription_token: RawSubscriptionToken::read(reader, "auth.subscription_token"),
            channel_default: RawChannelOptions::read(reader, "channel.default"),
            namespaces: read_namespaces(reader),
            api: RawApi::read(reader, "api"),
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

// Below the macros, which it uses.
mod channel;

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
        /// Origins of web pages that may connect, besides pages from the gateway's own host:
        /// "https://example.com", "https://*.example.com" (one label), "*" (any page).
        allowed_origins: Vec<String>, default "[]";
        /// Lets this parameter of the URL carry the connection token, for tools that can do nothing
        /// else. Unset: none, because URLs reach logs.
        token_query_parameter: String, example "token";
        /// How often a silent connection is pinged; whole seconds.
        ping_interval: Duration, default "25s";
        /// How long the answer may take; shorter than `ping_interval`.
        pong_timeout: Duration, default "8s";
        /// How long a client may take to say who it is.
        stale_close_delay: Duration, default "10s";
        /// How long after its token's expiry a connection waits for a new one.
        expired_close_delay: Duration, default "25s";
        /// The same for subscription tokens.
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
    /// Whose connection tokens are good.
    RawToken at "auth.token" {
        /// What tokens may be signed with: "HS256", "HS384", "HS512". Never taken from the token.
        algorithms: Vec<Algorithm>, default r#"["HS256"]"#;
        /// The secret that tokens are signed with; 32 random bytes or more. Better set by
        /// FANFARE_AUTH__TOKEN__HMAC_SECRET_FILE than here.
        hmac_secret: Secret, example "change-me";
        /// When set, a token's `aud` must name it.
        audience: String, example "fanfare";
        /// When set, a token's `iss` must be it.
        issuer: String, example "https://example.com";
    }
}

section! {
    /// Whose subscription tokens are good. What is not set here is as in `auth.token`.
    RawSubscriptionToken at "auth.subscription_token" {
        /// As `auth.token.algorithms`.
        algorithms: Vec<Algorithm>, example r#"["HS256"]"#;
        /// As `auth.token.hmac_secret`.
        hmac_secret: Secret, example "change-me";
        /// As `auth.token.audience`.
        audience: String, example "fanfare";
        /// As `auth.token.issuer`.
        issuer: String, example "https://example.com";
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
        otlp_endpoint: String, example "http://collector:4318";
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
