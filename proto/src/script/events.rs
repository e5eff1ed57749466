//! Events for the application's backend: the scripts that decide and log them, and in which shard they are. All of a
//! shard's keys have the shard as hash tag, and what is about one channel is in one shard: so a step that decides,
//! counts and logs is one script, and the log of the shard has the channel's order.

use bytes::Bytes;

use super::AnswerError;
use crate::keys::Keys;

/// Notes what a node has seen. Keys and arguments are listed in the script's head.
pub const KEEP: &str = concat!(include_str!("events_common.lua"), "\n", include_str!("events_keep.lua"));

/// Lets go of what a dead node held.
pub const REAP: &str = concat!(include_str!("events_common.lua"), "\n", include_str!("events_reap.lua"));

/// Takes the next entries to deliver them.
pub const TAKE: &str = include_str!("events_take.lua");

/// Notes up to where they were delivered.
pub const DONE: &str = include_str!("events_done.lua");

/// First word of [`KEEP`]'s answer: the lease has ended, or a newer generation has begun. Nothing was done.
pub const LATE: &str = "late";

/// First word of [`TAKE`]'s answer, and [`DONE`]'s: somebody else delivers.
pub const OTHER: &str = "other";

/// Into how many logs events are spread: as many batches may be on their way to the receiver at once.
pub const SHARDS: usize = 8;

/// How long a shard's keys stay without any node, in milliseconds: one day.
pub const TTL_MS: u64 = 24 * 60 * 60 * 1000;

/// The shard of what is called so: a channel's name or, of events without one, a connection's id. FNV-1a, which every
/// language has.
#[must_use]
pub fn shard(name: &str) -> usize {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    usize::try_from(hash % SHARDS as u64).unwrap_or(0)
}

/// `KEYS` of [`KEEP`] and [`REAP`].
#[must_use]
pub fn keep_keys(keys: &Keys, shard: usize, node: &str) -> [String; 8] {
    let key = |what| keys.events(shard, what);
    [
        key("log"),
        key("meta"),
        key("held"),
        key("due"),
        key("quiet"),
        key("nodes"),
        key("leases"),
        keys.events(shard, &format!("node:{node}")),
    ]
}

/// `KEYS` of [`TAKE`] and [`DONE`].
#[must_use]
pub fn take_keys(keys: &Keys, shard: usize) -> [String; 3] {
    [keys.events(shard, "log"), keys.events(shard, "meta"), keys.events(shard, "courier")]
}

/// What [`KEEP`] answers when it has done something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The node's last call before this one; none if nobody knows.
    pub last_call: Option<u64>,
    /// The log's epoch.
    pub epoch: String,
    /// How long until something is due, in milliseconds; none if nothing is.
    pub due_ms: Option<u64>,
    /// How many events were told.
    pub told: u64,
    /// Nodes whose lease has ended and that may hold something yet.
    pub dead: Vec<String>,
}

impl Kept {
    /// Reads the answer; none if the call came too late.
    ///
    /// # Errors
    /// When the script never says this.
    pub fn parse(answer: Vec<String>) -> Result<Option<Self>, AnswerError> {
        let mut words = answer.into_iter();
        match words.next().as_deref() {
            Some("done") => {}
            Some(LATE) => return Ok(None),
            _ => return Err(AnswerError("neither done nor late".into())),
        }
        let mut next = |what: &str| words.next().ok_or_else(|| AnswerError(format!("no {what}")));
        let (last_call, epoch, due, told) = (next("call")?, next("epoch")?, next("due")?, next("count")?);
        Ok(Some(Self {
            last_call: last_call.parse().ok(),
            epoch,
            due_ms: due.parse().ok(),
            told: told.parse().unwrap_or(0),
            dead: words.collect(),
        }))
    }
}

/// What [`TAKE`] answers to the node that delivers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The log's epoch; empty if there is no log.
    pub epoch: String,
    /// The highest number.
    pub top: u64,
    /// The highest number that was delivered.
    pub done: u64,
    /// What comes next.
    pub entries: Vec<Entry>,
}

