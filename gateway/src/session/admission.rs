//! Whether somebody is still let in: at the door, and whenever a token is shown.

use fanfare_proto::code::{CloseCode, ErrorCode, unsubscribe};

use super::state::State;
use super::{Flow, Refusal, Session};
use crate::model::event::Push;
use crate::model::{ChannelName, Fingerprint, Rights, UserId};
use crate::node::Verdict;
use crate::presence::Departure;

impl Session {
    /// A token that is good no longer is as one that has expired: whoever may have another brings it. A node
    /// that does not know yet says so; the client tries again.
    pub(super) fn admit(&self, user: &UserId, token: Fingerprint) -> Result<(), Refusal> {
        match self.shared.node.verdict(user, token) {
            Verdict::Good => Ok(()),
            Verdict::Revoked => Err(ErrorCode::TokenExpired.into()),
            Verdict::Blocked => Err(CloseCode::ForceDisconnect.into()),
            Verdict::Unknown => Err(ErrorCode::Internal.into()),
        }
    }

    /// Ends subscriptions whose tokens are good no longer; clients bring others, if they are given any.
    pub(super) fn recheck(&mut self) -> Flow {
        let State::Live(live) = &self.state else { return Flow::Continue };
        let node = &self.shared.node;
        let revoked = |token: &Fingerprint| node.verdict(&live.user, *token) == Verdict::Revoked;
        let over = live.subscriptions.iter().filter(|(_, held)| held.token.as_deref().is_some_and(revoked));
        let over: Vec<ChannelName> = over.map(|(channel, _)| channel.clone()).collect();
        for channel in over {
            // The state is live: looked at above.
            let _ = self.part(&channel, Departure::Lost);
            let reason = unsubscribe::reason(unsubscribe::EXPIRED);
            self.push(Some(&channel), &Push::Unsubscribe { code: unsubscribe::EXPIRED, reason });
        }
        Flow::Continue
    }

    /// Ends what stood on capabilities that the connection no longer has: for good where it may not
    /// subscribe any more, and so that the client subscribes again where it may, and gets less.
    pub(super) fn withdraw(&mut self) -> Flow {
        let State::Live(live) = &self.state else { return Flow::Continue };
        let shaken = live.subscriptions.iter().filter(|(_, held)| held.stands_on != Rights::NONE);
        let lost = shaken.filter_map(|(channel, held)| {
            let lost = held.stands_on.without(live.rights_on(channel));
            (lost != Rights::NONE).then(|| (channel.clone(), lost))
        });
        for (channel, lost) in lost.collect::<Vec<_>>() {
            let ended = lost.include(Rights::SUBSCRIBE);
            let code = if ended { unsubscribe::SERVER } else { unsubscribe::INSUFFICIENT_STATE };
            tracing::debug!(%channel, ?lost, code, "ended a subscription: its connection may no longer do what it stood on");
            if let Flow::Close(close) = self.unsubscribe_by_order(&channel, code, unsubscribe::reason(code)) {
                return Flow::Close(close);
            }
        }
        Flow::Continue
    }
}
