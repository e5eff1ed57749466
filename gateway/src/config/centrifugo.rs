//! What Centrifugo's keys are called here, for people who come from there: read by complaints about
//! unknown keys and printed into docs/from-centrifugo.md.

/// One of Centrifugo's keys (version 6, and a few flat names of earlier ones).
#[derive(Clone, Copy, Debug)]
pub struct Name {
    /// Its path there; `.*` at the end stands for everything below.
    pub theirs: &'static str,
    /// Its path here, if there is one.
    pub here: Option<&'static str>,
    /// What else there is to say; empty if nothing.
    pub note: &'static str,
}

const fn here(theirs: &'static str, here: &'static str) -> Name {
    Name { theirs, here: Some(here), note: "" }
}

const fn noted(theirs: &'static str, here: &'static str, note: &'static str) -> Name {
    Name { theirs, here: Some(here), note }
}

const fn without(theirs: &'static str, note: &'static str) -> Name {
    Name { theirs, here: None, note }
}

const fn later(theirs: &'static str) -> Name {
    Name { theirs, here: None, note: LATER }
}

/// What is said of keys whose part does not exist yet.
pub(crate) const LATER: &str = "not built yet";

/// In the order of Centrifugo's manual. The first match counts, so `.*` comes after its exceptions.
pub const NAMES: &[Name] = &[
    noted("http_server.address", "server.listen", "address and port together"),
    noted("http_server.port", "server.listen", "address and port together"),
    noted("http_server.internal_address", "server.internal_listen", "address and port together"),
    noted("http_server.internal_port", "server.internal_listen", "address and port together"),
    here("http_server.tls.cert_pem_file", "server.tls.certificate"),
    here("http_server.tls.key_pem_file", "server.tls.key"),
    without("http_server.tls.enabled", "on when server.tls.certificate is set"),
    later("http_server.tls.*"),
    later("http_server.*"),
    here("client.token.hmac_secret_key", "auth.token.hmac_secret"),
    here("client.token.hmac_previous_secret_key", "auth.token.hmac_previous_secret"),
    here("client.token.hmac_previous_secret_key_valid_until", "auth.token.hmac_previous_valid_until"),
    noted("client.token.rsa_public_key", "auth.token.public_keys", "as a file"),
    noted("client.token.ecdsa_public_key", "auth.token.public_keys", "as a file"),
    noted(
        "client.token.jwks_public_endpoint",
        "auth.token.jwks_url",
        "without templates: an `[[auth.issuer]]` for each",
    ),
    without("client.token.audience_regex", "left out on purpose: write an [[auth.issuer]] for each"),
    without("client.token.issuer_regex", "left out on purpose: write an [[auth.issuer]] for each"),
    here("client.token.user_id_claim", "auth.token.user_id_claim"),
    here("client.token.audience", "auth.token.audience"),
    here("client.token.issuer", "auth.token.issuer"),
    later("client.token.*"),
    without("client.subscription_token.enabled", "enough to set auth.subscription_token.hmac_secret"),
    here("client.subscription_token.hmac_secret_key", "auth.subscription_token.hmac_secret"),
    here("client.subscription_token.hmac_previous_secret_key", "auth.subscription_token.hmac_previous_secret"),
    here(
        "client.subscription_token.hmac_previous_secret_key_valid_until",
        "auth.subscription_token.hmac_previous_valid_until",
    ),
    noted("client.subscription_token.rsa_public_key", "auth.subscription_token.public_keys", "as a file"),
    noted("client.subscription_token.ecdsa_public_key", "auth.subscription_token.public_keys", "as a file"),
    here("client.subscription_token.jwks_public_endpoint", "auth.subscription_token.jwks_url"),
    here("client.subscription_token.user_id_claim", "auth.subscription_token.user_id_claim"),
    here("client.subscription_token.audience", "auth.subscription_token.audience"),
    here("client.subscription_token.issuer", "auth.subscription_token.issuer"),
    later("client.subscription_token.*"),
    here("client.allowed_origins", "client.allowed_origins"),
    here("client.allow_anonymous_connect_without_token", "client.allow_anonymous"),
    noted("client.insecure", "client.insecure", "private and user-limited channels stay closed"),
    without("client.insecure_skip_token_signature_verify", "left out on purpose: see client.insecure"),
    here("client.ping_interval", "client.ping_interval"),
    here("client.pong_timeout", "client.pong_timeout"),
    here("client.stale_close_delay", "client.stale_close_delay"),
    here("client.expired_close_delay", "client.expired_close_delay"),
    here("client.expired_sub_close_delay", "client.expired_sub_close_delay"),
    here("client.channel_limit", "client.channel_limit"),
    here("client.queue_max_size", "client.queue_max_size"),
    here("client.connection_limit", "server.connections_max"),
    without("client.concurrency", "not needed: a connection's commands are answered in order"),
    here("client.subscribe_to_user_personal_channel.enabled", "client.subscribe_to_user_personal_channel.enabled"),
    here(
        "client.subscribe_to_user_personal_channel.personal_channel_namespace",
        "client.subscribe_to_user_personal_channel.namespace",
    ),
    later("client.subscribe_to_user_personal_channel.single_connection"),
    here("client.disallow_anonymous_connection_tokens", "client.disallow_anonymous_connection_tokens"),
    here("client.user_connection_limit", "limit.connections_per_user"),
    noted(
        "client.connection_rate_limit",
        "limit.connect_rate",
        "a rate, \"2000/s\"; those over it wait for their turn",
    ),
    later("client.user_id_http_header"),
    noted("client.presence_update_interval", "broker.heartbeat_interval", "one for all members of a node"),
    noted("client.channel_position_check_delay", "history.position_check_interval", "one check for a channel and node"),
    later("client.channel_position_max_time_lag"),
    later("client.connect_include_server_time"),
    noted("client.history_max_publication_limit", "history.recovery_max_publication_limit", "one limit for both"),
    noted("client.recovery_max_publication_limit", "history.recovery_max_publication_limit", "one limit for both"),
    later("client.connect_code_to_unidirectional_disconnect.*"),
    noted("client.proxy.connect.enabled", "hook.connect", "the name of a hook, a section `[hook.app]`"),
    noted("client.proxy.connect.*", "hook.app.url", "and its other keys; any name, which hook.connect says"),
    noted("client.proxy.refresh.enabled", "hook.refresh", "the name of a hook, a section `[hook.app]`"),
    noted("client.proxy.refresh.*", "hook.app.url", "and its other keys; any name, which hook.refresh says"),
    noted("channel.without_namespace", "channel.default", "options as below"),
    noted("channel.namespaces", "channel.namespace", "a section for each, `[[channel.namespace]]`; options as below"),
    without("channel.max_length", "fixed at 255"),
    without("channel.private_prefix", "fixed: `$`"),
    without("channel.namespace_boundary", "fixed: `:`"),
    without("channel.user_boundary", "fixed: `#`"),
    without("channel.user_separator", "fixed: `,`"),
    noted("channel.history_meta_ttl", "channel.default.history_meta_ttl", "and in each `[[channel.namespace]]`"),
    noted("channel.proxy.subscribe.*", "hook.app.url", "and its other keys; any name, which hook.subscribe says"),
    noted("channel.proxy.publish.*", "hook.app.url", "and its other keys; any name, which hook.publish says"),
    noted("channel.proxy.sub_refresh.*", "hook.app.url", "and its other keys; any name, which hook.sub_refresh says"),
    later("channel.proxy.*"),
    here("websocket.message_size_limit", "client.message_size_limit"),
    here("websocket.read_buffer_size", "server.read_buffer"),
    here("websocket.write_buffer_size", "server.write_buffer"),
    without("websocket.use_write_buffer_pool", "not needed: nothing is reserved while there is nothing to write"),
    later("websocket.*"),
    here("http_api.key", "api.key"),
    without("http_api.disabled", "leave api.key unset: the API is off then"),
    without("http_api.insecure", "left out on purpose: the API always asks for its key"),
    without("http_api.external", "the API is on server.listen, behind its key"),
    later("http_api.*"),
    later("grpc_api.*"),
    noted("engine.type", "broker.url", "`memory://` or `redis://host:port/db`"),
    noted("broker.enabled", "broker.url", "`memory://` or `redis://host:port/db`"),
    noted("broker.type", "broker.url", "`memory://` or `redis://host:port/db`"),
    noted("engine.redis.address", "broker.url", "one address"),
    noted("broker.redis.address", "broker.url", "one address"),
    noted("engine.redis.db", "broker.url", "at its end: `redis://host:port/2`"),
    noted("engine.redis.user", "broker.url", "in it: `redis://user:password@host:port`"),
    noted("engine.redis.password", "broker.url", "in it: `redis://user:password@host:port`"),
    here("engine.redis.prefix", "broker.prefix"),
    here("broker.redis.prefix", "broker.prefix"),
    here("engine.redis.connect_timeout", "broker.connect_timeout"),
    here("engine.redis.io_timeout", "broker.command_timeout"),
    noted("engine.redis.presence_ttl", "broker.node_lease", "presence ends with its node's lease"),
    without("engine.redis.presence_hash_field_ttl", "not needed: members have no expiry of their own"),
    without("engine.redis.presence_user_mapping", "not needed: members are always counted by user, too"),
    without("engine.redis.history_use_lists", "not needed: history is always in streams"),
    later("engine.redis.*"),
    without("broker.redis.history_use_lists", "not needed: history is always in streams"),
    later("broker.redis.*"),
    later("broker.nats.*"),
    without("presence_manager.enabled", "presence is in the broker: see broker.url"),
    without("presence_manager.type", "presence is in the broker: see broker.url"),
    noted("presence_manager.redis.presence_ttl", "broker.node_lease", "presence ends with its node's lease"),
    without("presence_manager.redis.presence_hash_field_ttl", "not needed: members have no expiry of their own"),
    without("presence_manager.redis.presence_user_mapping", "not needed: members are always counted by user, too"),
    later("presence_manager.*"),
    later("map_broker.*"),
    here("node.name", "server.node_name"),
    here("log.level", "telemetry.log_level"),
    without("log.file", "logs go to the standard error stream"),
    noted("opentelemetry.enabled", "telemetry.otlp_endpoint", "on when it is set"),
    noted("opentelemetry.api", "telemetry.otlp_endpoint", "on when it is set"),
    without("prometheus.*", "always on: /metrics on server.internal_listen"),
    without("health.*", "always on: /health and /ready"),
    without("debug.*", "for Go programs only"),
    here("shutdown.timeout", "shutdown.timeout"),
    here("shutdown.termination_delay", "shutdown.ready_delay"),
    later("admin.*"),
    later("swagger.*"),
    later("sse.*"),
    later("http_stream.*"),
    later("webtransport.*"),
    later("uni_sse.*"),
    later("uni_http_stream.*"),
    later("uni_websocket.*"),
    later("uni_grpc.*"),
    later("emulation.*"),
    noted("rpc.proxy.*", "hook.app.url", "and its other keys; any name, which hook.rpc says"),
    noted("rpc.*", "hook.rpc", "one hook for all methods"),
    without("proxies.name", "the name is the section's: `[hook.app]`"),
    noted("proxies.endpoint", "hook.app.url", "for each a section with its name"),
    noted("proxies.timeout", "hook.app.timeout", "for each a section with its name"),
    noted("proxies.http_headers", "hook.app.header_allow", "for each a section with its name"),
    noted("proxies.emulated_headers", "hook.app.emulated_headers", "for each a section with its name"),
    noted("proxies.binary_encoding", "hook.app.binary", "for each a section with its name"),
    noted("proxies.include_connection_meta", "hook.app.include_connection_meta", "for each a section with its name"),
    noted("proxies.http.static_headers", "hook.app.headers", "for each a section with its name"),
    noted("proxies.grpc.static_metadata", "hook.app.headers", "for each a section with its name"),
    noted("proxies.http.status_to_code_transforms", "hook.app.status_to_code", "each rule is a text"),
    later("proxies.*"),
    later("consumers.*"),
    later("graphite.*"),
    without("usage_stats.*", "nothing is sent anywhere"),
    here("token_hmac_secret_key", "auth.token.hmac_secret"),
    here("api_key", "api.key"),
    here("allowed_origins", "client.allowed_origins"),
    here("namespaces", "channel.namespace"),
    here("redis_address", "broker.url"),
    here("engine", "broker.url"),
    here("address", "server.listen"),
    here("port", "server.listen"),
    here("internal_port", "server.internal_listen"),
    here("log_level", "telemetry.log_level"),
];

