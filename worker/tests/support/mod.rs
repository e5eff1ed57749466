//! A real Redis for tests, on a port of its own, and a subscriber that waits with a deadline.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fanfare_proto::envelope::{Envelope, Publication};
use futures_util::StreamExt;
use redis::aio::PubSub;

/// Long enough for the slowest machine; a test that meets it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A redis-server of our own; killed when it is dropped.
pub(crate) struct Redis {
    process: Child,
    pub(crate) port: u16,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        // Another process may take the port between the look and the start: then the next one.
        (0..10).find_map(|_| Self::try_start(free_port(), arguments)).expect("redis-server starts")
    }

    pub(crate) fn start_on(port: u16) -> Self {
        Self::try_start(port, &[]).expect("redis-server starts on the port it had")
    }

    fn try_start(port: u16, arguments: &[&str]) -> Option<Self> {
        let mut process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let lines = BufReader::new(process.stdout.take().expect("stdout is piped")).lines();
        let ready = lines.map_while(Result::ok).any(|line| line.contains("Ready to accept connections"));
        if ready {
            return Some(Self { process, port });
        }
        process.wait().expect("it has ended");
        None
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    pub(crate) async fn subscribe(&self, name: &str) -> Subscriber {
        let client = redis::Client::open(self.url()).unwrap();
        let mut pubsub = client.get_async_pubsub().await.unwrap();
        pubsub.subscribe(name).await.unwrap();
        Subscriber(pubsub)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) struct Subscriber(PubSub);

impl Subscriber {
    /// The next message's bytes, as they were on the wire.
    pub(crate) async fn bytes(&mut self) -> Vec<u8> {
        let mut messages = self.0.on_message();
        let message = tokio::time::timeout(PATIENCE, messages.next()).await.expect("a message in time");
        message.expect("the subscription lives").get_payload().unwrap()
    }

    pub(crate) async fn publication(&mut self) -> Publication {
        match Envelope::decode(self.bytes().await.into()).unwrap() {
            Envelope::Publication(publication) => publication,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
