//! The life of tokens: new ones for old ones, and the end of those that were not renewed.

use std::sync::Arc;
use std::time::Duration;

use fanfare_proto::code::{CloseCode, ErrorCode};

use super::state::{Renewal, State};
use super::{Flow, Refusal, Session};
use crate::config::section::HookChoice;
use crate::model::event::Reply;
use crate::model::{ChannelName, Renewed, Rights};

impl Session {
    pub(super) async fn refresh(&mut self, id: u32, token: &str) -> Result<(), Refusal> {
        let shared = Arc::clone(&self.shared);
        if let ("", Some(hook)) = (token, shared.hooks.refresh()) {
            let answer = self.waiting(hook.refresh(self.caller())).await?;
            return self.refreshed(id, answer);
        }
        let verified = self.shared.auth.verify_connection(token, self.shared.unix_s()).await;
        let token = verified.map_err(Self::refuse_connection_token)?;
        let insecure = self.shared.config.insecure;
        let keeps_meta = !self.shared.hooks.is_empty();
        let live = self.live()?;
        if token.user != live.user {
            // A connection never changes hands.
            return Err(CloseCode::InvalidToken.into());
        }
        let (mark, before) = (Arc::clone(&live.mark), live.mark.token());
        let fingerprint = self.shared.node.fingerprint(&token.jti, token.issued_at);
        // Set first: a revocation from now on finds the new token.
        mark.set(fingerprint);
        if let Err(refusal) = self.admit(&token.user, fingerprint) {
            mark.set(before);
            // A revocation of the one before may have looked while the other one stood here.
            return match self.admit(&token.user, before) {
                Ok(()) => Err(refusal),
                Err(Refusal::Error(ErrorCode::TokenExpired)) => Err(CloseCode::InvalidToken.into()),
                Err(worse) => Err(worse),
            };
        }
        let live = self.live()?;
        // Expiry does not count in an insecure gateway, as on connect.
        live.expires_at = token.expires_at.filter(|_| !insecure);
        live.renewal.forget_question();
        live.info = token.info;
        if keeps_meta && !token.meta.is_empty() {
            live.meta = token.meta;
        }
        live.caps = token.caps;
        self.reply(id, &Reply::Refresh { client: self.connection, ttl: self.connection_ttl() });
        self.withdraw().into_result()
    }

    /// The application's answer to a client that asks by itself.
    fn refreshed(&mut self, id: u32, answer: Renewed) -> Result<(), Refusal> {
        if let Flow::Close(close) = self.renew_connection(answer) {
            return Err(close.into());
        }
        self.reply(id, &Reply::Refresh { client: self.connection, ttl: self.connection_ttl() });
        Ok(())
    }

    pub(super) async fn sub_refresh(&mut self, id: u32, channel: &str, token: &str) -> Result<(), Refusal> {
        let channel = ChannelName::parse(channel).map_err(|_| ErrorCode::BadRequest)?;
        if !self.live()?.subscriptions.contains(&channel) {
            return Err(ErrorCode::PermissionDenied.into());
        }
        let shared = Arc::clone(&self.shared);
        let choice = &shared.node.rules().require(&channel)?.sub_refresh_hook;
        if token.is_empty() && *choice != HookChoice::Off {
            let hook = self.hook(choice)?;
            return match self.waiting(hook.sub_refresh(self.caller(), &channel)).await? {
                Renewed::Until { expires_at, .. } if expires_at.is_some_and(|at| at <= shared.unix_s()) => {
                    Err(ErrorCode::Expired.into())
                }
                Renewed::Expired => Err(ErrorCode::Expired.into()),
                answer @ (Renewed::Until { .. } | Renewed::Unknown) => {
                    self.renew_subscription(&channel, answer);
                    self.reply(id, &Reply::SubRefresh { ttl: None });
                    Ok(())
                }
            };
        }
        let token = self.verify_for(&channel, token).await?;
        let expires_at = token.expires_at;
        let fingerprint = self.fingerprint(&token);
        if let Some(subscription) = self.live()?.subscriptions.get_mut(&channel) {
            subscription.expires_at = expires_at;
            subscription.info = token.info;
            subscription.renewal.forget_question();
            subscription.token = Some(Box::new(fingerprint));
            // The token opens it now, whatever did before.
            subscription.stands_on = subscription.stands_on.without(Rights::SUBSCRIBE);
        }
        let ttl = self.subscription_ttl(&channel);
        self.reply(id, &Reply::SubRefresh { ttl });
        Ok(())
    }

    /// Ends what has not been renewed within its grace period: the connection, or single subscriptions. Where a
    /// hook decides, it is asked.
    pub fn expire(&mut self) -> Flow {
        let State::Live(live) = &self.state else { return Flow::Continue };
        let now_ms = self.shared.node.clock().unix_ms();
        let over = |expires_at: Option<i64>, renewal: Renewal, grace: Duration| {
            let (Some(at), Some(patience)) = (expires_at, renewal.patience(grace)) else { return false };
            let patience_ms = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
            now_ms >= at.saturating_mul(1000).saturating_add(patience_ms)
        };
        let grace = self.shared.config.expired_sub_close_delay;
        let expired = live.subscriptions.iter().filter(|(_, sub)| over(sub.expires_at, sub.renewal, grace));
        let (mut asks, ends): (Vec<_>, Vec<_>) = expired.partition(|(_, sub)| sub.renewal == Renewal::Hook);
        // There may be more than may be asked about at once: who has waited longest comes first.
        asks.sort_unstable_by_key(|(_, sub)| sub.expires_at);
        let asks: Vec<_> = asks.into_iter().take(live.questions_left()).map(|(channel, _)| channel.clone()).collect();
        let ends: Vec<_> = ends.into_iter().map(|(channel, _)| channel.clone()).collect();
        if over(live.expires_at, live.renewal, self.shared.config.expired_close_delay) {
            match live.renewal {
                Renewal::Client => return CloseCode::Expired.into(),
                Renewal::Hook | Renewal::Asked(_) => self.ask_to_renew_connection(),
            }
        }
        asks.into_iter().for_each(|channel| self.ask_to_renew_subscription(channel));
        for channel in ends {
            let flow = self.end_subscription(&channel);
            if flow != Flow::Continue {
                return flow;
            }
        }
        Flow::Continue
    }
}
