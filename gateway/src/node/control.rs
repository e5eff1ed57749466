//! Orders from any node to the sessions of this one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_proto::code::{CloseCode, unsubscribe};
use fanfare_proto::envelope::{Control, Order};

use super::Node;
use crate::hub::Target;
use crate::model::command::Since;
use crate::model::{ChannelName, Close, ConnectionId, Directive, SessionId, UserId};

/// What is done with the connections an order is about.
#[derive(Debug)]
enum Action {
    /// They end, now.
    Close(Close),
    /// Their sessions are told.
    Direct(Directive),
}

impl Node {
    /// Carries an order out. One that makes no sense comes from a newer or a foreign sender: it is
    /// logged and left.
    pub(super) fn obey(&self, control: Control) {
        if let Some(Order::Revocation(revocation)) = &control.order {
            return self.obey_revocation(revocation);
        }
        let Some((target, action)) = control.order.and_then(|order| self.translate(order)) else {
            tracing::warn!(sender = %control.sender, "an order that this version does not understand was left undone");
            return;
        };
        let people = self.parts.hub.people();
        let reached = match &action {
            Action::Close(close) => people.close(&target, close),
            Action::Direct(directive) => people.direct(&target, directive),
        };
        tracing::debug!(user = %target.user, reached, ?action, "carried out an order");
    }

    fn translate(&self, order: Order) -> Option<(Target, Action)> {
        match order {
            Order::Disconnect(order) => {
                let except = order.whitelist.iter().filter_map(|client| ConnectionId::parse(client)).collect();
                let close = Close::custom(u16::try_from(order.code).ok()?, &order.reason);
                Some((Target { except, ..target(order.target?)? }, Action::Close(close)))
            }
            Order::Unsubscribe(order) => {
                let channel = ChannelName::parse(&order.channel).ok()?;
                let code = unsubscribe::SERVER;
                let directive = Directive::Unsubscribe { channel, code, reason: unsubscribe::reason(code) };
                Some((target(order.target?)?, Action::Direct(directive)))
            }
            Order::Subscribe(order) => {
                let channel = ChannelName::parse(&order.channel).ok()?;
                let expire_at = (order.expire_at > 0).then_some(order.expire_at);
                let (info, data) = (shared(order.info), shared(order.data));
                let recover =
                    order.recover.map(|since| Since { offset: since.offset, epoch: Arc::from(since.epoch.as_str()) });
                let directive = Directive::Subscribe { channel, info, data, expire_at, recover };
                Some((target(order.target?)?, Action::Direct(directive)))
            }
            Order::Refresh(order) if order.expired => {
                Some((target(order.target?)?, Action::Close(CloseCode::Expired.into())))
            }
            Order::Refresh(order) => {
                let left_ms = order.expire_at.saturating_mul(1000).saturating_sub(self.parts.clock.unix_ms());
                let ttl = (order.expire_at > 0).then(|| Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)));
                Some((target(order.target?)?, Action::Direct(Directive::Refresh { ttl })))
            }
            // Carried out before it comes here: it is about more than connections.
            Order::Revocation(_) => None,
        }
    }
}

/// Orders outlive the message they came in by a connection's life: they do not hold on to its memory.
fn shared(bytes: Bytes) -> Bytes {
    Bytes::copy_from_slice(&bytes)
}

/// None if a given id is malformed: then nobody is meant, rather than everybody.
fn target(target: fanfare_proto::envelope::Target) -> Option<Target> {
    let connection = match target.client.as_str() {
        "" => None,
        client => Some(ConnectionId::parse(client)?),
    };
    let session = match target.session.as_str() {
        "" => None,
        session => Some(SessionId::parse(session)?),
    };
    Some(Target { user: UserId::new(&target.user), connection, session, except: Vec::new() })
}
