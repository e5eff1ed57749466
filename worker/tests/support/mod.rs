//! A real Redis for tests, on a port of its own, and a subscriber that waits with a deadline.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fanfare_proto::envelope::{Envelope, Publication};
use fanfare_proto::rules::Rules;
use futures_util::StreamExt;
use redis::aio::PubSub;
use tempfile::TempDir;

/// Long enough for the slowest machine; a test that meets it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A redis-server of our own; killed when it is dropped.
pub(crate) struct Redis {
    process: Child,
    /// What it writes while it follows or is followed.
    _folder: TempDir,
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
        let folder = tempfile::tempdir().expect("a folder for its files");
        let mut process = Command::new("redis-server")
            .current_dir(folder.path())
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let lines = BufReader::new(process.stdout.take().expect("stdout is piped")).lines();
        let ready = lines.map_while(Result::ok).any(|line| line.contains("Ready to accept connections"));
        if ready {
            return Some(Self { process, _folder: folder, port });
        }
        process.wait().expect("it has ended");
        None
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
    }

    /// A server that follows this one, and has all that it has.
    pub(crate) async fn replica(&self) -> Self {
        self.tell(redis::cmd("CONFIG").arg("SET").arg("repl-diskless-sync-delay").arg(0)).await;
        let replica = Self::start_with(&["--replicaof", "127.0.0.1", &self.port.to_string()]);
        // A connection waits for what it has written itself.
        let mut connection = self.connection().await;
        let () = redis::cmd("SET").arg("followed").arg(1).query_async(&mut connection).await.unwrap();
        let followers: u64 = redis::cmd("WAIT").arg(1).arg(0).query_async(&mut connection).await.unwrap();
        assert_eq!(followers, 1);
        replica
    }

    /// Stores rules as a gateway would.
    pub(crate) async fn set_rules(&self, rules: &Rules) {
        self.tell(redis::cmd("SET").arg("fanfare:rules").arg(rules.print())).await;
    }

    /// A command whose answer does not matter, as long as it is no error.
    pub(crate) async fn tell(&self, command: &redis::Cmd) {
        let _: redis::Value = command.query_async(&mut self.connection().await).await.unwrap();
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
