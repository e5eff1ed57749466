use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;

fn demo() -> Router {
    router(Demo {
        mint: Arc::new(|user| format!("token of {user}")),
        command_hint: "publish --user {user} --data '{\"text\":\"hello\"}'".to_owned(),
    })
}

async fn ask(path: &str, peer: Option<&str>, hosts: &[&str]) -> Response {
    let mut request = Request::get(path);
    for host in hosts {
        request = request.header(HOST, *host);
    }
    let mut request = request.body(Body::empty()).unwrap();
    if let Some(peer) = peer {
        request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
    }
    demo().oneshot(request).await.unwrap()
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn the_page_and_its_files_need_nothing_from_elsewhere() {
    for (path, kind) in [("/", "text/html"), ("/demo/demo.css", "text/css"), ("/demo/demo.js", "text/javascript")] {
        let response = ask(path, None, &["anything"]).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(response.headers()[CONTENT_TYPE].to_str().unwrap().starts_with(kind));
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let text = text(response).await.replace("http://www.w3.org/", "").replace("'http://", "");
        assert!(!text.contains("http://") && !text.contains("https://"), "{path} names another host");
        assert!(!text.contains(" style=") && !text.contains("onclick="), "{path} would break its own policy");
    }
}

#[tokio::test]
async fn a_token_comes_with_the_command_for_the_same_user() {
    for (peer, host) in [
        ("127.0.0.1:5000", "localhost:8080"),
        ("127.0.0.1:5000", "LocalHost"),
        ("127.8.9.1:5000", "127.0.0.1:8080"),
        ("[::1]:5000", "[::1]:8080"),
        ("[::ffff:127.0.0.1]:5000", "localhost:9"),
    ] {
        let response = ask("/demo/token?user=ada_1-x", Some(peer), &[host]).await;
        assert_eq!(response.status(), StatusCode::OK, "{peer} {host}");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        let body: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!(body["token"], "token of ada_1-x");
        assert_eq!(body["command"], "publish --user ada_1-x --data '{\"text\":\"hello\"}'");
    }
}

#[tokio::test]
async fn no_tokens_for_other_machines_and_other_names() {
    let here = Some("127.0.0.1:5000");
    for (peer, hosts) in [
        (None, &["localhost:8080"][..]),
        (Some("192.168.0.7:5000"), &["localhost:8080"]),
        (Some("[2001:db8::1]:5000"), &["localhost:8080"]),
        (Some("[::ffff:10.0.0.1]:5000"), &["localhost:8080"]),
        (here, &[]),
        (here, &[""]),
        (here, &["evil.example:8080"]),
        (here, &["localhost.evil.example:8080"]),
        (here, &["127.0.0.1.nip.io"]),
        (here, &["localhost:8080.evil.example"]),
        (here, &["localhost:"]),
        (here, &["localhost@evil.example"]),
        (here, &["localhost", "evil.example"]),
    ] {
        let response = ask("/demo/token?user=ada", peer, hosts).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{peer:?} {hosts:?}");
        assert!(!text(response).await.contains("token of"));
    }
}

#[tokio::test]
async fn no_tokens_through_a_proxy() {
    for name in ["Forwarded", "X-Forwarded-For", "Via"] {
        let request = Request::get("/demo/token?user=ada").header(HOST, "localhost").header(name, "127.0.0.1");
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo("127.0.0.1:5000".parse::<SocketAddr>().unwrap()));
        let response = demo().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{name}");
        assert!(!text(response).await.contains("token of"));
    }
}

#[tokio::test]
async fn no_tokens_for_names_that_a_shell_or_a_channel_would_misread() {
    let long = "x".repeat(33);
    for user in ["", "a%20b", "a%3Bb", "%24(id)", "a%2Cb", "a%23b", "%C3%A9", "a.b", &long] {
        let response = ask(&format!("/demo/token?user={user}"), Some("127.0.0.1:5000"), &["localhost"]).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{user:?}");
    }
    for path in ["/demo/token", "/demo/token?name=x"] {
        let response = ask(path, Some("127.0.0.1:5000"), &["localhost"]).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
    }
}
