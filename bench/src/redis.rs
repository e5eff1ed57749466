//! A Redis of our own, for servers that meet there. It keeps nothing and ends with us.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// How long it may take until it listens.
const STARTING: Duration = Duration::from_secs(10);

/// A running Redis, which is killed when this is dropped.
#[derive(Debug)]
pub struct Redis {
    /// Where it listens.
    pub address: SocketAddr,
    /// For servers.
    pub url: String,
    /// Its process.
    pub pid: u32,
    child: Child,
}

impl Redis {
    /// Starts the `redis-server` of the PATH at this port and returns when it takes connections.
    ///
    /// # Errors
    /// When it is not installed, or somebody else has the port.
    pub fn start(port: u16) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        ensure!(
            TcpStream::connect(address).is_err(),
            "port {port}, which is for Redis, is taken; name another by --port"
        );
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--maxclients", "10000"])
            .args(["--port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start redis-server; on Debian it is in the package redis-server")?;
        let mut this = Self { address, url: format!("redis://{address}"), pid: child.id(), child };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(this.child.try_wait()?.is_none(), "redis-server ended before it listened");
            ensure!(begun.elapsed() < STARTING, "redis-server does not listen at {address} after {STARTING:?}");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(this)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
