//! A client says something on a channel.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_proto::code::ErrorCode;

use super::{Refusal, Session};
use crate::backend::Amendment;
use crate::broker::{Outgoing, Version};
use crate::channel::permission;
use crate::config::section::{ChannelOptions, DataFormat, HookChoice};
use crate::model::event::Reply;
use crate::model::{ChannelName, Publication};
use crate::node::PublishAsk;
use crate::telemetry::metrics::{Road, RoadLabel};

impl Session {
    pub(super) async fn publish(&mut self, id: u32, channel: &str, data: Bytes) -> Result<(), Refusal> {
        let channel = ChannelName::parse(channel).map_err(|_| ErrorCode::BadRequest)?;
        let shared = Arc::clone(&self.shared);
        let options = shared.node.rules().require(&channel)?;
        // A hook decides alone: it knows what the rules cannot.
        if options.publish_hook == HookChoice::Off {
            let standing = self.standing_on(&channel)?;
            let asker = self.live()?.asker(&shared, &channel);
            permission::publish(asker, options, standing).into_result()?;
        }
        let data = fit(data, options).ok_or(ErrorCode::BadRequest)?;
        // Before the application is asked: it is not to do what is then not said.
        self.spend_on_name(&channel).await?;
        let (data, amendment) = match &options.publish_hook {
            HookChoice::Off => (data, Amendment::default()),
            choice => self.ask_to_publish(&channel, options, choice, data).await?,
        };
        let connection = self.connection;
        let subscription = self.live()?.subscriptions.get(&channel);
        let channel_info = subscription.map(|subscription| subscription.info.clone()).unwrap_or_default();
        let info = self.info(&channel_info)?;
        let publication = Publication {
            data,
            info: Some(info),
            tags: amendment.tags,
            position: None,
            time_ms: shared.node.clock().unix_ms(),
            exclude: options.exclude_publisher.then_some(connection),
            delta: amendment.delta,
        };
        let kept = options.history.is_some() && !amendment.skip_history;
        let ask = PublishAsk {
            skip_history: amendment.skip_history,
            key: amendment.idempotency_key,
            version: amendment.version.filter(|_| kept).map(|(number, epoch)| Version { number, epoch }),
            ack: None,
        };
        let outgoing = Outgoing { publication, traceparent: String::new() };
        shared.node.publish(&channel, outgoing, ask).await.map_err(|error| {
            tracing::debug!(%error, "could not publish for a client");
            error.code()
        })?;
        shared.node.metrics().publications.get_or_create(&RoadLabel { road: Road::client }).inc();
        self.reply(id, &Reply::Publish);
        Ok(())
    }

    /// What becomes of it, as the application says.
    async fn ask_to_publish(
        &mut self,
        channel: &ChannelName,
        options: &ChannelOptions,
        choice: &HookChoice,
        data: Bytes,
    ) -> Result<(Bytes, Amendment), Refusal> {
        let hook = self.hook(choice)?;
        let mut amendment = self.waiting(hook.publish(self.caller(), channel, data.clone())).await?;
        let Some(other) = amendment.data.take() else { return Ok((data, amendment)) };
        let data = fit(other, options).ok_or_else(|| {
            tracing::warn!("a hook's data for a publication is not in the channel's publication_data_format");
            ErrorCode::Internal
        })?;
        Ok((data, amendment))
    }
}

/// The payload as the channel's format wants it; none if it cannot be had so.
fn fit(data: Bytes, options: &ChannelOptions) -> Option<Bytes> {
    match options.publication_data_format {
        DataFormat::Json => fanfare_proto::data::normalise_json(data).ok(),
        DataFormat::Binary => Some(data).filter(|data| !data.is_empty()),
    }
}
