//! A Redis of one's own for each test, and a relay in front of it that can drop what passes.
//!
//! For `#[path = "../support/redis.rs"] mod redis_kit;` in integration tests.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::disallowed_methods, reason = "tests spawn plain tasks")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(missing_docs, unreachable_pub, reason = "a part of the test binaries that include it")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How long a server may take to start. A limit against hanging, not an expectation.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A `redis-server` process that keeps nothing on disk; killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
    /// A replica writes what it has got from its primary to where it works.
    folder: tempfile::TempDir,
}

impl RedisServer {
    /// Starts a server on a free port.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more arguments, such as `--requirepass x`.
    pub fn start_with(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        // Between asking for a free port and using it, another process may take it.
        for _ in 0..10 {
            let mut server = Self::stopped();
            server.arguments.clone_from(&arguments);
            if server.try_launch() {
                return server;
            }
        }
        panic!("redis-server does not start; is it installed?");
    }

    /// A port on which no server runs, to be started later.
    pub fn stopped() -> Self {
        let folder = tempfile::tempdir().expect("there is a place for temporary files");
        Self { port: free_port(), arguments: Vec::new(), child: None, folder }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database.
    pub fn url(&self, db: u16) -> String {
        format!("redis://127.0.0.1:{}/{db}", self.port)
    }

    /// Kills the process: no farewell to anybody, nothing kept.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends the process a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("a server that runs");
        let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Starts again, empty, on the same port.
    pub fn restart(&mut self) {
        self.stop();
        assert!(self.try_launch(), "redis-server does not start again on port {}", self.port);
    }

    /// A plain connection for whatever a test wants to ask or break.
    pub async fn connect(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url(0)).unwrap();
        let patient = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(START_LIMIT))
            .set_response_timeout(Some(START_LIMIT));
        client.get_multiplexed_async_connection_with_config(&patient).await.unwrap()
    }

    /// Runs one command, given as words.
    pub async fn run<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut self.connect().await).await.unwrap()
    }

    /// Publishes bytes past all brokers; answers how many connections got them.
    pub async fn publish(&self, name: &str, bytes: &[u8]) -> i64 {
        let mut command = redis::cmd("PUBLISH");
        command.arg(name).arg(bytes).query_async(&mut self.connect().await).await.unwrap()
    }

    /// Cuts all connections that are subscribed to something; answers how many.
    pub async fn kill_subscribers(&self) -> i64 {
        self.run(&["CLIENT", "KILL", "TYPE", "pubsub"]).await
    }

    fn try_launch(&mut self) -> bool {
        let mut child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (ready, readiness) = mpsc::channel();
        // Reads on to the end, so that the server never waits for somebody to take its log.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if line.contains("Ready to accept connections") {
                    let _ = ready.send(());
                }
            }
        });
        self.child = Some(child);
        // An early end of the log is a server that did not come up.
        let up = readiness.recv_timeout(START_LIMIT).is_ok();
        if !up {
            self.stop();
        }
        up
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Below the range from which the kernel takes ports for whoever connects, beside that of the tests' gateways, and
/// never the same twice within this process: no other test gets it before the server listens there, nor while it is stopped.
fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let free = |port: &u16| !given.contains(port) && StdListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let port = std::iter::repeat_with(|| rand::random_range(20_000..30_000)).find(free).unwrap();
    given.insert(port);
    port
}

/// Passes TCP on to a port, until told to swallow: then it still accepts and nothing gets through, as if
/// packets were dropped. What was swallowed meanwhile comes late after healing, as TCP would have it.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    passing: watch::Sender<bool>,
}

impl Relay {
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts a relay to a port of this machine. It ends with the runtime.
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (passing, state) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, to, state.clone()));
            }
        });
        Self { port, passing }
    }

    /// The URL of a database behind the relay.
    pub fn url(&self, db: u16) -> String {
        format!("redis://127.0.0.1:{}/{db}", self.port)
    }

    /// Lets nothing through any more, in neither direction.
    pub fn swallow(&self) {
        self.passing.send_replace(false);
    }

    /// Lets everything through again.
    pub fn heal(&self) {
        self.passing.send_replace(true);
    }
}

async fn relay(client: TcpStream, to: u16, mut passing: watch::Receiver<bool>) {
    if passing.wait_for(|passing| *passing).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await else { return };
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    tokio::join!(pump(client_in, server_out, passing.clone()), pump(server_in, client_out, passing));
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut passing: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        // Also the end of a connection is not noticed through a hole.
        if passing.wait_for(|passing| *passing).await.is_err() || read == 0 {
            break;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
