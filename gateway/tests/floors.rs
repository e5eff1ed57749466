//! The house stands on floors, and this test sees to it: it reads the sources of all three crates and
//! compares every path with the tables below. ARCHITECTURE.md says what the floors are for; a change here
//! is a change of the architecture and wants a line in docs/decisions.

#![allow(clippy::print_stdout, reason = "names of files that grow are shown with --nocapture")]

#[path = "floors/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

/// Which modules of a crate stand where. A module imports from lower floors only; within a floor, from
/// those left of it where the floor is a stair, and from nobody else otherwise.
struct House {
    /// From the ground up.
    floors: &'static [Floor],
}

enum Floor {
    /// Modules that do not know each other.
    Flat(&'static [&'static str]),
    /// Modules that know those before them.
    Stair(&'static [&'static str]),
}

const GATEWAY: House = House {
    floors: &[
        Floor::Stair(&["model", "config", "telemetry", "task", "redis_link", "outbound"]),
        Floor::Flat(&["hub", "broker", "presence", "channel", "auth", "backend", "limit", "codec"]),
        Floor::Flat(&["node"]),
        Floor::Flat(&["session", "api"]),
        Floor::Flat(&["transport", "door"]),
        Floor::Flat(&["server"]),
        Floor::Stair(&["app", "cli", "fuzz"]),
    ],
};

/// What comes from outside and who may name it: the roof may, and these.
const OUTSIDE: &[(&str, &[&str])] = &[
    // One door to Redis; `config` may check its URLs.
    ("redis", &["redis_link", "config"]),
    ("deadpool_redis", &["redis_link"]),
    // One way of calling others.
    ("reqwest", &["outbound"]),
    ("tonic", &["backend"]),
    // HTTP ends at the edge.
    ("axum", &["server", "transport", "door"]),
    ("hyper", &["server", "transport", "door"]),
    ("hyper_util", &["server", "transport", "door"]),
    ("http_body_util", &["server", "transport", "door"]),
    ("tower", &["server", "transport", "door"]),
    ("tokio_tungstenite", &["transport"]),
    ("rustls", &["server", "transport"]),
    ("tokio_rustls", &["server", "transport"]),
    // Tokens are one module's business.
    ("jsonwebtoken", &["auth"]),
    // A chain of causes as text is for people at a terminal.
    ("anyhow", &[]),
    ("clap", &[]),
    // Gateway and worker meet in Redis and over HTTP, never in code.
    ("fanfare_worker", &[]),
];

/// The stone's modules that are not everybody's.
const STONE: &[(&str, &[&str])] = &[
    ("centrifuge", &["codec"]),
    // Orders between nodes are everybody's who gives them.
    ("envelope", &["broker", "presence", "node", "api"]),
    ("keys", &["broker", "presence", "limit", "backend"]),
    ("rules", &["broker"]),
    // `config` bounds what is kept there.
    ("script", &["broker", "presence", "limit", "backend", "config"]),
    // `config` reads names of events.
    ("hook", &["backend", "config"]),
    ("api", &["door"]),
    ("claims", &["auth"]),
];

/// What may not be in these crates' `[dependencies]`.
const NOT_BELOW: &[(&str, &[&str])] = &[
    ("proto", &["tokio", "redis", "axum", "hyper", "tonic", "fanfare-gateway", "fanfare-worker"]),
    ("gateway", &["fanfare-worker"]),
    ("worker", &["fanfare-gateway", "axum", "tokio-tungstenite"]),
];

/// Lines of a file: above the first it is named when the test prints, above the second it fails.
const FILE_LINES_SOFT: usize = 400;
const FILE_LINES_MAX: usize = 800;
/// Lines of code of a function's body.
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn gateway_imports_go_down() {
    let files = files("gateway");
    let mut complaints = Vec::new();
    let mut seen = BTreeSet::new();
    for file in &files {
        seen.extend(file.module());
        complaints.extend(imports(&GATEWAY, file));
    }
    // A table that names what is not there has stopped being read.
    let named = GATEWAY.modules().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(named, seen, "the table and the folders of gateway/src differ");
    none(&complaints);
}

#[test]
fn proto_is_pure_and_the_houses_do_not_know_each_other() {
    let complaints = NOT_BELOW.iter().flat_map(|(folder, banned)| {
        let text = fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("each crate has a manifest");
        dependencies(folder, &text, banned)
    });
    none(&complaints.collect::<Vec<_>>());
}

#[test]
fn files_and_functions_stay_small_and_say_what_they_are_for() {
    let mut complaints = Vec::new();
    for file in ["gateway", "proto", "worker"].into_iter().flat_map(files) {
        complaints.extend(manners(&file));
    }
    none(&complaints);
}

fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} against the house rules:\n{}", complaints.len(), complaints.join("\n"));
}

