//! What was written, wherever it was: one value for each path, with the place it came from. Knows
//! nothing of which keys exist.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::config::problem::Problem;
use crate::config::value::{Value, Wrong};

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The habits of `dev`.
    Dev,
    /// A line of the file.
    File {
        /// As it was given.
        name: String,
        /// From 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// The file that an environment variable names.
    VariableFile(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dev => f.write_str("default of dev"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Variable(name) => f.write_str(name),
            Self::VariableFile(name) => write!(f, "the file that {name} names"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A value as it was written.
#[derive(Clone, PartialEq)]
pub(crate) enum Written {
    /// In a variable or a flag.
    Text(String),
    /// In a file.
    Toml(toml::Value),
}

/// Without the value, which may be a secret.
impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(..)",
            Self::Toml(_) => "Toml(..)",
        })
    }
}

impl Written {
    /// Reads it as the kind it should be.
    pub(crate) fn read<T: Value>(&self) -> Result<T, String> {
        let read = match self {
            Self::Text(text) => T::from_text(text),
            Self::Toml(value) => T::from_toml(value),
        };
        read.map_err(|wrong| match wrong {
            Wrong::Because(text) => text,
            Wrong::Form if T::SECRET => format!("is not {}", T::FORM),
            Wrong::Form => format!("{self} is not {}", T::FORM),
        })
    }
}

/// The value, for complaints about values that are no secrets.
impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Toml(value) => write!(f, "{value}"),
        }
    }
}

/// One written value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    pub(crate) value: Written,
    pub(crate) origin: Origin,
}

/// All written values by path: `client.ping_interval`, `channel.namespace[0].name`. Each table of a
/// list has an entry of its own, too (`channel.namespace[0]`), so that an empty one is seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings(BTreeMap<String, Setting>);

impl Settings {
    /// Reads a file's text.
    ///
    /// # Errors
    /// All places where it is not TOML: line and reason, without the text, which may hold a secret.
    pub(crate) fn from_toml(text: &str, origin: impl Fn(usize) -> Origin) -> Result<Self, Vec<Problem>> {
        let line = |span: Range<usize>| text[..span.start.min(text.len())].matches('\n').count() + 1;
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let problem = |error: toml::de::Error| {
                let at = origin(error.span().map_or(1, line));
                Problem { path: at.to_string(), origin: None, text: format!("is not TOML: {}", error.message()) }
            };
            return Err(errors.into_iter().map(problem).collect());
        }
        let mut settings = Self::default();
        settings.add_table("", table.get_ref(), &|span| origin(line(span)));
        Ok(settings)
    }

    fn add_table(&mut self, at: &str, table: &DeTable<'_>, origin: &dyn Fn(Range<usize>) -> Origin) {
        for (key, value) in table {
            let path = join(at, key.get_ref());
            match value.get_ref() {
                DeValue::Table(table) => self.add_table(&path, table, origin),
                DeValue::Array(items) if !items.is_empty() && items.iter().all(|item| item.get_ref().is_table()) => {
                    for (index, item) in items.iter().enumerate() {
                        let path = format!("{path}[{index}]");
                        self.put(&path, empty_table(), origin(item.span()));
                        if let Some(table) = item.get_ref().as_table() {
                            self.add_table(&path, table, origin);
                        }
                    }
                }
                value => self.put(&path, Written::Toml(plain(value)), origin(key.span())),
            }
        }
    }

    /// Adds the tables of a list that was written as one value, as in a variable.
    pub(crate) fn put_tables(&mut self, path: &str, tables: Vec<toml::Table>, origin: &Origin) {
        for (index, table) in tables.into_iter().enumerate() {
            let path = format!("{path}[{index}]");
            self.put(&path, empty_table(), origin.clone());
            for (key, value) in table {
                self.put(&join(&path, &key), Written::Toml(value), origin.clone());
            }
        }
    }

    /// Sets one value.
    pub(crate) fn put(&mut self, path: &str, value: Written, origin: Origin) {
        self.0.insert(path.to_owned(), Setting { value, origin });
    }

    /// Forgets a list of tables.
    pub(crate) fn remove_tables(&mut self, path: &str) {
        let list = format!("{path}[");
        self.0.retain(|path, _| !path.starts_with(&list));
    }

    /// Lays another layer over this one. A list of tables replaces the one below as a whole.
    pub(crate) fn overlay(&mut self, upper: Self) {
        for path in upper.0.keys().filter(|path| path.ends_with("[0]")) {
            self.remove_tables(path.trim_end_matches("[0]"));
        }
        self.0.extend(upper.0);
    }

    /// Makes one value of each table `key` of the tables below `section`: `hook.app.headers`, whose keys are
    /// not ours.
    pub(crate) fn gather(&mut self, section: &str, key: &str) {
        let (below, at_key) = (format!("{section}."), format!(".{key}."));
        let mut tables: BTreeMap<String, (toml::Table, Origin)> = BTreeMap::new();
        self.0.retain(|path, setting| {
            let table = path.strip_prefix(&below).and_then(|rest| rest.split_once(&at_key));
            let (Some((name, inner)), Written::Toml(value)) = (table, &setting.value) else { return true };
            let inner = inner.trim_matches('"').to_owned();
            let path = format!("{below}{name}.{key}");
            let (table, _) = tables.entry(path).or_insert_with(|| (toml::Table::new(), setting.origin.clone()));
            table.insert(inner, value.clone());
            false
        });
        for (path, (table, origin)) in tables {
            // One that a variable holds as a whole wins.
            self.0.entry(path).or_insert(Setting { value: Written::Toml(toml::Value::Table(table)), origin });
        }
    }

    /// The names of the tables right below a section that hold something.
    pub(crate) fn tables_of(&self, section: &str) -> Vec<String> {
        tables_of(&self.0, section)
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Setting> {
        self.0.get(path)
    }

    /// Where a key's value was written; `None` if nowhere.
    #[must_use]
    pub fn origin(&self, path: &str) -> Option<&Origin> {
        self.0.get(path).map(|setting| &setting.origin)
    }

    /// Whether a person wrote the key, in whatever place.
    #[must_use]
    pub fn is_given(&self, path: &str) -> bool {
        self.origin(path).is_some_and(|origin| *origin != Origin::Dev)
    }
}

