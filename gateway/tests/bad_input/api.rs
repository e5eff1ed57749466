//! Backends that may not, or that send what nobody understands.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::gateway::{API_KEY, DEADLINE, Gateway};
use crate::room::{INSECURE, Room};
use crate::upgrade::{response_head, status};

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
    for body in [r#"{"channel":5,"data":1}"#, "[]", r#"["elsewhere",1]"#, "null", r#"{"channel":["a"],"data":1}"#] {
        assert_eq!(room.gateway.api_raw("publish", Some(API_KEY), body).await.0, 400, "{body}");
    }
    room.close().await;
}

#[tokio::test]
async fn oversized() {
    let room = Room::open(INSECURE).await;
    // Raw, because a client that is still sending may miss the answer.
    let mut stream = TcpStream::connect(room.gateway.listen).await.unwrap();
    let length = 2 * 1024 * 1024;
    let head = format!(
        "POST /api/publish HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{{\"channel\":"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(status(&response_head(&mut stream).await), 413);
    room.close().await;
}

#[tokio::test]
async fn oversized_without_saying_so() {
    let room = Room::open(INSECURE).await;
    let stream = TcpStream::connect(room.gateway.listen).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let send = async {
        let head = format!(
            "POST /api/publish HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        );
        let _ = write.write_all(head.as_bytes()).await;
        let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
        while write.write_all(chunk.as_bytes()).await.is_ok() {}
    };
    let mut answer = Vec::new();
    let receive = async {
        let _ = read.read_to_end(&mut answer).await;
    };
    tokio::time::timeout(DEADLINE, async { tokio::join!(send, receive) }).await.expect("the gateway hangs up");
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.is_empty() || status(&answer) == 413, "{answer}");
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
