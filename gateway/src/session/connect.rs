//! The first command: who is it, and what does the server subscribe it to?

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use fanfare_proto::code::{CloseCode, ErrorCode};
use fanfare_proto::name;
use futures_util::future::try_join_all;

use super::state::{Live, Renewal, State, Subscription};
use super::subscribe::told;
use super::{Refusal, Session};
use crate::auth::{ConnectionToken, TokenError};
use crate::channel::permission::{self, Grant};
use crate::hub::{Mark, Member};
use crate::model::command::{Connect, Subscribe};
use crate::model::event::{Connected, Reply, Standing, Subscribed};
use crate::model::{ChannelName, Fingerprint, Permit, Token, UserId};

impl Session {
    pub(super) async fn connect(&mut self, id: u32, connect: Connect) -> Result<(), Refusal> {
        let done = self.try_connect(id, &connect).await;
        if let Err(Refusal::Error(_) | Refusal::Custom(_)) = done {
            self.state = State::Refused;
        }
        // Whether it was good or not, it is not needed again.
        self.header_token = Token::default();
        done
    }

    async fn try_connect(&mut self, id: u32, connect: &Connect) -> Result<(), Refusal> {
        self.keep_headers(connect);
        // Whom a hook lets in is as old as the question: what was revoked meanwhile holds.
        let asked_at = self.shared.unix_s();
        let Arrival { token, data } = self.identify(connect).await?;
        let fingerprint = self.shown(connect, &token, asked_at);
        self.admit(&token.user, fingerprint)?;
        let mark = Arc::new(Mark::new(fingerprint));
        let subs = self.server_subscriptions(&token)?;
        let kept = subs.iter().map(|(channel, sub)| Ok((channel.clone(), self.kept(channel, sub)?)));
        let subscriptions = kept.collect::<Result<_, Refusal>>()?;
        let allowance = self.enter(&token.user)?;
        // Orders reach it from now on: a ban that comes while its channels are subscribed is not missed.
        self.shared.node.enter(Member {
            connection: self.connection,
            session: self.id,
            user: token.user.clone(),
            outbox: self.outbox.clone(),
            mark: Arc::clone(&mark),
        });
        let user = token.user.clone();
        self.state = State::Live(Box::new(Live {
            user: token.user,
            info: token.info,
            expires_at: token.expires_at,
            renewal: if self.shared.hooks.refresh().is_some() { Renewal::Hook } else { Renewal::Client },
            // Nobody but hooks has a use for it.
            meta: if self.shared.hooks.is_empty() { Bytes::new() } else { token.meta },
            caps: token.caps,
            mark,
            subscriptions,
            allowance,
            questions: 0,
            seen: false,
        }));
        // Revoked or blocked just now, before revocations could find this connection: it ends as if they had.
        self.admit(&user, fingerprint).map_err(|refusal| match refusal {
            Refusal::Error(_) => CloseCode::InvalidToken.into(),
            closing => closing,
        })?;
        match self.join_all(&subs, &connect.subs).await {
            Ok(standings) => {
                self.begin_seen(&standings);
                self.welcome(id, data, subs, standings);
            }
            Err(Refusal::Error(_) | Refusal::Custom(_)) => {
                // Told as temporary, then closed so that stock clients try again.
                self.refuse(id, ErrorCode::Internal);
                return Err(CloseCode::ServerError.into());
            }
            Err(closing) => return Err(closing),
        }
        Ok(())
    }

    /// What the connection can be revoked by. One without a token was let in by other means, that were asked then.
    fn shown(&self, connect: &Connect, token: &ConnectionToken, asked_at: i64) -> Fingerprint {
        let without = connect.token.is_empty() && self.header_token.is_empty();
        let issued_at = if without { Some(asked_at) } else { token.issued_at };
        self.shared.node.fingerprint(&token.jti, issued_at)
    }

    /// Makes all server-side subscriptions at once; answers where those stand that stand somewhere.
    async fn join_all(
        &mut self,
        subs: &BTreeMap<ChannelName, Permit>,
        asked: &BTreeMap<String, Subscribe>,
    ) -> Result<BTreeMap<ChannelName, Standing>, Refusal> {
        let node = Arc::clone(&self.shared.node);
        let nothing = Subscribe::default();
        let mut joins = Vec::with_capacity(subs.len());
        for (channel, sub) in subs {
            // Deltas are for those who ask for a channel themselves: the welcome does not speak of them.
            let asked = asked.get(channel.as_str()).unwrap_or(&nothing);
            let asked = &Subscribe { delta: String::new(), ..asked.clone() };
            // As with a token: whatever let the connection in names the channel.
            let stands_on = self.stands_on(channel, Grant::Token, asked, sub.overrides)?;
            if let Some(subscription) = self.live()?.subscriptions.get_mut(channel) {
                subscription.stands_on = stands_on;
            }
            let joining = self.joining(channel, &self.kept(channel, sub)?, asked)?;
            let node = &node;
            joins.push(async move {
                node.subscribe(joining, None).await.map(|standing| Some((channel.clone(), standing?)))
            });
        }
        let standings = try_join_all(joins).await.map_err(|error| {
            tracing::debug!(%error, "could not make a client's server-side subscriptions");
            error.code()
        })?;
        for (_, standing) in standings.iter().flatten() {
            self.count_recovery(Some(standing));
        }
        Ok(standings.into_iter().flatten().collect())
    }

