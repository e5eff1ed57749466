//! What the manual says of each key. Filled by [`crate::config::raw`], read by whoever explains or
//! prints: the printed file, the docs, complaints.

use crate::config::settings::Written;
use crate::config::value::{EXAMPLE_SECRET, Value};

/// A section: keys under one path.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// `client`, `auth.token`.
    pub path: &'static str,
    /// Lines of prose.
    pub about: &'static [&'static str],
    /// In the order in which they are explained.
    pub keys: &'static [Key],
}

/// A key of a section.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The last part of its path.
    pub name: &'static str,
    /// Lines of prose.
    pub about: &'static [&'static str],
    /// What it is without being set.
    pub unset: Unset,
    /// Never shown.
    pub is_secret: bool,
    /// Its value's form.
    pub form: &'static str,
    /// Shows a written value as in a file; `None` if it is wrong.
    pub(crate) show: fn(&Written) -> Option<String>,
}

/// What a key is without being set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unset {
    /// This value, written as in a variable.
    Default(&'static str),
    /// Nothing, or something that the prose tells. The value is an example.
    Example(&'static str),
}

impl Key {
    /// The default or the example, as in a file.
    #[must_use]
    pub fn shown(&self) -> String {
        let (Unset::Default(text) | Unset::Example(text)) = self.unset;
        if text == EXAMPLE_SECRET {
            return format!("{text:?}");
        }
        (self.show)(&Written::Text(text.to_owned())).expect("the manual's values are well-formed: a test reads each")
    }

    /// The prose in one line.
    #[must_use]
    pub fn prose(&self) -> String {
        self.about.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }
}

/// See [`Key::show`].
pub(crate) fn show<T: Value>(written: &Written) -> Option<String> {
    written.read::<T>().ok().map(|value| value.show())
}

/// The environment variable of a path.
#[must_use]
pub fn variable(path: &str) -> String {
    format!("FANFARE_{}", path.to_uppercase().replace('.', "__"))
}
