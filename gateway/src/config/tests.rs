//! What is said of good and bad configurations, to the letter.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use super::manual::{Unset, variable};
use super::section::auth::Algorithm;
use super::section::{BrokerUrl, DataFormat, LogFormat, TokenConfig};
use super::*;
use crate::model::ByteSize;

mod auth;
mod centrifugos;
mod channels;
mod doors;
mod hooks;
mod limits;
mod printed;
mod webhook;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// So that `serve` lets somebody in.
const TOKEN: (&str, &str) = ("FANFARE_AUTH__TOKEN__HMAC_SECRET", SECRET);

fn machine() -> Machine {
    Machine { host_name: "host-1".into(), open_files_max: Some(100_000) }
}

/// Loads from a file's text and variables, and calls the file `gateway.toml` in what is said.
fn load_from(purpose: Purpose, file: &str, environment: &[(&str, &str)]) -> Result<Loaded, Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateway.toml");
    fs::write(&path, file).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect();
    let sources = Sources { file: Some(path), environment, ..Sources::none(purpose, machine()) };
    let shown = |text: String| text.replace(&format!("{}/", dir.path().display()), "");
    load(&sources)
        .map(|mut loaded| {
            loaded.warnings = loaded.warnings.into_iter().map(shown).collect();
            loaded
        })
        .map_err(|problems| problems.list.iter().map(|problem| shown(problem.to_string())).collect())
}

/// An example with what one has to choose oneself chosen.
fn own(example: &str) -> String {
    // The cookie wants an origin.
    let example = example.replace("allowed_origins = []", "allowed_origins = [\"https://example.com\"]");
    example.replace(value::EXAMPLE_SECRET, SECRET)
}

fn good(file: &str, environment: &[(&str, &str)]) -> Loaded {
    load_from(Purpose::LookUp, file, environment).unwrap()
}

fn problems(file: &str, environment: &[(&str, &str)]) -> Vec<String> {
    load_from(Purpose::LookUp, file, environment).err().unwrap_or_default()
}

fn serve_warnings(file: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let redis = ("FANFARE_BROKER__URL", "redis://redis");
    let environment: Vec<_> = environment.iter().copied().chain([redis]).collect();
    load_from(Purpose::Serve, file, &environment).unwrap().warnings
}

#[test]
fn the_manual_is_well_formed() {
    for section in SECTIONS {
        for key in section.keys {
            let path = format!("{}.{}", section.path, key.name);
            let (Unset::Default(text) | Unset::Example(text)) = key.unset;
            let shown = (key.show)(&settings::Written::Text(text.into()));
            assert!(shown.is_some() || text == value::EXAMPLE_SECRET, "{path}");
            assert!(key.prose().ends_with(['.', '"', ')']), "{path}: {}", key.prose());
            let widest = key.about.iter().chain(section.about).map(|line| line.len()).max();
            assert!(widest < Some(110), "{path}");
        }
    }
}

#[test]
fn defaults_of_serve() {
    let Config {
        server,
        client,
        channel,
        history,
        presence,
        broker,
        auth,
        api,
        telemetry,
        shutdown,
        limit,
        hook,
        webhook,
    } = good("", &[]).config;
    assert_eq!(hook, HooksConfig::default());
    assert_eq!(webhook, None);
    let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
    let s = Duration::from_secs;
    assert_eq!(server.listen, addr("0.0.0.0:8080"));
    assert_eq!(server.internal_listen, addr("127.0.0.1:8081"));
    assert_eq!(server.node_name, "host-1");
    assert_eq!(server.connections_max, 100_000 - 512);
    assert_eq!((server.header_timeout, server.header_size_limit), (s(5), ByteSize::kib(16)));
    assert_eq!((server.read_buffer, server.write_buffer), (ByteSize::kib(16), ByteSize::kib(16)));

    assert!(!client.insecure && !client.allow_anonymous);
    assert!(client.allowed_origins.is_empty() && client.token_query_parameter.is_none());
    assert!(client.token_cookie.is_none() && server.tls.is_none() && server.trusted_proxies.is_empty());
    assert_eq!((client.ping_interval, client.pong_timeout), (s(25), s(8)));
    assert_eq!(client.stale_close_delay, s(10));
    assert_eq!((client.expired_close_delay, client.expired_sub_close_delay), (s(25), s(25)));
    assert_eq!((client.queue_max_size, client.message_size_limit), (ByteSize::mib(1), ByteSize::kib(64)));
    assert_eq!(client.channel_limit, 128);
    assert_eq!(client.subscribe_to_user_personal_channel, section::PersonalChannel::default());

    let default = section::ChannelOptions { leave_delay: s(3), ..section::ChannelOptions::CLOSED };
    assert_eq!(channel, ChannelConfig { default, namespaces: vec![] });
    assert_eq!((history.recovery_max_publication_limit, history.position_check_interval), (None, s(10)));
    assert_eq!((history.idempotency_window, history.replicas, history.replicated_timeout), (s(300), 1, s(1)));
    assert_eq!(presence.list_max, 10_000);
    assert_eq!((broker.url, broker.prefix.as_str()), (BrokerUrl::Memory, "fanfare"));
    assert_eq!((broker.unready_after, broker.connect_timeout, broker.command_timeout), (s(10), s(1), s(4)));
    assert_eq!((broker.heartbeat_interval, broker.node_lease, broker.intake_max), (s(2), s(10), 65_536));

    let token = TokenConfig { algorithms: vec![Algorithm::Hs256], ..TokenConfig::default() };
    assert_eq!((&auth.token, &auth.subscription_token), (&token, &token));
    assert_eq!((api.key, api.body_size_limit), (None, ByteSize::mib(1)));
    assert_eq!((telemetry.log_level.as_str(), telemetry.log_format), ("info", LogFormat::Text));
    assert_eq!((telemetry.otlp_endpoint, telemetry.sample_ratio), (None, 0.0));
    assert_eq!((shutdown.ready_delay, shutdown.drain, shutdown.timeout), (s(5), s(10), s(30)));
    limits::are_the_defaults(&limit);
}

