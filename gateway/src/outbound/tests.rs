use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

fn manner() -> Manner {
    Manner {
        timeout: Duration::from_secs(10),
        answer_max: ByteSize::kib(1),
        https_only: false,
        addresses: Addresses::Any,
    }
}

fn get(url: &str) -> Call {
    Call { url: url.parse().unwrap(), body: Body::None, headers: HeaderMap::new() }
}

/// Answers one call with these bytes, and leaves the connection open if told so.
async fn server(answer: &'static [u8], stays: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let serving = async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = socket.read(&mut request).await;
        socket.write_all(answer).await.unwrap();
        if stays {
            let _ = socket.read(&mut request).await;
        }
    };
    tokio::task::spawn_local(serving);
    url
}

async fn called(manner: Manner, answer: &'static [u8], stays: bool) -> Result<Answer, CallError> {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async move {
            let url = server(answer, stays).await;
            Outbound::new(manner).unwrap().call(get(&url)).await
        })
        .await
}

#[tokio::test]
async fn an_answer_and_its_status() {
    let answer = called(manner(), b"HTTP/1.1 404 No\r\nx: y\r\ncontent-length: 2\r\n\r\nhi", false).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (404, &b"hi"[..]));
    assert_eq!(answer.headers["x"], "y");
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let redirect = b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(called(manner(), redirect, false).await.unwrap().status, 302);
}

#[tokio::test]
async fn what_is_too_large_is_not_read() {
    let announced = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n";
    assert_eq!(called(manner(), announced, true).await, Err(CallError::TooLarge(ByteSize::kib(1))));
    let chunk = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n500\r\n{}", "x".repeat(0x500));
    let endless: &'static [u8] = chunk.leak().as_bytes();
    assert_eq!(called(manner(), endless, true).await, Err(CallError::TooLarge(ByteSize::kib(1))));
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let timeout = Duration::from_millis(50);
    let hasty = || Manner { timeout, ..manner() };
    assert_eq!(called(hasty(), b"", true).await, Err(CallError::Timeout(timeout)));
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    assert_eq!(called(hasty(), half, true).await, Err(CallError::Timeout(timeout)));
}

#[tokio::test]
async fn calls_go_only_where_they_may() {
    let public = Manner { addresses: Addresses::Public, ..manner() };
    let outbound = Outbound::new(public).unwrap();
    for url in ["http://127.0.0.1:1/", "http://[::1]:1/", "http://169.254.169.254/", "http://localhost:1/"] {
        assert_eq!(outbound.call(get(url)).await, Err(CallError::Address), "{url}");
    }
    let secure = Outbound::new(Manner { https_only: true, ..manner() }).unwrap();
    for url in ["http://example.com/", "file:///etc/passwd", "data:text/plain,x"] {
        assert_eq!(secure.call(get(url)).await, Err(CallError::Scheme("an https:// URL")), "{url}");
    }
    let plain = Outbound::new(manner()).unwrap();
    assert!(matches!(plain.call(get("file:///etc/passwd")).await, Err(CallError::Scheme(_))));
}

#[tokio::test]
async fn nobody_there() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let outbound = Outbound::new(manner()).unwrap();
    let error = outbound.call(get(&format!("http://user:word@127.0.0.1:{port}/"))).await.unwrap_err();
    assert!(matches!(&error, CallError::Unreachable(why) if !why.contains("word")), "{error}");
}

#[test]
fn a_headers_value_is_not_shown() {
    let (name, value) = header("X-Key", "secret").unwrap();
    assert!(!format!("{name:?} {value:?}").contains("secret"));
    assert!(header("X Key", "x").is_err() && !header("X-Key", "new\nline").unwrap_err().contains("line"));
}
