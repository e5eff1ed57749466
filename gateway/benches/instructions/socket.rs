//! A client's message, from the socket to the conversation: what the kernel does is not counted, what the
//! runtime does to learn that something has come is.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use fanfare_gateway::hub::Pipe;
use fanfare_gateway::model::ByteSize;
use fanfare_gateway::server::{Bound, Entrance, Gate, listener};
use fanfare_gateway::task::Tasks;
use fanfare_gateway::telemetry::Metrics;
use fanfare_gateway::transport::websocket::{Sizes, Upgrade, WebSocket};
use fanfare_gateway::transport::{Link, Received};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc};

use crate::fanout::PAYLOAD;
use crate::measure::{measured, runtime};

/// Messages, each in a read of its own.
pub(crate) const MESSAGES: usize = 100;

/// The sizes that a gateway has without configuration.
const SIZES: Sizes =
    Sizes { read_buffer: ByteSize::kib(16), write_buffer: ByteSize::kib(16), message_max: ByteSize::kib(64) };

const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

type Ends = (WebSocket, Box<dyn Pipe>);

/// Masked text messages, one after the other.
pub(crate) fn receive() {
    let runtime = runtime();
    let (mut client, (mut link, _pipe)) = connect(&runtime);
    let message = masked(PAYLOAD);
    let mut receive = |measured: fn(&mut dyn FnMut() -> Received) -> Received| {
        client.write_all(&message).expect("the gateway's end is open");
        let received = measured(&mut || runtime.block_on(poll_fn(|cx| link.poll_receive(cx))));
        assert!(matches!(&received, Received::Message(frame) if frame.bytes() == PAYLOAD), "{received:?}");
    };
    // Nothing of what happens only once is counted.
    receive(|work| work());
    for _ in 0..MESSAGES {
        receive(|work| measured(work));
    }
}

/// A WebSocket through the gateway's own listener, and the client's end of it.
fn connect(runtime: &Runtime) -> (TcpStream, Ends) {
    let tasks = Tasks::new(Arc::new(Metrics::new()));
    let (sender, mut ends) = mpsc::channel(1);
    let router = Router::new().route("/", get(upgrade)).with_state((tasks.clone(), sender));
    let gate = Gate {
        seats: Arc::new(Semaphore::new(1)),
        header_timeout: Duration::from_secs(60),
        header_max: ByteSize::kib(16),
        life_max: listener::LIFE_MAX,
        grace: listener::GRACE,
        entrance: Entrance::plain(),
    };
    let _inside = runtime.enter();
    let bound = Bound::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let mut client = TcpStream::connect(bound.address()).expect("it listens");
    tasks.spawn("listener", bound.serve(router, gate, tasks.clone(), tasks.stop()));
    let handshake = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.write_all(handshake.as_bytes()).expect("the gateway's end is open");
    let ends = runtime.block_on(ends.recv()).expect("the handshake is good");
    client.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let read = client.read(&mut [0; 1024]).expect("an answer");
    assert!(read > 0, "the gateway has hung up");
    (client, ends)
}

async fn upgrade(State((tasks, ends)): State<(Tasks, mpsc::Sender<Ends>)>, mut request: Request) -> Response {
    let upgrade = match Upgrade::take(&mut request, None) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refusal,
    };
    let response = upgrade.response();
    tasks.spawn("upgrade", async move {
        if let Some(both) = upgrade.link(SIZES).await {
            let _ = ends.send(both).await;
        }
    });
    response
}

/// A text frame as clients send it (RFC 6455, 5.2), of 126 to 255 bytes.
fn masked(payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).expect("a short payload");
    let mut frame = vec![0x81, 0x80 | 126, 0, len];
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}
