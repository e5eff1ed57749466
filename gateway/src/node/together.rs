//! What of a burst is told in one step: publications to one channel that follow each other.

use std::iter::{Peekable, once};

use crate::broker::event::Room;
use crate::broker::{BrokerEvent, Outgoing};
use crate::model::{ChannelName, Publication};

/// What a wire adds to a publication, about.
const AROUND: usize = 64;

/// What is handled in one step.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one is the common one, and is moved, not kept")]
pub(super) enum Together {
    /// As it came.
    One(BrokerEvent),
    /// To one channel, all with a place in its stream or all without, and the room that they take up.
    Several(ChannelName, Vec<Publication>, Vec<Option<Room>>),
}

/// Takes the events that follow and are handled together with this one, up to so many bytes; answers about how many bytes
/// all of them will put into an outbox. Those that are `alone` are handled by themselves.
pub(super) fn gather(
    event: BrokerEvent,
    events: &mut Peekable<impl Iterator<Item = BrokerEvent>>,
    most: usize,
    alone: impl Fn(&Outgoing) -> bool,
) -> (Together, usize) {
    let mut bytes = size(&event);
    let Some((channel, placed)) = joins(&event, &alone) else { return (Together::One(event), bytes) };
    let channel = channel.clone();
    let mut followed = Vec::new();
    while let Some(next) =
        events.next_if(|next| bytes + size(next) <= most && joins(next, &alone) == Some((&channel, placed)))
    {
        bytes += size(&next);
        followed.push(next);
    }
    if followed.is_empty() {
        return (Together::One(event), bytes);
    }
    let all = once(event).chain(followed).filter_map(|event| match event {
        BrokerEvent::Published { outgoing, room, .. } => Some((outgoing.publication, room)),
        BrokerEvent::Member { .. } | BrokerEvent::Control(_) | BrokerEvent::Gap { .. } => None,
    });
    let (publications, rooms) = all.unzip();
    (Together::Several(channel, publications, rooms), bytes)
}

/// The channel of a publication that others may go with, and whether it has a place in the channel's stream.
fn joins<'a>(event: &'a BrokerEvent, alone: &impl Fn(&Outgoing) -> bool) -> Option<(&'a ChannelName, bool)> {
    let BrokerEvent::Published { channel, outgoing, .. } = event else { return None };
    (!alone(outgoing)).then_some((channel, outgoing.publication.position.is_some()))
}

/// About how much the event will put into an outbox, in bytes.
fn size(event: &BrokerEvent) -> usize {
    match event {
        BrokerEvent::Published { channel, outgoing, .. } => {
            outgoing.publication.size() + channel.as_str().len() + AROUND
        }
        BrokerEvent::Member { .. } | BrokerEvent::Control(_) | BrokerEvent::Gap { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ClientInfo, Position, UserId};

    const MOST: usize = 1000;

    fn said(channel: &str, data: &'static str, offset: u64) -> BrokerEvent {
        let position = (offset > 0).then(|| Position { offset, epoch: "e".into() });
        let publication = Publication { data: data.into(), position, ..Publication::default() };
        let outgoing = Outgoing { publication, ..Outgoing::default() };
        BrokerEvent::Published { channel: ChannelName::parse(channel).unwrap(), outgoing, room: None }
    }

    /// What is told in which step: the payloads of each.
    fn steps(events: Vec<BrokerEvent>) -> Vec<String> {
        let mut events = events.into_iter().peekable();
        let mut steps = Vec::new();
        let payload = |publication: &Publication| String::from_utf8_lossy(&publication.data).into_owned();
        while let Some(event) = events.next() {
            let alone = |outgoing: &Outgoing| !outgoing.traceparent.is_empty();
            steps.push(match gather(event, &mut events, MOST, alone).0 {
                Together::One(BrokerEvent::Published { outgoing, .. }) => payload(&outgoing.publication),
                Together::One(BrokerEvent::Gap { channel }) => format!("gap {channel}"),
                Together::One(other) => panic!("{other:?}"),
                Together::Several(_, all, rooms) => {
                    assert_eq!(all.len(), rooms.len());
                    all.iter().map(payload).collect::<Vec<_>>().join("+")
                }
            });
        }
        steps
    }

    #[test]
    fn neighbours_of_one_channel_go_together() {
        let gap = BrokerEvent::Gap { channel: ChannelName::parse("a").unwrap() };
        let traced = || {
            let BrokerEvent::Published { channel, outgoing, room } = said("a", "t", 0) else { unreachable!() };
            let outgoing = Outgoing { traceparent: "00-1-2-01".into(), ..outgoing };
            BrokerEvent::Published { channel, outgoing, room }
        };
        let events = vec![
            said("a", "1", 0),
            said("a", "2", 0),
            said("b", "3", 0),
            said("a", "4", 0),
            gap,
            said("a", "5", 7),
            said("a", "6", 8),
            // Without a place in the stream.
            said("a", "7", 0),
            traced(),
            traced(),
            said("a", "8", 0),
            said("a", "9", 0),
        ];
        assert_eq!(steps(events), ["1+2", "3", "4", "gap a", "5+6", "7", "t", "t", "8+9"]);
    }

    #[test]
    fn only_so_much_goes_together_whatever_it_is_made_of() {
        let long: &str = "x".repeat(300).leak();
        let two = format!("{long}+{long}");
        assert_eq!(steps((0..5).map(|_| said("a", long, 0)).collect()), [&two, &two, long]);
        let with_info = || {
            let BrokerEvent::Published { channel, mut outgoing, room } = said("a", "1", 0) else { unreachable!() };
            outgoing.publication.info = Some(ClientInfo {
                user: UserId::new("42"),
                client: "c".into(),
                connection_info: "x".repeat(600).into(),
                channel_info: "".into(),
            });
            BrokerEvent::Published { channel, outgoing, room }
        };
        assert_eq!(steps(vec![with_info(), with_info(), said("a", "2", 0)]), ["1", "1+2"]);
    }
}
