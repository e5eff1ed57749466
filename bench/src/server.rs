//! A server under test: started by its script, or running already.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::machine::Tree;

/// What tokens are signed with.
pub const SECRET: &str = "a-secret-that-is-long-enough-for-hs256";

/// What the HTTP API asks for.
pub const API_KEY: &str = "an-api-key-that-only-the-bench-knows";

/// How long a server may take until it takes connections.
const START: Duration = Duration::from_secs(30);

/// From its first connection until all of its processes take part: nginx listens before it has forked.
const FORKING: Duration = Duration::from_millis(300);

/// How long it may take to end by itself.
const STOP: Duration = Duration::from_secs(5);

/// How a server is to be.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Where clients connect.
    pub port: u16,
    /// Empty for a server that is alone.
    pub redis_url: String,
    /// 2 if it will be one of two.
    pub nodes: usize,
    /// Threads or processes; 0 for the server's own choice.
    pub workers: usize,
}

impl Setup {
    /// One server with its state in memory.
    pub fn alone(port: u16, workers: usize) -> Self {
        Self { port, redis_url: String::new(), nodes: 1, workers }
    }
}

/// A server that takes connections. Ends when dropped, if we started it.
#[derive(Debug)]
pub struct Server {
    /// As its script is called.
    pub name: String,
    /// Where clients connect.
    pub address: SocketAddr,
    /// Its processes.
    pub tree: Tree,
    child: Option<Child>,
}

impl Server {
    /// Starts a peer, or ourselves, by `bench/peers/<name>`.
    pub fn start(name: &str, setup: &Setup) -> anyhow::Result<Self> {
        Self::spawn(name, &mut Self::command(name, setup)?, setup.port)
    }

    /// What [`Server::start`] runs, for those who want to add to its environment.
    pub fn command(name: &str, setup: &Setup) -> anyhow::Result<Command> {
        let mut command = Command::new(script(name)?);
        command
            .arg("serve")
            .env("PORT", setup.port.to_string())
            .env("PORT2", (setup.port + 1).to_string())
            .env("SECRET", SECRET)
            .env("API_KEY", API_KEY)
            .env("REDIS_URL", &setup.redis_url)
            .env("NODES", setup.nodes.to_string())
            .env("WORKERS", setup.workers.to_string());
        Ok(command)
    }

    /// Starts a server by a command of its own.
    pub fn spawn(name: &str, command: &mut Command, port: u16) -> anyhow::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        ensure!(TcpStream::connect(address).is_err(), "something listens on {address} already: give another --port");
        let log = log(name, port)?;
        // A group of its own: whatever it starts ends with it.
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?).process_group(0).spawn();
        let child = child.with_context(|| format!("{name}: cannot start {:?}", command.get_program()))?;
        let tree = Tree::new(child.id());
        let mut server = Self { name: name.to_owned(), address, tree, child: Some(child) };
        server.wait_until_it_listens()?;
        Ok(server)
    }

    /// A server that runs already.
    pub fn running(name: &str, address: SocketAddr, pid: u32) -> Self {
        Self { name: name.to_owned(), address, tree: Tree::new(pid), child: None }
    }

    fn wait_until_it_listens(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        loop {
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                let said = last_line(&log(&self.name, self.address.port())?);
                let said = said.unwrap_or_else(|| format!("is it installed? bench/peers/{} install", self.name));
                bail!("{}: ended at once ({status}): {said}", self.name);
            }
            if TcpStream::connect(self.address).is_ok() {
                std::thread::sleep(FORKING);
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{}: does not listen on {}", self.name, self.address);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it without a word, as a machine that fails would.
    pub fn kill(&mut self) {
        self.signal("-KILL");
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }

    fn signal(&self, signal: &str) {
        if let Some(child) = &self.child {
            let group = format!("-{}", child.id());
            let _ = Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal("-TERM");
        let deadline = Instant::now() + STOP;
        if let Some(child) = &mut self.child {
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        self.kill();
    }
}

/// What a server says of its version; empty if it says nothing.
pub fn version(name: &str) -> String {
    let Ok(script) = script(name) else { return String::new() };
    let output = Command::new(script).arg("version").stderr(Stdio::null()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// Where a server's complaints go.
fn log(name: &str, port: u16) -> anyhow::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/logs");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder.join(format!("{name}-{port}.log")))
}

/// The last line that says something; none if there is none.
pub fn last_line(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    text.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned)
}

/// `bench/peers/<name>` of this repository.
fn script(name: &str) -> anyhow::Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name);
    ensure!(script.is_file(), "no server is called {name}: they are the scripts in bench/peers");
    Ok(script)
}
