//! The legal states of a session, and what it keeps while it lives.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Shared;
use crate::channel::permission::Asker;
use crate::hub::Mark;
use crate::limit::Allowance;
use crate::model::{Capabilities, ChannelName, Fingerprint, Overrides, Rights, UserId};

/// Questions about subscriptions of one connection that are under way at once. Their answers come back as orders, of
/// which a connection that is busy takes only so many.
const QUESTIONS_MAX: usize = 64;

/// Fresh -> Live, or Fresh -> Refused; both end with the connection.
#[derive(Debug)]
pub(super) enum State {
    /// Waits for connect.
    Fresh,
    /// Connect was answered with an error: every further command is against the protocol.
    Refused,
    /// Connected.
    Live(Box<Live>),
}

/// A connected client.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) user: UserId,
    /// What others see of the connection.
    pub(super) info: Bytes,
    /// When the connection expires, in seconds since 1970.
    pub(super) expires_at: Option<i64>,
    /// What it may do beyond its channels' rules. Boxed: most have none.
    pub(super) caps: Option<Box<Capabilities>>,
    /// What its tokens can be revoked by.
    pub(super) mark: Arc<Mark>,
    pub(super) subscriptions: Subscriptions,
    /// What it may still do; none where nothing is counted.
    pub(super) allowance: Option<Box<Allowance>>,
    /// For the application's hooks, never for clients; empty if none.
    pub(super) meta: Bytes,
    pub(super) renewal: Renewal,
    /// Counts the questions that hooks were asked, so that an answer which comes late is not taken for another's.
    pub(super) questions: u32,
    /// Its beginning was seen by whoever observes the node, so its end is to be.
    pub(super) seen: bool,
}

/// Who sees to it that something goes on that expires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Renewal {
    /// The client brings a new token.
    #[default]
    Client,
    /// A hook is asked when the time has come.
    Hook,
    /// It has been asked, by the question of this number.
    Asked(u32),
}

impl Live {
    /// Who asks for something on a channel.
    pub(super) fn asker(&self, shared: &Shared, channel: &ChannelName) -> Asker<'_> {
        Asker { user: &self.user, trust: shared.trust(), rights: self.rights_on(channel) }
    }

    /// How many questions more may be asked about subscriptions.
    pub(super) fn questions_left(&self) -> usize {
        let asked = self.subscriptions.iter().filter(|(_, held)| matches!(held.renewal, Renewal::Asked(_)));
        QUESTIONS_MAX.saturating_sub(asked.count())
    }

    /// The number of the question that is asked now.
    pub(super) fn next_question(&mut self) -> u32 {
        self.questions = self.questions.wrapping_add(1);
        self.questions
    }

    /// What its capabilities allow on a channel.
    pub(super) fn rights_on(&self, channel: &ChannelName) -> Rights {
        self.caps.as_ref().map_or(Rights::NONE, |caps| caps.on(channel.as_str()))
    }
}

/// What is kept of one subscription.
#[derive(Debug, Default)]
pub(super) struct Subscription {
    /// What others see of the client on this channel.
    pub(super) info: Bytes,
    /// Made by the server, not asked for by the client.
    pub(super) server_side: bool,
    /// When the subscription expires, in seconds since 1970.
    pub(super) expires_at: Option<i64>,
    /// Where the channel's options do not hold for it.
    pub(super) overrides: Overrides,
    pub(super) renewal: Renewal,
    /// As [`Live::seen`].
    pub(super) seen: bool,
    /// The capabilities that it would not be there without, or not as it is.
    pub(super) stands_on: Rights,
    /// What the subscription token can be revoked by; none if there is none. Boxed: most have none.
    pub(super) token: Option<Box<Fingerprint>>,
}

impl Subscription {
    /// As [`Renewal::told_ttl`].
    pub(super) fn told_ttl(&self, shared: &Shared) -> Option<Duration> {
        self.renewal.told_ttl(self.expires_at, shared)
    }
}

