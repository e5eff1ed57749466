//! A program that issues tokens: started here, told what to do by lines, ended with the test.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use serde::de::DeserializeOwned;

/// A token by its algorithm's name.
pub(crate) type Tokens = BTreeMap<String, String>;

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/issuers");

/// A running issuer.
pub(crate) struct Issuer {
    pub(crate) url: String,
    process: Child,
    /// None once there is nothing more to obey.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Issuer {
    /// One of the programs in this folder, in Python.
    pub(crate) fn python(program: &str) -> Self {
        Self::start(python(), program)
    }

    /// The same in Node.
    pub(crate) fn node(program: &str) -> Self {
        python();
        Self::start("node", program)
    }

    fn start(interpreter: &str, program: &str) -> Self {
        let mut process = Command::new(interpreter)
            .arg(Path::new(HERE).join(program))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{interpreter} cannot be started: {error}"));
        let (input, output) = (process.stdin.take(), process.stdout.take().unwrap());
        let mut issuer = Self { url: String::new(), process, input, output: BufReader::new(output) };
        issuer.url = issuer.hear::<BTreeMap<String, String>>().remove("url").unwrap();
        issuer
    }

    /// A token of each algorithm, by its newest keys.
    pub(crate) fn sign(&mut self) -> Tokens {
        self.tell("sign")
    }

    /// Makes new keys, and goes on to publish the old ones.
    pub(crate) fn rotate(&mut self) {
        self.tell::<Tokens>("rotate");
    }

    /// Publishes only the newest keys.
    pub(crate) fn retire(&mut self) {
        self.tell::<Tokens>("retire");
    }

    /// Ends by itself when its input does.
    pub(crate) fn end(mut self) {
        self.input = None;
        assert!(self.process.wait().unwrap().success());
    }

    fn tell<T: DeserializeOwned>(&mut self, command: &str) -> T {
        writeln!(self.input.as_ref().unwrap(), "{command}").unwrap();
        self.hear()
    }

    fn hear<T: DeserializeOwned>(&mut self) -> T {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("the issuer says {line:?}: {error}"))
    }
}

impl Drop for Issuer {
    /// After a test that has failed.
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The Python with the packages of requirements.txt. The first test installs them, and npm's; the others wait.
fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let output = Command::new(Path::new(HERE).join("install")).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "what the issuers need cannot be installed");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}
