//! A client wants a channel.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_proto::code::{CloseCode, ErrorCode};

use super::state::Subscription;
use super::{Refusal, Session};
use crate::auth::{SubscriptionToken, TokenError};
use crate::channel::overridden;
use crate::channel::permission::{self, Grant, Granted};
use crate::hub::{Subscriber, Wants};
use crate::model::command::Subscribe;
use crate::model::event::{Event, Recovery, Reply, Standing, Subscribed};
use crate::model::{ChannelName, ClientInfo, Fingerprint, Overrides, Permit, Rights};
use crate::node::{Joining, Opening};
use crate::presence::Entry;
use crate::telemetry::metrics::OutcomeLabel;

impl Session {
    pub(super) async fn subscribe(&mut self, id: u32, subscribe: Subscribe) -> Result<(), Refusal> {
        let channel = ChannelName::parse(&subscribe.channel).map_err(|_| ErrorCode::BadRequest)?;
        let limit = self.shared.config.channel_limit;
        let live = self.live()?;
        if live.subscriptions.contains(&channel) {
            return Err(ErrorCode::AlreadySubscribed.into());
        }
        if live.subscriptions.len() >= limit {
            return Err(ErrorCode::LimitExceeded.into());
        }
        let token = match &*subscribe.token {
            "" => None,
            token => Some(self.verify_for(&channel, token).await?),
        };
        let fingerprint = token.as_ref().map(|token| Box::new(self.fingerprint(token)));
        let (grant, permit) = match token {
            Some(SubscriptionToken { info, data, overrides, expires_at, .. }) => {
                (Grant::Token, Permit { info, data, overrides, expires_at })
            }
            None => match self.ask_for_channel(&channel, &subscribe.data).await? {
                Some(permit) => (Grant::Hook, permit),
                None => (Grant::None, Permit::default()),
            },
        };
        self.permit(&channel, grant)?;
        let Permit { info, data, overrides, expires_at } = permit;
        let stands_on = self.stands_on(&channel, grant, &subscribe, overrides)?;
        if grant != Grant::Token {
            self.open_by_name(&channel).await?;
        }
        let renewal = self.sub_renewal(&channel)?;
        let wire = Arc::clone(&self.wire);
        let subscription = Subscription {
            info,
            expires_at,
            renewal,
            overrides,
            stands_on,
            token: fingerprint,
            ..Subscription::default()
        };
        let ttl = subscription.told_ttl(&self.shared);
        let joining = self.joining(&channel, &subscription, &subscribe)?;
        let delta = joining.subscriber.wants.delta;
        let opening = move |standing: Option<&Standing>| {
            let subscribed = Subscribed { ttl, data: data.clone(), standing: told(standing), delta };
            vec![wire.encode(&Event::Reply { id, reply: &Reply::Subscribe(subscribed) })]
        };
        self.join(joining, subscription, Some(&opening)).await
    }

    /// May this client have this channel, as the rules are?
    fn permit(&mut self, channel: &ChannelName, grant: Grant) -> Result<(), Refusal> {
        let shared = Arc::clone(&self.shared);
        let options = shared.node.rules().require(channel)?;
        let carries = self.carries();
        let asker = self.live()?.asker(&shared, channel);
        permission::subscribe(asker, channel, options, grant).into_result()?;
        permission::carry(options, carries).into_result()?;
        Ok(())
    }

    /// Which capabilities a subscription that is permitted would not be there without, or not as it is.
    pub(super) fn stands_on(
        &mut self,
        channel: &ChannelName,
        grant: Grant,
        asked: &Subscribe,
        overrides: Overrides,
    ) -> Result<Rights, Refusal> {
        let shared = Arc::clone(&self.shared);
        let options = overridden(shared.node.rules().require(channel)?, overrides);
        let asker = self.live()?.asker(&shared, channel);
        Ok(permission::stands_on(asker, channel, &options, grant, asked))
    }

