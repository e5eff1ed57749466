//! A client asks what was said on a channel.

use std::sync::Arc;

use fanfare_proto::code::ErrorCode;

use super::{Refusal, Session};
use crate::channel::permission;
use crate::model::ChannelName;
use crate::model::command::HistoryAsk;
use crate::model::event::Reply;

impl Session {
    pub(super) async fn history(&mut self, id: u32, channel: &str, query: HistoryAsk) -> Result<(), Refusal> {
        let channel = ChannelName::parse(channel).map_err(|_| ErrorCode::BadRequest)?;
        let shared = Arc::clone(&self.shared);
        let options = shared.node.rules().require(&channel)?;
        let standing = self.standing_on(&channel)?;
        let asker = self.live()?.asker(&shared, &channel);
        permission::history(asker, &channel, options, standing).into_result()?;
        self.spend_on_name(&channel).await?;
        let page = shared.node.history(&channel, query, shared.node.page_size()).await.map_err(|error| {
            tracing::debug!(%error, "no history for a client");
            error.code()
        })?;
        self.reply(id, &Reply::History { publications: page.publications, top: page.stream.top });
        Ok(())
    }
}
