//! The connections of this node by id and by user, and how orders reach them.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::{Mark, Outbox};
use crate::model::{ByteSize, Close, ConnectionId, Directive, SessionId, UserId};

/// A connection that has said who it is.
#[derive(Clone, Debug)]
pub struct Member {
    /// The physical link.
    pub connection: ConnectionId,
    /// The logical life.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The road to it.
    pub outbox: Outbox,
    /// What its tokens can be revoked by; its session keeps it up to date.
    pub mark: Arc<Mark>,
}

/// Whom an order is about: all connections of a user, or those of them that also match what is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The user; orders to the anonymous one reach nobody.
    pub user: UserId,
    /// Only this connection.
    pub connection: Option<ConnectionId>,
    /// Only this session.
    pub session: Option<SessionId>,
    /// Not these connections.
    pub except: Vec<ConnectionId>,
}

/// Most users have one connection.
type Connections = SmallVec<[ConnectionId; 1]>;

/// All members.
#[derive(Debug)]
pub struct People {
    members: Box<[Mutex<HashMap<ConnectionId, Member, RandomState>>]>,
    users: Box<[Mutex<HashMap<UserId, Connections, RandomState>>]>,
    hasher: RandomState,
}

impl People {
    pub(super) fn new(shards: usize) -> Self {
        Self {
            members: (0..shards).map(|_| Mutex::default()).collect(),
            users: (0..shards).map(|_| Mutex::default()).collect(),
            hasher: RandomState::default(),
        }
    }

    /// Lets a connection in: orders reach it from now on.
    pub fn enter(&self, member: Member) {
        if !member.user.is_anonymous() {
            let mut users = self.users[self.shard(&member.user)].lock();
            users.entry(member.user.clone()).or_default().push(member.connection);
        }
        self.members[self.shard(&member.connection)].lock().insert(member.connection, member);
    }

    /// Lets a connection out.
    pub fn leave(&self, connection: ConnectionId) {
        let Some(member) = self.members[self.shard(&connection)].lock().remove(&connection) else { return };
        if member.user.is_anonymous() {
            return;
        }
        let mut users = self.users[self.shard(&member.user)].lock();
        if let Some(connections) = users.get_mut(&member.user) {
            connections.retain(|c| *c != connection);
            if connections.is_empty() {
                users.remove(&member.user);
            }
        }
    }

    /// Gives an order to each connection it is about; answers how many took it.
    pub fn direct(&self, target: &Target, directive: &Directive) -> usize {
        self.find(target).iter().filter(|member| member.outbox.direct(directive.clone()).is_ok()).count()
    }

    /// Ends each connection it is about, whatever their sessions are doing; answers how many there were.
    pub fn close(&self, target: &Target, close: &Close) -> usize {
        let members = self.find(target);
        members.iter().for_each(|member| member.outbox.close(close.clone()));
        members.len()
    }

    /// Those among a user's connections, or among all, for whom `wanted` says so. Looks at all of them under
    /// the locks that others enter and leave with, one part after the other: for what is rare.
    pub fn those(&self, user: Option<&UserId>, wanted: impl Fn(&Member) -> bool) -> Vec<Member> {
        let Some(user) = user else {
            let shards = self.members.iter();
            return shards
                .flat_map(|shard| shard.lock().values().filter(|member| wanted(member)).cloned().collect::<Vec<_>>())
                .collect();
        };
        let everywhere = Target { user: user.clone(), connection: None, session: None, except: Vec::new() };
        self.find(&everywhere).into_iter().filter(|member| wanted(member)).collect()
    }

    fn find(&self, target: &Target) -> Vec<Member> {
        let connections = match self.users[self.shard(&target.user)].lock().get(&target.user) {
            Some(connections) => connections.clone(),
            None => return Vec::new(),
        };
        let wanted = |member: &Member| {
            target.connection.is_none_or(|connection| connection == member.connection)
                && target.session.is_none_or(|session| session == member.session)
                && !target.except.contains(&member.connection)
        };
        let member = |connection: ConnectionId| self.members[self.shard(&connection)].lock().get(&connection).cloned();
        connections.into_iter().filter_map(member).filter(wanted).collect()
    }

    /// Every connection, at about this moment.
    #[must_use]
    pub fn everyone(&self) -> Vec<Member> {
        self.members.iter().flat_map(|shard| shard.lock().values().cloned().collect::<Vec<_>>()).collect()
    }

    /// How many connections there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.members.iter().map(|shard| shard.lock().len()).sum()
    }

    /// How many different users they belong to, anonymous ones not counted.
    #[must_use]
    pub fn users(&self) -> usize {
        self.users.iter().map(|shard| shard.lock().len()).sum()
    }

    /// What waits in all outboxes together.
    #[must_use]
    pub fn waiting(&self) -> ByteSize {
        let shard_total = |shard: &Mutex<HashMap<_, Member, _>>| -> usize {
            shard.lock().values().map(|member| member.outbox.waiting().bytes()).sum()
        };
        ByteSize(self.members.iter().map(shard_total).sum())
    }

    fn shard(&self, key: &impl Hash) -> usize {
        usize::try_from(self.hasher.hash_one(key) % self.members.len() as u64).unwrap_or(0)
    }
}
