//! A client wants a channel.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_proto::code::{CloseCode, ErrorCode};

use super::state::Subscription;
use super::{Refusal, Session};
use crate::auth::{SubscriptionToken, TokenError};
use crate::channel::permission::{self, Asker, Grant};
use crate::model::ChannelName;
use crate::model::command::Subscribe;
use crate::model::event::{Event, Reply, Subscribed};

impl Session {
    pub(super) async fn subscribe(&mut self, id: u32, subscribe: Subscribe) -> Result<(), Refusal> {
        let channel = ChannelName::parse(&subscribe.channel).map_err(|_| ErrorCode::BadRequest)?;
        let limit = self.shared.config.channel_limit;
        let live = self.live()?;
        if live.subscriptions.contains_key(&channel) {
            return Err(ErrorCode::AlreadySubscribed.into());
        }
        if live.subscriptions.len() >= limit {
            return Err(ErrorCode::LimitExceeded.into());
        }
        let token = match subscribe.token.as_str() {
            "" => None,
            token => Some(self.verify_for(&channel, token).await?),
        };
        self.permit(&channel, if token.is_some() { Grant::Token } else { Grant::None })?;
        let expires_at = token.as_ref().and_then(|token| token.expires_at);
        let (info, data) = token.map(|token| (token.info, token.data)).unwrap_or_default();
        self.join(id, channel, Subscription { info, server_side: false, expires_at }, data).await
    }

    /// May this client have this channel, as the rules are?
    fn permit(&mut self, channel: &ChannelName, grant: Grant) -> Result<(), Refusal> {
        let shared = Arc::clone(&self.shared);
        let options = shared.node.rules().require(channel)?;
        let carries = self.carries();
        let asker = Asker { user: &self.live()?.user, trust: shared.trust() };
        permission::subscribe(asker, channel, options, grant).into_result()?;
        permission::carry(options, carries).into_result()?;
        Ok(())
    }

    async fn join(
        &mut self,
        id: u32,
        channel: ChannelName,
        subscription: Subscription,
        data: Bytes,
    ) -> Result<(), Refusal> {
        let ttl = subscription.expires_at.map(|expires_at| self.shared.until(expires_at));
        let reply = Reply::Subscribe(Subscribed { ttl, data, ..Subscribed::default() });
        let opening = self.wire.encode(&Event::Reply { id, reply: &reply });
        let node = Arc::clone(&self.shared.node);
        node.subscribe(&channel, self.connection, self.subscriber(), Some(opening)).await.map_err(|error| {
            tracing::debug!(%error, "could not subscribe a client");
            error.code()
        })?;
        self.live()?.subscriptions.insert(channel, subscription);
        Ok(())
    }

    /// Is the token good, and about this user, this channel, this connection?
    pub(super) async fn verify_for(
        &mut self,
        channel: &ChannelName,
        token: &str,
    ) -> Result<SubscriptionToken, Refusal> {
        let verified = self.shared.auth.verify_subscription(token, self.shared.unix_s()).await;
        let connection = self.connection;
        let token = verified.map_err(|error| match error {
            TokenError::Expired => ErrorCode::TokenExpired,
            TokenError::Unavailable => ErrorCode::Internal,
            TokenError::Invalid(_) | TokenError::NotConfigured => ErrorCode::PermissionDenied,
        })?;
        let other_client = token.client.as_ref().is_some_and(|client| *client != connection.to_string());
        if token.user != self.live()?.user || token.channel != channel.as_str() || other_client {
            // Well signed, but for somebody or something else: the application mixes its clients up.
            return Err(CloseCode::InvalidToken.into());
        }
        Ok(token)
    }
}
