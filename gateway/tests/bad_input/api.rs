//! Backends that may not, or that send what nobody understands.

use serde_json::{Value, json};

use crate::gateway::{API_KEY, Gateway};
use crate::room::{INSECURE, Room};

const BODY: &str = r#"{"channel":"elsewhere","data":1}"#;

#[tokio::test]
async fn without_a_key() {
    let room = Room::open(INSECURE).await;
    for key in [None, Some(""), Some("wrong"), Some("test-api-ke"), Some("test-api-key2")] {
        assert_eq!(room.gateway.api_raw("publish", key, BODY).await.0, 401, "{key:?}");
    }
    assert_eq!(room.gateway.api_raw(&format!("publish?api_key={API_KEY}"), None, BODY).await.0, 401);
    room.close().await;
}

#[tokio::test]
async fn not_json() {
    let room = Room::open(INSECURE).await;
    for body in ["nonsense", "{", r#"{"channel":"a","data":NaN}"#, "\u{feff}{}"] {
        assert_eq!(room.gateway.api_raw("publish", Some(API_KEY), body).await.0, 400, "{body:?}");
    }
    room.close().await;
}

#[tokio::test]
async fn of_the_wrong_type() {
    let room = Room::open(INSECURE).await;
    for body in [r#"{"channel":5,"data":1}"#, "[]", "null", r#"{"channel":["a"],"data":1}"#] {
        assert_eq!(room.gateway.api_raw("publish", Some(API_KEY), body).await.0, 400, "{body}");
    }
    room.close().await;
}

#[tokio::test]
async fn oversized() {
    let room = Room::open(INSECURE).await;
    let body = format!(r#"{{"channel":"elsewhere","data":"{}"}}"#, "x".repeat(2 * 1024 * 1024));
    assert_eq!(room.gateway.api_raw("publish", Some(API_KEY), body).await.0, 413);
    room.close().await;
}

#[tokio::test]
async fn unknown_method() {
    let room = Room::open(INSECURE).await;
    assert_eq!(room.gateway.api_raw("fly", Some(API_KEY), "{}").await.0, 404);
    room.close().await;
}

#[tokio::test]
async fn options_that_come_later_are_refused() {
    let room = Room::open(INSECURE).await;
    for option in [json!({ "idempotency_key": "k" }), json!({ "delta": true }), json!({ "version": 3 })] {
        let mut body = json!({ "channel": "elsewhere", "data": 1 });
        body.as_object_mut().unwrap().extend(option.as_object().unwrap().clone());
        let answer: Value = room.gateway.api("publish", &body).await;
        assert_eq!(answer["error"]["code"], 108, "{body}");
    }
    room.close().await;
}

#[tokio::test]
async fn orders_without_a_user() {
    let room = Room::open(INSECURE).await;
    for method in ["disconnect", "unsubscribe"] {
        let answer = room.gateway.api(method, &json!({ "user": "", "channel": "lobby" })).await;
        assert_eq!(answer["error"]["code"], 107, "{method}");
    }
    room.close().await;
}

#[tokio::test]
async fn an_api_that_is_off() {
    let gateway = Gateway::start_without_api_key(INSECURE).await;
    assert_eq!(gateway.api_raw("publish", Some(""), BODY).await.0, 404);
    assert_eq!(gateway.api_raw("publish", Some(API_KEY), BODY).await.0, 404);
}
