//! The page "From the first token to production", as somebody follows it: its files are written as they stand there,
//! its programs run by Python, Node and PHP, its commands by a shell, against a real gateway.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/gateway.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod gateway;
#[path = "support/ws.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod ws;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use gateway::{API_KEY, Gateway, HMAC_SECRET};
use serde_json::{Value, json};
use tempfile::TempDir;
use ws::Socket;

const PAGE: &str = include_str!("../../docs/first-token.md");
const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// A block of the page: what stands behind its three backticks, and its text.
struct Block {
    language: &'static str,
    /// Empty if it has none.
    file: &'static str,
    text: &'static str,
}

fn blocks() -> Vec<Block> {
    let fenced = PAGE.split("\n```").skip(1).step_by(2);
    let block = |fenced: &'static str| {
        let (head, text) = fenced.split_once('\n').unwrap();
        let (language, file) = head.split_once(' ').unwrap_or((head, ""));
        Block { language, file, text }
    };
    fenced.map(block).collect()
}

fn file(name: &str) -> &'static str {
    let blocks = blocks();
    blocks.iter().find(|block| block.file == name).unwrap_or_else(|| panic!("the page has no {name}")).text
}

/// The page's command with this in it.
fn command(part: &str) -> &'static str {
    let blocks = blocks();
    let mut found = blocks.iter().filter(|block| block.language == "sh" && block.text.contains(part));
    found.next().unwrap_or_else(|| panic!("the page has no command with {part}")).text
}

/// A reader's directory with all files of the page, and what they have installed.
struct Desk {
    directory: TempDir,
    python: &'static Path,
}

/// The Python with what the page installs; npm's packages are installed with it. The first test installs them.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let install = Path::new(HERE).join("tests/issuers/install");
        let output = Command::new(install).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "what the page's programs need cannot be installed");
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    })
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let python = python();
        let modules = Path::new(HERE).join("tests/issuers/node_modules");
        std::os::unix::fs::symlink(modules, directory.path().join("node_modules")).unwrap();
        for block in blocks().iter().filter(|block| !block.file.is_empty()) {
            std::fs::write(directory.path().join(block.file), block.text).unwrap();
        }
        Self { directory, python }
    }

    fn at_the_desk(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .current_dir(self.directory.path())
            .env("FANFARE_AUTH__TOKEN__HMAC_SECRET", HMAC_SECRET)
            .env("FANFARE_API__KEY", API_KEY);
        command
    }

    /// What a program of the page prints.
    fn prints(&self, interpreter: impl AsRef<Path>, program: &str) -> String {
        let output = self.at_the_desk(interpreter).arg(program).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "{program} fails");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// What `check-token -` says of a token, and whether it is good.
    fn checked(&self, token: &str) -> (bool, String) {
        let mut check = self.at_the_desk(env!("CARGO_BIN_EXE_fanfare-gateway"));
        let mut check = check.args(["check-token", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        writeln!(check.stdin.take().unwrap(), "{token}").unwrap();
        let output = check.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }

    /// The JSON that a command of the page prints, its gateway being this one.
    fn calls(&self, gateway: &Gateway, part: &str) -> Value {
        let script = command(part).replace("localhost:8080", &gateway.listen.to_string());
        let output = self.at_the_desk("sh").args(["-ec", &script]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{part}: {error}: {output:?}"))
    }
}

#[tokio::test]
async fn it_works_as_it_is_written() {
    let desk = Desk::new();
    let tokens =
        [desk.prints(desk.python, "make_token.py"), desk.prints("node", "token.mjs"), desk.prints("php", "token.php")];
    let gateway = Gateway::start(file("gateway.toml")).await;
    let mut readers = Vec::new();
    for token in &tokens {
        let (good, said) = desk.checked(token);
        assert!(good && said.contains("user         \"42\"\n"), "{said}");
        let mut socket = Socket::open(gateway.listen).await;
        assert!(socket.connect(&json!({ "token": token })).await["error"].is_null());
        socket.subscribe(2, "news").await;
        readers.push(socket);
    }
    let answer = desk.calls(&gateway, "/api/publish");
    assert!(answer["error"].is_null(), "{answer}");
    for reader in &mut readers {
        assert_eq!(reader.publication().await, ("news".to_owned(), json!({ "text": "hello" })));
    }
    assert_eq!(desk.calls(&gateway, "/api/block_user"), json!({ "result": {} }));
    for reader in &mut readers {
        reader.expect_close(3503).await;
    }
}

#[tokio::test]
async fn its_capabilities_are_what_they_say() {
    let desk = Desk::new();
    let token = desk.prints(desk.python, "caps.py");
    let gateway = Gateway::start(file("gateway.toml")).await;
    let mut socket = Socket::open(gateway.listen).await;
    assert!(socket.connect(&json!({ "token": token })).await["error"].is_null());
    let mut ask = async |id: u64, kind: &str, what: Value| {
        socket.text(json!({ "id": id, kind: what }).to_string()).await;
        socket.reply(id).await["error"]["code"].as_u64()
    };
    let project = || json!({ "channel": "project:7:tasks" });
    assert_eq!(ask(2, "subscribe", json!({ "channel": "room:lobby" })).await, None);
    assert_eq!(ask(3, "publish", json!({ "channel": "room:lobby", "data": 1 })).await, None);
    assert_eq!(ask(4, "subscribe", project()).await, None);
    assert_eq!(ask(5, "presence", project()).await, None);
    assert_eq!(ask(6, "history", project()).await, None);
    assert_eq!(ask(7, "publish", json!({ "channel": "project:7:tasks", "data": 1 })).await, Some(103));
    assert_eq!(ask(8, "subscribe", json!({ "channel": "room:other" })).await, Some(103));
    let (good, said) = desk.checked(&token);
    let lines =
        "capability   \"room:lobby\": subscribe, publish\ncapability   \"project:7:*\": subscribe, presence, history\n";
    assert!(good && said.contains(lines), "{said}");
}

#[test]
fn its_configurations_are_good() {
    let desk = Desk::new();
    for name in ["gateway.toml", "keys.toml"] {
        let mut check = desk.at_the_desk(env!("CARGO_BIN_EXE_fanfare-gateway"));
        if name == "keys.toml" {
            // As step 4 says.
            check.env_remove("FANFARE_AUTH__TOKEN__HMAC_SECRET");
        }
        let output = check.args(["check-config", "-c", name]).output().unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
    }
}
