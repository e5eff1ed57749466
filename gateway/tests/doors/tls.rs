//! Clients over TLS.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};

use crate::certificate::{Pair, VERSIONS};
use crate::gateway::{API_KEY, DEADLINE, Gateway};
use crate::raw;

const INSECURE: &str = "[client]\ninsecure = true\n";

/// A client that has said hello and is subscribed to `news`.
pub(crate) struct Client(pub(crate) WebSocketStream<TlsStream<TcpStream>>);

impl Client {
    pub(crate) async fn open(stream: TlsStream<TcpStream>) -> Self {
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let url = "ws://localhost/connection/websocket";
        let upgrade = tokio_tungstenite::client_async_with_config(url, stream, Some(config));
        let (stream, _) = tokio::time::timeout(DEADLINE, upgrade).await.expect("an answer").expect("an upgrade");
        let mut client = Self(stream);
        client.send(&json!({ "id": 1, "connect": {} })).await;
        assert_eq!(client.line().await["id"], 1);
        client.send(&json!({ "id": 2, "subscribe": { "channel": "news" } })).await;
        assert_eq!(client.line().await["id"], 2);
        client
    }

    pub(crate) async fn send(&mut self, command: &Value) {
        self.0.send(Message::text(command.to_string())).await.unwrap();
    }

    async fn frame(&mut self) -> Message {
        let next = tokio::time::timeout(DEADLINE, self.0.next()).await;
        next.expect("a frame").expect("the connection is open").unwrap()
    }

    /// The next frame, which holds one line.
    pub(crate) async fn line(&mut self) -> Value {
        let frame = self.frame().await;
        serde_json::from_str(frame.to_text().unwrap()).unwrap()
    }

    /// The data of so many publications; several may come in one frame.
    async fn publications(&mut self, count: usize) -> Vec<Value> {
        let mut data = Vec::new();
        while data.len() < count {
            let frame = self.frame().await;
            for line in frame.to_text().unwrap().lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                if !line["push"]["pub"].is_null() {
                    data.push(line["push"]["pub"]["data"].clone());
                }
            }
        }
        data
    }
}