/// Takes values out by path and keeps what is wrong with them; what is left at the end is unknown.
#[derive(Debug)]
pub(crate) struct Reader {
    left: BTreeMap<String, Setting>,
    problems: Vec<Problem>,
}

impl Reader {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { left: settings.0.clone(), problems: Vec::new() }
    }

    /// The value at a path; `None` if there is none or it is wrong.
    pub(crate) fn optional<T: Value>(&mut self, section: &str, key: &str) -> Option<T> {
        let path = join(section, key);
        let setting = self.left.remove(&path)?;
        let read = setting.value.read::<T>();
        read.map_err(|text| self.problems.push(Problem { path, origin: Some(setting.origin), text })).ok()
    }

    /// The value at a path, or what the manual says it is without.
    pub(crate) fn or_default<T: Value>(&mut self, section: &str, key: &str, default: &'static str) -> T {
        let given = self.optional(section, key);
        given.unwrap_or_else(|| T::from_text(default).expect("defaults are well-formed: a test reads each"))
    }

    /// Whether the list of tables has one more at this path.
    pub(crate) fn has_table(&mut self, path: &str) -> bool {
        self.left.remove(path).is_some()
    }

    /// The names of the tables right below a section.
    pub(crate) fn tables_of(&self, section: &str) -> Vec<String> {
        tables_of(&self.left, section)
    }

    /// An empty list of tables is the same as none.
    pub(crate) fn skip_empty_list(&mut self, path: &str) {
        let empty = |setting: &Setting| setting.value == Written::Toml(toml::Value::Array(Vec::new()));
        if self.left.get(path).is_some_and(empty) {
            self.left.remove(path);
        }
    }

    /// What nobody asked for, and what was wrong.
    pub(crate) fn finish(self) -> (BTreeMap<String, Setting>, Vec<Problem>) {
        (self.left, self.problems)
    }
}

/// The path of a key in a section. Keys that are not plain words are quoted, as TOML does.
fn join(section: &str, key: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let key = if !key.is_empty() && key.bytes().all(plain) { key.to_owned() } else { format!("{key:?}") };
    if section.is_empty() { key } else { format!("{section}.{key}") }
}

fn tables_of(settings: &BTreeMap<String, Setting>, section: &str) -> Vec<String> {
    let below = format!("{section}.");
    let mut names: Vec<String> =
        settings.keys().filter_map(|path| Some(path.strip_prefix(&below)?.split_once('.')?.0.to_owned())).collect();
    names.dedup();
    names
}

fn empty_table() -> Written {
    Written::Toml(toml::Value::Table(toml::Table::new()))
}

fn plain(value: &DeValue<'_>) -> toml::Value {
    match value {
        DeValue::String(text) => toml::Value::String(text.to_string()),
        // What does not fit stays a text, which no number's key takes.
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => toml::Value::Integer(number),
            Err(_) => toml::Value::String(number.to_string()),
        },
        DeValue::Float(number) => match number.as_str().parse() {
            Ok(number) => toml::Value::Float(number),
            Err(_) => toml::Value::String(number.to_string()),
        },
        DeValue::Boolean(yes) => toml::Value::Boolean(*yes),
        DeValue::Datetime(time) => toml::Value::Datetime(*time),
        DeValue::Array(items) => toml::Value::Array(items.iter().map(|item| plain(item.get_ref())).collect()),
        DeValue::Table(table) => toml::Value::Table(
            table.iter().map(|(key, value)| (key.get_ref().to_string(), plain(value.get_ref()))).collect(),
        ),
    }
}
