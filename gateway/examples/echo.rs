//! The gateway's WebSocket transport with an echo in place of the session: what the conformance suite
//! talks to. `cargo run --example echo -- 127.0.0.1:9001`

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use fanfare_gateway::hub::Outbox;
use fanfare_gateway::model::wire::Frame;
use fanfare_gateway::model::{ByteSize, Directive};
use fanfare_gateway::server::{Bound, Entrance, Gate, listener};
use fanfare_gateway::session::Flow;
use fanfare_gateway::task::Tasks;
use fanfare_gateway::telemetry::Metrics;
use fanfare_gateway::transport::Conversation;
use fanfare_gateway::transport::drive::Connection;
use fanfare_gateway::transport::websocket::{Sizes, Upgrade};
use tokio::sync::Semaphore;

/// The sizes that a gateway has without configuration.
const SIZES: Sizes =
    Sizes { read_buffer: ByteSize::kib(16), write_buffer: ByteSize::kib(16), message_max: ByteSize::kib(64) };

struct Echo {
    outbox: Outbox,
    corked: bool,
}

impl Conversation for Echo {
    async fn receive(&mut self, message: Frame) -> Flow {
        if std::mem::take(&mut self.corked) {
            self.outbox.uncork(message);
        } else {
            // Refused once the outbox is full: the link closes by itself then.
            let _ = self.outbox.reply(message);
        }
        Flow::Continue
    }

    async fn obey(&mut self, _: Directive) -> Flow {
        Flow::Continue
    }

    fn tick(&mut self) -> Flow {
        Flow::Continue
    }
}

async fn upgrade(State((tasks, metrics)): State<(Tasks, Arc<Metrics>)>, mut request: Request) -> Response {
    let upgrade = match Upgrade::take(&mut request, None) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refusal,
    };
    let response = upgrade.response();
    tasks.spawn("echo", async move {
        let Some((link, pipe)) = upgrade.link(SIZES).await else { return };
        let (outbox, reader) = Outbox::new(ByteSize::mib(1), pipe, metrics);
        Connection::new(link, Echo { outbox, corked: true }, reader).run().await;
    });
    response
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address: SocketAddr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned()).parse()?;
    let metrics = Arc::new(Metrics::new());
    let tasks = Tasks::new(Arc::clone(&metrics));
    let router = Router::new().route("/", get(upgrade)).with_state((tasks.clone(), metrics));
    let gate = Gate {
        seats: Arc::new(Semaphore::new(1000)),
        header_timeout: Duration::from_secs(5),
        header_max: ByteSize::kib(16),
        life_max: listener::LIFE_MAX,
        grace: listener::GRACE,
        entrance: Entrance::plain(),
    };
    let stop = tasks.stop();
    Bound::bind(address)?.serve(router, gate, tasks, stop).await;
    Ok(())
}
