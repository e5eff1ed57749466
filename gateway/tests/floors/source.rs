//! Reads Rust source just well enough for the house rules: which paths a file names, how long its
//! functions are. No syntax tree: comments, strings and test code are blanked, what is left is cut into
//! words. Knows nothing of our modules.

/// A path as written, groups unfolded: `use a::{b, c::d}` gives `a::b` and `a::c::d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
}

/// A function and the lines of its body that are neither blank nor comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) code_lines: usize,
}

/// One file, blanked and cut.
#[derive(Debug)]
pub(crate) struct Source {
    words: Vec<Word>,
    declared: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    line: usize,
    text: String,
}

impl Source {
    /// Test code does not count: `#[cfg(test)]` items are left out.
    pub(crate) fn read(text: &str) -> Self {
        let words = without_tests(&cut(&blank(text)));
        let declared = words.windows(2).filter(|pair| pair[0].text == "mod").map(|pair| pair[1].text.clone()).collect();
        Self { words, declared }
    }

    /// Whether the file has a module of this name of its own.
    pub(crate) fn declares(&self, module: &str) -> bool {
        self.declared.iter().any(|name| name == module)
    }

    /// All paths of two or more segments, and single names after `use`.
    pub(crate) fn paths(&self) -> Vec<Path> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.words.len() {
            let used = at > 0 && self.text(at - 1) == "use";
            // A leading `::` means an outside crate: a root as well. One after a name goes on.
            let continues = at > 0 && (self.text(at - 1) == "." || self.text(at - 1) == "::" && self.is_tail(at - 1));
            if is_name(self.text(at)) && !continues && (used || self.text(at + 1) == "::") {
                at = self.path(at, &[], &mut found);
            } else {
                at += 1;
            }
        }
        found
    }

    /// All functions with a body.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let heads = self.words.iter().enumerate().filter(|(_, word)| word.text == "fn");
        heads.filter_map(|(at, word)| self.function(at, word.line)).collect()
    }

    fn text(&self, at: usize) -> &str {
        self.words.get(at).map_or("", |word| word.text.as_str())
    }

    /// Whether the `::` at this place follows a name or a closed generic.
    fn is_tail(&self, at: usize) -> bool {
        at > 0 && (is_name(self.text(at - 1)) && self.text(at - 1) != "use" || self.text(at - 1) == ">")
    }

    /// Reads one path; gives the place behind it.
    fn path(&self, mut at: usize, prefix: &[String], found: &mut Vec<Path>) -> usize {
        let line = self.words[at].line;
        let mut segments = prefix.to_vec();
        loop {
            segments.push(self.text(at).to_owned());
            at += 1;
            if self.text(at) != "::" {
                break;
            }
            at += 1;
            if self.text(at) == "{" {
                return self.group(at + 1, &segments, found);
            }
            if !is_name(self.text(at)) {
                break;
            }
        }
        found.push(Path { line, segments });
        at
    }

    fn group(&self, mut at: usize, prefix: &[String], found: &mut Vec<Path>) -> usize {
        while at < self.words.len() && self.text(at) != "}" {
            at = if is_name(self.text(at)) && self.text(at) != "as" {
                self.path(at, prefix, found)
            } else if self.text(at) == "as" {
                at + 2
            } else {
                at + 1
            };
        }
        at + 1
    }

    fn function(&self, at: usize, line: usize) -> Option<Function> {
        let name = self.text(at + 1).to_owned();
        if !is_name(&name) {
            return None; // `fn(u8) -> u8`, a type
        }
        let open = self.body(at)?;
        let close = matching(&self.words, open);
        let mut lines: Vec<usize> = self.words[open + 1..close].iter().map(|word| word.line).collect();
        lines.dedup();
        Some(Function { line, name, code_lines: lines.len() })
    }

    /// Where the body of the function that begins at `at` opens; `None` for one without.
    fn body(&self, at: usize) -> Option<usize> {
        let mut depth = 0_usize; // `[u8; 4]` in a signature ends nothing
        for i in at..self.words.len() {
            match self.text(i) {
                "(" | "[" => depth += 1,
                ")" | "]" => depth = depth.saturating_sub(1),
                "{" if depth == 0 => return Some(i),
                ";" if depth == 0 => return None,
                _ => {}
            }
        }
        None
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The place of the brace that closes the one at `open`; the end if there is none.
fn matching(words: &[Word], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, word) in words.iter().enumerate().skip(open) {
        match word.text.as_str() {
            "{" => depth += 1,
            "}" if depth == 1 => return at,
            "}" => depth -= 1,
            _ => {}
        }
    }
    words.len()
}

