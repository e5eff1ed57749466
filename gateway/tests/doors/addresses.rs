//! Where clients come from: what proxies are believed, and what everybody else is not. The gateway's log tells
//! whom it took a client for.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::certificate::{Pair, VERSIONS};
use crate::gateway::{DEADLINE, Gateway};
use crate::raw;

const TELLING: &str = "[client]\ninsecure = true\n[telemetry]\nlog_level = \"debug\"\n";

/// Trusts 127.0.0.2, from where tests come as the proxy.
fn server(keys: &str) -> String {
    format!("{TELLING}[server]\ntrusted_proxies = [\"127.0.0.2\", \"10.0.0.0/8\"]\n{keys}")
}

async fn connect_from(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(to).await.unwrap()
}

/// Waits until the log says that a connection of this client was closed.
async fn closed(gateway: &Gateway, client: &str) {
    gateway.logs(&format!("client={client}\n")).await;
}

/// Upgrades and breaks the protocol, so that the connection is closed and told of.
async fn come_and_go(stream: &mut TcpStream, lines: &str) {
    assert_eq!(raw::status(&raw::upgrade(stream, lines).await), 101);
    stream.write_all(&[0; 8]).await.unwrap();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await.expect("an end");
}

#[tokio::test]
async fn headers_count_where_a_trusted_proxy_brings_them() {
    let gateway = Gateway::start(&server("")).await;
    let mut proxy = connect_from("127.0.0.2", gateway.listen).await;
    come_and_go(&mut proxy, "X-Forwarded-For: 127.0.0.1, 203.0.113.7, 10.0.0.9\r\n").await;
    closed(&gateway, "203.0.113.7").await;
    let mut stranger = connect_from("127.0.0.3", gateway.listen).await;
    come_and_go(&mut stranger, "X-Forwarded-For: 203.0.113.66\r\nForwarded: for=203.0.113.66\r\n").await;
    closed(&gateway, "127.0.0.3").await;
    assert!(!gateway.log().contains("203.0.113.66"), "a stranger was believed");
}

#[tokio::test]
async fn a_proxy_header_comes_first_or_nothing_does() {
    let gateway = Gateway::start(&server("proxy_protocol = \"required\"\n")).await;
    for header in [
        b"PROXY TCP4 203.0.113.8 10.0.0.1 4711 443\r\n".to_vec(),
        [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".as_slice(), &[203, 0, 113, 9, 10, 0, 0, 1, 1, 2, 3, 4]].concat(),
    ] {
        let mut proxy = connect_from("127.0.0.2", gateway.listen).await;
        // In two pieces, the second with the request behind it.
        let (one, two) = header.split_at(5);
        proxy.write_all(one).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        proxy.write_all(two).await.unwrap();
        come_and_go(&mut proxy, "").await;
    }
    closed(&gateway, "203.0.113.8").await;
    closed(&gateway, "203.0.113.9").await;

    let refused = async |from: &str, bytes: &[u8]| {
        let mut stream = connect_from(from, gateway.listen).await;
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("an end");
        assert!(answer.is_empty(), "{answer:?}");
    };
    refused("127.0.0.2", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await;
    refused("127.0.0.3", b"PROXY TCP4 203.0.113.8 10.0.0.1 4711 443\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(gateway.metric("fanfare_refused_connections_total", "reason=\"proxy_header\"").await, 1.0);
    assert_eq!(gateway.metric("fanfare_refused_connections_total", "reason=\"untrusted_proxy\"").await, 1.0);
}

#[tokio::test]
async fn a_proxy_header_that_does_not_come_is_not_waited_for() {
    let keys = "proxy_protocol = \"required\"\nheader_timeout = \"300ms\"\n";
    let gateway = Gateway::start(&server(keys)).await;
    let mut proxy = connect_from("127.0.0.2", gateway.listen).await;
    proxy.write_all(b"PROXY TCP4 203.0.").await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, proxy.read_to_end(&mut answer)).await.expect("an end");
    assert!(answer.is_empty(), "{answer:?}");
}

#[tokio::test]
async fn tls_begins_behind_the_proxy_header() {
    let pair = Pair::make();
    let gateway = Gateway::start(&format!("{}{}", server("proxy_protocol = \"required\"\n"), pair.section())).await;
    let mut proxy = connect_from("127.0.0.2", gateway.listen).await;
    proxy.write_all(b"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n").await.unwrap();
    let mut stream = pair.connect_over(proxy, VERSIONS).await.unwrap();
    assert_eq!(raw::status(&raw::upgrade(&mut stream, "").await), 101);
    stream.write_all(&[0; 8]).await.unwrap();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await.expect("an end");
    closed(&gateway, "2001:db8::7").await;
}