/// A client's subscriptions, sorted by channel. Most clients have one or a few: a table would cost each
/// of them several times what it holds.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    sorted: Vec<(ChannelName, Subscription)>,
}

impl Subscriptions {
    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    pub(super) fn contains(&self, channel: &ChannelName) -> bool {
        self.find(channel).is_ok()
    }

    pub(super) fn get(&self, channel: &ChannelName) -> Option<&Subscription> {
        self.find(channel).ok().map(|place| &self.sorted[place].1)
    }

    pub(super) fn get_mut(&mut self, channel: &ChannelName) -> Option<&mut Subscription> {
        self.find(channel).ok().map(|place| &mut self.sorted[place].1)
    }

    /// Adds one, in place of the one that was there.
    pub(super) fn insert(&mut self, channel: ChannelName, subscription: Subscription) {
        match self.find(&channel) {
            Ok(place) => self.sorted[place].1 = subscription,
            Err(place) => {
                if self.sorted.is_empty() {
                    // The first one is often the only one.
                    self.sorted.reserve_exact(1);
                }
                self.sorted.insert(place, (channel, subscription));
            }
        }
    }

    /// Takes one out; none if it was not there.
    pub(super) fn remove(&mut self, channel: &ChannelName) -> Option<Subscription> {
        self.find(channel).ok().map(|place| self.sorted.remove(place).1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ChannelName, &Subscription)> {
        self.sorted.iter().map(|(channel, subscription)| (channel, subscription))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&ChannelName, &mut Subscription)> {
        self.sorted.iter_mut().map(|(channel, subscription)| (&*channel, subscription))
    }

    fn find(&self, channel: &ChannelName) -> Result<usize, usize> {
        self.sorted.binary_search_by(|(other, _)| other.cmp(channel))
    }
}

impl FromIterator<(ChannelName, Subscription)> for Subscriptions {
    fn from_iter<I: IntoIterator<Item = (ChannelName, Subscription)>>(all: I) -> Self {
        let mut subscriptions = Self::default();
        all.into_iter().for_each(|(channel, subscription)| subscriptions.insert(channel, subscription));
        subscriptions
    }
}

impl Renewal {
    /// It goes on by other means: what a hook answers to a question under way is not waited for.
    pub(super) fn forget_question(&mut self) {
        if matches!(self, Self::Asked(_)) {
            *self = Self::Hook;
        }
    }

    /// How long something is good for, as far as the client has to do with it: only what it renews itself.
    pub(super) fn told_ttl(self, expires_at: Option<i64>, shared: &Shared) -> Option<Duration> {
        expires_at.filter(|_| self == Self::Client).map(|expires_at| shared.until(expires_at))
    }

    /// How long after the expiry something happens: a client has its grace, a hook is asked at once. None while
    /// it is asked.
    pub(super) fn patience(self, grace: Duration) -> Option<Duration> {
        match self {
            Self::Client => Some(grace),
            Self::Hook => Some(Duration::ZERO),
            Self::Asked(_) => None,
        }
    }
}

impl State {
    /// When the next grace period of what expires ends, by the clock of deadlines.
    pub(super) fn next_expiry(&self, shared: &Shared) -> Option<Duration> {
        let Self::Live(live) = self else { return None };
        let at = |expires_at: Option<i64>, renewal: Renewal, grace: Duration| {
            Some(shared.now() + shared.until(expires_at?) + renewal.patience(grace)?)
        };
        let connection = at(live.expires_at, live.renewal, shared.config.expired_close_delay);
        let grace = shared.config.expired_sub_close_delay;
        let subscriptions = live.subscriptions.iter().map(|(_, subscription)| subscription);
        // Those that cannot be asked about yet wait for an answer to come, not for a moment.
        let may_ask = live.questions_left() > 0;
        let subscriptions = subscriptions.filter(|sub| may_ask || sub.renewal != Renewal::Hook);
        let subscriptions = subscriptions.filter_map(|sub| at(sub.expires_at, sub.renewal, grace));
        connection.into_iter().chain(subscriptions).min()
    }
}
