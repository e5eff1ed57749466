//! Who is who: newtypes, so that one kind of id cannot stand in for another.

use std::fmt;
use std::sync::Arc;

/// Formats 128 bits the way UUIDs are written, which is what clients and operators expect of an id.
fn write_uuid(bits: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        (bits >> 96) as u32,
        (bits >> 80) as u16,
        (bits >> 64) as u16,
        (bits >> 48) as u16,
        bits & 0xffff_ffff_ffff
    )
}

/// Sets the version (4) and variant bits of RFC 9562, so that strict UUID parsers accept the id.
fn as_uuid_v4(bits: u128) -> u128 {
    (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62)
}

fn parse_uuid(text: &str) -> Option<u128> {
    let dashes_ok = text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
        });
    if !dashes_ok {
        return None;
    }
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    u128::from_str_radix(&digits, 16).ok()
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u128);

        impl $name {
            /// A fresh id from the thread's cryptographic generator: nobody can guess the next one.
            #[must_use]
            pub fn random() -> Self {
                Self(as_uuid_v4(rand::random()))
            }

            /// Reads the lower-case UUID form that `Display` writes; `None` for anything else.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                parse_uuid(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_uuid(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_uuid(self.0, f)
            }
        }
    };
}

random_id! {
    /// One gateway process, from start to exit.
    NodeId
}
random_id! {
    /// One physical link of a client. Shown to everyone as the `client` of a publication.
    ConnectionId
}
random_id! {
    /// One client's logical life. Secret: whoever knows it may act for the client.
    SessionId
}

/// The application's name for a person or device; empty means anonymous.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

impl UserId {
    /// Takes the application's id as it is; an empty one is the anonymous user.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(Arc::from(id))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for a client that no token has named.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_as_version_4_uuids_and_parse_back() {
        let id = ConnectionId::random();
        let text = id.to_string();
        assert_eq!(text.as_bytes()[14], b'4');
        assert!(matches!(text.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
        assert_eq!(ConnectionId::parse(&text), Some(id));
    }

    #[test]
    fn anything_else_is_no_id() {
        for text in ["", "42", "zzzzzzzz-zzzz-4zzz-8zzz-zzzzzzzzzzzz", "0123456789abcdef0123456789abcdef0123"] {
            assert_eq!(ConnectionId::parse(text), None, "{text}");
        }
    }
}
