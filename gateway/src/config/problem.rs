//! What is wrong with a configuration: said all at once, each with where it stands and what to do.
//! Never holds a secret's text.

use std::fmt;

use crate::config::settings::Origin;

/// One thing that stops the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key's full path, or a file's or a variable's name.
    pub path: String,
    /// Where the value was written; `None` if it was not.
    pub origin: Option<Origin>,
    /// What is wrong, and the fix.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{} ({origin}): {}", self.path, self.text),
            None => write!(f, "{}: {}", self.path, self.text),
        }
    }
}

/// Everything that is wrong, in the order in which it was found, and what looked odd on the way: a
/// misspelt variable may be why a key is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    /// What stops the start. Not empty.
    pub list: Vec<Problem>,
    /// What would have been told of a good configuration, too.
    pub warnings: Vec<String>,
}

impl From<Vec<Problem>> for Problems {
    fn from(list: Vec<Problem>) -> Self {
        Self { list, warnings: Vec::new() }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        match self.list.len() {
            1 => writeln!(f, "the configuration has a problem:")?,
            n => writeln!(f, "the configuration has {n} problems:")?,
        }
        let lines: Vec<String> = self.list.iter().map(|problem| format!("  {problem}")).collect();
        f.write_str(&lines.join("\n"))
    }
}
