//! What must not get out: secrets by logs, answers, metrics or what the command line prints; versions by health
//! checks; memory by labels that clients invent.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/gateway.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod gateway;
#[path = "support/redis.rs"]
mod redis;
#[path = "support/token.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod token;
#[path = "support/ws.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod ws;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Command;

use fanfare_gateway::config::section::auth::Algorithm;
use fanfare_gateway::config::{Machine, Purpose, SECTIONS, Sources, load};
use fanfare_proto::centrifuge::json;
use serde_json::{Value, json};

use gateway::{API_KEY, Gateway, HMAC_SECRET};
use redis::RedisServer;
use ws::Socket;

const SUBSCRIPTION_SECRET: &str = "MARK-subscription-secret-long-enough";
const REDIS_PASSWORD: &str = "MARK-redis-password";
const PREVIOUS_SECRET: &str = "MARK-previous-secret-long-enough-for-it";
const WEBHOOK_SECRET: &str = "MARK-webhook-secret-long-enough-for-it";

/// What is no secret and belongs to those that are.
const BESIDE: &str = "auth.token.hmac_previous_valid_until = 4102444800\n\
    auth.subscription_token.hmac_previous_valid_until = 4102444800\n";

/// Secrets that stand in tables, and what of them must never be seen.
const TABLES: &str = "[[auth.issuer]]\nname = \"staff\"\nissuer = \"https://staff.example\"\n\
    hmac_secret = \"MARK-staff-secret-long-enough-for-it\"\n\
    hmac_previous_secret = \"MARK-staff-previous-secret-long-enough\"\n\
    hmac_previous_valid_until = 4102444800\njwks_url = \"https://127.0.0.1:1/?key=MARK-staff-key\"\n\
    [hook.app]\nurl = \"http://somebody:MARK-hook-password@127.0.0.1:1/\"\nheaders = { X-Key = \"MARK-hook-header\" }\n";
const IN_TABLES: [(&str, &str); 5] = [
    ("auth.issuer.hmac_secret", "MARK-staff-secret"),
    ("auth.issuer.hmac_previous_secret", "MARK-staff-previous-secret"),
    ("auth.issuer.jwks_url", "MARK-staff-key"),
    ("hook.app.url", "MARK-hook-password"),
    ("hook.app.headers", "MARK-hook-header"),
];

/// Every key that holds a secret, the variable that sets it, and what of its value must never be seen.
fn secrets(redis: &str) -> Vec<(&'static str, String, &'static str)> {
    vec![
        ("auth.token.hmac_secret", HMAC_SECRET.into(), HMAC_SECRET),
        ("auth.subscription_token.hmac_secret", SUBSCRIPTION_SECRET.into(), SUBSCRIPTION_SECRET),
        ("auth.token.hmac_previous_secret", PREVIOUS_SECRET.into(), PREVIOUS_SECRET),
        ("auth.subscription_token.hmac_previous_secret", PREVIOUS_SECRET.into(), PREVIOUS_SECRET),
        ("auth.token.jwks_url", "https://127.0.0.1:1/?key=MARK-jwks-key".into(), "MARK-jwks-key"),
        ("auth.subscription_token.jwks_url", "https://127.0.0.1:1/?key=MARK-jwks-key".into(), "MARK-jwks-key"),
        ("webhook.url", "http://127.0.0.1:1/?key=MARK-webhook-key".into(), "MARK-webhook-key"),
        ("telemetry.otlp_endpoint", "http://me:MARK-collector@127.0.0.1:1".into(), "MARK-collector"),
        ("webhook.secret", WEBHOOK_SECRET.into(), WEBHOOK_SECRET),
        ("api.key", API_KEY.into(), API_KEY),
        ("broker.url", format!("redis://:{REDIS_PASSWORD}@{redis}"), REDIS_PASSWORD),
    ]
}

fn assert_clean<'a>(what: &str, text: &str, secrets: impl IntoIterator<Item = &'a str>) {
    for secret in secrets {
        assert!(!secret.is_empty() && !text.contains(secret), "{what} shows {secret:?}:\n{text}");
    }
}

