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

/// Everything that is wrong, in the order in which it was found. Not empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => writeln!(f, "the configuration has a problem:")?,
            n => writeln!(f, "the configuration has {n} problems:")?,
        }
        let lines: Vec<String> = self.0.iter().map(|problem| format!("  {problem}")).collect();
        f.write_str(&lines.join("\n"))
    }
}
