//! Who is on a channel, for those who ask.

use super::Node;
use crate::model::event::PresenceStats;
use crate::model::{ChannelName, ClientInfo};
use crate::presence::PresenceError;

impl Node {
    /// Everybody on a channel. Whether it has presence was checked by the caller.
    ///
    /// # Errors
    /// The store's, or too many to be listed.
    pub async fn presence(&self, channel: &ChannelName) -> Result<Vec<ClientInfo>, PresenceError> {
        self.parts.presence.list(channel, self.parts.members.list_max).await
    }

    /// How many are on a channel.
    ///
    /// # Errors
    /// The store's.
    pub async fn presence_stats(&self, channel: &ChannelName) -> Result<PresenceStats, PresenceError> {
        self.parts.presence.count(channel).await
    }
}