#[test]
fn sizes_agree_with_what_both_ends_rely_on() {
    use fanfare_proto::limits;
    let config = good("", &[]).config;
    assert_eq!(config.client.message_size_limit.bytes(), limits::MESSAGE_BYTES_DEFAULT);
    assert_eq!(config.client.queue_max_size.bytes(), limits::OUTBOX_BYTES_DEFAULT);
    assert_eq!(config.client.channel_limit, limits::CHANNELS_PER_CONNECTION_DEFAULT);
    assert_eq!(config.api.body_size_limit.bytes(), limits::API_BODY_BYTES_DEFAULT);
}

#[test]
fn dev_is_an_open_playground_on_loopback() {
    let loaded = load_from(Purpose::Dev, "", &[]).unwrap();
    let Config { server, client, channel, auth, api, shutdown, .. } = loaded.config;
    assert_eq!(server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(server.internal_listen.to_string(), "127.0.0.1:8081");
    assert!(!client.insecure && client.subscribe_to_user_personal_channel.enabled);
    let open = channel.default;
    assert!(open.allow_subscribe_for_client && open.allow_subscribe_for_anonymous);
    assert!(open.allow_publish_for_client && open.allow_publish_for_subscriber && open.allow_publish_for_anonymous);
    assert!(open.allow_user_limited_channels && !open.exclude_publisher);
    // Subscribers, because outsiders must not read others' personal channels here, either.
    assert!(open.history.is_some() && open.force_recovery && open.allowed_delta.is_some());
    assert!(open.allow_history_for_subscriber && open.allow_history_for_anonymous && !open.allow_history_for_client);
    assert!(open.presence && open.join_leave && open.force_push_join_leave);
    assert!(open.allow_presence_for_subscriber && open.allow_presence_for_anonymous && !open.allow_presence_for_client);
    assert_eq!((auth.token.hmac_secret, api.key), (None, None));
    assert_eq!(shutdown.ready_delay, Duration::ZERO);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert!(!loaded.settings.is_given("server.listen"));
}

#[test]
fn what_dev_presets_can_be_set() {
    let file = "[server]\nlisten = \"127.0.0.1:9\"\n[channel.default]\nallow_publish_for_client = false\n";
    let loaded = load_from(Purpose::Dev, file, &[]).unwrap();
    assert_eq!(loaded.config.server.listen.port(), 9);
    assert!(!loaded.config.channel.default.allow_publish_for_client);
    assert!(loaded.config.channel.default.allow_subscribe_for_client);
    assert!(loaded.settings.is_given("server.listen"));
}

#[test]
fn the_later_layer_wins() {
    let file = "[client]\nping_interval = \"11s\"\nchannel_limit = 11\n[broker]\nprefix = \"file\"\n";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateway.toml");
    fs::write(&path, file).unwrap();
    let environment = [("FANFARE_CLIENT__PING_INTERVAL", "12s"), ("FANFARE_SERVER__LISTEN", "127.0.0.1:12")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.into())).into();
    let flags = vec![Flag { flag: "--listen", path: "server.listen", value: "127.0.0.1:13".into() }];
    let sources = Sources { file: Some(path), environment, flags, ..Sources::none(Purpose::Dev, machine()) };
    let Loaded { config, settings, .. } = load(&sources).unwrap();
    assert_eq!(config.broker.prefix, "file");
    assert_eq!(config.client.channel_limit, 11);
    assert_eq!(config.client.ping_interval, Duration::from_secs(12));
    assert_eq!(config.server.listen.port(), 13);
    assert_eq!(settings.origin("server.listen"), Some(&Origin::Flag("--listen")));
    assert_eq!(settings.origin("shutdown.ready_delay"), Some(&Origin::Dev));
}

