//! HTTP as it is, over any stream.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::gateway::DEADLINE;

/// The lines that make a request a WebSocket handshake.
pub const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n\
                           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// Asks for an upgrade with further header lines; answers the head of the answer, empty if there is none.
pub async fn upgrade(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), lines: &str) -> String {
    ask(stream, "GET /connection/websocket", &format!("{UPGRADE}{lines}")).await
}

/// Sends a request without a body.
pub async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), what: &str, lines: &str) -> String {
    let request = format!("{what} HTTP/1.1\r\nHost: gateway\r\n{lines}\r\n");
    // Who hangs up before it is all there answers nothing, which is seen below.
    let _ = stream.write_all(request.as_bytes()).await;
    head(stream).await
}

/// What comes until the empty line or the end of the connection.
pub async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    let read = async {
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
    };
    tokio::time::timeout(DEADLINE, read).await.expect("an answer or an end");
    String::from_utf8(head).unwrap()
}

/// The status of an answer; 0 if there was none.
pub fn status(head: &str) -> u16 {
    if head.is_empty() {
        return 0;
    }
    head.split(' ').nth(1).unwrap_or_else(|| panic!("no status in {head:?}")).parse().unwrap()
}
