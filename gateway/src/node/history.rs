//! What was said on a channel, for those who ask.

use fanfare_proto::code::ErrorCode;

use super::Node;
use crate::broker::{BrokerError, HistoryPage, HistoryQuery};
use crate::config::section::HistoryOptions;
use crate::model::command::{HistoryAsk, Since};
use crate::model::{ByteSize, ChannelName};
use crate::telemetry::metrics::{Cause, CauseLabel};

/// Why there is no history for whoever asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The channel keeps none.
    #[error("the channel keeps no history")]
    Off,
    /// A limit below -1.
    #[error("the limit is negative: write -1 for as many as may be")]
    Limit,
    /// The stream has another epoch than the question.
    #[error("the stream has another epoch")]
    Epoch,
    /// The broker's.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl HistoryError {
    /// What a client or backend is told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Off => ErrorCode::NotAvailable,
            Self::Limit => ErrorCode::BadRequest,
            Self::Epoch => ErrorCode::UnrecoverablePosition,
            Self::Broker(error) => error.code(),
        }
    }
}

impl Node {
    /// A page of a channel's history, at most `size` large (one publication is always given).
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn history(
        &self,
        channel: &ChannelName,
        ask: HistoryAsk,
        size: ByteSize,
    ) -> Result<HistoryPage, HistoryError> {
        let options = self.parts.rules.options(channel).and_then(|options| options.history);
        let options = options.ok_or(HistoryError::Off)?;
        let limit = match ask.limit {
            -1 => self.page_max(options),
            limit => usize::try_from(limit).map_err(|_| HistoryError::Limit)?.min(self.page_max(options)),
        };
        let query = HistoryQuery {
            since: ask.since.as_ref().map(|since| since.offset),
            limit,
            size,
            reverse: ask.reverse,
            meta_ttl: options.meta_ttl,
        };
        self.parts.metrics.history_reads.get_or_create(&CauseLabel { cause: Cause::ask }).inc();
        let page = self.parts.broker.history(channel, query).await?;
        match ask.since {
            Some(Since { epoch, .. }) if !epoch.is_empty() && epoch != page.stream.top.epoch => {
                Err(HistoryError::Epoch)
            }
            _ => Ok(page),
        }
    }

    /// Forgets what was said on a channel; its numbering goes on.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn forget(&self, channel: &ChannelName) -> Result<(), HistoryError> {
        self.parts.rules.options(channel).and_then(|options| options.history).ok_or(HistoryError::Off)?;
        Ok(self.parts.broker.forget(channel).await?)
    }

    /// Most bytes of one page or recovery for a client.
    #[must_use]
    pub fn page_size(&self) -> ByteSize {
        self.parts.page_size
    }

    /// Most publications of one page or recovery.
    pub(super) fn page_max(&self, options: HistoryOptions) -> usize {
        self.parts.history.recovery_max_publication_limit.unwrap_or(options.size)
    }
}
