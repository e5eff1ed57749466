//! Patterns of channel names that look like paths: `/users/:id`.
//!
//! ```text
//! pattern = 1*("/" segment)       "/users/:id/posts", "/personal/user_:id"
//! segment = literal / [literal] ":" variable
//! ```
//!
//! A variable stands for one or more characters up to the end of its segment. What it is called says
//! nothing here; it is for people. Names that begin with `/` (after the `$` of private channels) are
//! matched as a whole and by nothing else: `:` means no namespace in them.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::CHANNEL_NAME_BYTES_MAX;
use crate::name;

/// A pattern. Patterns are ordered as they must be tried: of two that match one name, the narrower is the
/// lesser, provided that they do not [clash](Pattern::clashes_with).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Segment {
    literal: String,
    /// Whether a variable follows.
    open: bool,
}

/// What is wrong with a pattern. The fault of whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not begin with a slash.
    #[error("a pattern begins with '/'")]
    NoSlash,
    /// Two slashes together, or one at the end.
    #[error("a pattern has no empty segments: write \"/users/:id\", without a '/' at the end")]
    EmptySegment,
    /// No channel could match it.
    #[error("a pattern has at most {CHANNEL_NAME_BYTES_MAX} printable ASCII characters, without spaces, '*' and '&'")]
    Character,
    /// A variable without a name, or with another sign than letters, digits and `_` in it.
    #[error("a variable is a ':' and letters, digits and '_', up to the end of its segment")]
    Variable,
    /// Two variables of one name: most often one was meant to be another.
    #[error("the variable \":{0}\" is there twice")]
    VariableTwice(String),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let path = text.strip_prefix('/').ok_or(PatternError::NoSlash)?;
        name::check(text).map_err(|_| PatternError::Character)?;
        let mut variables = Vec::new();
        let mut segments = Vec::new();
        for segment in path.split('/') {
            let (literal, variable) = match segment.split_once(':') {
                None if segment.is_empty() => return Err(PatternError::EmptySegment),
                None => (segment, None),
                Some((literal, variable)) => (literal, Some(variable)),
            };
            if let Some(variable) = variable {
                if variable.is_empty() || !variable.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                    return Err(PatternError::Variable);
                }
                if variables.contains(&variable) {
                    return Err(PatternError::VariableTwice(variable.to_owned()));
                }
                variables.push(variable);
            }
            segments.push(Segment { literal: literal.to_owned(), open: variable.is_some() });
        }
        Ok(Self { text: text.to_owned(), segments })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a channel's name fits, without the `$` of a private one.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let Some(path) = name.strip_prefix('/') else { return false };
        let mut parts = path.split('/');
        let fit = self.segments.iter().all(|segment| parts.next().is_some_and(|part| segment.matches(part)));
        fit && parts.next().is_none()
    }

    /// Whether some name fits both and neither is the narrower: nobody could say which one holds.
    #[must_use]
    pub fn clashes_with(&self, other: &Self) -> bool {
        if self.segments.len() != other.segments.len() {
            return false;
        }
        let mut pairs = self.segments.iter().zip(&other.segments);
        let common = pairs.clone().all(|(a, b)| a.within(b) || b.within(a));
        let narrower = pairs.clone().all(|(a, b)| a.within(b));
        let wider = pairs.all(|(a, b)| b.within(a));
        // Both: they are alike but for what their variables are called.
        common && narrower == wider
    }

    fn literals(&self) -> usize {
        self.segments.iter().map(|segment| segment.literal.len()).sum()
    }
}

impl Segment {
    fn matches(&self, part: &str) -> bool {
        match part.strip_prefix(self.literal.as_str()) {
            Some(rest) => rest.is_empty() != self.open,
            None => false,
        }
    }

    /// Whether all that fits this one fits the other.
    fn within(&self, other: &Self) -> bool {
        match (self.open, other.open) {
            (false, _) => other.matches(&self.literal),
            (true, true) => self.literal.starts_with(&other.literal),
            (true, false) => false,
        }
    }
}

impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> Ordering {
        // What lies within another one, and is not like it, has more literal characters: a variable stands for
        // at least one.
        other.literals().cmp(&self.literals()).then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::parse(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn names_fit_segment_by_segment() {
        let table: &[(&str, &[&str], &[&str])] = &[
            (
                "/users/:id",
                &["/users/42", "/users/:id", "/users/a:b", "/users/#42"],
                &["/users/", "/users", "/users/42/x", "/users/42/", "/user/42", "users/42", "//users/42", "/users//42"],
            ),
            ("/news", &["/news"], &["/news/", "/newss", "/new", "/", "news"]),
            ("/a/:x/b", &["/a/1/b"], &["/a//b", "/a/1/c", "/a/1", "/a/1/2/b"]),
            ("/p/user_:id", &["/p/user_1"], &["/p/user_", "/p/user", "/p/xuser_1"]),
            ("/:any", &["/x"], &["/", "/x/y", ""]),
        ];
        for (text, good, bad) in table {
            for name in *good {
                assert!(pattern(text).matches(name), "{text} {name}");
            }
            for name in *bad {
                assert!(!pattern(text).matches(name), "{text} {name}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern() {
        use PatternError::{Character, EmptySegment, NoSlash, Variable};
        let table = [
            ("", NoSlash),
            ("users/:id", NoSlash),
            ("$/users", NoSlash),
            ("/", EmptySegment),
            ("/users/", EmptySegment),
            ("//users", EmptySegment),
            ("/a//b", EmptySegment),
            ("/users/:", Variable),
            ("/users/:i-d", Variable),
            ("/users/:a:b", Variable),
            ("/users/*", Character),
            ("/a b", Character),
            ("/é", Character),
            ("/:a/:a", PatternError::VariableTwice("a".into())),
        ];
        for (text, error) in table {
            assert_eq!(Pattern::parse(text), Err(error), "{text}");
        }
        assert_eq!(Pattern::parse(&format!("/{}", "x".repeat(255))), Err(Character));
    }

    #[test]
    fn which_patterns_nobody_could_choose_between() {
        let clashes = [("/a/:x", "/a/:y"), ("/:x/b", "/a/:y"), ("/a", "/a"), ("/:x/b/:z", "/a/:y/c")];
        for (a, b) in clashes {
            assert!(pattern(a).clashes_with(&pattern(b)) && pattern(b).clashes_with(&pattern(a)), "{a} {b}");
        }
        let fine = [
            ("/a/:x", "/a/b"),
            ("/a/:x", "/b/:x"),
            ("/a/:x", "/a/:x/:y"),
            ("/a/u_:x", "/a/:x"),
            ("/a/u_:x", "/a/u_"),
            ("/:x/:y", "/a/:y"),
            ("/a/b", "/a/c"),
        ];
        for (a, b) in fine {
            assert!(!pattern(a).clashes_with(&pattern(b)) && !pattern(b).clashes_with(&pattern(a)), "{a} {b}");
        }
    }

    #[test]
    fn it_is_written_as_it_was_read() {
        let json = r#""/users/:id""#;
        let read: Pattern = serde_json::from_str(json).unwrap();
        assert_eq!((read.as_str(), serde_json::to_string(&read).unwrap().as_str()), ("/users/:id", json));
        assert!(serde_json::from_str::<Pattern>(r#""users""#).is_err());
    }

    fn any_pattern() -> impl Strategy<Value = Pattern> {
        let segment = prop_oneof![Just("a"), Just("b"), Just("ab"), Just(":"), Just("a:"), Just("ab:")];
        proptest::collection::vec(segment, 1..4).prop_map(|segments| {
            let named = segments.iter().enumerate().map(|(at, segment)| {
                if segment.ends_with(':') { format!("/{segment}v{at}") } else { format!("/{segment}") }
            });
            pattern(&named.collect::<String>())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn of_two_that_fit_the_lesser_is_the_narrower(
            a in any_pattern(),
            b in any_pattern(),
            names in proptest::collection::vec("(/[ab]{1,3}){1,3}", 20),
        ) {
            let (a, b) = if a <= b { (a, b) } else { (b, a) };
            if a.clashes_with(&b) {
                return Ok(());
            }
            // If one name fits both, then all that fit the lesser fit the other.
            let both = names.iter().any(|name| a.matches(name) && b.matches(name));
            for name in &names {
                prop_assert!(!both || !a.matches(name) || b.matches(name), "{a} {b} {name}");
            }
        }
    }
}
