//! The application is asked: about whom, what its answers mean to the session, and how long the client hears nothing
//! meanwhile.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use fanfare_proto::code::ErrorCode;

use super::connect::Arrival;
use super::state::State;
use super::{Refusal, Session, heartbeat};
use crate::auth::ConnectionToken;
use crate::backend::{Backend, Brought, Caller, Hello, HookError, Identity};
use crate::channel::permission;
use crate::config::section::HookChoice;
use crate::model::command::Connect;
use crate::model::event::Event;
use crate::model::{ChannelName, Permit, UserId};

impl Session {
    /// Who is it, who shows no token? None if nobody is asked, or the application does not know them.
    pub(super) async fn ask_who_it_is(&mut self, connect: &Connect) -> Result<Option<Arrival>, Refusal> {
        let shared = Arc::clone(&self.shared);
        let Some(hook) = shared.hooks.connect() else { return Ok(None) };
        let hello = Hello { data: &connect.data, name: &connect.name, version: &connect.version };
        let identity = self.waiting(hook.connect(self.caller(), hello)).await?;
        let Some(identity) = identity else { return Ok(None) };
        self.not_expired(identity.expires_at)?;
        identity.subs.values().try_for_each(|sub| self.not_expired(sub.expires_at))?;
        Ok(Some(identity.into()))
    }

    /// May they have the channel, as far as a hook decides? None if it does not.
    pub(super) async fn ask_for_channel(
        &mut self,
        channel: &ChannelName,
        data: &Bytes,
    ) -> Result<Option<Permit>, Refusal> {
        let shared = Arc::clone(&self.shared);
        let options = shared.node.rules().require(channel)?;
        let asker = self.live()?.asker(&shared, channel);
        if !permission::leaves_it_to_hook(asker, channel, options) {
            return Ok(None);
        }
        // Cheap to ask now, and nobody else is asked in vain.
        permission::carry(options, self.carries()).into_result()?;
        let hook = self.hook(&options.subscribe_hook)?;
        let permit = self.waiting(hook.subscribe(self.caller(), channel, data.clone())).await?;
        self.not_expired(permit.expires_at)?;
        Ok(Some(permit))
    }

    /// The hook that a channel's rules choose.
    pub(super) fn hook(&self, choice: &HookChoice) -> Result<Arc<dyn Backend>, Refusal> {
        let HookChoice::Named(name) = choice else { return Err(ErrorCode::NotAvailable.into()) };
        // The configuration's check has seen to it that it exists.
        self.shared.hooks.named(name).cloned().ok_or_else(|| ErrorCode::NotAvailable.into())
    }

    /// About whom the application is asked.
    pub(super) fn caller(&self) -> Caller {
        let (user, meta) = match &self.state {
            State::Live(live) => (live.user.clone(), live.meta.clone()),
            State::Fresh | State::Refused => (UserId::default(), Bytes::new()),
        };
        Caller { client: self.connection, user, wire: self.wire.key(), brought: self.brought.clone(), meta }
    }

    /// Keeps of the client's own headers those that some hook wants.
    pub(super) fn keep_headers(&mut self, connect: &Connect) {
        let wanted = self.shared.hooks.client_headers();
        if wanted.is_empty() {
            return;
        }
        let client = connect.headers.clone().pick(wanted);
        if !client.is_empty() {
            let brought = self.brought.as_deref().cloned().unwrap_or_default();
            self.brought = Some(Arc::new(Brought { client, ..brought }));
        }
    }

    /// Waits for the application. Pings go on: a client must not take a slow backend for a dead gateway. Whether it
    /// answers them is looked at later, because what it sends now is not read yet.
    pub(super) async fn waiting<T>(
        &mut self,
        question: impl Future<Output = Result<T, HookError>>,
    ) -> Result<T, Refusal> {
        let mut question = pin!(question);
        loop {
            let Some(ping_at) = self.heartbeat.ping_at() else { return Ok(question.await?) };
            let left = ping_at.saturating_sub(self.shared.now());
            tokio::select! {
                answer = &mut question => return Ok(answer?),
                () = tokio::time::sleep(left) => {
                    if self.heartbeat.due(self.shared.now()) == heartbeat::Due::Ping {
                        self.tell(&Event::Ping);
                    }
                }
            }
        }
    }

    /// What begins over is refused: the application's clock or ours is wrong.
    fn not_expired(&self, expires_at: Option<i64>) -> Result<(), Refusal> {
        let over = expires_at.is_some_and(|expires_at| expires_at <= self.shared.unix_s());
        if over { Err(ErrorCode::Expired.into()) } else { Ok(()) }
    }
}

impl From<HookError> for Refusal {
    fn from(error: HookError) -> Self {
        match error {
            HookError::Refused(error) => Self::Custom(error),
            HookError::Closed(close) => Self::Close(close),
            HookError::NotJson => Self::Error(ErrorCode::BadRequest),
            HookError::Failed => Self::Error(ErrorCode::Internal),
        }
    }
}

impl From<Identity> for Arrival {
    fn from(identity: Identity) -> Self {
        let Identity { user, info, expires_at, data, subs, meta, caps } = identity;
        let token = ConnectionToken { user, info, expires_at, subs, meta, caps, ..ConnectionToken::default() };
        Self { token, data }
    }
}
