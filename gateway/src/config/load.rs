//! Gathers what was written into one checked [`Config`]. The later layer wins, key by key:
//!
//! | layer | example |
//! | --- | --- |
//! | defaults | docs/config.md |
//! | habits of `dev` | [`DEV`] |
//! | the file | `-c gateway.toml` |
//! | the environment | `FANFARE_CLIENT__PING_INTERVAL=10s`, `FANFARE_API__KEY_FILE=/run/secrets/key` |
//! | flags | `--listen 0.0.0.0:80` |
//!
//! Knows neither the process's environment nor its flags: both are handed in.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::manual::variable;
use crate::config::problem::{Problem, Problems};
use crate::config::raw::{self, HOOKS, LISTS, RawHook};
use crate::config::settings::{Origin, Settings, Written};
use crate::config::{Config, Machine, check, unknown};

/// What `dev` changes of the defaults: loopback, no waiting, an open playground.
pub const DEV: &str = r#"
[server]
listen = "127.0.0.1:8080"

[client.subscribe_to_user_personal_channel]
enabled = true

[channel.default]
allow_subscribe_for_client = true
allow_subscribe_for_anonymous = true
allow_publish_for_client = true
allow_publish_for_subscriber = true
allow_publish_for_anonymous = true
allow_user_limited_channels = true
history_size = 100
history_ttl = "5m"
force_recovery = true
allow_history_for_subscriber = true
allow_history_for_anonymous = true
allowed_delta_types = ["fossil"]
presence = true
join_leave = true
force_push_join_leave = true
allow_presence_for_subscriber = true
allow_presence_for_anonymous = true

[shutdown]
ready_delay = "0s"
drain = "0s"
"#;

/// Largest file that is read: a configuration or a secret is small; a mistaken path may not be.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What the configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A gateway for others: must be able to let somebody in.
    Serve,
    /// A playground: [`DEV`] applies; secrets may be missing and are made up by whoever starts it.
    Dev,
    /// Something that only looks a few keys up: what `serve` would miss may be missing.
    LookUp,
}

/// Everything that can tell us something. Holds secrets: `Debug` leaves values out.
#[derive(Clone)]
pub struct Sources {
    /// What it is for.
    pub purpose: Purpose,
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// The process's environment; variables without our prefix are ignored.
    pub environment: BTreeMap<String, OsString>,
    /// Flags that were given.
    pub flags: Vec<Flag>,
    /// For defaults that depend on it.
    pub machine: Machine,
}

/// A flag that sets a key. May hold a password: `Debug` leaves the value out.
#[derive(Clone, PartialEq, Eq)]
pub struct Flag {
    /// `--listen`
    pub flag: &'static str,
    /// `server.listen`
    pub path: &'static str,
    /// As it was typed.
    pub value: String,
}

impl fmt::Debug for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.flag)
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("purpose", &self.purpose)
            .field("file", &self.file)
            .field("environment", &self.environment.keys())
            .field("flags", &self.flags)
            .field("machine", &self.machine)
            .finish()
    }
}

/// A good configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Itself.
    pub config: Config,
    /// What a person should know about it, for the log.
    pub warnings: Vec<String>,
    /// What was written, and where.
    pub settings: Settings,
}

impl Sources {
    /// No file, no variables, no flags.
    #[must_use]
    pub fn none(purpose: Purpose, machine: Machine) -> Self {
        Self { purpose, file: None, environment: BTreeMap::new(), flags: Vec::new(), machine }
    }
}

/// Reads, lays over each other and checks all sources.
///
/// # Errors
/// Everything that is wrong, with the warnings; of a file that is not TOML only that.
pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let mut settings = Settings::default();
    if sources.purpose == Purpose::Dev {
        settings.overlay(Settings::from_toml(DEV, |_| Origin::Dev).expect("a constant, read by tests"));
    }
    if let Some(path) = &sources.file {
        settings.overlay(read_file(path)?);
    }
    let unread = read_environment(&sources.environment, &mut settings, &mut problems, &mut warnings);
    for Flag { flag, path, value } in &sources.flags {
        settings.put(path, Written::Text(value.clone()), Origin::Flag(flag));
    }
    settings.gather(HOOKS, "headers");
    let config = check::check(&settings, sources, &mut problems, &mut warnings);
    // Somebody tried to set these, and was told what went wrong: "is not set" would lead astray.
    problems.retain(|problem| problem.origin.is_some() || !unread.contains(&problem.path));
    warnings.retain(|warning| !warning.split_once(": ").is_some_and(|(path, _)| unread.contains(path)));
    if problems.is_empty() {
        Ok(Loaded { config, warnings, settings })
    } else {
        Err(Problems { list: problems, warnings })
    }
}

