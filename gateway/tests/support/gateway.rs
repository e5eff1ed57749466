//! Starts the real binary with a configuration given as TOML, on free ports, and asks it things from
//! outside: the API, the metrics, its memory. Ended on drop. Knows nothing of what is inside.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// Signs every token of these tests.
pub const HMAC_SECRET: &str = "test-secret-that-is-long-enough-for-hs256";

/// Opens the server API of every gateway of these tests.
pub const API_KEY: &str = "test-api-key";

/// For every wait that must end.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// How much of a gateway's log a failed test shows.
const LOG_SHOWN_BYTES: usize = 16 * 1024;

const READY_WITHIN: Duration = Duration::from_secs(15);

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    /// Clients and the API.
    pub listen: SocketAddr,
    /// Metrics and readiness.
    pub internal: SocketAddr,
    http: reqwest::Client,
    directory: TempDir,
}

impl Gateway {
    /// Starts one whose configuration is `config` behind the keys that all have, and waits until it is
    /// ready. `config` may open any table but `[auth.token]` and `[api]`.
    pub async fn start(config: &str) -> Self {
        Self::start_without_api_key(&with_api_key(config)).await
    }

    /// The same without the API's key.
    pub async fn start_without_api_key(config: &str) -> Self {
        let mut gateway = Self::spawn(config);
        gateway.ready_is(200).await;
        gateway
    }

    fn spawn(config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let secret = format!("[auth.token]\nhmac_secret = \"{HMAC_SECRET}\"\n");
        std::fs::write(directory.path().join("gateway.toml"), format!("{secret}{config}\n")).unwrap();
        let (listen, internal) = (free_address(), free_address());
        let child = launch(&directory, listen, internal);
        let http = reqwest::Client::builder().timeout(DEADLINE).build().unwrap();
        Self { child, listen, internal, http, directory }
    }

    /// Kills the process: no farewell to anybody.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts again, on the same ports and with the same configuration, and does not wait.
    pub fn relaunch(&mut self) {
        self.kill();
        self.child = launch(&self.directory, self.listen, self.internal);
    }

    /// Sends the process a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Files that the process has open, sockets included.
    pub fn open_files(&self) -> u64 {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count() as u64
    }

    /// Starts one whose broker is not there, and waits until it answers at all.
    pub async fn start_unready(config: &str) -> Self {
        let mut gateway = Self::spawn(&with_api_key(config));
        let url = format!("http://{}/health", gateway.internal);
        let answers = tokio::time::timeout(READY_WITHIN, gateway.until(url, 200)).await;
        assert!(answers.is_ok(), "no answer from /health");
        gateway
    }

    /// Waits until an address answers with a status.
    async fn until(&mut self, url: String, status: u16) {
        loop {
            let answer = self.http.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status() == status) {
                return;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the gateway ended with {status}:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until `/ready` answers with a status, and answers its body.
    pub async fn ready_is(&mut self, status: u16) -> Value {
        let url = format!("http://{}/ready", self.internal);
        let reached = tokio::time::timeout(READY_WITHIN, self.until(url.clone(), status)).await;
        assert!(reached.is_ok(), "/ready does not become {status}:\n{}", self.log());
        let body = self.http.get(url).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&body).unwrap()
    }

    /// Asks it to go down.
    pub fn terminate(&self) {
        let killed = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
    }

    /// Waits until it has ended, and answers its exit code.
    pub async fn exit_code(&mut self) -> Option<i32> {
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status.code();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(READY_WITHIN, ended).await.expect("the gateway ends")
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        let path: PathBuf = self.directory.path().join("log");
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// Waits until it has written this.
    pub async fn logs(&self, text: &str) {
        let logged = async {
            while !self.log().contains(text) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(DEADLINE, logged).await.unwrap_or_else(|_| panic!("{text:?} is not in\n{}", self.log()));
    }

    /// Fails the test if the process has ended.
    pub fn assert_running(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("the gateway ended with {status}:\n{}", self.log());
        }
    }

    /// Calls the server API with a body as it is; returns the HTTP status and the answer's text.
    pub async fn api_raw(&self, method: &str, key: Option<&str>, body: impl Into<reqwest::Body>) -> (u16, String) {
        let mut request = self.http.post(format!("http://{}/api/{method}", self.listen)).body(body);
        if let Some(key) = key {
            request = request.header("X-API-Key", key);
        }
        let answer = request.header("Content-Type", "application/json").send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap_or_default())
    }

    /// Calls the server API and returns its JSON answer, `result` or `error` and all.
    pub async fn api(&self, method: &str, body: &Value) -> Value {
        let (status, text) = self.api_raw(method, Some(API_KEY), body.to_string()).await;
        assert_eq!(status, 200, "{method} {body}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The sum of a metric over its labels; `labels` is a fragment such as `code="3008"`, or nothing.
    pub async fn metric(&self, name: &str, labels: &str) -> f64 {
        let text =
            self.http.get(format!("http://{}/metrics", self.internal)).send().await.unwrap().text().await.unwrap();
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let values = text.lines().filter(of_name).filter(|line| line.contains(labels));
        values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until a metric, as [`Self::metric`] has it, has come to so many.
    pub async fn counts(&self, name: &str, labels: &str, count: f64) {
        let counted = async {
            while self.metric(name, labels).await < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let come = tokio::time::timeout(DEADLINE, counted).await;
        assert!(come.is_ok(), "{name} {labels} does not come to {count}\n{}", self.log());
    }

    /// Resident memory, in bytes.
    pub fn resident_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel says VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            use std::io::Write as _;
            let log = self.log();
            // The end of a long one: a fault run says much.
            let from = log.len().saturating_sub(LOG_SHOWN_BYTES);
            let shown = log.get(from..).unwrap_or(&log);
            let _ = writeln!(std::io::stderr(), "--- the gateway's log\n{shown}---");
        }
    }
}

fn launch(directory: &TempDir, listen: SocketAddr, internal: SocketAddr) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(directory.path().join("log")).unwrap();
    // The shell only raises the limit on open files as far as it may: one test opens 1,000 sockets.
    Command::new("sh")
        .args(["-c", "ulimit -n $(ulimit -Hn) 2>/dev/null; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_fanfare-gateway")])
        .args(["serve", "--listen", &listen.to_string(), "--internal-listen", &internal.to_string(), "-c"])
        .arg(directory.path().join("gateway.toml"))
        // Of the tests, not for the gateway, which would warn of them.
        .env_remove("FANFARE_FAULTS_SEED")
        .env_remove("FANFARE_FAULTS_MINUTES")
        // Nobody out there: only what tests serve themselves.
        .env("SSL_CERT_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates/authority.pem"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Below the range from which the kernel takes ports for whoever connects, and never the same twice within this process: no
/// other test gets it before the gateway listens there, nor while it is started again.
pub fn free_address() -> SocketAddr {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let free = |port: &u16| !given.contains(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let port = std::iter::repeat_with(|| rand::random_range(10_000..20_000)).find(free).unwrap();
    given.insert(port);
    (Ipv4Addr::LOCALHOST, port).into()
}

fn with_api_key(config: &str) -> String {
    format!("[api]\nkey = \"{API_KEY}\"\n{config}")
}