    /// What a subscription token can be revoked by.
    pub(super) fn fingerprint(&self, token: &SubscriptionToken) -> Fingerprint {
        self.shared.node.fingerprint(&token.jti, token.issued_at)
    }

    /// Makes a subscription that is permitted.
    pub(super) async fn join(
        &mut self,
        joining: Joining<'_>,
        subscription: Subscription,
        opening: Option<Opening<'_>>,
    ) -> Result<(), Refusal> {
        let channel = joining.channel;
        let node = Arc::clone(&self.shared.node);
        // Noted before the node is asked: if the connection ends meanwhile, what was begun is given back.
        self.live()?.subscriptions.insert(channel.clone(), subscription);
        match node.subscribe(joining, opening).await {
            Ok(standing) => {
                self.count_recovery(standing.as_ref());
                self.subscribe_seen(channel, standing.as_ref());
            }
            Err(error) => {
                tracing::debug!(%error, "could not subscribe a client");
                self.live()?.subscriptions.remove(channel);
                return Err(error.code().into());
            }
        }
        Ok(())
    }

    /// What the node is asked for.
    pub(super) fn joining<'a>(
        &mut self,
        channel: &'a ChannelName,
        subscription: &Subscription,
        asked: &Subscribe,
    ) -> Result<Joining<'a>, Refusal> {
        let shared = Arc::clone(&self.shared);
        let options = overridden(shared.node.rules().require(channel)?, subscription.overrides);
        let asker = self.live()?.asker(&shared, channel);
        let Granted { positioned, recoverable, join_leave, delta } = permission::claims(asker, &options, asked);
        // By what the application says of it alone it may watch a channel on which only others are told, by theirs.
        let join_leave = join_leave || subscription.overrides.force_push_join_leave == Some(true);
        let info = self.info(&subscription.info)?;
        let entry = Entry { client: self.connection, info, told: options.join_leave, leave_delay: options.leave_delay };
        Ok(Joining {
            channel,
            connection: self.connection,
            subscriber: Subscriber {
                outbox: self.outbox.clone(),
                wire: self.wire.key(),
                wants: Wants { join_leave, positioned, delta },
                ahead: 0,
                base: 0,
            },
            recoverable,
            recover: asked.recover.clone().filter(|_| recoverable),
            reject_unrecovered: asked.reject_unrecovered,
            entry: options.presence.then_some(entry),
        })
    }

    /// How others see this client on a channel.
    pub(super) fn info(&mut self, channel_info: &Bytes) -> Result<ClientInfo, Refusal> {
        let client = self.connection.to_string().into();
        let live = self.live()?;
        let (user, connection_info) = (live.user.clone(), live.info.clone());
        Ok(ClientInfo { user, client, connection_info, channel_info: channel_info.clone() })
    }

    pub(super) fn count_recovery(&self, standing: Option<&Standing>) {
        let Some(recovery) = standing.and_then(|standing| standing.recovery.as_ref()) else { return };
        let metrics = self.shared.node.metrics();
        let outcome = match recovery {
            Recovery::Unrecovered => "unrecovered",
            Recovery::Recovered(missed) if missed.is_empty() => "empty",
            Recovery::Recovered(missed) => {
                metrics.recovered_publications.inc_by(missed.len() as u64);
                "recovered"
            }
        };
        metrics.recoveries.get_or_create(&OutcomeLabel { outcome }).inc();
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
        let fingerprint = self.fingerprint(&token);
        let live = self.live()?;
        // Noted first: a revocation from now on asks this session, too.
        live.mark.note_more();
        let user = live.user.clone();
        self.admit(&user, fingerprint)?;
        Ok(token)
    }
}

/// Where a subscription stands, for clients that have to do with it.
pub(super) fn told(standing: Option<&Standing>) -> Option<Standing> {
    standing.filter(|standing| standing.positioned || standing.recoverable).cloned()
}
