//! The road through a gateway, against an HTTP server that answers as the server API does, and as no
//! server should.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use std::future::pending;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use fanfare_worker::{Fault, HttpPublisher, Message, Options, Publisher};
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

/// A server that answers by the channel's name. It ends with the test.
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
        let api = post(move |headers: HeaderMap, body: Bytes| {
            let asks = asks.clone();
            async move {
                let body: Value = serde_json::from_slice(&body).unwrap();
                let channel = body["channel"].as_str().unwrap().to_owned();
                asks.try_send(Asked { headers, body }).unwrap();
                answer(&channel).await
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
        let options = Options { api_key: Some("the key".to_owned()), deadline, ..Options::default() };
        HttpPublisher::open(&self.url, options).unwrap()
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
