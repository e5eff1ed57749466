//! A gateway with a bystander: somebody who listens to a channel of its own, and must go on hearing
//! everything said there whatever the others do.

use std::future::Future;

use serde_json::json;

use crate::gateway::Gateway;
use crate::token;
use crate::ws::Socket;

/// Everyone may do everything.
pub(crate) const INSECURE: &str = "[client]\ninsecure = true\n";

/// Tokens count; clients may subscribe and publish.
pub(crate) const SECURE: &str =
    "[channel.default]\nallow_subscribe_for_client = true\nallow_publish_for_client = true\n";

const LOBBY: &str = "lobby";

/// A gateway and its bystander.
pub(crate) struct Room {
    pub(crate) gateway: Gateway,
    bystander: Socket,
    said: u64,
}

impl Room {
    /// Starts a gateway with this configuration and lets the bystander in.
    pub(crate) async fn open(config: &str) -> Self {
        let gateway = Gateway::start(config).await;
        let mut bystander = Socket::open(gateway.listen).await;
        let hello = bystander.connect(&json!({ "token": token::mint(&json!({ "sub": "bystander" })) })).await;
        assert!(hello["error"].is_null(), "{hello}");
        bystander.subscribe(2, LOBBY).await;
        Self { gateway, bystander, said: 0 }
    }

    /// A socket that has said nothing yet.
    pub(crate) async fn stranger(&self) -> Socket {
        Socket::open(self.gateway.listen).await
    }

    /// A client that has said hello.
    pub(crate) async fn guest(&self) -> Socket {
        let mut guest = self.stranger().await;
        let hello = guest.connect(&json!({ "token": token::mint(&json!({ "sub": "guest" })) })).await;
        assert!(hello["error"].is_null(), "{hello}");
        guest
    }

    /// Waits for `work` while the bystander answers the server's pings.
    pub(crate) async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            done = work => done,
            line = self.bystander.line() => panic!("the bystander heard {line:?}"),
        }
    }

    /// The bystander hears what is said now, and nothing else.
    pub(crate) async fn bystander_hears(&mut self) {
        for _ in 0..3 {
            self.said += 1;
            let answer = self.gateway.api("publish", &json!({ "channel": LOBBY, "data": self.said })).await;
            assert!(answer["error"].is_null(), "{answer}");
            assert_eq!(self.bystander.publication().await, (LOBBY.to_owned(), json!(self.said)));
        }
    }

    /// The end of every test: the gateway lives and the bystander is served.
    pub(crate) async fn close(mut self) {
        self.gateway.assert_running();
        self.bystander_hears().await;
        assert!((self.gateway.metric("fanfare_task_panics_total", "").await).abs() < 0.5, "a task has panicked");
    }
}

/// A guest sends `frame`; the connection must end with `code`.
pub(crate) async fn ends(frame: &str, code: u16) {
    let room = Room::open(INSECURE).await;
    let mut guest = room.guest().await;
    guest.text(frame).await;
    guest.expect_close(code).await;
    room.close().await;
}