impl House {
    fn modules(&self) -> impl Iterator<Item = &'static str> {
        self.floors.iter().flat_map(|floor| floor.modules().iter().copied())
    }

    /// (floor, place on it).
    fn place(&self, module: &str) -> Option<(usize, usize)> {
        let mut floors = self.floors.iter().enumerate();
        floors.find_map(|(at, floor)| Some((at, floor.modules().iter().position(|name| *name == module)?)))
    }

    fn is_roof(&self, module: &str) -> bool {
        self.place(module).is_some_and(|(floor, _)| floor + 1 == self.floors.len())
    }

    fn allows(&self, from: &str, to: &str) -> Result<bool, String> {
        let (from_floor, from_place) = self.place(from).ok_or_else(|| format!("`{from}` stands on no floor"))?;
        let (to_floor, to_place) = self.place(to).ok_or_else(|| format!("`{to}` stands on no floor"))?;
        let stair = matches!(self.floors[from_floor], Floor::Stair(_));
        Ok(from == to || to_floor < from_floor || to_floor == from_floor && stair && to_place < from_place)
    }
}

impl Floor {
    fn modules(&self) -> &'static [&'static str] {
        match self {
            Self::Flat(modules) | Self::Stair(modules) => modules,
        }
    }
}

/// One source file.
struct File {
    folder: String,
    /// From `src/` on: `broker/redis/mod.rs`.
    name: String,
    text: String,
}

impl File {
    /// The module's path in its crate: `broker`, `redis`. Empty for lib.rs and main.rs.
    fn place(&self) -> Vec<&str> {
        let mut parts: Vec<&str> = self.name.trim_end_matches(".rs").split('/').collect();
        if matches!(parts.last(), Some(&("mod" | "lib" | "main"))) {
            parts.pop();
        }
        parts
    }

    fn module(&self) -> Option<String> {
        self.place().first().map(|part| (*part).to_owned())
    }

    /// For complaints.
    fn path(&self) -> String {
        format!("{}/src/{}", self.folder, self.name)
    }

    fn is_test(&self) -> bool {
        self.name.ends_with("tests.rs") || self.name.contains("/tests/")
    }
}

/// Complaints about one file's imports.
fn imports(house: &House, file: &File) -> Vec<String> {
    let Some(from) = file.module().filter(|_| !file.is_test()) else {
        return Vec::new(); // lib.rs lists the modules, main.rs calls the roof
    };
    let source = Source::read(&file.text);
    let mut complaints = Vec::new();
    for path in source.paths() {
        let segments = absolute(&file.place(), &path.segments);
        let verdict = match (segments[0].as_str(), segments.get(1)) {
            ("crate", Some(to)) => match house.allows(&from, to) {
                Ok(true) => None,
                Ok(false) => Some(format!("`{from}` may not import `{to}`")),
                Err(unknown) => Some(unknown),
            },
            _ if house.is_roof(&from) => None,
            ("fanfare_proto", Some(to)) => {
                restricted(STONE, to, &from).then(|| format!("`{from}` may not name `proto::{to}`"))
            }
            (root, _) if source.declares(root) => None,
            (root, _) => restricted(OUTSIDE, root, &from).then(|| format!("`{from}` may not name the crate `{root}`")),
        };
        complaints.extend(verdict.map(|what| format!("{}:{}: {what}", file.path(), path.line)));
    }
    complaints.dedup(); // one line may import much from one place
    complaints
}

fn restricted(table: &[(&str, &[&str])], name: &str, from: &str) -> bool {
    table.iter().any(|(restricted, allowed)| *restricted == name && !allowed.contains(&from))
}

/// `super::super::hub` seen from `node::pump` is `crate::hub`.
fn absolute(place: &[&str], segments: &[String]) -> Vec<String> {
    let ups = segments.iter().take_while(|segment| *segment == "super").count();
    let rest = &segments[if segments[0] == "self" { 1 } else { ups }..];
    if ups == 0 && segments[0] != "self" {
        return segments.to_vec();
    }
    let kept = place[..place.len().saturating_sub(ups)].iter().map(|part| (*part).to_owned());
    std::iter::once("crate".to_owned()).chain(kept).chain(rest.iter().cloned()).collect()
}

/// Complaints about one manifest. `[dev-dependencies]` are free: tests may use the other house.
fn dependencies(folder: &str, manifest: &str, banned: &[&str]) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().expect("cargo has read it before us");
    let Some(toml::Value::Table(table)) = manifest.get("dependencies") else {
        return Vec::new();
    };
    let bad = banned.iter().filter(|name| table.contains_key(**name));
    bad.map(|name| format!("{folder}/Cargo.toml: `{folder}` may not depend on `{name}`")).collect()
}

/// Complaints about one file's size and head. A file of tests has its name for a head, and tests may be
/// long: tables are.
fn manners(file: &File) -> Vec<String> {
    let mut complaints = Vec::new();
    let (path, lines) = (file.path(), file.text.lines().count());
    if lines > FILE_LINES_MAX {
        complaints.push(format!("{path}: {lines} lines, {FILE_LINES_MAX} at most"));
    }
    if file.is_test() {
        return complaints;
    }
    if lines > FILE_LINES_SOFT {
        println!("{path}: {lines} lines: a room that gets hard to know");
    }
    if !file.text.starts_with("//!") {
        complaints.push(format!("{path}: does not begin with what it is for (`//!`)"));
    }
    for function in Source::read(&file.text).functions() {
        if function.code_lines > FUNCTION_LINES_MAX {
            let (line, name, code) = (function.line, function.name, function.code_lines);
            complaints.push(format!("{path}:{line}: `{name}` has {code} lines, {FUNCTION_LINES_MAX} at most"));
        }
    }
    complaints
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the gateway is in the workspace's folder").to_owned()
}

