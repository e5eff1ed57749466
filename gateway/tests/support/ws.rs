//! A raw WebSocket client: frames as they are, no protocol behind them, so that tests can say what no
//! proper client would. Every wait has a deadline.

use std::collections::VecDeque;
use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::gateway::DEADLINE;

/// The subprotocol that chooses Protobuf.
pub const PROTOBUF: &str = "centrifuge-protobuf";

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The close frame's code; `None` if there was no close frame.
    pub code: Option<u16>,
    /// Its reason.
    pub reason: String,
}

/// A connection.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    lines: VecDeque<String>,
    closed: Option<Closed>,
    /// Whether the server's pings (`{}`) are answered, as clients do.
    pub answers_pings: bool,
}

impl Socket {
    /// Opens one without further headers: JSON.
    pub async fn open(address: SocketAddr) -> Self {
        Self::open_with(address, &[]).await
    }

    /// Opens one with headers, `Sec-WebSocket-Protocol` for instance.
    pub async fn open_with(address: SocketAddr, headers: &[(&str, &str)]) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self::upgrade(stream, headers).await.expect("the upgrade succeeds")
    }

    /// Upgrades a TCP connection.
    pub async fn upgrade(stream: TcpStream, headers: &[(&str, &str)]) -> Result<Self, Box<Error>> {
        let address = stream.peer_addr().unwrap();
        let mut request = format!("ws://{address}/connection/websocket").into_client_request().unwrap();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
        let upgrade = tokio_tungstenite::client_async(request, stream);
        let (stream, _) = tokio::time::timeout(DEADLINE, upgrade).await.expect("an answer to the upgrade")?;
        Ok(Self { stream, lines: VecDeque::new(), closed: None, answers_pings: true })
    }

    /// Sends any message. A server that has hung up already is no error: its close frame is read later.
    pub async fn send(&mut self, message: Message) {
        let _ = tokio::time::timeout(DEADLINE, self.stream.send(message)).await.expect("the server takes the message");
    }

    /// Sends a text frame.
    pub async fn text(&mut self, frame: impl Into<String>) {
        self.send(Message::text(frame.into())).await;
    }

    /// Sends a binary frame.
    pub async fn binary(&mut self, frame: Vec<u8>) {
        self.send(Message::binary(frame)).await;
    }

    /// The TCP connection, for bytes that are no frames.
    pub fn tcp(&mut self) -> &mut TcpStream {
        self.stream.get_mut()
    }

    /// The next frame: text or binary. `None` at the end; then [`Socket::closed`] knows why.
    async fn frame(&mut self) -> Option<Message> {
        loop {
            let next = tokio::time::timeout(DEADLINE, self.stream.next()).await;
            match next.unwrap_or_else(|_| panic!("neither a frame nor an end within {DEADLINE:?}")) {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => return Some(message),
                Some(Ok(Message::Close(frame))) => {
                    let (code, reason) =
                        frame.map_or((None, String::new()), |f| (Some(f.code.into()), f.reason.to_string()));
                    self.closed.get_or_insert(Closed { code, reason });
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => {
                    self.closed.get_or_insert(Closed { code: None, reason: String::new() });
                    return None;
                }
            }
        }
    }

    /// The next line of JSON that is not a ping; `None` at the end.
    pub async fn line(&mut self) -> Option<Value> {
        loop {
            let Some(line) = self.lines.pop_front() else {
                match self.frame().await? {
                    Message::Text(text) => self.lines.extend(text.split('\n').map(str::to_owned)),
                    other => panic!("not a text frame: {other:?}"),
                }
                continue;
            };
            if line.is_empty() {
                continue;
            }
            let value: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if value.as_object().is_some_and(serde_json::Map::is_empty) {
                if self.answers_pings {
                    self.text("{}").await;
                }
                continue;
            }
            return Some(value);
        }
    }

    /// Waits for the server's ping and leaves the answer to the caller; lines before it are skipped.
    pub async fn next_ping(&mut self) {
        loop {
            match self.frame().await {
                Some(Message::Text(text)) if text.split('\n').any(|line| line == "{}") => return,
                Some(_) => {}
                None => panic!("a ping was expected, but the connection ended: {:?}", self.closed),
            }
        }
    }

    /// The next line; the connection must not end.
    pub async fn expect_line(&mut self) -> Value {
        match self.line().await {
            Some(line) => line,
            None => panic!("a line was expected, but the connection ended: {:?}", self.closed),
        }
    }

    /// The reply to the command of that id; pushes before it are skipped.
    pub async fn reply(&mut self, id: u64) -> Value {
        loop {
            let line = self.expect_line().await;
            if line["id"] == id {
                return line;
            }
            assert!(line["id"].is_null(), "a reply to {id} was expected: {line}");
        }
    }

    /// The error code in the reply to the command of that id; 0 if it is no error.
    pub async fn error(&mut self, id: u64) -> u64 {
        self.reply(id).await["error"]["code"].as_u64().unwrap_or(0)
    }

    /// The next publication: channel and data. Replies before it are skipped.
    pub async fn publication(&mut self) -> (String, Value) {
        loop {
            let line = self.expect_line().await;
            if let Some(publication) = line["push"].get("pub") {
                return (line["push"]["channel"].as_str().unwrap().to_owned(), publication["data"].clone());
            }
        }
    }

    /// The data of the next publication, byte for byte as the frame has it. Other lines are skipped.
    pub async fn raw_publication(&mut self) -> String {
        loop {
            let Some(line) = self.lines.pop_front() else {
                match self.frame().await {
                    Some(Message::Text(text)) => self.lines.extend(text.split('\n').map(str::to_owned)),
                    other => panic!("a publication was expected: {other:?}"),
                }
                continue;
            };
            if let Some((_, data)) = line.split_once(r#""data":"#).filter(|_| line.contains(r#""pub":"#)) {
                let mut values = serde_json::Deserializer::from_str(data).into_iter::<&serde_json::value::RawValue>();
                return values.next().expect("data").unwrap_or_else(|e| panic!("{e}: {line}")).get().to_owned();
            }
        }
    }

    /// The next binary frame's bytes; `None` at the end.
    pub async fn bytes(&mut self) -> Option<Vec<u8>> {
        match self.frame().await? {
            Message::Binary(bytes) => Some(bytes.to_vec()),
            other => panic!("not a binary frame: {other:?}"),
        }
    }

    /// Sends a message that the server may not want to the end, and reads meanwhile; says how it ended.
    pub async fn flood(self, message: Message) -> Closed {
        let (mut sink, mut stream) = self.stream.split();
        let read = async {
            let mut closed = Closed { code: None, reason: String::new() };
            while let Some(Ok(message)) = stream.next().await {
                if let Message::Close(Some(frame)) = message {
                    closed = Closed { code: Some(frame.code.into()), reason: frame.reason.to_string() };
                }
            }
            closed
        };
        let both = async { tokio::join!(sink.send(message), read).1 };
        tokio::time::timeout(DEADLINE, both).await.expect("the server ends it")
    }

    /// Reads to the end and says how it came.
    pub async fn closed(&mut self) -> Closed {
        while self.frame().await.is_some() {}
        self.closed.clone().expect("a connection that ended has a reason")
    }

    /// Reads to the end, which must come with this code.
    pub async fn expect_close(&mut self, code: u16) {
        let closed = self.closed().await;
        assert_eq!(closed.code, Some(code), "{closed:?}");
        assert!(!closed.reason.is_empty(), "stock clients ignore {code} without a reason");
    }

    /// Says hello as `connect` does in the protocol, with these parameters; returns the reply.
    pub async fn connect(&mut self, parameters: &Value) -> Value {
        self.text(serde_json::json!({ "id": 1, "connect": parameters }).to_string()).await;
        self.reply(1).await
    }

    /// Subscribes with this id; the answer must be no error.
    pub async fn subscribe(&mut self, id: u64, channel: &str) {
        self.text(serde_json::json!({ "id": id, "subscribe": { "channel": channel } }).to_string()).await;
        let reply = self.reply(id).await;
        assert!(reply.get("error").is_none(), "{channel}: {reply}");
    }
}

/// A client's frame, byte by byte: what no library would send. The mask is zero, which changes nothing.
pub fn raw_frame(is_final: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = raw_head(is_final, opcode, payload.len() as u64);
    frame.extend_from_slice(payload);
    frame
}

/// The beginning of a frame that announces a payload of `length` bytes.
pub fn raw_head(is_final: bool, opcode: u8, length: u64) -> Vec<u8> {
    const MASKED: u8 = 0x80;
    let mut head = vec![u8::from(is_final) << 7 | opcode];
    match length {
        0..126 => head.push(MASKED | u8::try_from(length).unwrap()),
        126..0x1_0000 => {
            head.push(MASKED | 126);
            head.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            head.push(MASKED | 127);
            head.extend(length.to_be_bytes());
        }
    }
    head.extend([0; 4]);
    head
}