/// An entry of the log. What does not apply is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its number; from 1, without gaps but for what was removed.
    pub number: u64,
    /// Of the event.
    pub name: String,
    /// In milliseconds since 1970.
    pub time_ms: u64,
    /// Which channel.
    pub channel: String,
    /// Which user.
    pub user: String,
    /// Which connection.
    pub client: String,
}

impl Taken {
    /// Reads the answer; none if another node delivers.
    ///
    /// # Errors
    /// When the script never says this.
    pub fn parse(answer: Vec<Bytes>) -> Result<Option<Self>, AnswerError> {
        let bad = || AnswerError("pieces that do not fit together".into());
        let mut words = answer.into_iter().map(|word| String::from_utf8_lossy(&word).into_owned());
        match words.next().as_deref() {
            Some("mine") => {}
            Some(OTHER) => return Ok(None),
            _ => return Err(bad()),
        }
        let mut next = || words.next().ok_or_else(bad);
        let (epoch, top, done) = (next()?, number(&next()?)?, number(&next()?)?);
        let mut taken = Self { epoch, top, done, entries: Vec::new() };
        while let Some(id) = words.next() {
            let mut next = || words.next().ok_or_else(bad);
            taken.entries.push(Entry {
                number: number(id.split('-').next().unwrap_or_default())?,
                name: next()?,
                time_ms: next()?.parse().unwrap_or(0),
                channel: next()?,
                user: next()?,
                client: next()?,
            });
        }
        Ok(Some(taken))
    }
}

fn number(text: &str) -> Result<u64, AnswerError> {
    text.parse().map_err(|_| AnswerError(format!("{text:?} is no number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_the_same_everywhere_and_all_are_used() {
        assert_eq!([shard(""), shard("a"), shard("chat:1")], [5, 4, 6]);
        let used: std::collections::BTreeSet<_> = (0..1000).map(|n| shard(&format!("chat:{n}"))).collect();
        assert_eq!(used.len(), SHARDS);
    }

    #[test]
    fn all_keys_of_a_shard_have_its_tag() {
        let keys = Keys::new("p", 0);
        let all = keep_keys(&keys, 3, "n").into_iter().chain(take_keys(&keys, 3));
        all.into_iter().for_each(|key| assert!(key.starts_with("p:events:{3}:"), "{key}"));
    }

    fn words(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn answers_to_those_who_keep() {
        assert_eq!(Kept::parse(words("late")), Ok(None));
        let kept = Kept::parse(words("done,,e,-1,0")).unwrap().unwrap();
        assert_eq!(kept, Kept { last_call: None, epoch: "e".into(), due_ms: None, told: 0, dead: Vec::new() });
        let kept = Kept::parse(words("done,7,e,12,2,n1,n2")).unwrap().unwrap();
        assert_eq!((kept.last_call, kept.due_ms, kept.told, kept.dead.len()), (Some(7), Some(12), 2, 2));
        for bad in ["", "x", "done", "done,1,e,2"] {
            assert!(Kept::parse(words(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn answers_to_those_who_deliver() {
        let parse = |text: &str| Taken::parse(words(text).into_iter().map(Bytes::from).collect());
        assert_eq!(parse("other"), Ok(None));
        assert_eq!(parse("mine,,0,0"), Ok(Some(Taken::default())));
        let taken = parse("mine,e,9,7,8-0,client_connected,5,,42,c,9-0,x,y,,,").unwrap().unwrap();
        assert_eq!((taken.epoch.as_str(), taken.top, taken.done), ("e", 9, 7));
        let first = Entry { number: 8, time_ms: 5, user: "42".into(), client: "c".into(), ..Entry::default() };
        assert_eq!(taken.entries[0], Entry { name: "client_connected".into(), ..first });
        assert_eq!(taken.entries[1], Entry { number: 9, name: "x".into(), ..Entry::default() });
        for bad in ["", "x", "mine", "mine,e,x,0", "mine,e,1,0,1-0", "mine,e,1,0,x-0,a,1,,,"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
