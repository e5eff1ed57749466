//! The binary as people and scripts meet it: what it says, where, and with which exit code.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use fanfare_proto::rules::{ChannelRules, History, Rules};
use serde_json::{Value, json};
use support::{PATIENCE, Redis, free_port};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

fn worker(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare-worker"));
    command.args(arguments).stdin(Stdio::null());
    // What the developer has set must not decide.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FANFARE_")) {
        command.env_remove(name);
    }
    command
}

/// Runs it to its end, off the runtime: servers of the test may be what it talks to.
async fn run(mut command: Command) -> Output {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    tokio::time::timeout(PATIENCE, output).await.expect("it ends").unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn publishes_straight_to_the_broker() {
    let redis = Redis::start();
    let mut subscriber = redis.subscribe("fanfare:0:ch:{news}").await;
    let output = run(worker(&["publish", "--to", &redis.url(), "--channel", "news", "--data", r#"{"a":1}"#])).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "published to news, which one gateway listens to\n");
    assert_eq!(subscriber.publication().await.data, r#"{"a":1}"#);
}

#[tokio::test]
async fn reaches_a_user_by_the_personal_channel() {
    let redis = Redis::start();
    let mut plain = redis.subscribe("p:2:ch:{#42}").await;
    let mut spaced = redis.subscribe("p:2:ch:{people:#42}").await;
    let to = format!("{}/2", redis.url());
    let base = ["publish", "--to", &to, "--prefix", "p", "--user", "42", "--data", "1"];
    assert!(run(worker(&base)).await.status.success());
    let output = run(worker(&[&base[..], &["--user-namespace", "people", "--tag", "k=v=w"]].concat())).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(plain.publication().await.data, "1");
    assert_eq!(spaced.publication().await.tags["k"], "v=w");
}

#[tokio::test]
async fn data_comes_from_a_file_or_standard_input() {
    let redis = Redis::start();
    let mut subscriber = redis.subscribe("fanfare:0:ch:{news}").await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"{\"from\":\n\"a file\"}\n").unwrap();
    let data = format!("@{}", file.path().display());
    assert!(
        run(worker(&["publish", "--to", &redis.url(), "--channel", "news", "--data", &data])).await.status.success()
    );
    assert_eq!(subscriber.publication().await.data, r#"{"from":"a file"}"#);

    let mut command = worker(&["publish", "--to", &redis.url(), "--channel", "news", "--data", "-"]);
    let mut process = command.stdin(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(b"[\"a pipe\"]").unwrap();
    assert_eq!(subscriber.publication().await.data, r#"["a pipe"]"#);
    assert!(process.wait().unwrap().success());
}

#[tokio::test]
async fn wrong_usage_ends_with_2_and_sends_nothing() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let file = file.path().to_str().unwrap();
    let long = "k".repeat(129);
    let to = ["publish", "--to", "redis://127.0.0.1:1", "--data", "1"];
    let http = ["publish", "--to", "http://127.0.0.1:1", "--data", "1", "--channel", "c"];
    let cases: &[&[&str]] = &[
        &["publish"],
        &["shout"],
        &["publish", "--to", "redis://127.0.0.1:1", "--channel", "c"],
        &to,
        &[&to[..], &["--channel", "c", "--user", "u"]].concat(),
        &[&to[..], &["--channel", "two words"]].concat(),
        &[&to[..], &["--channel", "c", "--user-namespace", "people"]].concat(),
        &[&to[..], &["--user", "a,b"]].concat(),
        &[&to[..], &["--channel", "c", "--tag", "k"]].concat(),
        &[&to[..], &["--channel", "c", "--timeout", "soon"]].concat(),
        &["publish", "--to", "ws://127.0.0.1:1", "--channel", "c", "--data", "1"],
        &http,
        &[&http[..], &["--api-key", "k", "--api-key-file", file]].concat(),
        &["ticker", "--to", "redis://127.0.0.1:1", "--interval", "0s"],
        &["ticker", "--to", "redis://127.0.0.1:1", "--api-key", "k"],
        &[&to[..], &["--channel", "c", "--api-key-file", file]].concat(),
        &[&http[..], &["--api-key", "k", "--prefix", "p"]].concat(),
        &[&http[..], &["--api-key", "k", "--idempotency-key", ""]].concat(),
        &[&http[..], &["--api-key", "k", "--idempotency-key", "a\r\nb"]].concat(),
        &[&http[..], &["--api-key", "k", "--idempotency-key", &long]].concat(),
        &[&http[..], &["--api-key", "k", "--version", "0"]].concat(),
        &[&http[..], &["--api-key", "k", "--version", "-1"]].concat(),
        &[&http[..], &["--api-key", "k", "--version", "1", "--version-epoch", &long]].concat(),
        &[&http[..], &["--api-key", "k", "--version-epoch", "e"]].concat(),
        &[&http[..], &["--api-key", "k", "--version", "1", "--skip-history"]].concat(),
        &[&http[..], &["--api-key", "k", "--ack", "soon"]].concat(),
    ];
    for arguments in cases {
        let output = run(worker(arguments)).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn what_is_set_for_the_other_road_is_ignored() {
    let redis = Redis::start();
    let mut command = worker(&["publish", "--to", &redis.url(), "--channel", "c", "--data", "1"]);
    command.env("FANFARE_API_KEY", "k");
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[tokio::test]
async fn failures_end_with_1_and_say_whose_fault_it_is() {
    let redis = Redis::start();
    let nowhere = format!("redis://127.0.0.1:{}", free_port());
    let cases = [
        (["publish", "--to", &nowhere, "--channel", "c", "--data", "1"], "fault of the broker"),
        (["publish", "--to", &redis.url(), "--channel", "c", "--data", "{"], "fault of the message"),
    ];
    for (arguments, fault) in cases {
        let output = run(worker(&arguments)).await;
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).contains(fault), "{}", text(&output.stderr));
        assert!(output.stdout.is_empty());
    }
    let output = run(worker(&["publish", "--to", &redis.url(), "--channel", "c", "--data", "@/does/not/exist"])).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("/does/not/exist"), "{}", text(&output.stderr));
}

#[tokio::test]
async fn help_shows_examples() {
    let output = run(worker(&["publish", "--help"])).await;
    assert!(output.status.success());
    let help = text(&output.stdout);
    for words in ["Examples:", "--channel", "--user", "FANFARE_API_KEY", "Exit codes: 0"] {
        assert!(help.contains(words), "{words} is not in\n{help}");
    }
}

#[tokio::test]
async fn the_api_key_comes_from_the_environment_or_a_file() {
    let (url, mut keys, _server) = gateway().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"from a file\n").unwrap();
    for (name, value, key) in [
        ("FANFARE_API_KEY", "from the environment", "from the environment"),
        ("FANFARE_API_KEY_FILE", file.path().to_str().unwrap(), "from a file"),
    ] {
        let mut command = worker(&["publish", "--to", &url, "--channel", "news", "--data", "1"]);
        command.env(name, value);
        let output = run(command).await;
        assert_eq!(text(&output.stdout), "published to news\n", "{}", text(&output.stderr));
        assert_eq!(keys.recv().await.unwrap(), key);
    }
}

#[tokio::test]
async fn options_reach_the_gateway_and_the_place_is_printed() {
    let (sender, mut asked) = mpsc::channel(16);
    let api = post(async move |body: Bytes| {
        sender.try_send(serde_json::from_slice::<Value>(&body).unwrap()).unwrap();
        r#"{"result":{"offset":7,"epoch":"e1"}}"#
    });
    let (url, _server) = serve(Router::new().route("/api/publish", api)).await;
    let base = ["publish", "--to", &url, "--api-key", "k", "--channel", "kept", "--data", "1"];
    let options = ["--idempotency-key", "order 42", "--version", "3", "--version-epoch", "e", "--delta", "--ack"];
    let output = run(worker(&[&base[..], &options, &["replicated"]].concat())).await;
    assert_eq!(text(&output.stdout), "published to kept at offset 7 of epoch e1\n", "{}", text(&output.stderr));
    let body = json!({"channel": "kept", "data": 1, "idempotency_key": "order 42", "version": 3, "version_epoch": "e",
        "delta": true, "ack": "replicated"});
    assert_eq!(asked.recv().await.unwrap(), body);

    let output = run(worker(&[&base[..], &["--skip-history", "--retries", "2"]].concat())).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let body = asked.recv().await.unwrap();
    assert_eq!(body["skip_history"], true);
    assert!(body["idempotency_key"].is_string(), "{body}");
}

#[tokio::test]
async fn options_hold_on_the_direct_road_too() {
    let redis = Redis::start();
    let history = Some(History { size: 10, ttl_ms: 60_000, meta_ttl_ms: 60_000 });
    redis.set_rules(&Rules::new(ChannelRules { history, ..ChannelRules::default() }, [].into())).await;
    let to = redis.url();
    let base = ["publish", "--to", &to, "--channel", "kept", "--data", "1"];
    let place = |output: &Output| text(&output.stdout).strip_prefix("published to kept at ").map(str::to_owned);
    let keyed = [&base[..], &["--idempotency-key", "order 42", "--version", "3", "--retries", "2"]].concat();
    let (first, again) = (run(worker(&keyed)).await, run(worker(&keyed)).await);
    assert!(place(&first).is_some_and(|place| place.starts_with("offset 1 of epoch ")), "{}", text(&first.stderr));
    assert_eq!(place(&first), place(&again));
    // Dropped, and told where the newest one stands.
    let older = run(worker(&[&base[..], &["--version", "2"]].concat())).await;
    assert_eq!(place(&older), place(&first));
    // No replica, no replicated ack; stored it is.
    let unsure = run(worker(&[&base[..], &["--ack", "replicated"]].concat())).await;
    assert_eq!(unsure.status.code(), Some(1));
    assert!(text(&unsure.stderr).contains("stored, but only 0 of 1 replicas"), "{}", text(&unsure.stderr));
    let next = run(worker(&base)).await;
    assert!(place(&next).is_some_and(|place| place.starts_with("offset 3 ")), "{}", text(&next.stdout));
}

/// A server API that notes the keys it is shown.
async fn gateway() -> (String, mpsc::Receiver<String>, JoinSet<()>) {
    let (sender, keys) = mpsc::channel(16);
    let api = post(async move |headers: HeaderMap| {
        sender.try_send(headers["x-api-key"].to_str().unwrap().to_owned()).unwrap();
        r#"{"result":{}}"#
    });
    let (url, server) = serve(Router::new().route("/api/publish", api)).await;
    (url, keys, server)
}

/// Serves until it is dropped.
async fn serve(router: Router) -> (String, JoinSet<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, tasks)
}

#[tokio::test]
async fn the_ticker_ends_after_its_count() {
    let redis = Redis::start();
    let mut subscriber = redis.subscribe("fanfare:0:ch:{ticker}").await;
    let output = run(worker(&["ticker", "--to", &redis.url(), "--interval", "10ms", "--count", "2"])).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let mut symbols = Vec::new();
    for _ in 0..6 {
        let quote: Value = serde_json::from_slice(&subscriber.publication().await.data).unwrap();
        assert!(quote["price"].as_f64().unwrap() >= 1.0 && quote["time"].is_u64(), "{quote}");
        symbols.push(quote["symbol"].as_str().unwrap().to_owned());
    }
    assert_eq!(symbols[..3], symbols[3..]);
}

/// A ticker under way; killed with the test.
struct Ticker(Child);

impl Ticker {
    fn start(redis: &str) -> Self {
        let mut command = worker(&["ticker", "--to", redis, "--interval", "10ms"]);
        Self(command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }

    /// What it logs, line by line, to its end.
    fn log(&mut self) -> mpsc::Receiver<String> {
        let (lines, log) = mpsc::channel(64);
        let stderr = BufReader::new(self.0.stderr.take().expect("asked once"));
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if lines.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        log
    }

    fn terminate(mut self) -> Option<i32> {
        let killed = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(killed.success());
        self.0.wait().unwrap().code()
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_ticker_survives_a_broker_that_goes_away() {
    let redis = Redis::start();
    let (url, port) = (redis.url(), redis.port);
    let mut subscriber = redis.subscribe("fanfare:0:ch:{ticker}").await;
    let mut ticker = Ticker::start(&url);
    let mut log = ticker.log();
    subscriber.publication().await;

    let mut said = Vec::new();
    drop(redis);
    hear(&mut log, &mut said, "not published").await;
    // More tries fail within this second; they must not be told.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let redis = Redis::start_on(port);
    let mut subscriber = redis.subscribe("fanfare:0:ch:{ticker}").await;
    hear(&mut log, &mut said, "publishing again").await;
    subscriber.publication().await;

    assert_eq!(ticker.terminate(), Some(0));
    while let Some(line) = log.recv().await {
        said.push(line);
    }
    assert_eq!(said.iter().filter(|line| line.contains("not published")).count(), 1, "{said:#?}");
}

async fn hear(log: &mut mpsc::Receiver<String>, said: &mut Vec<String>, words: &str) {
    loop {
        let line = tokio::time::timeout(PATIENCE, log.recv()).await.expect("a line in time").expect("it runs");
        let heard = line.contains(words);
        said.push(line);
        if heard {
            return;
        }
    }
}

#[tokio::test]
async fn the_ticker_waits_for_a_broker_that_is_not_there_yet() {
    let mut ticker = Ticker::start(&format!("redis://127.0.0.1:{}", free_port()));
    hear(&mut ticker.log(), &mut Vec::new(), "not published").await;
    assert_eq!(ticker.terminate(), Some(0));
}

#[tokio::test]
async fn a_trace_goes_to_the_collector_and_with_the_message() {
    let redis = Redis::start();
    let mut subscriber = redis.subscribe("fanfare:0:ch:{news}").await;
    let (sender, mut exported) = mpsc::channel(16);
    let traces = post(async move |body: Bytes| sender.try_send(body).unwrap());
    let (url, _server) = serve(Router::new().route("/v1/traces", traces)).await;

    let arguments = ["publish", "--to", &redis.url(), "--channel", "news", "--data", "1", "--otlp-endpoint", &url];
    let output = run(worker(&arguments)).await;
    assert!(output.status.success(), "{}", text(&output.stderr));

    let traceparent = subscriber.publication().await.traceparent;
    let parts: Vec<&str> = traceparent.split('-').collect();
    assert_eq!((parts[0], parts[3]), ("00", "01"), "{traceparent}");
    let body = tokio::time::timeout(PATIENCE, exported.recv()).await.unwrap().unwrap();
    for id in [unhex(parts[1]), unhex(parts[2])] {
        assert!(body.windows(id.len()).any(|window| window == id), "{traceparent} was not exported");
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[tokio::test]
async fn a_collector_that_is_not_there_does_not_fail_the_message() {
    let redis = Redis::start();
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{nowhere}");
    let arguments = ["publish", "--to", &redis.url(), "--channel", "c", "--data", "1", "--otlp-endpoint", &endpoint];
    assert_eq!(run(worker(&arguments)).await.status.code(), Some(0));
}
