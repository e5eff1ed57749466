//! What a connection may do beyond the rules of its channels, because its token or a hook says so.

use std::fmt;

use fanfare_proto::capability::{self, Action, Matching};

/// Entries in the order in which they count: the first that names a channel says what is allowed there,
/// and no other is looked at. So an entry can be an exception from those that follow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(Box<[Capability]>);

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Which channels it names: any of these.
    pub channels: Box<[Pattern]>,
    /// What is allowed on them.
    pub allow: Rights,
}

/// Names channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// One.
    Exact(Box<str>),
    /// All that fit, `*` standing for any characters.
    Wildcard(Box<str>),
}

/// A set of things that may be done on a channel.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights(u8);

impl Capabilities {
    /// These entries, boxed for whoever keeps them; none if there are none.
    pub fn new(entries: impl IntoIterator<Item = impl Into<Capability>>) -> Option<Box<Self>> {
        let entries: Box<[Capability]> = entries.into_iter().map(Into::into).collect();
        (!entries.is_empty()).then(|| Box::new(Self(entries)))
    }

    /// The entries, in the order in which they count.
    pub fn iter(&self) -> impl Iterator<Item = &Capability> {
        self.0.iter()
    }

    /// What is allowed on a channel. Costs at most a look at each pattern, and no look costs more than the
    /// lengths of pattern and name together for each star.
    #[must_use]
    pub fn on(&self, channel: &str) -> Rights {
        let first = self.0.iter().find(|entry| entry.channels.iter().any(|pattern| pattern.matches(channel)));
        first.map_or(Rights::NONE, |entry| entry.allow)
    }
}

impl From<capability::Capability> for Capability {
    fn from(said: capability::Capability) -> Self {
        let pattern = |text: String| match said.matching {
            Matching::Exact => Pattern::Exact(text.into()),
            Matching::Wildcard => Pattern::Wildcard(text.into()),
        };
        let channels = said.channels.into_iter().map(pattern).collect();
        Self { channels, allow: said.allow.into_iter().map(Rights::from).collect() }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Exact(text) | Self::Wildcard(text)) = self;
        write!(f, "{text:?}")
    }
}

impl Pattern {
    fn matches(&self, channel: &str) -> bool {
        match self {
            Self::Exact(name) => **name == *channel,
            Self::Wildcard(pattern) => fits(pattern, channel),
        }
    }
}

/// Whether a name fits a pattern with stars. Each part between stars is taken at its first place, the last
/// one at the end: no other choice could fit where these do not.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(head) else { return false };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        match name.split_once(part) {
            _ if part.is_empty() => {}
            Some((_, after)) => name = after,
            None => return false,
        }
    }
    name.ends_with(tail)
}

impl Rights {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// To subscribe.
    pub const SUBSCRIBE: Self = Self(1);
    /// To publish.
    pub const PUBLISH: Self = Self(2);
    /// To ask who is there, and to be told who comes and goes.
    pub const PRESENCE: Self = Self(4);
    /// To read what was said, and to get what was missed.
    pub const HISTORY: Self = Self(8);
    /// All of it.
    pub const ALL: Self = Self(15);

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without those.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of those are among these.
    #[must_use]
    pub const fn include(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Those if `wanted`, else nothing.
    #[must_use]
    pub const fn only_if(self, wanted: bool) -> Self {
        if wanted { self } else { Self::NONE }
    }
}

impl From<Action> for Rights {
    fn from(action: Action) -> Self {
        match action {
            Action::Subscribe => Self::SUBSCRIBE,
            Action::Publish => Self::PUBLISH,
            Action::Presence => Self::PRESENCE,
            Action::History => Self::HISTORY,
        }
    }
}

impl FromIterator<Self> for Rights {
    fn from_iter<I: IntoIterator<Item = Self>>(all: I) -> Self {
        all.into_iter().fold(Self::NONE, Self::and)
    }
}

impl Rights {
    fn names(self) -> impl Iterator<Item = &'static str> {
        let names = [
            (Self::SUBSCRIBE, "subscribe"),
            (Self::PUBLISH, "publish"),
            (Self::PRESENCE, "presence"),
            (Self::HISTORY, "history"),
        ];
        names.into_iter().filter(move |(right, _)| self.include(*right)).map(|(_, name)| name)
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl fmt::Display for Rights {
    /// `subscribe, publish`, or `nothing`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names().collect();
        if names.is_empty() { f.write_str("nothing") } else { f.write_str(&names.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_stand_for_any_characters() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("*", &["", "a", "$a:b#c"], &[]),
            ("chat:*", &["chat:", "chat:1", "chat:a:b"], &["chat", "$chat:1", "xchat:1"]),
            ("*:1", &["chat:1", ":1", "a:1:1"], &["chat:11", "1"]),
            ("a*a", &["aa", "aba", "aaa"], &["a", "ab", ""]),
            ("a*b*c", &["abc", "a1b2c", "abbc", "abcbc"], &["acb", "ab", "abcd"]),
            ("a**b", &["ab", "a1b"], &["a", "b"]),
            ("*ab*ab", &["abab", "xabxab"], &["ab", "aab"]),
            ("news", &["news"], &["new", "newss"]),
        ];
        for (pattern, good, bad) in table {
            for name in *good {
                assert!(fits(pattern, name), "{pattern} {name}");
            }
            for name in *bad {
                assert!(!fits(pattern, name), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn the_first_entry_that_names_a_channel_decides() {
        let entry = |pattern, allow| Capability { channels: [pattern].into(), allow };
        let caps = Capabilities::new(vec![
            entry(Pattern::Exact("chat:secret".into()), Rights::NONE),
            entry(Pattern::Wildcard("chat:*".into()), Rights::SUBSCRIBE.and(Rights::HISTORY)),
            entry(Pattern::Exact("chat:1".into()), Rights::ALL),
            entry(Pattern::Exact("chat:*x".into()), Rights::ALL),
        ])
        .unwrap();
        assert_eq!(caps.on("chat:secret"), Rights::NONE);
        assert_eq!(caps.on("chat:1"), Rights::SUBSCRIBE.and(Rights::HISTORY));
        assert_eq!(caps.on("other"), Rights::NONE);
        assert!(Capabilities::new(Vec::<Capability>::new()).is_none());
    }

    #[test]
    fn rights_are_a_set() {
        let some = Rights::PUBLISH.and(Rights::HISTORY);
        assert!(some.include(Rights::PUBLISH) && some.include(Rights::NONE) && !some.include(Rights::ALL));
        assert_eq!(Rights::ALL.without(some), Rights::SUBSCRIBE.and(Rights::PRESENCE));
        assert_eq!(format!("{some:?}"), r#"{"publish", "history"}"#);
    }

    /// By trying everything.
    fn fits_slowly(pattern: &[u8], name: &[u8]) -> bool {
        match pattern {
            [] => name.is_empty(),
            [b'*', rest @ ..] => (0..=name.len()).any(|skip| fits_slowly(rest, &name[skip..])),
            [first, rest @ ..] => name.first() == Some(first) && fits_slowly(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn the_quick_way_and_the_slow_one_agree(pattern in "[ab*]{0,8}", name in "[ab]{0,10}") {
            prop_assert_eq!(fits(&pattern, &name), fits_slowly(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
