//! The road through a gateway, against an HTTP server that answers as the server API does, and as no
//! server should.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use fanfare_worker::{Ack, Fault, HttpPublisher, Message, Options, Publisher, Version};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(30);

/// What a server was asked.
struct Asked {
    headers: HeaderMap,
    body: Value,
}

/// A server that answers by the channel's name; what begins with `first-` fails the first two times, as
/// the rest says. It ends with the test.
struct Server {
    url: String,
    asked: mpsc::Receiver<Asked>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asks, asked) = mpsc::channel(16);
        let failures = Arc::new(AtomicUsize::new(0));
        let api = post(move |headers: HeaderMap, body: Bytes| {
            let (asks, failures) = (asks.clone(), failures.clone());
            async move {
                let body: Value = serde_json::from_slice(&body).unwrap();
                let channel = body["channel"].as_str().unwrap().to_owned();
                asks.try_send(Asked { headers, body }).unwrap();
                match channel.strip_prefix("first-") {
                    Some(failure) if failures.fetch_add(1, Ordering::SeqCst) < 2 => answer(failure).await,
                    _ => answer(&channel).await,
                }
            }
        });
        let router = Router::new().route("/api/publish", api);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, asked, _tasks: tasks }
    }

    fn publisher(&self) -> HttpPublisher {
        self.publisher_within(PATIENCE)
    }

    fn publisher_within(&self, deadline: Duration) -> HttpPublisher {
        self.publisher_with(Options { deadline, ..Options::default() })
    }

    fn publisher_that_retries(&self, retries: u32) -> HttpPublisher {
        self.publisher_with(Options { retries, deadline: PATIENCE, ..Options::default() })
    }

    fn publisher_with(&self, options: Options) -> HttpPublisher {
        HttpPublisher::open(&self.url, Options { api_key: Some("the key".to_owned()), ..options }).unwrap()
    }

    /// The bodies of all requests so far.
    fn asked_so_far(&mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.asked.try_recv().ok()).map(|asked| asked.body).collect()
    }
}

async fn answer(channel: &str) -> Response {
    match channel {
        "denied" => axum::Json(json!({"error": {"code": 103, "message": "permission denied"}})).into_response(),
        "broken" => axum::Json(json!({"error": {"code": 100, "message": "internal server error"}})).into_response(),
        "silent" => pending().await,
        "elsewhere" => Redirect::temporary("/api/publish").into_response(),
        "html" => "<html>".into_response(),
        "empty" => axum::Json(json!({})).into_response(),
        "kept" => axum::Json(json!({"result": {"offset": 7, "epoch": "e"}})).into_response(),
        "endless" => vec![b' '; 1024 * 1024].into_response(),
        status if status.parse::<u16>().is_ok() => {
            StatusCode::from_u16(status.parse().unwrap()).unwrap().into_response()
        }
        _ => axum::Json(json!({"result": {}})).into_response(),
    }
}

