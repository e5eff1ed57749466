//! Orders from the node: what backends and operators decide about a client.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_proto::code::{CloseCode, unsubscribe};

use super::state::{Renewal, State, Subscription};
use super::subscribe::told;
use super::{Flow, Session};
use crate::channel::permission::{self, Decision, Grant};
use crate::model::command::Subscribe;
use crate::model::event::{Event, Push, Recovery, Standing, Subscribed};
use crate::model::{ChannelName, Directive, Retained, Rights};
use crate::presence::Departure;

impl Session {
    /// Carries out an order.
    ///
    /// # Cancel safety
    /// The session must be dropped if the future is.
    pub async fn obey(&mut self, directive: Directive) -> Flow {
        let flow = match directive {
            Directive::Unsubscribe { channel, code, reason } => self.unsubscribe_by_order(&channel, code, reason),
            Directive::Subscribe { channel, info, data, expire_at, recover } => {
                let subscription =
                    Subscription { info, server_side: true, expires_at: expire_at, ..Subscription::default() };
                let asked = Subscribe { recover, recoverable: true, ..Subscribe::default() };
                Box::pin(self.subscribe_by_order(channel, subscription, data, asked)).await
            }
            Directive::Renew { channel, question, answer } => self.renew(channel.as_ref(), question, answer),
            Directive::Recheck => self.recheck(),
            Directive::Refresh { ttl } => {
                let at = ttl
                    .map(|ttl| self.shared.unix_s().saturating_add(i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX)));
                if let State::Live(live) = &mut self.state {
                    live.expires_at = at;
                    live.renewal.forget_question();
                    // Where a hook renews, the client has nothing to do in time.
                    let ttl = ttl.filter(|_| live.renewal == Renewal::Client);
                    self.push(None, &Push::Refresh { ttl });
                }
                Flow::Continue
            }
        };
        self.arm();
        flow
    }

    pub(super) fn unsubscribe_by_order(&mut self, channel: &ChannelName, code: u32, reason: &'static str) -> Flow {
        let comes_back = code >= unsubscribe::INSUFFICIENT_STATE;
        let Ok(live) = self.live() else { return Flow::Continue };
        let server_side = live.subscriptions.get(channel).is_some_and(|subscription| subscription.server_side);
        if comes_back && server_side {
            // A client cannot subscribe again to what it has not subscribed to: it connects again.
            return CloseCode::InsufficientState.into();
        }
        let departure = if comes_back { Departure::Lost } else { Departure::Final };
        if self.part(channel, departure).unwrap_or(false) {
            self.push(Some(channel), &Push::Unsubscribe { code, reason });
        }
        Flow::Continue
    }

    async fn subscribe_by_order(
        &mut self,
        channel: ChannelName,
        subscription: Subscription,
        data: Bytes,
        asked: Subscribe,
    ) -> Flow {
        let shared = Arc::clone(&self.shared);
        let Ok(live) = self.live() else { return Flow::Continue };
        if live.subscriptions.contains(&channel) {
            return Flow::Continue;
        }
        if live.subscriptions.len() >= shared.config.channel_limit {
            return CloseCode::ChannelLimit.into();
        }
        let fits = |options| permission::carry(options, self.carries()) == Decision::Allow;
        if !shared.node.rules().options(&channel).is_some_and(fits) {
            tracing::warn!("an order to subscribe a client to a channel that it cannot have was left undone");
            return Flow::Continue;
        }
        // Known: its options were looked at.
        let renewal = self.sub_renewal(&channel).unwrap_or_default();
        let subscription = Subscription { renewal, ..subscription };
        let ttl = subscription.told_ttl(&shared);
        let (wire, name) = (Arc::clone(&self.wire), channel.clone());
        let opening = move |standing: Option<&Standing>| {
            let subscribed = Subscribed { ttl, data: data.clone(), standing: told(standing), delta: false };
            let push = Push::Subscribe(subscribed);
            let mut frames = vec![wire.encode(&Event::Push { channel: Some(&name), push: &push })];
            // The push has no room for publications: what was missed follows it.
            if let Some(Recovery::Recovered(missed)) = standing.and_then(|standing| standing.recovery.as_ref()) {
                let said = |p: &Arc<Retained>| {
                    wire.encode(&Event::Publication { channel: &name, publication: p.publication() })
                };
                frames.extend(missed.iter().map(said));
            }
            frames
        };
        // As with a token: the order opens the channel, whatever the rules are.
        let stands_on = self.stands_on(&channel, Grant::Token, &asked, subscription.overrides);
        let stands_on = stands_on.unwrap_or(Rights::NONE);
        let subscription = Subscription { stands_on, ..subscription };
        let joined = match self.joining(&channel, &subscription, &asked) {
            Ok(joining) => self.join(joining, subscription, Some(&opening)).await,
            Err(refused) => Err(refused),
        };
        if joined.is_err() {
            // Nobody waits for an answer here: the client comes back and gets its state from the token.
            return CloseCode::ServerError.into();
        }
        Flow::Continue
    }
}
