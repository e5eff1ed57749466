//! Who is on a channel: the scripts that change and read it, and how a member stands in Redis.
//!
//! A member belongs to a holder: one generation of one node. A holder may write while its lease lasts;
//! when the lease has ended it is never renewed, and what it held is struck out by whoever finds it. A
//! node that lives on goes on as its next generation.

use std::fmt;
use std::str::FromStr;

use bytes::{BufMut, Bytes, BytesMut};

/// Changes a channel's members. Keys and arguments are listed in the script's head.
pub const CHANGE: &str = concat!(include_str!("presence_common.lua"), "\n", include_str!("presence_change.lua"));

/// Strikes out what a dead holder has left on a channel.
pub const REAP: &str = concat!(include_str!("presence_common.lua"), "\n", include_str!("presence_reap.lua"));

/// Counts a channel's members, and reads them if they are few.
pub const READ: &str = include_str!("presence_read.lua");

/// First word of [`CHANGE`]'s answer: the holder's lease has ended, nothing was done.
pub const LATE: &str = "late";

/// [`CHANGE`]'s answer to `check`: the member is not there.
pub const MISSING: &str = "missing";

/// How long a channel's members stand, and a holder's list of channels, without anybody renewing them,
/// in milliseconds: ten minutes. Long against all leases, so that a node which starts after all others
/// have died still finds what they left.
pub const TTL_MS: u64 = 10 * 60 * 1000;

/// How long the set of holders stands without a heartbeat, and how long it is remembered that a holder
/// was struck out, in milliseconds: one day. A node that sleeps for longer enters its members without
/// telling when it wakes.
pub const HOLDERS_TTL_MS: u64 = 24 * 60 * 60 * 1000;

/// One generation of one node. Written `NODE.GENERATION`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Holder {
    /// The node's id, without spaces.
    pub node: String,
    /// Counts the holders of this node.
    pub generation: u64,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.generation)
    }
}

/// Not a holder. The fault of whoever wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a holder is written as a node and a number with a dot between them")]
pub struct HolderError;

impl FromStr for Holder {
    type Err = HolderError;

    fn from_str(text: &str) -> Result<Self, HolderError> {
        let (node, generation) = text.rsplit_once('.').ok_or(HolderError)?;
        if node.is_empty() || !generation.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(HolderError);
        }
        Ok(Self { node: node.to_owned(), generation: generation.parse().map_err(|_| HolderError)? })
    }
}

/// A member as it stands in the channel's hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who removes it.
    pub holder: Holder,
    /// Listeners are told when it leaves.
    pub told: bool,
    /// By which name its connections are counted as one user.
    pub user: String,
    /// The envelope that says that it has left; it also says who it is.
    pub leave: Bytes,
}

impl Member {
    /// `NODE GENERATION TOLD LENGTH USER LEAVE`, where `LENGTH` is that of `USER` in bytes.
    #[must_use]
    pub fn print(&self) -> Bytes {
        let Self { holder: Holder { node, generation }, told, user, leave } = self;
        let head = format!("{node} {generation} {} {} {user} ", u8::from(*told), user.len());
        let mut bytes = BytesMut::with_capacity(head.len() + leave.len());
        bytes.put_slice(head.as_bytes());
        bytes.put_slice(leave);
        bytes.freeze()
    }

    /// Reads a value; the envelope shares its memory. `None` if it is none.
    #[must_use]
    pub fn parse(mut value: Bytes) -> Option<Self> {
        let node = word(&mut value)?;
        let generation = word(&mut value)?.parse().ok()?;
        let told = match word(&mut value)?.as_str() {
            "1" => true,
            "0" => false,
            _ => return None,
        };
        let length: usize = word(&mut value)?.parse().ok()?;
        if value.get(length) != Some(&b' ') {
            return None;
        }
        let leave = value.split_off(length + 1);
        let user = String::from_utf8(value[..length].to_vec()).ok()?;
        Some(Self { holder: Holder { node, generation }, told, user, leave })
    }
}

/// Takes the bytes before the next space, and the space.
fn word(value: &mut Bytes) -> Option<String> {
    let space = value.iter().position(|byte| *byte == b' ')?;
    let rest = value.split_off(space + 1);
    let word = std::mem::replace(value, rest);
    String::from_utf8(word[..space].to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(user: &str) -> Member {
        let holder = Holder { node: "n1".into(), generation: 7 };
        Member { holder, told: true, user: user.into(), leave: Bytes::from_static(b"\x01m 2 ") }
    }

    #[test]
    fn holders_come_back() {
        let holder = Holder { node: "a.b".into(), generation: 12 };
        assert_eq!(holder.to_string(), "a.b.12");
        assert_eq!("a.b.12".parse(), Ok(holder));
        for text in ["", ".", "a", "a.", ".1", "a.-1", "a.+1", "a.99999999999999999999"] {
            assert_eq!(text.parse::<Holder>(), Err(HolderError), "{text}");
        }
    }

    #[test]
    fn members_come_back_whatever_their_user_is_called() {
        assert_eq!(&member("42").print()[..], b"n1 7 1 2 42 \x01m 2 ");
        for user in ["", " ", "a b", "3 x ", "\0", "ü"] {
            assert_eq!(Member::parse(member(user).print()), Some(member(user)), "{user:?}");
        }
    }

    #[test]
    fn anything_else_is_no_member() {
        let bad: [&[u8]; 9] = [
            b"",
            b"n1",
            b"n1 7 1 2 42",
            b"n1 x 1 0  ",
            b"n1 7 2 0  ",
            b"n1 7 1 9 x ",
            b"n1 7 1 18446744073709551615  ",
            b"n1 7 1 1 \xff ",
            b"\xff 7 1 0  ",
        ];
        for value in bad {
            assert_eq!(Member::parse(Bytes::copy_from_slice(value)), None, "{value:?}");
        }
    }
}
