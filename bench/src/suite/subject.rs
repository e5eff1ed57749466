//! Who takes part in a suite, and who does not, and why.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::server::last_line;

/// How long a script may install: some compile a server.
const INSTALLING: Duration = Duration::from_secs(45 * 60);

/// One that is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its script's name, or a floor's.
    pub server: String,
    /// Where and which process, if it runs already.
    pub running: Option<(SocketAddr, u32)>,
}

/// A server that runs already: `NAME=ADDRESS,PID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// The server's name, as its script is called.
    pub server: String,
    /// Where clients connect.
    pub address: SocketAddr,
    /// Its process, whose CPU and memory are taken.
    pub pid: u32,
}

impl FromStr for Running {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = || -> Option<Self> {
            let (server, rest) = text.split_once('=')?;
            let (address, pid) = rest.split_once(',')?;
            Some(Self { server: server.to_owned(), address: address.parse().ok()?, pid: pid.parse().ok()? })
        };
        parts()
            .with_context(|| format!("`{text}` should be like centrifugo=127.0.0.1:8000,4711: name, address, process"))
    }
}

/// Everybody that there is: the floors, ourselves, and the peers, cheapest to install first.
pub const EVERYBODY: [&str; 10] =
    ["floor", "floor32", "fanfare", "node-ws", "socketio", "uwebsockets", "nchan", "nats", "sockudo", "centrifugo"];

/// Everybody who could take part.
///
/// # Errors
/// When one that runs already is nobody of them.
pub fn everybody(running: &[Running]) -> Result<Vec<Subject>> {
    if let Some(unknown) = running.iter().find(|running| !EVERYBODY.contains(&running.server.as_str())) {
        bail!("--address: nobody here speaks to {}; there are {}", unknown.server, EVERYBODY.join(", "));
    }
    let subject = |server: &str| Subject {
        server: server.to_owned(),
        running: running.iter().find(|running| running.server == server).map(|it| (it.address, it.pid)),
    };
    Ok(EVERYBODY.into_iter().map(subject).collect())
}

/// Runs the script's `install`; what it says goes to a log. Answers why not in one line.
pub fn install(server: &str, peers: &Path, logs: &Path) -> Result<()> {
    let script = peers.join(server);
    ensure!(script.is_file(), "there is no script {}", script.display());
    fs::create_dir_all(logs).with_context(|| format!("cannot make {}", logs.display()))?;
    let log = logs.join(format!("install-{server}.log"));
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut child = Command::new(&script)
        .arg("install")
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot run {}", script.display()))?;
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begun.elapsed() > INSTALLING {
            let _ = Command::new("kill").args(["-s", "KILL", "--", &format!("-{}", child.id())]).status();
            child.wait()?;
            bail!("its installation took longer than {} minutes", INSTALLING.as_secs() / 60);
        }
        thread::sleep(Duration::from_millis(50));
    };
    if status.success() {
        return Ok(());
    }
    bail!("cannot be installed: {}", last_line(&log).unwrap_or_else(|| status.to_string()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_running_server_is_told_in_one_word() {
        let running: Running = "centrifugo=127.0.0.1:8000,4711".parse().unwrap();
        assert_eq!(
            running,
            Running { server: "centrifugo".into(), address: "127.0.0.1:8000".parse().unwrap(), pid: 4711 }
        );
        let error = "127.0.0.1:8000".parse::<Running>().unwrap_err().to_string();
        assert!(error.contains("centrifugo=127.0.0.1:8000,4711"), "{error}");
        let subjects = everybody(&[running]).unwrap();
        let runs = |server: &str| subjects.iter().find(|it| it.server == server).unwrap().running.is_some();
        assert!(runs("centrifugo") && !runs("nchan"));
        let nobody = everybody(&["nobody=127.0.0.1:1,2".parse().unwrap()]).unwrap_err().to_string();
        assert!(nobody.contains("nobody here speaks to nobody"), "{nobody}");
    }

    #[test]
    fn a_script_that_fails_says_why() {
        let folder = std::env::temp_dir().join(format!("fanfare-bench-install-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in
            [("good", "#!/bin/sh\ntrue\n"), ("bad", "#!/bin/sh\necho first\necho 'needs npm' >&2\nexit 1\n")]
        {
            fs::write(folder.join(name), text).unwrap();
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let why = |name: &str| install(name, &folder, &folder.join("logs")).map_err(|error| error.to_string());
        assert_eq!(why("good"), Ok(()));
        assert_eq!(why("bad"), Err("cannot be installed: needs npm".to_owned()));
        assert!(why("none").unwrap_err().contains("there is no script"));
        fs::remove_dir_all(folder).unwrap();
    }
}