fn read_file(path: &Path) -> Result<Settings, Vec<Problem>> {
    let name = path.display().to_string();
    let text = read_text(path).map_err(|text| vec![Problem { path: name.clone(), origin: None, text }])?;
    Settings::from_toml(&text, |line| Origin::File { name: name.clone(), line })
}

fn read_text(path: &Path) -> Result<String, String> {
    use std::io::Read;
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(cannot)?;
    let length = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if length as u64 > FILE_BYTES_MAX {
        return Err("is larger than 1MiB: is it the right file?".into());
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".into())
}

/// Takes every variable of ours. Unknown ones only warn: others may use the prefix, too. Tells the paths of
/// the keys whose variables could not be read.
fn read_environment(
    environment: &BTreeMap<String, OsString>,
    settings: &mut Settings,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<String>,
) -> BTreeSet<String> {
    let mut unread = BTreeSet::new();
    let mut ours: BTreeMap<&str, &OsString> =
        environment.iter().filter(|(name, _)| name.starts_with("FANFARE_")).map(|(k, v)| (k.as_str(), v)).collect();
    let hooks: BTreeSet<String> = ours.keys().filter_map(|name| hook_path(name)).collect();
    for path in paths().chain(hooks) {
        let name = variable(&path);
        let file_name = format!("{name}_FILE");
        let read = match (ours.remove(name.as_str()), ours.remove(file_name.as_str())) {
            (None, None) => continue,
            (Some(_), Some(_)) => {
                Err((name.clone(), format!("is set, and so is {file_name}: only one of them can be true; unset one")))
            }
            (Some(value), None) => variable_text(value)
                .map(|text| (text, Origin::Variable(name.clone())))
                .map_err(|text| (name.clone(), text)),
            (None, Some(file)) => named_file_text(file)
                .map(|text| (text, Origin::VariableFile(file_name.clone())))
                .map_err(|text| (file_name.clone(), text)),
        };
        match read {
            Ok((text, origin)) => match LISTS.iter().find(|(list, ..)| path == *list) {
                Some((list, _, example)) => {
                    put_list(settings, list, example, &text, &origin).unwrap_or_else(|problem| {
                        problems.push(problem);
                    })
                }
                None => settings.put(&path, Written::Text(text), origin),
            },
            Err((name, text)) => {
                problems.push(Problem { path: name, origin: None, text });
                unread.insert(path);
            }
        }
    }
    warnings.extend(ours.iter().filter_map(|(name, value)| unknown::variable_warning(name, value)));
    unread
}

/// The path of every key that a variable can set; a list of tables is one of them.
pub(crate) fn paths() -> impl Iterator<Item = String> {
    let sections = raw::SECTIONS.iter().filter(|section| LISTS.iter().all(|(list, ..)| section.path != *list));
    let keys = sections.flat_map(|section| section.keys.iter().map(|key| format!("{}.{}", section.path, key.name)));
    keys.chain(LISTS.iter().map(|(list, ..)| (*list).to_owned()))
}

/// The path of a hook's key that a variable sets, with or without `_FILE`: hooks have names of their own.
fn hook_path(variable: &str) -> Option<String> {
    let (name, key) = variable.strip_prefix("FANFARE_HOOK__")?.split_once("__")?;
    let key = key.to_ascii_lowercase();
    let known = |key: &&str| RawHook::MANUAL.keys.iter().any(|known| known.name == *key);
    let key = [Some(&*key), key.strip_suffix("_file")].into_iter().flatten().find(known)?;
    Some(format!("{HOOKS}.{}.{key}", name.to_ascii_lowercase()))
}

fn variable_text(value: &OsStr) -> Result<String, String> {
    match value.to_str() {
        Some("") => Err("is set but empty: give it a value, or unset it".into()),
        Some(text) => Ok(text.to_owned()),
        None => Err("is not UTF-8".into()),
    }
}

/// Editors and `echo` end a file with a newline, which is no part of a secret; only one is taken off.
fn named_file_text(file: &OsStr) -> Result<String, String> {
    if file.is_empty() {
        return Err("is set but empty: give it a file's path, or unset it".into());
    }
    let text = read_text(Path::new(file)).map_err(|text| format!("the file {} {text}", Path::new(file).display()))?;
    let text = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() { Err(format!("the file {} is empty", Path::new(file).display())) } else { Ok(text.to_owned()) }
}

fn put_list(settings: &mut Settings, list: &str, example: &str, text: &str, origin: &Origin) -> Result<(), Problem> {
    let tables = serde_json::from_str::<Vec<toml::Table>>(text).map_err(|_| Problem {
        path: list.into(),
        origin: Some(origin.clone()),
        text: format!("is not a JSON list of objects such as [{example}]"),
    })?;
    settings.remove_tables(list);
    settings.put_tables(list, tables, origin);
    Ok(())
}
