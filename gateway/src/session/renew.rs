//! What has expired goes on if the application says so: hooks are asked when the time has come, without the client's
//! doing, and without a command that waits. The answer comes back as an order to the session.

use std::sync::Arc;
use std::time::Duration;

use fanfare_proto::code::{CloseCode, unsubscribe};

use super::state::{Renewal, State};
use super::{Flow, Refusal, Session};
use crate::backend::{BoxFuture, HookError};
use crate::config::section::HookChoice;
use crate::model::event::Push;
use crate::model::{ChannelName, Directive, Renewed};
use crate::presence::Departure;

/// When a hook is asked again that had no answer: as long a connection outlives its expiry at a time. Long enough
/// that a backend which comes back is not met by everybody at once, the more so as it is spread.
const AGAIN: Duration = Duration::from_secs(60);

impl Session {
    /// Who sees to it that a subscription to a channel goes on.
    pub(super) fn sub_renewal(&self, channel: &ChannelName) -> Result<Renewal, Refusal> {
        let options = self.shared.node.rules().require(channel)?;
        Ok(if options.sub_refresh_hook == HookChoice::Off { Renewal::Client } else { Renewal::Hook })
    }

    /// How long the connection is good for, as far as the client has to do with it.
    pub(super) fn connection_ttl(&self) -> Option<Duration> {
        let State::Live(live) = &self.state else { return None };
        live.renewal.told_ttl(live.expires_at, &self.shared)
    }

    /// The same of a subscription.
    pub(super) fn subscription_ttl(&self, channel: &ChannelName) -> Option<Duration> {
        let State::Live(live) = &self.state else { return None };
        live.subscriptions.get(channel)?.told_ttl(&self.shared)
    }

    /// Asks whether the connection may go on.
    pub(super) fn ask_to_renew_connection(&mut self) {
        let Some(hook) = self.shared.hooks.refresh().cloned() else { return };
        let caller = self.caller();
        let State::Live(live) = &mut self.state else { return };
        let question = live.next_question();
        live.renewal = Renewal::Asked(question);
        self.ask_later(None, question, Box::pin(async move { hook.refresh(caller).await }));
    }

    /// Asks whether a subscription may go on.
    pub(super) fn ask_to_renew_subscription(&mut self, channel: ChannelName) {
        let shared = Arc::clone(&self.shared);
        let options = shared.node.rules().options(&channel);
        let hook = options.and_then(|options| self.hook(&options.sub_refresh_hook).ok());
        let caller = self.caller();
        let State::Live(live) = &mut self.state else { return };
        let question = live.next_question();
        let (Some(hook), Some(subscription)) = (hook, live.subscriptions.get_mut(&channel)) else { return };
        subscription.renewal = Renewal::Asked(question);
        let about = channel.clone();
        self.ask_later(Some(channel), question, Box::pin(async move { hook.sub_refresh(caller, &about).await }));
    }

    fn ask_later(
        &self,
        channel: Option<ChannelName>,
        question: u32,
        asked: BoxFuture<'static, Result<Renewed, HookError>>,
    ) {
        let outbox = self.outbox.clone();
        let Some(tasks) = &self.shared.tasks else { return };
        tasks.spawn("renewal", async move {
            let answer = match asked.await {
                Ok(answer) => answer,
                Err(HookError::Closed(close)) => return outbox.close(close),
                // A refusal that is not for good is as no answer.
                Err(HookError::Refused(error)) if !error.temporary => Renewed::Expired,
                Err(HookError::Refused(_) | HookError::NotJson | HookError::Failed) => Renewed::Unknown,
            };
            // A session that has ended needs no answer.
            let _ = outbox.direct(Directive::Renew { channel, question, answer });
        });
    }

    /// The answer to a question about the connection, or about a subscription.
    pub(super) fn renew(&mut self, channel: Option<&ChannelName>, question: u32, answer: Renewed) -> Flow {
        let State::Live(live) = &self.state else { return Flow::Continue };
        let renewal = match channel {
            None => Some(live.renewal),
            Some(channel) => live.subscriptions.get(channel).map(|subscription| subscription.renewal),
        };
        match channel {
            // It was about something that has been renewed or left since.
            _ if renewal != Some(Renewal::Asked(question)) => Flow::Continue,
            None => self.renew_connection(answer),
            Some(channel) => self.renew_subscription(channel, answer),
        }
    }

    pub(super) fn renew_connection(&mut self, answer: Renewed) -> Flow {
        let (now, again) = (self.shared.unix_s(), self.again());
        let State::Live(live) = &mut self.state else { return Flow::Continue };
        live.renewal = Renewal::Hook;
        match answer {
            Renewed::Until { expires_at, info, meta, caps } if expires_at.is_none_or(|at| at > now) => {
                live.expires_at = expires_at;
                if !info.is_empty() {
                    live.info = info;
                }
                if !meta.is_empty() {
                    live.meta = meta;
                }
                if caps.is_none() {
                    return Flow::Continue;
                }
                live.caps = caps;
                self.withdraw()
            }
            Renewed::Until { .. } | Renewed::Expired => CloseCode::Expired.into(),
            Renewed::Unknown => {
                live.expires_at = Some(again);
                Flow::Continue
            }
        }
    }

    pub(super) fn renew_subscription(&mut self, channel: &ChannelName, answer: Renewed) -> Flow {
        let (now, again) = (self.shared.unix_s(), self.again());
        let State::Live(live) = &mut self.state else { return Flow::Continue };
        // It may have been left meanwhile.
        let Some(subscription) = live.subscriptions.get_mut(channel) else { return Flow::Continue };
        subscription.renewal = Renewal::Hook;
        match answer {
            Renewed::Until { expires_at, info, .. } if expires_at.is_none_or(|at| at > now) => {
                subscription.expires_at = expires_at;
                if !info.is_empty() {
                    subscription.info = info;
                }
                Flow::Continue
            }
            Renewed::Until { .. } | Renewed::Expired => self.end_subscription(channel),
            Renewed::Unknown => {
                subscription.expires_at = Some(again);
                Flow::Continue
            }
        }
    }

    /// A subscription has expired for good.
    pub(super) fn end_subscription(&mut self, channel: &ChannelName) -> Flow {
        let State::Live(live) = &self.state else { return Flow::Continue };
        if live.subscriptions.get(channel).is_some_and(|subscription| subscription.server_side) {
            return CloseCode::SubscriptionExpired.into();
        }
        // The state is live: looked at above.
        let _ = self.part(channel, Departure::Lost);
        let reason = unsubscribe::reason(unsubscribe::EXPIRED);
        self.push(Some(channel), &Push::Unsubscribe { code: unsubscribe::EXPIRED, reason });
        Flow::Continue
    }

    /// In seconds since 1970.
    fn again(&self) -> i64 {
        let wait = AGAIN.mul_f64(rand::random_range(1.0..=1.25));
        self.shared.unix_s().saturating_add(i64::try_from(wait.as_secs()).unwrap_or(i64::MAX))
    }
}