/// Leaves out each `#[cfg(test)]` with the item that follows.
fn without_tests(words: &[Word]) -> Vec<Word> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let marked =
            words.len() - at >= MARK.len() && MARK.iter().zip(&words[at..]).all(|(mark, word)| *mark == word.text);
        if marked {
            let end = (at + MARK.len()..words.len()).find(|&i| matches!(words[i].text.as_str(), "{" | ";"));
            at = match end {
                Some(end) if words[end].text == "{" => matching(words, end) + 1,
                Some(end) => end + 1,
                None => words.len(),
            };
        } else {
            kept.push(words[at].clone());
            at += 1;
        }
    }
    kept
}

fn cut(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for (number, content) in text.lines().enumerate() {
        let line = number + 1;
        let mut rest = content.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_name(rest) || first.is_numeric() {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            words.push(Word { line, text: rest[..length].to_owned() });
            rest = rest[length..].trim_start();
        }
    }
    words
}

/// Blanks comments, strings and characters; line breaks stay where they were.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_name = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let skip = skipped(rest, after_name);
        if skip == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.extend(rest[..skip].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skip..];
        }
    }
    out
}

/// How many bytes of comment, string or character begin here.
fn skipped(rest: &str, after_name: bool) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if !after_name && let Some(length) = raw_string(rest) {
        return length;
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    // `'a'` and `'\n'` are characters, `'a` is a lifetime.
    let mut after = rest.chars().skip(1);
    if rest.starts_with('\'') && (after.next() == Some('\\') || after.next() == Some('\'')) {
        return quoted(rest, '\'');
    }
    0
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    body[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let from = rest.len() - body.len() + hashes + 1;
    Some(rest[from..].find(&end).map_or(rest.len(), |at| from + at + end.len()))
}

fn quoted(rest: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == mark => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

mod tests {
    use super::{Function, Source};

    fn paths(text: &str) -> Vec<String> {
        Source::read(text).paths().into_iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn groups_are_unfolded() {
        assert_eq!(
            paths("use crate::{hub::Hub, model::{self, wire::{Encode as E, Frame}}};\nuse redis;"),
            [
                "crate::hub::Hub",
                "crate::model::self",
                "crate::model::wire::Encode",
                "crate::model::wire::Frame",
                "redis"
            ]
        );
    }

    #[test]
    fn paths_in_code_are_seen() {
        assert_eq!(
            paths("fn f() -> crate::hub::Hub { ::redis::open::<crate::api::X>(a.b::<u8>()) }"),
            ["crate::hub::Hub", "redis::open", "crate::api::X"]
        );
    }

    #[test]
    fn comments_strings_and_tests_are_not() {
        let text = r##"
            //! [`crate::a`]
            /* crate::b /* crate::c */ */
            const S: (&str, &[u8], char, &str) = ("crate::d \" ", br#"crate::e"# , '"', r"crate::f");
            fn g<'a>(x: &'a str) -> crate::seen::It { '\'' }
            #[cfg(test)]
            mod tests { use crate::g::{self}; }
            #[cfg(test)]
            mod more;
        "##;
        assert_eq!(paths(text), ["crate::seen::It"]);
    }

    #[test]
    fn lines_are_counted_from_one() {
        assert_eq!(Source::read("\n\nuse a::b;").paths()[0].line, 3);
    }

    #[test]
    fn functions_are_measured_without_blanks_and_comments() {
        let text = "fn a();\nfn b(f: fn([u8; 2])) -> [u8; 2] {\n    one();\n\n    // why\n    if x {\n        two();\n    }\n}\n";
        assert_eq!(Source::read(text).functions(), [Function { line: 2, name: "b".to_owned(), code_lines: 4 }]);
    }

    #[test]
    fn own_modules_are_known() {
        let source = Source::read("pub mod redis;\nuse redis::Broker;");
        assert!(source.declares("redis") && !source.declares("nats"));
    }
}