#[tokio::test]
async fn a_request_is_what_the_api_takes() {
    let mut server = Server::start().await;
    let mut message = Message::new("news", r#"{"text":"hi"}"#).tag("lang", "en");
    message.exclude_client = Some("c1".to_owned());
    message.traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
    let receipt = server.publisher().publish(message.clone()).await.unwrap();
    assert_eq!(receipt.gateways, None);

    let asked = server.asked.recv().await.unwrap();
    assert_eq!(asked.headers["x-api-key"], "the key");
    assert_eq!(asked.headers["content-type"], "application/json");
    assert_eq!(asked.headers["traceparent"], message.traceparent.unwrap());
    let body = json!({"channel": "news", "data": {"text": "hi"}, "tags": {"lang": "en"}, "exclude_client": "c1"});
    assert_eq!(asked.body, body);
}

#[tokio::test]
async fn what_is_asked_for_besides_is_sent_and_the_place_comes_back() {
    let mut server = Server::start().await;
    let message = Message {
        idempotency_key: Some("order 42".to_owned()),
        version: Some(Version { number: 3, epoch: "e".to_owned() }),
        delta: true,
        ack: Some(Ack::Replicated),
        ..Message::new("kept", "1")
    };
    let receipt = server.publisher().publish(message).await.unwrap();
    let position = receipt.position.unwrap();
    assert_eq!((position.offset, position.epoch.as_str()), (7, "e"));
    let body = json!({"channel": "kept", "data": 1, "idempotency_key": "order 42", "version": 3, "version_epoch": "e",
        "delta": true, "ack": "replicated"});
    assert_eq!(server.asked_so_far(), [body]);
    let message = Message { skip_history: true, ack: Some(Ack::Stored), ..Message::new("news", "1") };
    assert_eq!(server.publisher().publish(message).await.unwrap().position, None);
    assert_eq!(server.asked_so_far(), [json!({"channel": "news", "data": 1, "skip_history": true, "ack": "stored"})]);
}

#[tokio::test]
async fn tries_of_one_message_have_one_key_and_messages_have_different_ones() {
    for failure in ["500", "502", "429", "broken"] {
        let mut server = Server::start().await;
        let publisher = server.publisher_that_retries(2);
        let name = format!("first-{failure}");
        publisher.publish(Message::new(&name, "1")).await.unwrap();
        publisher.publish(Message::new("other", "1")).await.unwrap();
        let asked = server.asked_so_far();
        assert_eq!(asked.len(), 4, "{failure}");
        assert_eq!(asked[0], asked[1], "{failure}");
        assert_eq!(asked[0], asked[2], "{failure}");
        let keys = [&asked[0], &asked[3]].map(|body| body["idempotency_key"].as_str().expect("a key").to_owned());
        assert_ne!(keys[0], keys[1], "{failure}");
    }
}

#[tokio::test]
async fn a_key_that_was_given_is_kept() {
    let mut server = Server::start().await;
    let message = Message { idempotency_key: Some("mine".to_owned()), ..Message::new("first-500", "1") };
    server.publisher_that_retries(5).publish(message).await.unwrap();
    let keys: Vec<_> = server.asked_so_far().iter().map(|body| body["idempotency_key"].clone()).collect();
    assert_eq!(keys, ["mine"; 3]);
}

#[tokio::test]
async fn tries_come_to_an_end() {
    let mut server = Server::start().await;
    assert!(server.publisher_that_retries(1).publish(Message::new("first-500", "1")).await.unwrap_err().is_retryable());
    assert_eq!(server.asked_so_far().len(), 2);
    // What was refused stays refused.
    assert!(server.publisher_that_retries(5).publish(Message::new("denied", "1")).await.unwrap_err().is_rejected());
    assert_eq!(server.asked_so_far().len(), 1);
    // Nothing is tried again that was not asked for, and no key is made that nobody needs.
    assert!(server.publisher().publish(Message::new("500", "1")).await.is_err());
    assert_eq!(server.asked_so_far(), [json!({"channel": "500", "data": 1})]);
}

#[tokio::test]
async fn tries_have_one_deadline() {
    let server = Server::start().await;
    let publisher = server.publisher_with(Options {
        retries: u32::MAX,
        deadline: Duration::from_millis(300),
        ..Options::default()
    });
    for channel in ["silent", "500"] {
        let answer = tokio::time::timeout(PATIENCE, publisher.publish(Message::new(channel, "1"))).await;
        assert!(answer.expect("an answer within the deadline").unwrap_err().is_retryable(), "{channel}");
    }
}

#[tokio::test]
async fn refusals_are_final_and_name_the_message() {
    let server = Server::start().await;
    for channel in ["denied", "413"] {
        let error = server.publisher().publish(Message::new(channel, "1")).await.unwrap_err();
        assert!(error.is_rejected() && !error.is_retryable(), "{error}");
        assert_eq!(error.fault(), Fault::Message, "{error}");
    }
    let error = server.publisher().publish(Message::new("denied", "1")).await.unwrap_err();
    assert!(error.to_string().contains("103") && error.to_string().contains("permission denied"), "{error}");
}

#[tokio::test]
async fn failures_of_the_gateway_may_be_tried_again() {
    let server = Server::start().await;
    for channel in ["broken", "500", "502", "503", "429"] {
        let error = server.publisher().publish(Message::new(channel, "1")).await.unwrap_err();
        assert!(error.is_retryable() && !error.is_rejected(), "{error}");
        assert_eq!(error.fault(), Fault::Gateway, "{error}");
    }
}

#[tokio::test]
async fn wrong_settings_are_told_apart() {
    let server = Server::start().await;
    for (channel, hint) in [("401", "API key"), ("403", "API key"), ("404", "api.key")] {
        let error = server.publisher().publish(Message::new(channel, "1")).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Setup, "{error}");
        assert!(error.is_rejected() && error.to_string().contains(hint), "{error}");
        assert!(!error.to_string().contains("the key"), "{error}");
    }
    for channel in ["html", "empty", "endless", "400"] {
        let error = server.publisher().publish(Message::new(channel, "1")).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Setup, "{error}");
        assert!(!error.is_retryable(), "{error}");
    }
}

#[tokio::test]
async fn the_key_follows_no_redirect() {
    let mut server = Server::start().await;
    let error = server.publisher().publish(Message::new("elsewhere", "1")).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Setup, "{error}");
    server.asked.recv().await.unwrap();
    assert!(server.asked.try_recv().is_err(), "it was asked twice");
}

#[tokio::test]
async fn nobody_waits_for_a_gateway_that_does_not_answer() {
    let server = Server::start().await;
    let publisher = server.publisher_within(Duration::from_millis(300));
    let answer = tokio::time::timeout(PATIENCE, publisher.publish(Message::new("silent", "1"))).await;
    let error = answer.expect("an answer within the deadline").unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(error.fault(), Fault::Gateway);
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_worth_another_try() {
    let server = Server::start().await;
    let publisher = server.publisher();
    drop(server);
    let error = publisher.publish(Message::new("news", "1")).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(error.fault(), Fault::Gateway);
}

#[tokio::test]
async fn each_message_of_a_batch_has_its_own_answer_in_its_order() {
    let mut server = Server::start().await;
    let messages = ["a", "denied", "b", "500", "c"].map(|channel| Message::new(channel, "1"));
    let answers = server.publisher().publish_all(messages.to_vec()).await;
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true, false, true]);
    for message in messages {
        assert_eq!(server.asked.recv().await.unwrap().body["channel"], message.channel);
    }
}

#[tokio::test]
async fn a_key_is_needed() {
    for key in [None, Some(String::new()), Some("new\nline".to_owned())] {
        let error =
            HttpPublisher::open("http://localhost", Options { api_key: key, ..Options::default() }).unwrap_err();
        assert_eq!(error.fault(), Fault::Setup);
        assert!(error.to_string().contains("key"), "{error}");
    }
}
