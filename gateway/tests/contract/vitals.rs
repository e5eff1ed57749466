//! What a node finds out about its Redis by itself, and how often it says so.

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fanfare_gateway::broker::Health;
use tokio::net::{TcpListener, TcpStream};

use crate::redis_kit::{RedisServer, Relay};
use crate::{LIMIT, Node, eventually, redis_config};

/// What is logged on this thread, on which the test and all its tasks run.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn lines_with(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap()).lines().filter(|line| line.contains(text)).count()
    }
}

/// Leads commands to one server and, as long as it is told to, subscriptions to another.
async fn forked_road(commands: u16, subscriptions: u16, forked: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let forked = forked.clone();
            tokio::spawn(async move {
                let mut first = [0; 64];
                let read = client.peek(&mut first).await.unwrap_or(0);
                let subscribes = first[..read].windows(9).any(|word| word == b"SUBSCRIBE");
                let to = if subscribes && forked.load(Ordering::SeqCst) { subscriptions } else { commands };
                if let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    port
}

/// Both links are up, each server is well, and nothing arrives: only what a node sends to itself shows it.
#[tokio::test]
async fn subscriptions_at_another_server_are_found_out_and_told_once() {
    let (log, _listening) = Log::listen();
    let (server, other) = (RedisServer::start(), RedisServer::start());
    let forked = Arc::new(AtomicBool::new(true));
    let port = forked_road(server.port(), other.port(), forked.clone()).await;
    let mut config = redis_config(format!("redis://127.0.0.1:{port}/0"));
    config.command_timeout = std::time::Duration::from_secs(1);
    let mut node = Node::redis(&config);
    // Two for each time that the links are given up.
    eventually("probes are lost", || node.metrics.broker_probe_failures.get() >= 6).await;
    assert!(matches!(node.broker.health(), Health::Silent(_)));
    assert_eq!(log.lines_with("does not bring them back"), 1);
    assert_eq!(log.lines_with("brings publications back again"), 0);

    forked.store(false, Ordering::SeqCst);
    node.delivers().await;
    assert_eq!(log.lines_with("brings publications back again"), 1);
    node.subscribe(&["a"]).await;
    assert_eq!(node.drain("a").await, []);
    let failures = node.metrics.broker_probe_failures.get();

    // Another time is another line.
    forked.store(true, Ordering::SeqCst);
    server.kill_subscribers().await;
    eventually("probes are lost again", || node.metrics.broker_probe_failures.get() >= failures + 4).await;
    assert_eq!(log.lines_with("does not bring them back"), 2);
}

/// A probe whose echo is lost with the links goes on waiting for it: what the one before it said does not count then.
#[tokio::test]
async fn what_a_probe_said_before_the_links_broke_does_not_count() {
    let mut server = RedisServer::start();
    let relay = Relay::start(server.port()).await;
    let port = forked_road(server.port(), relay.port(), Arc::new(AtomicBool::new(true))).await;
    let mut config = redis_config(format!("redis://127.0.0.1:{port}/0"));
    config.command_timeout = LIMIT * 2;
    let node = Node::linked(&config).await;
    let redis = node.redis.as_ref().unwrap();
    let probes = async || {
        let stats: String = server.run(&["INFO", "commandstats"]).await;
        stats
            .lines()
            .find_map(|line| line.strip_prefix("cmdstat_publish:calls=")?.split(',').next()?.parse::<u64>().ok())
    };
    relay.swallow();
    let before = probes().await;
    let under_way = async {
        while probes().await <= before {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, under_way).await.expect("a probe is under way");
    server.stop();
    node.is_silent().await;
    relay.heal();
    let mut waiting = std::pin::pin!(redis.wait_until_delivers(LIMIT));
    assert!(futures_util::poll!(waiting.as_mut()).is_pending(), "the links are down");
    server.restart();
    assert!(waiting.await);
}

#[tokio::test]
async fn a_server_that_evicts_is_told_of_once() {
    let (log, _listening) = Log::listen();
    let evicting = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let told = || log.lines_with("set maxmemory-policy to noeviction");
    let node = Node::linked(&redis_config(evicting.url(0))).await;
    // The server is asked before it is said to deliver.
    assert_eq!(told(), 1);
    for _ in 0..2 {
        let lost = node.metrics.broker_reconnects.get();
        let _: i64 = evicting.run(&["CLIENT", "KILL", "TYPE", "normal"]).await;
        evicting.kill_subscribers().await;
        node.has_lost_both(lost).await;
        node.delivers().await;
    }
    assert_eq!(told(), 1);

    // One that keeps everything, and one that does not say.
    let keeping = RedisServer::start();
    let silent = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let _: () = silent.run(&["ACL", "SETUSER", "default", "-config"]).await;
    for server in [&keeping, &silent] {
        let node = Node::linked(&redis_config(server.url(0))).await;
        assert_eq!(node.broker.health(), Health::Delivers);
    }
    assert_eq!(told(), 1);
}
