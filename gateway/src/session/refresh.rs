//! The life of tokens: new ones for old ones, and the end of those that were not renewed.

use std::sync::Arc;

use fanfare_proto::code::{CloseCode, ErrorCode, unsubscribe};

use super::state::State;
use super::{Flow, Refusal, Session};
use crate::model::event::{Push, Reply};
use crate::model::{ChannelName, Rights};
use crate::presence::Departure;

impl Session {
    pub(super) async fn refresh(&mut self, id: u32, token: &str) -> Result<(), Refusal> {
        let verified = self.shared.auth.verify_connection(token, self.shared.unix_s()).await;
        let token = verified.map_err(Self::refuse_connection_token)?;
        let insecure = self.shared.config.insecure;
        let live = self.live()?;
        if token.user != live.user {
            // A connection never changes hands.
            return Err(CloseCode::InvalidToken.into());
        }
        let (mark, before) = (Arc::clone(&live.mark), live.mark.token());
        let fingerprint = self.shared.node.fingerprint(&token.jti, token.issued_at);
        // Set first: a revocation from now on finds the new token.
        mark.set(fingerprint);
        self.admit(&token.user, fingerprint).inspect_err(|_| mark.set(before))?;
        let live = self.live()?;
        // Expiry does not count in an insecure gateway, as on connect.
        live.expires_at = token.expires_at.filter(|_| !insecure);
        live.info = token.info;
        live.caps = token.caps;
        let expires_at = live.expires_at;
        let ttl = expires_at.map(|expires_at| self.shared.until(expires_at));
        self.reply(id, &Reply::Refresh { client: self.connection, ttl });
        self.withdraw().into_result()
    }

    pub(super) async fn sub_refresh(&mut self, id: u32, channel: &str, token: &str) -> Result<(), Refusal> {
        let channel = ChannelName::parse(channel).map_err(|_| ErrorCode::BadRequest)?;
        if !self.live()?.subscriptions.contains(&channel) {
            return Err(ErrorCode::PermissionDenied.into());
        }
        let token = self.verify_for(&channel, token).await?;
        let expires_at = token.expires_at;
        let fingerprint = self.fingerprint(&token);
        if let Some(subscription) = self.live()?.subscriptions.get_mut(&channel) {
            subscription.expires_at = expires_at;
            subscription.info = token.info;
            subscription.token = Some(Box::new(fingerprint));
            // The token opens it now, whatever did before.
            subscription.stands_on = subscription.stands_on.without(Rights::SUBSCRIBE);
        }
        let ttl = expires_at.map(|expires_at| self.shared.until(expires_at));
        self.reply(id, &Reply::SubRefresh { ttl });
        Ok(())
    }

    /// Ends what has not been renewed within its grace period: the connection, or single subscriptions.
    pub(super) fn expire(&mut self) -> Flow {
        let State::Live(live) = &self.state else { return Flow::Continue };
        let now_ms = self.shared.node.clock().unix_ms();
        let over = |expires_at: Option<i64>, grace: std::time::Duration| {
            let grace_ms = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
            expires_at.is_some_and(|at| now_ms >= at.saturating_mul(1000).saturating_add(grace_ms))
        };
        if over(live.expires_at, self.shared.config.expired_close_delay) {
            return CloseCode::Expired.into();
        }
        let grace = self.shared.config.expired_sub_close_delay;
        let expired = live.subscriptions.iter().filter(|(_, subscription)| over(subscription.expires_at, grace));
        let expired: Vec<_> =
            expired.map(|(channel, subscription)| (channel.clone(), subscription.server_side)).collect();
        for (channel, server_side) in expired {
            if server_side {
                return CloseCode::SubscriptionExpired.into();
            }
            // The state is live: looked at above.
            let _ = self.part(&channel, Departure::Lost);
            let reason = unsubscribe::reason(unsubscribe::EXPIRED);
            self.push(Some(&channel), &Push::Unsubscribe { code: unsubscribe::EXPIRED, reason });
        }
        Flow::Continue
    }
}
