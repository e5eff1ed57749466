//! Whether a client asks for too much, and what it is told then: error 111 for what it may ask again later,
//! and the end of the connection if it goes on regardless.

use fanfare_proto::code::{CloseCode, ErrorCode};

use super::state::State;
use super::{Flow, Refusal, Session};
use crate::limit::{Allowance, Kind};
use crate::model::command::Ask;
use crate::model::{ChannelName, UserId};

impl Session {
    /// Takes a place among the user's connections. Whoever finds none stays away (3504): a client that came
    /// back by itself would find none again.
    pub(super) fn enter(&self, user: &UserId) -> Result<Option<Box<Allowance>>, Refusal> {
        self.shared.limits.enter(user).map_err(|over| {
            tracing::debug!(%over, user = user.as_str(), "a user has too many connections");
            CloseCode::ConnectionLimit.into()
        })
    }

    /// Spends what a command costs. Who has not connected yet spends nothing: the first command must be the
    /// right one, and how often it comes is the door's affair.
    pub(super) async fn spend_on(&mut self, ask: &Ask) -> Result<(), Refusal> {
        let kind = match ask {
            // A pong is owed, and one too many is the end.
            Ask::Pong => return Ok(()),
            Ask::Subscribe(_) => Some(Kind::Subscribe),
            Ask::Publish { .. } => Some(Kind::Publish),
            Ask::Rpc { .. } | Ask::Send { .. } => Some(Kind::Rpc),
            _ => None,
        };
        self.spend(Kind::Command).await?;
        match kind {
            Some(kind) => self.spend(kind).await,
            None => Ok(()),
        }
    }

    /// A client names a channel by itself: if nobody here listens to it, it may be an invented one, and costs
    /// this node and the broker as much as a real one.
    pub(super) async fn spend_on_name(&mut self, channel: &ChannelName) -> Result<(), Refusal> {
        if !self.shared.limits.counts(Kind::NewChannel) || self.shared.node.has_listeners(channel) {
            return Ok(());
        }
        self.spend(Kind::NewChannel).await
    }

    /// The same for one that stays open.
    pub(super) async fn open_by_name(&mut self, channel: &ChannelName) -> Result<(), Refusal> {
        if self.shared.node.has_listeners(channel) {
            return Ok(());
        }
        let channels = self.shared.node.metrics().channels.get();
        if self.shared.limits.open_channel(channels).is_err() {
            return Err(self.too_many());
        }
        self.spend(Kind::NewChannel).await
    }

    /// Answers a command that was not carried out.
    pub(super) fn turn_down(&mut self, id: u32, refusal: Refusal) -> Flow {
        match refusal {
            Refusal::Error(code) => {
                self.refuse(id, code);
                Flow::Continue
            }
            Refusal::Custom(error) => {
                self.refuse_by_application(id, &error);
                Flow::Continue
            }
            Refusal::Close(close) => Flow::Close(close),
        }
    }

    async fn spend(&mut self, kind: Kind) -> Result<(), Refusal> {
        let State::Live(live) = &mut self.state else { return Ok(()) };
        let Some(allowance) = &mut live.allowance else { return Ok(()) };
        match allowance.spend(&self.shared.limits, kind).await {
            Ok(()) => Ok(()),
            Err(over) => {
                tracing::debug!(%over, user = live.user.as_str(), "a client asks too often");
                Err(self.too_many())
            }
        }
    }

    /// Later, or not at all if it was told so too often.
    fn too_many(&mut self) -> Refusal {
        let allowance = match &mut self.state {
            State::Live(live) => live.allowance.as_mut(),
            State::Fresh | State::Refused => None,
        };
        match allowance.map(|allowance| allowance.refused(&self.shared.limits)) {
            Some(Err(_)) => CloseCode::TooManyRequests.into(),
            Some(Ok(())) | None => ErrorCode::TooManyRequests.into(),
        }
    }
}
