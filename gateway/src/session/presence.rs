//! A client asks who is on a channel.

use std::sync::Arc;

use fanfare_proto::code::ErrorCode;

use super::{Refusal, Session};
use crate::channel::permission::{self, Standing};
use crate::model::ChannelName;
use crate::model::event::Reply;

impl Session {
    pub(super) async fn presence(&mut self, id: u32, channel: &str) -> Result<(), Refusal> {
        let channel = self.may_see(channel)?;
        let members = self.shared.node.presence(&channel).await.map_err(|error| {
            tracing::debug!(%error, "no presence for a client");
            error.code()
        })?;
        self.reply(id, &Reply::Presence(members));
        Ok(())
    }

    pub(super) async fn presence_stats(&mut self, id: u32, channel: &str) -> Result<(), Refusal> {
        let channel = self.may_see(channel)?;
        let stats = self.shared.node.presence_stats(&channel).await.map_err(|error| {
            tracing::debug!(%error, "no presence for a client");
            error.code()
        })?;
        self.reply(id, &Reply::PresenceStats(stats));
        Ok(())
    }

    fn may_see(&mut self, channel: &str) -> Result<ChannelName, Refusal> {
        let channel = ChannelName::parse(channel).map_err(|_| ErrorCode::BadRequest)?;
        let shared = Arc::clone(&self.shared);
        let options = shared.node.rules().require(&channel)?;
        let standing = self.standing_on(&channel)?;
        let asker = self.live()?.asker(&shared, &channel);
        permission::presence(asker, &channel, options, standing).into_result()?;
        Ok(channel)
    }

    /// Whether it listens to the channel, too.
    pub(super) fn standing_on(&mut self, channel: &ChannelName) -> Result<Standing, Refusal> {
        let held = self.live()?.subscriptions.contains(channel);
        Ok(if held { Standing::Subscriber } else { Standing::Outsider })
    }
}
