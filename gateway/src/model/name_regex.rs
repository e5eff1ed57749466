//! A regular expression that channel names must fit.

use std::fmt;
use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};

/// Most memory that one compiled expression takes, in bytes. Matching takes time in proportion to a name's
/// length (255 at most) and to this, whatever the expression is.
const COMPILED_BYTES_MAX: usize = 64 * 1024;

/// A compiled expression. Cloning shares it. ASCII only, as names are: `\d` is a digit from 0 to 9.
#[derive(Clone)]
pub struct NameRegex(Arc<Regex>);

impl NameRegex {
    /// Compiles an expression. Finds its match anywhere in a name, unless it has `^` and `$`.
    ///
    /// # Errors
    /// What is wrong with it, in words for whoever wrote it.
    pub fn compile(text: &str) -> Result<Self, String> {
        let compiled = RegexBuilder::new(text).unicode(false).size_limit(COMPILED_BYTES_MAX).build();
        compiled.map(|regex| Self(Arc::new(regex))).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "is too large: use smaller repetitions".to_owned(),
            // Its words have lines that point at the place, which one line cannot show.
            error => error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
        })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether a name, or a part of one, has a match in it.
    #[must_use]
    pub fn fits(&self, name: &str) -> bool {
        self.0.is_match(name.as_bytes())
    }
}

impl PartialEq for NameRegex {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for NameRegex {}

impl fmt::Debug for NameRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fits_what_it_says() {
        let regex = NameRegex::compile(r"^\d{1,3}$").unwrap();
        assert!(regex.fits("1") && regex.fits("123"));
        assert!(!regex.fits("") && !regex.fits("1234") && !regex.fits("a1"));
        assert!(NameRegex::compile("b").unwrap().fits("abc"), "anywhere, unless it is bound");
        assert_eq!(NameRegex::compile("a"), NameRegex::compile("a"));
    }

    #[test]
    fn what_is_none_or_too_much_is_refused_in_a_line() {
        for text in ["(", "[", "a{2,1}", r"\p{Greek}", "(?<=a)b", r"(a)\1"] {
            let wrong = NameRegex::compile(text).unwrap_err();
            assert!(!wrong.is_empty() && !wrong.contains('\n'), "{text}: {wrong}");
        }
        assert!(NameRegex::compile("((a{100}){100}){100}").unwrap_err().contains("too large"));
    }

    #[test]
    fn no_name_takes_long() {
        // Exponential for those who try one way after another.
        let regex = NameRegex::compile("^(a+)+$").unwrap();
        assert!(!regex.fits(&format!("{}b", "a".repeat(254))));
    }
}