/// All source files of a crate.
fn files(folder: &str) -> Vec<File> {
    let src = root().join(folder).join("src");
    let mut found = Vec::new();
    let mut folders = vec![src.clone()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder of ours") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let name = path.strip_prefix(&src).expect("found below it").to_string_lossy().into_owned();
                let text = fs::read_to_string(&path).expect("source is UTF-8");
                found.push(File { folder: folder.to_owned(), name, text });
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no sources");
    found
}

/// Planted violations: a checker that finds nothing proves nothing.
mod planted {
    use super::{FILE_LINES_MAX, FUNCTION_LINES_MAX, File, GATEWAY, dependencies, imports, manners};

    fn file(name: &str, text: &str) -> File {
        File { folder: "gateway".to_owned(), name: name.to_owned(), text: text.to_owned() }
    }

    fn complaints(name: &str, text: &str) -> usize {
        imports(&GATEWAY, &file(name, text)).len()
    }

    #[test]
    fn upwards_is_seen() {
        assert_eq!(complaints("hub/mod.rs", "use crate::node::Node;"), 1);
        assert_eq!(complaints("node/pump.rs", "fn f(_: &crate::session::Session) {}"), 1);
        assert_eq!(complaints("node/pump.rs", "use super::super::api::Api;"), 1);
        assert_eq!(
            complaints("node/pump.rs", "use super::Parts; use crate::hub::Hub; use crate::model::ChannelName;"),
            0
        );
    }

    #[test]
    fn neighbours_are_seen() {
        assert_eq!(complaints("broker/redis/mod.rs", "use crate::{hub::Hub, model::Frame, codec::Codec};"), 2);
        assert_eq!(complaints("api/mod.rs", "use crate::session::Session;"), 1);
    }

    #[test]
    fn stairs_go_one_way() {
        assert_eq!(complaints("redis_link/mod.rs", "use crate::{config::Config, task::Tasks, telemetry::Metrics};"), 0);
        assert_eq!(complaints("model/mod.rs", "use crate::config::Config;"), 1);
        assert_eq!(complaints("cli/serve.rs", "use crate::app::App;"), 0);
        assert_eq!(complaints("app/mod.rs", "use crate::cli::Args;"), 1);
    }

    #[test]
    fn a_module_without_a_floor_is_seen() {
        assert_eq!(complaints("utils/mod.rs", "use crate::model::Frame;"), 1);
        assert_eq!(complaints("node/mod.rs", "use crate::utils::join;"), 1);
    }

    #[test]
    fn outside_crates_keep_to_their_rooms() {
        assert_eq!(complaints("broker/redis/mod.rs", "use redis::Cmd;"), 1);
        assert_eq!(complaints("broker/redis/mod.rs", "fn f() { ::redis::cmd(\"GET\"); }"), 1);
        assert_eq!(complaints("broker/mod.rs", "pub mod redis;\npub use redis::RedisBroker;"), 0);
        assert_eq!(complaints("redis_link/mod.rs", "use redis::Cmd;"), 0);
        assert_eq!(complaints("session/mod.rs", "use axum::Router;"), 1);
        assert_eq!(complaints("app/build.rs", "use anyhow::Context;"), 0);
    }

    #[test]
    fn the_stone_is_not_all_for_all() {
        assert_eq!(complaints("session/mod.rs", "use fanfare_proto::{code::ErrorCode, centrifuge::Reply};"), 1);
        assert_eq!(complaints("node/mod.rs", "use fanfare_proto::envelope::Order;"), 0);
        assert_eq!(complaints("node/mod.rs", "use fanfare_proto::keys::Keys;"), 1);
    }

    #[test]
    fn a_dependency_is_seen() {
        let manifest = "[dependencies]\ntokio = \"1\"\n[dev-dependencies]\nredis = \"1\"\n";
        assert_eq!(dependencies("proto", manifest, &["tokio", "redis"]).len(), 1);
    }

    #[test]
    fn size_and_silence_are_seen() {
        let long = |lines: usize| format!("//! For nothing.\nfn f() {{\n{}}}\n", "    g();\n".repeat(lines));
        let seen = |text: &str| manners(&file("hub/mod.rs", text)).len();
        assert_eq!(seen(&long(FUNCTION_LINES_MAX)), 0);
        assert_eq!(seen(&long(FUNCTION_LINES_MAX + 1)), 1);
        assert_eq!(seen(&long(FILE_LINES_MAX)), 2);
        assert_eq!(seen("fn f() {}"), 1);
        assert_eq!(manners(&file("hub/tests.rs", &long(FUNCTION_LINES_MAX + 1))).len(), 0);
    }
}