    fn welcome(
        &mut self,
        id: u32,
        data: Bytes,
        subs: BTreeMap<ChannelName, Permit>,
        mut standings: BTreeMap<ChannelName, Standing>,
    ) {
        let (interval, timeout) = (self.shared.config.ping_interval, self.shared.config.pong_timeout);
        self.heartbeat.begin(self.shared.now(), interval, timeout, rand::random());
        let subs = subs.into_iter().map(|(channel, sub)| {
            let standing = told(standings.remove(&channel).as_ref());
            let ttl = self.subscription_ttl(&channel);
            (channel, Subscribed { ttl, data: sub.data, standing, delta: false })
        });
        let connected = Connected {
            client: self.connection,
            version: env!("CARGO_PKG_VERSION"),
            ttl: self.connection_ttl(),
            data,
            subs: subs.collect(),
            ping_interval: interval,
            pong: true,
            session: None,
            node: self.shared.node.id(),
            time_ms: self.shared.node.clock().unix_ms(),
        };
        self.reply(id, &Reply::Connect(Box::new(connected)));
    }

    /// Who is it, by the token of the frame or of the header? Without one, by what the application says.
    async fn identify(&mut self, connect: &Connect) -> Result<Arrival, Refusal> {
        let token = match (&*connect.token, &*self.header_token) {
            (token, "") | ("", token) => token,
            (a, b) if a == b => a,
            _ => return Err(CloseCode::InvalidToken.into()),
        };
        if token.is_empty() {
            return self.identify_without_token(connect).await;
        }
        let config = &self.shared.config;
        match self.shared.auth.verify_connection(token, self.shared.unix_s()).await {
            Ok(token)
                if token.user.is_anonymous() && config.disallow_anonymous_connection_tokens && !config.insecure =>
            {
                Err(CloseCode::PermissionDenied.into())
            }
            // It must be good when it is shown, and may grow old then.
            Ok(token) if config.insecure => Ok(ConnectionToken { expires_at: None, ..token }.into()),
            Ok(token) => Ok(token.into()),
            // Nobody can be told apart in a gateway without keys, and in an insecure one nobody has to be.
            Err(TokenError::NotConfigured) if config.insecure => Ok(Arrival::default()),
            Err(error) => Err(Self::refuse_connection_token(error)),
        }
    }

    async fn identify_without_token(&mut self, connect: &Connect) -> Result<Arrival, Refusal> {
        if let Some(arrival) = self.ask_who_it_is(connect).await? {
            return Ok(arrival);
        }
        let config = &self.shared.config;
        let welcome = config.insecure || config.allow_anonymous;
        if welcome { Ok(Arrival::default()) } else { Err(CloseCode::BadRequest.into()) }
    }

    pub(super) fn refuse_connection_token(error: TokenError) -> Refusal {
        tracing::debug!(%error, "refused a connection token");
        match error {
            TokenError::Expired => ErrorCode::TokenExpired.into(),
            TokenError::Unavailable => ErrorCode::Internal.into(),
            TokenError::Invalid(_) | TokenError::NotConfigured => CloseCode::InvalidToken.into(),
        }
    }

    /// The channels that the token, or the application in its place, names and the user's own one, checked.
    fn server_subscriptions(&self, token: &ConnectionToken) -> Result<BTreeMap<ChannelName, Permit>, Refusal> {
        let mut subs = token.subs.clone();
        if let Some(channel) = self.personal_channel(&token.user) {
            subs.entry(channel).or_default();
        }
        if subs.len() > self.shared.config.channel_limit {
            return Err(CloseCode::ChannelLimit.into());
        }
        for channel in subs.keys() {
            let options = self.shared.node.rules().require(channel)?;
            permission::carry(options, self.carries()).into_result()?;
        }
        Ok(subs)
    }

    /// What is kept of a server-side subscription.
    fn kept(&self, channel: &ChannelName, sub: &Permit) -> Result<Subscription, Refusal> {
        Ok(Subscription {
            info: sub.info.clone(),
            server_side: true,
            expires_at: sub.expires_at,
            renewal: self.sub_renewal(channel)?,
            overrides: sub.overrides,
            ..Subscription::default()
        })
    }

    /// None for anonymous clients, and for a user whose id makes no channel of their own: no name at all
    /// (spaces), one in another namespace (`:`), or one that lists other users (`,` and `#`). Such a user
    /// connects as before and has no personal channel.
    fn personal_channel(&self, user: &UserId) -> Option<ChannelName> {
        let personal = &self.shared.config.subscribe_to_user_personal_channel;
        if !personal.enabled || user.is_anonymous() {
            return None;
        }
        let own = ChannelName::parse(&personal.name(user.as_str())).ok().filter(|channel| {
            name::namespace(channel.as_str()) == personal.namespace.as_deref() && !user.as_str().contains([',', '#'])
        });
        if own.is_none() {
            tracing::debug!("a user's id makes no personal channel");
        }
        own
    }
}

/// Somebody who may come in, and what the application has for them.
#[derive(Debug, Default)]
pub(super) struct Arrival {
    pub(super) token: ConnectionToken,
    pub(super) data: Bytes,
}

impl From<ConnectionToken> for Arrival {
    fn from(token: ConnectionToken) -> Self {
        Self { token, data: Bytes::new() }
    }
}