/// Channel options that Centrifugo does not have.
pub const OPTIONS_NEW: &[&str] =
    &["exclude_publisher", "publish_ack", "leave_delay", "subscribe_hook", "sub_refresh_hook", "publish_hook"];

/// Channel options of Centrifugo's that have other names here.
pub const OPTIONS_RENAMED: &[(&str, &str)] = &[
    ("subscribe_proxy_enabled", "subscribe_hook"),
    ("subscribe_proxy_name", "subscribe_hook"),
    ("publish_proxy_enabled", "publish_hook"),
    ("publish_proxy_name", "publish_hook"),
    ("sub_refresh_proxy_enabled", "sub_refresh_hook"),
    ("sub_refresh_proxy_name", "sub_refresh_hook"),
];

/// Channel options of Centrifugo's that do not exist here yet. The others have the same names.
pub const OPTIONS_LATER: &[&str] = &[
    "auto_cache_recover",
    "allow_tags_filter",
    "subscribe_stream_proxy_enabled",
    "subscribe_stream_proxy_name",
    "subscribe_stream_proxy_bidirectional",
    "map_clients_presence_channel_prefix",
    "map_users_presence_channel_prefix",
    "subscription_type",
    "map",
    "shared_poll",
];

/// Looks a path up; list positions (`[0]`) are left out of it.
#[must_use]
pub fn find(path: &str) -> Option<Name> {
    let matches = |name: &&Name| match name.theirs.strip_suffix(".*") {
        Some(section) => path == section || path.strip_prefix(section).is_some_and(|rest| rest.starts_with('.')),
        None => name.theirs == path,
    };
    NAMES.iter().find(matches).copied()
}