#[test]
fn every_secret_key_is_known_here() {
    let marked = SECTIONS.iter().flat_map(|section| {
        section.keys.iter().filter(|key| key.is_secret).map(move |key| format!("{}.{}", section.path, key.name))
    });
    let known = secrets("x").into_iter().map(|(path, ..)| path).chain(IN_TABLES.map(|(path, _)| path));
    let known: BTreeSet<String> = known.map(str::to_owned).collect();
    assert_eq!(marked.collect::<BTreeSet<_>>(), known, "a new secret belongs into the table above");
}

#[tokio::test]
async fn a_gateway_keeps_its_secrets_while_much_goes_wrong() {
    let mut redis = RedisServer::start_with(&["--requirepass", REDIS_PASSWORD]);
    for format in ["text", "json"] {
        if format == "json" {
            redis.restart();
        }
        let config = format!(
            "[auth.subscription_token]\nhmac_secret = \"{SUBSCRIPTION_SECRET}\"\n\
             [broker]\nurl = \"redis://:{REDIS_PASSWORD}@127.0.0.1:{}/0\"\nunready_after = \"4s\"\n\
             [client]\nallowed_origins = [\"https://app.example\"]\ntoken_cookie = \"t\"\ntoken_query_parameter = \"token\"\n\
             [channel.default]\nallow_subscribe_for_client = true\n\
             [telemetry]\nlog_level = \"trace\"\nlog_format = \"{format}\"\n",
            redis.port()
        );
        let mut gateway = Gateway::start(&config).await;
        let mut seen = talk(&gateway).await;
        // The password is no longer good, and then nobody answers at all.
        let new_password = ["-a", REDIS_PASSWORD, "config", "set", "requirepass", "another"];
        redis_cli(&redis, &new_password);
        redis_cli(&redis, &["-a", "another", "client", "kill", "type", "normal"]);
        redis_cli(&redis, &["-a", "another", "client", "kill", "type", "pubsub"]);
        seen.push(gateway.ready_is(503).await.to_string());
        redis.stop();
        seen.push(gateway.api_raw("publish", Some(API_KEY), r#"{"channel":"news","data":1}"#).await.1);
        gateway.terminate();
        gateway.exit_code().await;
        let log = gateway.log();
        assert!(log.contains("DEBUG") && log.contains("refused a connection token"), "it says much: {log}");
        let tokens = Tokens::new();
        let marks = || secrets("x").into_iter().map(|(.., secret)| secret).chain(tokens.all());
        assert_clean("the log", &log, marks());
        seen.iter().for_each(|text| assert_clean("an answer", text, marks()));
    }
}

fn redis_cli(redis: &RedisServer, arguments: &[&str]) {
    let port = redis.port().to_string();
    assert!(Command::new("redis-cli").args(["-p", &port]).args(arguments).output().unwrap().status.success());
}

/// Tokens of all kinds; always the same ones.
struct Tokens {
    good: String,
    forged: String,
    expired: String,
    subscription: String,
    forged_subscription: String,
}

impl Tokens {
    fn new() -> Self {
        let forge = |claims: &Value| token::mint_with(claims, jsonwebtoken::Algorithm::HS256, "another secret");
        let subscription = json!({ "sub": "42", "channel": "$news" });
        Self {
            good: token::mint(&json!({ "sub": "42" })),
            forged: forge(&json!({ "sub": "42" })),
            expired: token::mint(&json!({ "sub": "42", "exp": 1_000_000 })),
            subscription: token::mint_with(&subscription, jsonwebtoken::Algorithm::HS256, SUBSCRIPTION_SECRET),
            forged_subscription: forge(&subscription),
        }
    }

    /// The signatures: without them a token is worth nothing.
    fn all(&self) -> impl Iterator<Item = &str> {
        [&self.good, &self.forged, &self.expired, &self.subscription, &self.forged_subscription]
            .map(|token| token.rsplit('.').next().unwrap())
            .into_iter()
    }
}

/// Says all that a client and a backend can say with good tokens and bad ones; answers what it heard.
async fn talk(gateway: &Gateway) -> Vec<String> {
    let tokens = Tokens::new();
    let mut seen = Vec::new();
    for token in [&tokens.good, &tokens.forged, &tokens.expired] {
        let cookie = format!("t={token}");
        let bearer = format!("Bearer {token}");
        let roads: [(&[(&str, &str)], &str); 3] = [
            (&[], token),
            (&[("Authorization", &bearer)], ""),
            (&[("Origin", "https://app.example"), ("Cookie", &cookie)], ""),
        ];
        for (headers, token) in roads {
            let mut socket = Socket::open_with(gateway.listen, headers).await;
            socket.text(json!({ "id": 1, "connect": { "token": token } }).to_string()).await;
            seen.push(format!("{:?}", socket.line().await));
            if seen.last().unwrap().contains("error") || seen.last().unwrap() == "None" {
                continue;
            }
            for (id, token) in [(2, &tokens.forged_subscription), (3, &tokens.subscription)] {
                let subscribe = json!({ "id": id, "subscribe": { "channel": "$news", "token": token } });
                socket.text(subscribe.to_string()).await;
                seen.push(socket.reply(id).await.to_string());
            }
            socket.text(json!({ "id": 4, "refresh": { "token": tokens.forged } }).to_string()).await;
            seen.push(format!("{:?}", socket.closed().await));
        }
        let query = format!("/connection/websocket?token={token}");
        let url = format!("http://{}{query}", gateway.listen);
        seen.push(reqwest::get(url).await.unwrap().text().await.unwrap());
    }
    for key in [Some(API_KEY), Some("test-api-key-with-a-slip"), None] {
        for (method, body) in [("publish", r#"{"channel":"news","data":{}}"#), ("publish", "{"), ("sing", "{}")] {
            seen.push(gateway.api_raw(method, key, body).await.1);
        }
    }
    for path in ["/metrics", "/health", "/ready"] {
        seen.push(reqwest::get(format!("http://{}{path}", gateway.internal)).await.unwrap().text().await.unwrap());
    }
    seen
}

#[test]
fn what_the_command_line_prints_has_no_secrets() {
    let secrets = secrets("127.0.0.1:1/0");
    let marks = || secrets.iter().map(|(.., secret)| *secret).chain(IN_TABLES.map(|(_, secret)| secret));
    let assignments: String = secrets.iter().map(|(path, value, _)| format!("{path} = \"{value}\"\n")).collect();
    let assignments = assignments + BESIDE;
    for (what, text) in [
        ("good", assignments.clone()),
        ("unknown key", format!("{assignments}server.lisen = 1\n")),
        ("not TOML", format!("{assignments}server = \"\n")),
        ("wrong kinds", assignments.replace("= \"", "= [\"").replace("\"\n", "\"]\n")),
        ("twice", format!("{assignments}{assignments}")),
        ("no URL", assignments.replace("redis://", "redis//")),
        ("no port", assignments.replace(":1/0", ":one/0")),
    ] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.write_all(TABLES.as_bytes()).unwrap();
        for command in ["print-config", "check-config"] {
            let output = Command::new(env!("CARGO_BIN_EXE_fanfare-gateway"))
                .args([command, "-c"])
                .arg(file.path())
                .output()
                .unwrap();
            let printed = [output.stdout, output.stderr].concat();
            assert!(!printed.is_empty());
            assert_clean(&format!("{command}, {what}"), &String::from_utf8(printed).unwrap(), marks());
        }
    }
}

#[test]
fn debug_shows_neither_secrets_nor_tokens() {
    let secrets = secrets("127.0.0.1:1/0");
    let variable = |path: &str| format!("FANFARE_{}", path.to_uppercase().replace('.', "__"));
    let environment = secrets.iter().map(|(path, value, _)| (variable(path), value.into()));
    let beside = BESIDE.lines().filter_map(|line| line.split_once(" = "));
    let environment = environment.chain(beside.map(|(path, value)| (variable(path), value.trim_matches('"').into())));
    let machine = Machine { host_name: "host".into(), open_files_max: None };
    let sources = Sources { environment: environment.collect(), ..Sources::none(Purpose::Serve, machine) };
    let loaded = load(&sources).unwrap();
    assert_eq!(loaded.config.auth.token.algorithms, [Algorithm::Hs256]);
    let marks = || secrets.iter().map(|(.., secret)| *secret);
    assert_clean("Debug", &format!("{sources:?} {loaded:?}"), marks());

    let mark = "MARK-token";
    for frame in [
        json!({ "id": 1, "connect": { "token": mark, "subs": { "a": { "token": mark } }, "headers": { "x": mark } } }),
        json!({ "id": 1, "subscribe": { "channel": "a", "token": mark } }),
        json!({ "id": 1, "refresh": { "token": mark } }),
        json!({ "id": 1, "sub_refresh": { "channel": "a", "token": mark } }),
    ] {
        use fanfare_gateway::codec::{Codec as _, centrifuge};
        let text = frame.to_string();
        let wire: Vec<_> = json::commands(text.as_bytes()).collect();
        let decoded = centrifuge::Json.decode(text.into());
        assert_eq!(decoded.commands.len(), 1, "{frame}");
        assert_clean("Debug of a command", &format!("{wire:?} {decoded:?}"), [mark]);
    }
}

#[tokio::test]
async fn the_outside_learns_nothing_of_the_inside() {
    let gateway = Gateway::start("").await;
    let version = env!("CARGO_PKG_VERSION");
    for path in ["/health", "/ready", "/", "/metrics", "/debug", "/admin", "/connection/websocket", "/api/info"] {
        let answer = reqwest::get(format!("http://{}{path}", gateway.listen)).await.unwrap();
        let (status, headers) = (answer.status().as_u16(), format!("{:?}", answer.headers()));
        let body = answer.text().await.unwrap();
        assert!(!body.contains(version) && !headers.contains(version), "{path}: {headers} {body}");
        assert!(!headers.contains("\"server\""), "{path}: {headers}");
        let expected = if ["/health", "/ready"].contains(&path) { 200..201 } else { 400..500 };
        assert!(expected.contains(&status), "{path}: {status}");
        assert!(!body.contains("fanfare_"), "{path} shows metrics: {body}");
    }
}

/// Every series of `/metrics`, without its value.
async fn series(gateway: &Gateway) -> BTreeSet<String> {
    let text = reqwest::get(format!("http://{}/metrics", gateway.internal)).await.unwrap().text().await.unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ')).map(|(series, _)| series.to_owned()).collect()
}

#[tokio::test]
async fn what_clients_invent_makes_no_new_series() {
    let gateway = Gateway::start("[client]\ninsecure = true\n").await;
    let mut before = BTreeSet::new();
    for round in 0..40_u32 {
        let name = format!("MARK{round}");
        let mut socket = Socket::open(gateway.listen).await;
        let hello = json!({ "token": token::mint(&json!({ "sub": name })), "name": name, "version": name });
        socket.connect(&hello).await;
        socket.subscribe(2, &name).await;
        for (id, command) in [
            (3, json!({ "publish": { "channel": name, "data": name } })),
            (4, json!({ "history": { "channel": format!("{name}:{name}") } })),
            (5, json!({ "rpc": { "method": name, "data": name } })),
            (6, json!({ "presence": { "channel": name } })),
        ] {
            let mut command = command;
            command["id"] = id.into();
            socket.text(command.to_string()).await;
            socket.reply(id).await;
        }
        gateway.api_raw(&name, Some(&name), format!("{{\"{name}\":1}}")).await;
        gateway.api_raw(&name, Some(API_KEY), format!("{{\"{name}\":1}}")).await;
        gateway
            .api("disconnect", &json!({ "user": name, "disconnect": { "code": 4000 + round, "reason": name } }))
            .await;
        socket.closed().await;
        if round == 0 {
            // The client hears of its end before that is counted.
            while gateway.metric("fanfare_disconnects_total", "code=\"0\"").await < 1.0 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            before = series(&gateway).await;
        }
    }
    let after = series(&gateway).await;
    let new: Vec<&String> = after.difference(&before).collect();
    assert!(new.is_empty(), "{new:?}");
    assert!(!after.iter().any(|series| series.contains("MARK")), "{after:?}");
}
