//! What was said on a channel.

use super::{Allowance, Api, ApiError, Page};
use crate::model::Retained;
use crate::model::command::HistoryAsk;

impl Api {
    pub(super) async fn history(&self, channel: &str, ask: HistoryAsk, room: &Allowance) -> Result<Page, ApiError> {
        let (channel, options) = self.channel(channel)?;
        let page = self.node.history(&channel, ask, room.share()?).await?;
        room.take(page.publications.iter().map(|retained| Retained::size(retained)).sum());
        Ok(Page { publications: page.publications, top: page.stream.top, format: options.publication_data_format })
    }

    pub(super) async fn history_remove(&self, channel: &str) -> Result<(), ApiError> {
        let (channel, _) = self.channel(channel)?;
        Ok(self.node.forget(&channel).await?)
    }
}