/// Publishes over HTTPS.
async fn publish(pair: &Pair, gateway: &Gateway, data: &Value) {
    let mut stream = pair.connect(gateway.listen).await.unwrap();
    let body = json!({ "channel": "news", "data": data }).to_string();
    let head = format!(
        "POST /api/publish HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-API-Key: {API_KEY}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(DEADLINE, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Text that shows where something is missing.
fn long_text(bytes: usize) -> String {
    (0_u32..).flat_map(|n| n.to_string().into_bytes()).map(char::from).take(bytes).collect()
}

#[tokio::test]
async fn small_and_large_messages_go_both_ways() {
    let pair = Pair::make();
    let gateway = Gateway::start(&format!("{INSECURE}{}", pair.section())).await;
    let mut client = Client::open(pair.connect(gateway.listen).await.unwrap()).await;
    for (id, bytes) in [(3, 1), (4, 1000), (5, 4096), (6, 20_000), (7, 60_000)] {
        let text = long_text(bytes);
        client.send(&json!({ "id": id, "publish": { "channel": "news", "data": text } })).await;
        let mut seen = 0;
        while seen < 2 {
            for line in client.frame().await.to_text().unwrap().lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                assert!(line["id"] == id || line["push"]["pub"]["data"] == text.as_str(), "{bytes}");
                seen += 1;
            }
        }
    }
    for bytes in [16 * 1024, 100_000, 700_000] {
        let text = json!(long_text(bytes));
        publish(&pair, &gateway, &text).await;
        assert!(client.publications(1).await == [text], "{bytes} bytes arrive whole");
    }
}

#[tokio::test]
async fn a_reader_that_pauses_gets_everything_in_order() {
    let pair = Pair::make();
    let gateway = Gateway::start(&format!("{INSECURE}queue_max_size = \"64MiB\"\n{}", pair.section())).await;
    let socket = TcpSocket::new_v4().unwrap();
    // So that the gateway's socket is full soon.
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(gateway.listen).await.unwrap();
    let mut client = Client::open(pair.connect_over(stream, VERSIONS).await.unwrap()).await;
    let texts: Vec<Value> = (0..60).map(|n| json!([n, long_text(150_000 + 777 * n)])).collect();
    for text in &texts {
        publish(&pair, &gateway, text).await;
    }
    let waiting = gateway.metric("fanfare_outbox_bytes", "").await;
    let heard = client.publications(texts.len()).await;
    assert!(heard == texts, "60 publications in order");
    // Else the test has shown nothing.
    assert!(waiting > 100_000.0, "the socket was full: {waiting} bytes waited");
}

#[tokio::test]
async fn a_reader_that_never_reads_is_cut_off() {
    let pair = Pair::make();
    let gateway = Gateway::start(&format!("{INSECURE}queue_max_size = \"256KiB\"\n{}", pair.section())).await;
    let mut other = Client::open(pair.connect(gateway.listen).await.unwrap()).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(gateway.listen).await.unwrap();
    let _silent = Client::open(pair.connect_over(stream, VERSIONS).await.unwrap()).await;
    let text = json!(long_text(100_000));
    let cut_off = async {
        while gateway.metric("fanfare_disconnects_total", "code=\"3008\"").await < 1.0 {
            publish(&pair, &gateway, &text).await;
            assert!(other.publications(1).await == [text.clone()]);
        }
    };
    tokio::time::timeout(DEADLINE, cut_off).await.expect("it is cut off");
    let gone = async {
        while gateway.metric("fanfare_sockets", "").await > 1.0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, gone).await.expect("its socket is closed");
}

#[tokio::test]
async fn goodbyes_are_answered_and_the_session_is_closed_properly() {
    let pair = Pair::make();
    let gateway = Gateway::start(&format!("{INSECURE}{}", pair.section())).await;
    let mut client = Client::open(pair.connect(gateway.listen).await.unwrap()).await;
    let goodbye = CloseFrame { code: 4321.into(), reason: "enough".into() };
    client.0.close(Some(goodbye)).await.unwrap();
    match client.frame().await {
        Message::Close(Some(answer)) => assert_eq!(u16::from(answer.code), 4321),
        other => panic!("{other:?}"),
    }
    // Nothing more, by close_notify and not by a mere end of the socket.
    let mut rest = Vec::new();
    let end = tokio::time::timeout(DEADLINE, client.0.get_mut().read_to_end(&mut rest)).await.expect("an end");
    assert_eq!(end.unwrap(), 0);

    let mut client = Client::open(pair.connect(gateway.listen).await.unwrap()).await;
    client.send(&json!({ "id": 3, "connect": {} })).await;
    match client.frame().await {
        Message::Close(Some(why)) => assert_eq!(u16::from(why.code), 3501),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn handshakes_that_fail_or_hang_are_counted_and_gone() {
    let pair = Pair::make();
    let keys = "handshake_timeout = \"2s\"\nmin_version = \"1.3\"\n";
    let gateway = Gateway::start(&format!("{INSECURE}{}{keys}", pair.section())).await;
    let refused = |reason: &'static str, count| gateway.counts("fanfare_refused_connections_total", reason, count);
    // Plain HTTP.
    let mut stream = TcpStream::connect(gateway.listen).await.unwrap();
    let answer = {
        let mut bytes = Vec::new();
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.expect("an end");
        bytes
    };
    assert!(!answer.starts_with(b"HTTP"), "an alert at most: {answer:?}");
    refused("reason=\"tls\"", 1.0).await;
    // Nothing at all.
    let mut stream = TcpStream::connect(gateway.listen).await.unwrap();
    let end = tokio::time::timeout(DEADLINE, stream.read_u8()).await.expect("an end");
    assert!(end.is_err());
    refused("reason=\"tls_timeout\"", 1.0).await;
    // A version that is too old.
    let stream = TcpStream::connect(gateway.listen).await.unwrap();
    assert!(pair.connect_over(stream, &[&rustls::version::TLS12]).await.is_err());
    refused("reason=\"tls\"", 2.0).await;
    // A good one all the same, and of two protocols the one that is spoken here.
    let mut stream = pair.connect(gateway.listen).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(raw::status(&raw::ask(&mut stream, "GET /health", "").await), 200);
    assert_eq!(raw::status(&raw::upgrade(&mut stream, "").await), 101);
}
