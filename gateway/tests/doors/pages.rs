//! Pages of other origins: what they may ask, with whose cookies, and what browsers are told.

use serde_json::json;
use tokio::net::TcpStream;

use crate::gateway::{API_KEY, Gateway};
use crate::ws::Socket;
use crate::{raw, token};

const COOKIES: &str = "[client]\ntoken_cookie = \"t\"\nallowed_origins = [\"https://app.example.com\"]\n";
const LISTED: (&str, &str) = ("Origin", "https://app.example.com");

/// Connects without a token in the first command; 0 if that does, else the close code.
async fn connects(gateway: &Gateway, headers: &[(&str, &str)]) -> u16 {
    let mut socket = Socket::open_with(gateway.listen, headers).await;
    socket.text(json!({ "id": 1, "connect": {} }).to_string()).await;
    match socket.line().await {
        Some(line) if line["connect"].is_object() => 0,
        Some(line) => panic!("{line}"),
        None => socket.closed().await.code.unwrap_or(u16::MAX),
    }
}

#[tokio::test]
async fn a_cookie_counts_only_on_pages_that_are_listed() {
    let gateway = Gateway::start(COOKIES).await;
    let own = format!("http://{}", gateway.listen);
    let good = format!("other=1; t={}", token::mint(&json!({ "sub": "42" })));
    let another = format!("{good}; t={}", token::mint(&json!({ "sub": "43" })));
    let cookie = ("Cookie", good.as_str());
    assert_eq!(connects(&gateway, &[LISTED, cookie]).await, 0);
    // Nobody says where the request comes from, or it is a page that nobody has listed.
    assert_eq!(connects(&gateway, &[cookie]).await, 3501);
    assert_eq!(connects(&gateway, &[("Origin", &own), cookie]).await, 3501);
    assert_eq!(connects(&gateway, &[LISTED]).await, 3501);
    assert_eq!(connects(&gateway, &[LISTED, ("Cookie", &another)]).await, 3501, "whose is it?");
    assert_eq!(connects(&gateway, &[LISTED, ("Cookie", "t=x.y.z")]).await, 3500);
    // A header of the caller's own goes first.
    assert_eq!(connects(&gateway, &[LISTED, cookie, ("Authorization", "Bearer x.y.z")]).await, 3500);
    for origin in ["https://evil.example", "https://app.example.com.evil.example", "http://app.example.com", "null"] {
        let mut stream = TcpStream::connect(gateway.listen).await.unwrap();
        let head = raw::upgrade(&mut stream, &format!("Origin: {origin}\r\nCookie: {good}\r\n")).await;
        assert_eq!(raw::status(&head), 403, "{origin}: {head}");
    }
}

#[tokio::test]
async fn without_the_key_cookies_are_nothing() {
    let gateway = Gateway::start("[client]\nallowed_origins = [\"https://app.example.com\"]\n").await;
    let cookie = format!("t={}", token::mint(&json!({ "sub": "42" })));
    assert_eq!(connects(&gateway, &[LISTED, ("Cookie", &cookie)]).await, 3501);
}

#[tokio::test]
async fn even_who_may_do_everything_may_not_do_it_from_a_foreign_page() {
    let gateway = Gateway::start("[client]\ninsecure = true\n").await;
    for origin in ["https://evil.example", "http://localhost", "http://127.0.0.1", "null", "file://"] {
        let mut stream = TcpStream::connect(gateway.listen).await.unwrap();
        let head = raw::upgrade(&mut stream, &format!("Origin: {origin}\r\n")).await;
        assert_eq!(raw::status(&head), 403, "{origin} from this machine: {head}");
    }
    let twice = "Origin: http://gateway\r\nOrigin: http://gateway\r\n";
    let mut stream = TcpStream::connect(gateway.listen).await.unwrap();
    assert_eq!(raw::status(&raw::upgrade(&mut stream, twice).await), 403);
}

#[tokio::test]
async fn browsers_are_told_of_clients_roads_only() {
    let gateway = Gateway::start(COOKIES).await;
    let ask = async |what: &str, lines: &str| {
        let mut stream = TcpStream::connect(gateway.listen).await.unwrap();
        raw::ask(&mut stream, what, lines).await.to_lowercase()
    };
    let preflight = "Origin: https://app.example.com\r\nAccess-Control-Request-Method: GET\r\n";
    let told = ask("OPTIONS /connection/websocket", preflight).await;
    assert_eq!(raw::status(&told), 204, "{told}");
    assert!(told.contains("access-control-allow-origin: https://app.example.com\r\n"), "{told}");
    assert!(told.contains("access-control-allow-credentials: true\r\n") && told.contains("vary: origin"), "{told}");
    let foreign = preflight.replace("app.example.com", "evil.example");
    let told = ask("OPTIONS /connection/websocket", &foreign).await;
    assert_eq!(raw::status(&told), 403, "{told}");
    assert!(!told.contains("access-control-allow"), "{told}");
    for what in ["OPTIONS /api/publish", "OPTIONS /api", "OPTIONS /health", "GET /health", "GET /ready", "GET /metrics"]
    {
        let told = ask(what, &format!("{preflight}X-API-Key: {API_KEY}\r\n")).await;
        assert!(!told.contains("access-control-"), "{what}: {told}");
    }
}
