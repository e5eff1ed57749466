//! A client no longer wants a channel.

use fanfare_proto::code::ErrorCode;

use super::{Refusal, Session};
use crate::model::ChannelName;
use crate::model::event::Reply;
use crate::presence::Departure;

impl Session {
    /// Leaving a channel that is not held is a success: clients use it after errors, and to time the
    /// round trip.
    pub(super) fn unsubscribe(&mut self, id: u32, channel: &str) -> Result<(), Refusal> {
        let channel = ChannelName::parse(channel).map_err(|_| ErrorCode::BadRequest)?;
        self.part(&channel, Departure::Final)?;
        self.reply(id, &Reply::Unsubscribe);
        Ok(())
    }

    /// Leaves a channel; true if it was held.
    pub(super) fn part(&mut self, channel: &ChannelName, departure: Departure) -> Result<bool, Refusal> {
        let Some(held) = self.live()?.subscriptions.remove(channel) else { return Ok(false) };
        self.shared.node.unsubscribe(channel, self.connection, departure, held.overrides);
        if held.seen {
            self.unsubscribe_seen(channel);
        }
        Ok(true)
    }
}
