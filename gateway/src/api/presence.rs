//! Who is on a channel.

use fanfare_proto::code::ErrorCode;

use super::{Allowance, Api, ApiError};
use crate::model::event::PresenceStats;
use crate::model::{ChannelName, ClientInfo};

impl Api {
    /// All of them or an error: a list has no second page.
    pub(super) async fn presence(&self, channel: &str, room: &Allowance) -> Result<Vec<ClientInfo>, ApiError> {
        let channel = self.with_presence(channel)?;
        room.share()?;
        let members = self.node.presence(&channel).await?;
        room.fit(members.iter().map(size).sum())?;
        Ok(members)
    }

    pub(super) async fn presence_stats(&self, channel: &str) -> Result<PresenceStats, ApiError> {
        let channel = self.with_presence(channel)?;
        Ok(self.node.presence_stats(&channel).await?)
    }

    fn with_presence(&self, channel: &str) -> Result<ChannelName, ApiError> {
        let (channel, options) = self.channel(channel)?;
        if options.presence {
            Ok(channel)
        } else {
            Err(ApiError::new(ErrorCode::NotAvailable, "presence is off in this namespace"))
        }
    }
}

/// In bytes, as held.
fn size(info: &ClientInfo) -> usize {
    info.user.as_str().len() + info.client.len() + info.connection_info.len() + info.channel_info.len()
}