#[test]
fn every_key_can_be_a_variable() {
    let environment: Vec<(String, String)> = SECTIONS
        .iter()
        .filter(|section| raw::LISTS.iter().all(|(list, ..)| section.path != *list))
        .flat_map(|section| section.keys.iter().map(move |key| (section, key)))
        .map(|(section, key)| {
            let (Unset::Default(text) | Unset::Example(text)) = key.unset;
            let path = format!("{}.{}", section.path, key.name);
            // The cookie wants an origin.
            let listed = path == "client.allowed_origins";
            (variable(&path), own(if listed { r#"["https://example.com"]"# } else { text }))
        })
        .chain(raw::LISTS.iter().map(|(list, _, example)| (variable(list), format!("[{example}]"))))
        .collect();
    let environment: Vec<(&str, &str)> = environment.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let loaded = good("", &environment);
    for (name, _) in &environment {
        let path = name.trim_start_matches("FANFARE_").to_lowercase().replace("__", ".");
        let is_list = raw::LISTS.iter().any(|(list, ..)| path == *list);
        let path = if is_list { format!("{path}[0].name") } else { path };
        assert_eq!(loaded.settings.origin(&path), Some(&Origin::Variable((*name).to_owned())), "{path}");
    }
    assert_eq!(loaded.config.server.node_name, "gateway-1");
    assert_eq!(loaded.config.channel.namespaces[0].name, "chat");
}

#[test]
fn variables() {
    let set = |name, value| good("", &[(name, value)]).config;
    assert!(set("FANFARE_CLIENT__INSECURE", "true").client.insecure);
    assert_eq!(set("FANFARE_SERVER__READ_BUFFER", "2048").server.read_buffer, ByteSize::kib(2));
    assert!((set("FANFARE_TELEMETRY__SAMPLE_RATIO", "0.25").telemetry.sample_ratio - 0.25).abs() < f64::EPSILON);
    let origins = set("FANFARE_CLIENT__ALLOWED_ORIGINS", r#"["https://a.com","https://*.b.com"]"#);
    assert_eq!(origins.client.allowed_origins, ["https://a.com", "https://*.b.com"]);
    let auth = set("FANFARE_AUTH__TOKEN__ALGORITHMS", r#"["HS512","HS256"]"#).auth;
    assert_eq!(auth.token.algorithms, [Algorithm::Hs512, Algorithm::Hs256]);
    assert_eq!(auth.subscription_token.algorithms, [Algorithm::Hs512, Algorithm::Hs256]);
}

#[test]
fn namespaces_of_a_file_and_of_a_variable() {
    let file = "
        [[channel.namespace]]
        name = \"chat\"
        allow_subscribe_for_client = true
        [[channel.namespace]]
        name = \"raw\"
        publication_data_format = \"binary\"
        [channel.default]
        exclude_publisher = true
    ";
    let channel = good(file, &[]).config.channel;
    assert_eq!(channel.namespaces.len(), 2);
    assert_eq!(channel.namespaces[0].name, "chat");
    assert!(channel.namespaces[0].options.allow_subscribe_for_client);
    assert!(!channel.namespaces[0].options.exclude_publisher, "nothing is inherited");
    assert_eq!(channel.namespaces[1].options.publication_data_format, DataFormat::Binary);

    let variable = ("FANFARE_CHANNEL__NAMESPACE", r#"[{"name":"only","exclude_publisher":true}]"#);
    let channel = good(file, &[variable]).config.channel;
    assert_eq!(channel.namespaces.len(), 1, "a list wins as a whole");
    assert_eq!(channel.namespaces[0].name, "only");
    assert!(channel.namespaces[0].options.exclude_publisher);
    assert!(good(file, &[("FANFARE_CHANNEL__NAMESPACE", "[]")]).config.channel.namespaces.is_empty());
    assert!(good("channel.namespace = []", &[]).config.channel.namespaces.is_empty());
}

#[test]
fn subscription_tokens_are_as_connection_tokens_field_by_field() {
    let file = format!(
        "[auth.token]\nalgorithms = [\"HS512\"]\nhmac_secret = \"{SECRET}\"\naudience = \"a\"\nissuer = \"i\"\n"
    );
    let auth = good(&file, &[]).config.auth;
    assert_eq!(auth.token, auth.subscription_token);
    let other = "another-secret-of-32-bytes-or-more";
    let file = format!("{file}[auth.subscription_token]\nhmac_secret = \"{other}\"\naudience = \"b\"\n");
    let auth = good(&file, &[]).config.auth;
    assert_eq!(auth.subscription_token.hmac_secret.unwrap().expose(), other);
    assert_eq!(auth.subscription_token.audience.as_deref(), Some("b"));
    assert_eq!(auth.subscription_token.issuer.as_deref(), Some("i"));
    assert_eq!(auth.subscription_token.algorithms, [Algorithm::Hs512]);
}

#[test]
fn secrets_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let name = "FANFARE_AUTH__TOKEN__HMAC_SECRET_FILE";
    let read = |path: &str| good("", &[(name, path)]).config.auth.token.hmac_secret.unwrap().expose().to_owned();
    assert_eq!(read(&write("plain", b"secret")), "secret");
    assert_eq!(read(&write("newline", b"secret\n")), "secret");
    assert_eq!(read(&write("windows", b"secret\r\n")), "secret");
    assert_eq!(read(&write("two", b"secret\n\n")), "secret\n");

    let missing = dir.path().join("missing").display().to_string();
    let (empty, binary) = (write("empty", b"\n"), write("binary", b"\xff"));
    let cases = [
        (missing.as_str(), format!("the file {missing} cannot be read: No such file or directory (os error 2)")),
        (empty.as_str(), format!("the file {empty} is empty")),
        (binary.as_str(), format!("the file {binary} is not UTF-8")),
        ("", "is set but empty: give it a file's path, or unset it".into()),
    ];
    for (path, text) in cases {
        assert_eq!(problems("", &[(name, path)]), [format!("{name}: {text}")]);
    }
}

#[test]
fn wrong_variables() {
    let cases: [(&[(&str, &str)], &str); 8] = [
        (
            &[("FANFARE_API__KEY", "a"), ("FANFARE_API__KEY_FILE", "/b")],
            "FANFARE_API__KEY: is set, and so is FANFARE_API__KEY_FILE: only one of them can be true; unset one",
        ),
        (&[("FANFARE_API__KEY", "")], "FANFARE_API__KEY: is set but empty: give it a value, or unset it"),
        (
            &[("FANFARE_CLIENT__PING_INTERVAL", "25")],
            "client.ping_interval (FANFARE_CLIENT__PING_INTERVAL): \"25\" is not a duration such as \"25s\", \"500ms\" \
             or \"1h30m\"",
        ),
        (
            &[("FANFARE_CLIENT__INSECURE", "yes")],
            "client.insecure (FANFARE_CLIENT__INSECURE): \"yes\" is not true or false",
        ),
        (
            &[("FANFARE_CLIENT__ALLOWED_ORIGINS", "https://a.com")],
            "client.allowed_origins (FANFARE_CLIENT__ALLOWED_ORIGINS): \"https://a.com\" is not a list such as \
             [\"a\", \"b\"] (in a variable: the same, as JSON)",
        ),
        (
            &[("FANFARE_CHANNEL__NAMESPACE", "chat")],
            "channel.namespace (FANFARE_CHANNEL__NAMESPACE): is not a JSON list of objects such as \
             [{\"name\":\"chat\",\"allow_subscribe_for_client\":true}]",
        ),
        (
            &[("FANFARE_CHANNEL__NAMESPACE", r#"[{"name":"chat","allow_tags_filter":true}]"#)],
            "channel.namespace[0].allow_tags_filter (FANFARE_CHANNEL__NAMESPACE): is not built yet: remove it",
        ),
        (
            &[("FANFARE_BROKER__URL", "redis://:hunter2@host:port")],
            "broker.url (FANFARE_BROKER__URL): is not a good Redis URL: write \"redis://host:port/db\"",
        ),
    ];
    for (environment, expected) in cases {
        assert_eq!(problems("", environment), [expected]);
    }
}

#[test]
fn wrong_values_in_the_file() {
    let cases = [
        (
            "client.ping_interval = 25",
            "client.ping_interval (gateway.toml:1): 25 is not a duration such as \"25s\", \"500ms\" or \"1h30m\"",
        ),
        ("client.insecure = \"true\"", "client.insecure (gateway.toml:1): \"true\" is not true or false"),
        ("client.channel_limit = -1", "client.channel_limit (gateway.toml:1): -1 is not a whole number"),
        (
            "client.channel_limit = 99999999999999999999",
            "client.channel_limit (gateway.toml:1): \"99999999999999999999\" is not a whole number",
        ),
        (
            "\n\nserver.read_buffer = \"1KB\"",
            "server.read_buffer (gateway.toml:3): \"1KB\" is not a size such as \"64KiB\", \"1MiB\" or a number of bytes",
        ),
        (
            "server.listen = \"8080\"",
            "server.listen (gateway.toml:1): \"8080\" is not an address such as \"0.0.0.0:8080\" or \"[::]:8080\"",
        ),
        (
            "telemetry.log_format = \"xml\"",
            "telemetry.log_format (gateway.toml:1): \"xml\" is not \"text\" or \"json\"",
        ),
        (
            "auth.token.algorithms = [\"none\"]",
            "auth.token.algorithms (gateway.toml:1): \"none\" in the list is not \"HS256\", \"HS384\", \"HS512\", the same \
             with \"RS\", \"PS\" and \"ES\", or \"EdDSA\"",
        ),
        ("auth.token.audience = \"\"", "auth.token.audience (gateway.toml:1): is empty: leave it out instead"),
        ("auth.token.hmac_secret = 12345", "auth.token.hmac_secret (gateway.toml:1): is not a text"),
        ("api.key = \"\"", "api.key (gateway.toml:1): is empty: give it a value, or leave it out"),
        ("api.key = \"***\"", "api.key (gateway.toml:1): is the mask that print-config shows: give the secret itself"),
        ("api.key = \"change-me\"", "api.key (gateway.toml:1): is still the example: take a secret of your own"),
        (
            "broker.url = \"rediss://:hunter2@redis\"",
            "broker.url (gateway.toml:1): is not possible: TLS to Redis is not built yet; write \
             \"redis://host:port/db\" or \"memory://\"",
        ),
        (
            "broker.url = \"http://redis\"",
            "broker.url (gateway.toml:1): is not \"memory://\" or \"redis://host:port/db\"",
        ),
        (
            "broker.url = \"redis://redis/x\"",
            "broker.url (gateway.toml:1): is not a good Redis URL: write \"redis://host:port/db\"",
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(problems(file, &[]), [expected], "{file}");
    }
}

#[test]
fn values_for_clients_that_do_not_fit_together() {
    let cases = [
        (
            "server.listen = \"0.0.0.0:8081\"",
            "server.internal_listen: 127.0.0.1:8081 takes the same port as server.listen, 0.0.0.0:8081: choose another",
        ),
        (
            "server.header_size_limit = 1024",
            "server.header_size_limit (gateway.toml:1): 1KiB is out of range: write 8KiB to 1MiB",
        ),
        (
            "client.pong_timeout = \"25s\"",
            "client.pong_timeout (gateway.toml:1): is not shorter than client.ping_interval: shorten it",
        ),
        (
            "client.ping_interval = \"9500ms\"",
            "client.ping_interval (gateway.toml:1): clients are told it in whole seconds: write \"1s\" or more",
        ),
        (
            "client.message_size_limit = \"600KiB\"",
            "client.queue_max_size: 1MiB is less than two messages of client.message_size_limit, 600KiB: raise it",
        ),
        ("client.channel_limit = 0", "client.channel_limit (gateway.toml:1): 0 is out of range: write 1 to 100000"),
        (
            "client.allowed_origins = [\"https://a.com\", \"b.com\"]",
            "client.allowed_origins (gateway.toml:1): \"b.com\" is not an origin: write scheme and host only, \
             \"https://example.com\"",
        ),
        (
            "client.token_query_parameter = \"a=b\"",
            "client.token_query_parameter (gateway.toml:1): \"a=b\" is not a parameter's name: write letters, digits, \
             `-`, `_`",
        ),
        (
            "client.subscribe_to_user_personal_channel.namespace = \"user\"",
            "client.subscribe_to_user_personal_channel.namespace (gateway.toml:1): there is no namespace \"user\": add \
             a [[channel.namespace]] of that name",
        ),
        (
            "client.subscribe_to_user_personal_channel.enabled = true\nchannel.default.allow_subscribe_for_client = true",
            "client.subscribe_to_user_personal_channel.enabled (gateway.toml:1): by \
             channel.default.allow_subscribe_for_client every user could read the personal channels of all others: set \
             channel.default.allow_user_limited_channels = true",
        ),
        (
            "client.subscribe_to_user_personal_channel = { enabled = true, namespace = \"own\" }\n\
             [[channel.namespace]]\nname = \"own\"\nallow_subscribe_for_client = true",
            "client.subscribe_to_user_personal_channel.enabled (gateway.toml:1): by allow_subscribe_for_client of the \
             namespace \"own\" every user could read the personal channels of all others: set \
             allow_user_limited_channels = true there",
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(problems(file, &[]), [expected], "{file}");
    }
}

#[test]
fn personal_channels_are_fine_where_others_cannot_subscribe_to_them() {
    let on = "client.subscribe_to_user_personal_channel.enabled = true\n";
    let own = "client.subscribe_to_user_personal_channel.namespace = \"own\"\n[[channel.namespace]]\nname = \"own\"\n";
    let open = "channel.default.allow_subscribe_for_client = true\n";
    let other = "[[channel.namespace]]\nname = \"other\"\nallow_subscribe_for_client = true\n";
    for file in [
        open.to_owned(),
        format!("{on}{open}channel.default.allow_user_limited_channels = true\n"),
        // The rules of other namespaces do not matter.
        format!("{on}{open}{own}{other}"),
    ] {
        assert!(problems(&file, &[]).is_empty(), "{file}");
    }
}

#[test]
fn values_of_nodes_that_do_not_fit_together() {
    let cases = [
        (
            "broker.node_lease = \"5s\"",
            "broker.node_lease (gateway.toml:1): is less than three of broker.heartbeat_interval, so a lost one could \
             end it: lengthen it",
        ),
        (
            "broker.unready_after = \"3s\"",
            "broker.unready_after (gateway.toml:1): is less than two of broker.heartbeat_interval, so a late one would \
             show: lengthen it",
        ),
        (
            "broker.prefix = \"a b\"",
            "broker.prefix (gateway.toml:1): \"a b\" cannot begin a key: write at most 64 letters, digits, `-`, `_`, \
             `.`, `:`",
        ),
        ("broker.connect_timeout = \"0s\"", "broker.connect_timeout (gateway.toml:1): cannot be 0: give it some time"),
        (
            "telemetry.log_level = \"inof\"",
            "telemetry.log_level (gateway.toml:1): \"inof\" is not a level: write \"info\", \"debug\" or \
             \"info,fanfare_gateway::broker=debug\"",
        ),
        ("telemetry.sample_ratio = 2", "telemetry.sample_ratio (gateway.toml:1): 2 is out of range: write 0 to 1"),
        (
            "telemetry.otlp_endpoint = \"collector:4318\"",
            "telemetry.otlp_endpoint (gateway.toml:1): is not a URL: write \"http://host:4318\"",
        ),
        (
            "shutdown.drain = \"1m\"",
            "shutdown.timeout: is less than shutdown.ready_delay and shutdown.drain together: lengthen it, or shorten \
             them",
        ),
        (
            "api.key = \"two words\"",
            "api.key (gateway.toml:1): cannot be sent in a header: write printable ASCII characters without spaces",
        ),
        (
            "auth.token.algorithms = []",
            "auth.token.algorithms (gateway.toml:1): is empty, so no token could be good: name at least one",
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(problems(file, &[]), [expected], "{file}");
    }
}

#[test]
fn namespaces_with_bad_names() {
    let file = "
        [[channel.namespace]]
        name = \"a\"
        [[channel.namespace]]
        name = \"chat\"
        [[channel.namespace]]
        exclude_publisher = true
        [[channel.namespace]]
        name = \"chat\"
        [[channel.namespace]]
    ";
    let expected = [
        "channel.namespace[0].name (gateway.toml:3): \"a\" cannot name a namespace: write two or more letters, digits, \
         `-`, `_`",
        "channel.namespace[2].name: is missing: write name = \"...\"",
        "channel.namespace[3].name (gateway.toml:9): \"chat\" is there twice: put all its options into one section",
        "channel.namespace[4].name: is missing: write name = \"...\"",
    ];
    assert_eq!(problems(file, &[]), expected);
}

#[test]
fn unknown_keys() {
    let cases = [
        ("server.lisen = 1", "server.lisen", "there is no such key: did you mean server.listen?"),
        ("ping_interval = 1", "ping_interval", "there is no such key: did you mean client.ping_interval?"),
        (
            "broker.ping_interval = 1",
            "broker.ping_interval",
            "there is no such key: did you mean client.ping_interval?",
        ),
        (
            "channel.default.allowSubscribeForClient = 1",
            "channel.default.allowSubscribeForClient",
            "there is no such key: did you mean channel.default.allow_subscribe_for_client?",
        ),
        ("xyzzy.plugh = 1", "xyzzy.plugh", "there is no such key: remove it; `print-config` shows all keys"),
        ("client.token = 1", "client.token", "is Centrifugo's name: not built yet; remove it"),
        ("auth = 1", "auth", "is not a value: it holds sections such as [auth.token]"),
        ("server = 1", "server", "is a section, not a value: write [server], and its keys below it"),
        (
            "server.listen.port = 1",
            "server.listen.port",
            "there is no such key: server.listen is a value, not a section",
        ),
        (
            "channel.namespace.name = \"chat\"",
            "channel.namespace.name",
            "is a list: write each namespace as [[channel.namespace]], with double brackets",
        ),
        ("channel.default.auto_cache_recover = 1", "channel.default.auto_cache_recover", "is not built yet: remove it"),
    ];
    for (file, path, text) in cases {
        assert_eq!(problems(file, &[]), [format!("{path} (gateway.toml:1): {text}")], "{file}");
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let file = "[client]\nping_interval = 25\nfoo = 1\n[server]\nlisten = \"x\"\nread_buffer = 1\n";
    let environment = [("FANFARE_API__KEY", ""), ("FANFARE_SHUTDOWN__DRAIN", "1m")];
    assert_eq!(problems(file, &environment).len(), 6);
    let text = load_from(Purpose::LookUp, file, &environment).unwrap_err();
    assert!(text[0].starts_with("FANFARE_API__KEY: "), "{text:?}");
}

#[test]
fn a_file_that_is_not_toml() {
    let all = problems("[client\nping_interval = 25s\n[api]\nkey = hunter2\n", &[]);
    assert!(all.len() >= 2, "{all:?}");
    assert!(all[0].starts_with("gateway.toml:1: is not TOML: "), "{all:?}");
    assert!(all.iter().all(|problem| !problem.contains("hunter2")), "{all:?}");
    let twice = problems("[api]\nkey = \"a\"\nkey = \"b\"\n", &[]);
    assert_eq!(twice, ["gateway.toml:3: is not TOML: duplicate key"]);
}

#[test]
fn a_file_that_cannot_be_read() {
    let file = Some("/nonexistent/gateway.toml".into());
    let sources = Sources { file, ..Sources::none(Purpose::LookUp, machine()) };
    let text = load(&sources).unwrap_err().to_string();
    let expected = "the configuration has a problem:\n  /nonexistent/gateway.toml: cannot be read: No such file or \
                    directory (os error 2)";
    assert_eq!(text, expected);
}

#[test]
fn secrets_are_never_said() {
    let file = "
        [auth.token]
        hmac_secret = \"hunter2-hunter2\"
        algorithms = \"x\"
        [auth.subscription_token]
        hmac_secret = [\"hunter2\"]
        [api]
        key = \"hunter2 hunter2\"
        [broker]
        url = \"redis://:hunter2@host/x\"
    ";
    let all = problems(file, &[]);
    assert_eq!(all.len(), 4, "{all:?}");
    assert!(all.iter().all(|problem| !problem.contains("hunter2")), "{all:?}");

    let environment = [
        ("FANFARE_AUTH__TOKEN__HMAC_SECRET", "hunter2"),
        ("FANFARE_API__KEY", "hunter2"),
        ("FANFARE_BROKER__URL", "redis://:hunter2@host"),
        ("FANFARE_AUTH__TOKEN__JWKS_URL", "https://auth.example.com/?key=hunter2"),
        ("FANFARE_WEBHOOK__URL", "https://app.example.com/?key=hunter2"),
        ("FANFARE_WEBHOOK__SECRET", "hunter2"),
        ("FANFARE_TELEMETRY__OTLP_ENDPOINT", "http://me:hunter2@collector:4318"),
    ];
    let loaded = good("", &environment);
    assert!(!format!("{loaded:?}").contains("hunter2"), "{loaded:?}");
    assert!(!print::effective(&loaded.settings).contains("hunter2"));

    let flags = vec![Flag { flag: "--broker", path: "broker.url", value: "redis://:hunter2@host".into() }];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.into())).into();
    let sources = Sources { environment, flags, ..Sources::none(Purpose::Serve, machine()) };
    assert!(!format!("{sources:?}").contains("hunter2"), "{sources:?}");
}

#[test]
fn serve_must_let_somebody_in() {
    let expected = "auth.token.hmac_secret: is not set, so nobody could connect: set it in the file, by \
                    FANFARE_AUTH__TOKEN__HMAC_SECRET or by FANFARE_AUTH__TOKEN__HMAC_SECRET_FILE; or let clients in \
                    without tokens by client.allow_anonymous = true";
    assert_eq!(load_from(Purpose::Serve, "", &[]).unwrap_err(), [expected]);
    for file in ["client.insecure = true", "client.allow_anonymous = true"] {
        assert!(load_from(Purpose::Serve, file, &[]).is_ok(), "{file}");
    }
    assert!(load_from(Purpose::Serve, "", &[TOKEN]).is_ok());
}

#[test]
fn what_could_not_be_read_is_not_called_missing() {
    let secret = "FANFARE_AUTH__TOKEN__HMAC_SECRET";
    let cases: [&[(&str, &str)]; 3] = [
        &[(secret, "")],
        &[(secret, SECRET), ("FANFARE_AUTH__TOKEN__HMAC_SECRET_FILE", "/b")],
        &[("FANFARE_AUTH__TOKEN__HMAC_SECRET_FILE", "/no/such/file")],
    ];
    for environment in cases {
        let told = load_from(Purpose::Serve, "", environment).unwrap_err();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(secret), "{told:?}");
    }
    let environment = [("FANFARE_BROKER__URL".to_owned(), "".into())].into();
    let problems = load(&Sources { environment, ..Sources::none(Purpose::Serve, machine()) }).unwrap_err();
    assert_eq!(problems.warnings, Vec::<String>::new());
    assert_eq!(problems.list.len(), 2, "the variable and the secret: {problems}");
}

#[test]
fn warnings() {
    let cases = [
        (
            "client.insecure = true",
            "client.insecure (gateway.toml:1): EVERYONE MAY DO EVERYTHING, tokens or not. Never use it outside of tests",
        ),
        (
            "client.allowed_origins = [\"*\"]",
            "client.allowed_origins (gateway.toml:1): \"*\" lets pages of any origin connect",
        ),
        (
            "client.token_query_parameter = \"t\"",
            "client.token_query_parameter (gateway.toml:1): tokens in URLs reach logs: only for tools that need it",
        ),
        (
            "auth.subscription_token.hmac_secret = \"short\"",
            "auth.subscription_token.hmac_secret (gateway.toml:1): has 5 bytes and can be guessed: take 32 random ones \
             or more",
        ),
        (
            "server.connections_max = 100000",
            "server.connections_max (gateway.toml:1): 100000 is more than the limit of 100000 open files allows: raise \
             the limit",
        ),
        (
            "channel.default.allow_subscribe_for_anonymous = true",
            "channel.default.allow_subscribe_for_anonymous (gateway.toml:1): does nothing without \
             allow_subscribe_for_client",
        ),
        (
            "channel.default.allow_publish_for_anonymous = true",
            "channel.default.allow_publish_for_anonymous (gateway.toml:1): does nothing without \
             allow_publish_for_client or allow_publish_for_subscriber",
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(serve_warnings(file, &[TOKEN]), [expected], "{file}");
    }
    assert!(serve_warnings("", &[TOKEN]).is_empty());
    let alone = load_from(Purpose::Serve, "", &[TOKEN]).unwrap().warnings;
    assert_eq!(alone, ["broker.url: is not set, so this node is alone: \"redis://host:port/db\" joins several"]);
}

#[test]
fn connections_are_limited_by_open_files() {
    let load_with = |open_files_max| {
        let machine = Machine { open_files_max, ..machine() };
        let environment = [(TOKEN.0.to_owned(), TOKEN.1.into()), ("FANFARE_BROKER__URL".into(), "memory://".into())];
        let sources = Sources { environment: environment.into(), ..Sources::none(Purpose::Serve, machine) };
        let loaded = load(&sources).unwrap();
        (loaded.config.server.connections_max, loaded.warnings)
    };
    assert_eq!(load_with(Some(usize::MAX)), (1_000_000, vec![]));
    assert_eq!(load_with(Some(50_512)), (50_000, vec![]));
    assert_eq!(load_with(None), (10_000, vec![]));
    let few = "server.connections_max: the limit of 1024 open files allows 512 connections: raise the limit";
    assert_eq!(load_with(Some(1024)), (512, vec![few.to_owned()]));
    assert_eq!(load_with(Some(100)).0, 1);
}

#[test]
fn unknown_variables_only_warn() {
    let cases = [
        (
            "FANFARE_CLIENT_PING_INTERVAL",
            Some(
                "FANFARE_CLIENT_PING_INTERVAL sets no key and is ignored: did you mean FANFARE_CLIENT__PING_INTERVAL?",
            ),
        ),
        (
            "FANFARE_AUTH__TOKEN__HMAC_SECRET_FIEL",
            Some(
                "FANFARE_AUTH__TOKEN__HMAC_SECRET_FIEL sets no key and is ignored: did you mean \
                 FANFARE_AUTH__TOKEN__HMAC_SECRET_FILE?",
            ),
        ),
        ("FANFARE_HOME", Some("FANFARE_HOME sets no key and is ignored")),
        ("FANFARE_GATEWAY_SERVICE_HOST", None),
        ("FANFARE_GATEWAY_SERVICE_PORT", None),
        ("FANFARE_GATEWAY_SERVICE_PORT_HTTP", None),
        ("FANFARE_GATEWAY_PORT_8080_TCP", None),
        ("FANFARE_GATEWAY_PORT_8080_TCP_ADDR", None),
        ("OTHER", None),
    ];
    for (name, expected) in cases {
        assert_eq!(serve_warnings("", &[TOKEN, (name, "10.0.0.1")]), expected.as_slice(), "{name}");
    }
    assert!(serve_warnings("", &[TOKEN, ("FANFARE_GATEWAY_PORT", "tcp://10.0.0.1:80")]).is_empty());
    assert_eq!(serve_warnings("", &[TOKEN, ("FANFARE_GATEWAY_PORT", "80")]).len(), 1);
}
