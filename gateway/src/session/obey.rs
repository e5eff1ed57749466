//! Orders from the node: what backends and operators decide about a client.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_proto::code::CloseCode;

use super::state::{State, Subscription};
use super::{Flow, Session};
use crate::channel::permission::{self, Decision};
use crate::model::event::{Event, Push, Subscribed};
use crate::model::{ChannelName, Directive};

impl Session {
    /// Carries out an order.
    ///
    /// # Cancel safety
    /// The session must be dropped if the future is.
    pub async fn obey(&mut self, directive: Directive) -> Flow {
        let flow = match directive {
            Directive::Unsubscribe { channel, code, reason } => {
                if self.part(&channel).unwrap_or(false) {
                    self.push(Some(&channel), &Push::Unsubscribe { code, reason });
                }
                Flow::Continue
            }
            Directive::Subscribe { channel, info, data, expire_at, recover: _ } => {
                Box::pin(self.subscribe_by_order(channel, info, data, expire_at)).await
            }
            Directive::Refresh { ttl } => {
                let at = ttl
                    .map(|ttl| self.shared.unix_s().saturating_add(i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX)));
                if let State::Live(live) = &mut self.state {
                    live.expires_at = at;
                    self.push(None, &Push::Refresh { ttl });
                }
                Flow::Continue
            }
        };
        self.arm();
        flow
    }

    async fn subscribe_by_order(
        &mut self,
        channel: ChannelName,
        info: Bytes,
        data: Bytes,
        expires_at: Option<i64>,
    ) -> Flow {
        let shared = Arc::clone(&self.shared);
        let Ok(live) = self.live() else { return Flow::Continue };
        if live.subscriptions.contains_key(&channel) {
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
        let ttl = expires_at.map(|expires_at| shared.until(expires_at));
        let push = Push::Subscribe(Subscribed { ttl, data, ..Subscribed::default() });
        let opening = self.wire.encode(&Event::Push { channel: Some(&channel), push: &push });
        if let Err(error) = shared.node.subscribe(&channel, self.connection, self.subscriber(), Some(opening)).await {
            // Nobody waits for an answer here: the client comes back and gets its state from the token.
            tracing::debug!(%error, "could not carry out an order to subscribe");
            return CloseCode::ServerError.into();
        }
        if let Ok(live) = self.live() {
            live.subscriptions.insert(channel, Subscription { info, server_side: true, expires_at });
        }
        Flow::Continue
    }
}
