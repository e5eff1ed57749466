//! The grammar of channel names, and of the other names that callers make up.
//!
//! ```text
//! name      = ["$"] [namespace ":"] rest          1-255 printable ASCII characters, no "*", no "&"
//! rest      = anything ["#" user *("," user)]     the part after the LAST "#" lists users
//! namespace = 2 or more of A-Z a-z 0-9 "-" "_"    up to the FIRST ":", after "$"
//! ```
//!
//! A name that begins with `/`, perhaps after `$`, has no namespace: it belongs to the pattern that it fits
//! ([`crate::pattern`]), and to none if it fits none.
//!
//! `$` marks a private channel, which needs a subscription token. Names are opaque otherwise:
//! `dialog#1,2` and `dialog#2,1` are two channels. `{}` are allowed; who builds Redis keys escapes them
//! ([`crate::keys`]).

use crate::limits::{CHANNEL_NAME_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX, REVOKED_ID_BYTES_MAX};

/// What is wrong with a name. The fault of whoever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No character at all.
    #[error("a channel name cannot be empty")]
    Empty,
    /// Over [`CHANNEL_NAME_BYTES_MAX`].
    #[error("a channel name has at most {CHANNEL_NAME_BYTES_MAX} characters")]
    TooLong,
    /// Not printable ASCII, or `*` or `&`, which are kept for later use.
    #[error("a channel name has printable ASCII characters only, without spaces, '*' and '&'")]
    Character,
}

/// Checks a whole name.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > CHANNEL_NAME_BYTES_MAX {
        return Err(NameError::TooLong);
    }
    let allowed = |b: u8| matches!(b, 0x21..=0x7e) && b != b'*' && b != b'&';
    if name.bytes().all(allowed) { Ok(()) } else { Err(NameError::Character) }
}

/// Whether this can be an idempotency key: 1 to [`IDEMPOTENCY_KEY_BYTES_MAX`] bytes of printable ASCII,
/// spaces included. What keys are made of (UUIDs, numbers, names) fits; what could break a line in a log
/// or make two keys look alike does not.
#[must_use]
pub fn is_idempotency_key(text: &str) -> bool {
    (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| matches!(b, 0x20..=0x7e))
}

/// Whether only a subscription token opens the channel.
#[must_use]
pub fn is_private(name: &str) -> bool {
    name.starts_with('$')
}

/// The name without the mark of a private channel, if it is a path: then a pattern governs it, and neither a
/// namespace nor the default does.
#[must_use]
pub fn path(name: &str) -> Option<&str> {
    let name = name.strip_prefix('$').unwrap_or(name);
    name.starts_with('/').then_some(name)
}

/// The namespace's name; none for a channel of the default namespace. Says nothing of a [`path`].
#[must_use]
pub fn namespace(name: &str) -> Option<&str> {
    let name = name.strip_prefix('$').unwrap_or(name);
    name.split_once(':').map(|(namespace, _)| namespace)
}

/// What is a channel's own in its name: without the mark of a private one, and without its namespace.
#[must_use]
pub fn own_part(name: &str) -> &str {
    let name = name.strip_prefix('$').unwrap_or(name);
    if name.starts_with('/') { name } else { name.split_once(':').map_or(name, |(_, own)| own) }
}

/// The users that a user-limited name lists; none if the name has no `#`.
pub fn users(name: &str) -> Option<impl Iterator<Item = &str>> {
    name.rsplit_once('#').map(|(_, users)| users.split(','))
}

/// Whether a namespace may be called this.
#[must_use]
pub fn is_namespace(name: &str) -> bool {
    name.len() >= 2 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Whether this can be a user's id. It goes into channel names and logs, so it must be something that can be written on
/// a line; and one that is longer than [`REVOKED_ID_BYTES_MAX`] could not be kept out.
#[must_use]
pub fn can_be_user(id: &str) -> bool {
    id.len() <= REVOKED_ID_BYTES_MAX && !id.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_pass() {
        for name in ["a", "news", "$private:x", "chat:room#42,43", "{}", "~", &"x".repeat(255)] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_that_do_not() {
        assert_eq!(check(""), Err(NameError::Empty));
        assert_eq!(check(&"x".repeat(256)), Err(NameError::TooLong));
        for name in ["a b", "a\u{0}", "a\n", "\u{7f}", "é", "a*", "a&b"] {
            assert_eq!(check(name), Err(NameError::Character), "{name:?}");
        }
    }

    #[test]
    fn idempotency_keys() {
        for key in ["k", "0190d1c2-7b5c-7c1e-9c5f-3a0c1d2e3f40", "order 42, paid", &"x".repeat(128)] {
            assert!(is_idempotency_key(key), "{key}");
        }
        for key in ["", &"x".repeat(129), &"x".repeat(1024 * 1024), "a\r\nb", "\u{0}", "\t", "\u{7f}", "é"] {
            assert!(!is_idempotency_key(key), "{key:?}");
        }
    }

    #[test]
    fn parts() {
        assert_eq!(path("/users/1"), Some("/users/1"));
        assert_eq!(path("$/users/1"), Some("/users/1"));
        assert_eq!((path("users/1"), path("$$/users"), path("chat:/x")), (None, None, None));
        assert_eq!(
            ["news", "$news", "chat:1:2", "$chat:1", "$/a:b"].map(own_part),
            ["news", "news", "1:2", "1", "/a:b"]
        );
        assert_eq!(namespace("news"), None);
        assert_eq!(namespace("chat:room"), Some("chat"));
        assert_eq!(namespace("$chat:room:1"), Some("chat"));
        assert_eq!(namespace(":x"), Some(""));
        assert!(is_private("$x") && !is_private("x$"));
        assert!(users("x").is_none());
        assert_eq!(users("a#b#42,43").map(Iterator::collect::<Vec<_>>), Some(vec!["42", "43"]));
        assert!(is_namespace("a_") && is_namespace("A-1") && !is_namespace("a") && !is_namespace("a.b"));
    }
}
