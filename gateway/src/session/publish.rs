//! A client says something on a channel.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use fanfare_proto::code::ErrorCode;

use super::{Refusal, Session};
use crate::broker::Outgoing;
use crate::channel::permission::{self, Standing};
use crate::config::section::DataFormat;
use crate::model::event::Reply;
use crate::model::{ChannelName, Publication};
use crate::node::PublishAsk;
use crate::telemetry::metrics::{Road, RoadLabel};

impl Session {
    pub(super) async fn publish(&mut self, id: u32, channel: &str, data: Bytes) -> Result<(), Refusal> {
        let channel = ChannelName::parse(channel).map_err(|_| ErrorCode::BadRequest)?;
        let shared = Arc::clone(&self.shared);
        let options = shared.node.rules().require(&channel)?;
        let connection = self.connection;
        let live = self.live()?;
        let subscription = live.subscriptions.get(&channel);
        let asker = live.asker(&shared, &channel);
        let standing = if subscription.is_some() { Standing::Subscriber } else { Standing::Outsider };
        permission::publish(asker, options, standing).into_result()?;
        let data = match options.publication_data_format {
            DataFormat::Json => fanfare_proto::data::normalise_json(data).map_err(|_| ErrorCode::BadRequest)?,
            DataFormat::Binary if data.is_empty() => return Err(ErrorCode::BadRequest.into()),
            DataFormat::Binary => data,
        };
        let channel_info = subscription.map(|subscription| subscription.info.clone()).unwrap_or_default();
        let info = self.info(&channel_info)?;
        let publication = Publication {
            data,
            info: Some(info),
            tags: BTreeMap::new(),
            position: None,
            time_ms: shared.node.clock().unix_ms(),
            exclude: options.exclude_publisher.then_some(connection),
            delta: false,
        };
        let outgoing = Outgoing { publication, traceparent: String::new() };
        shared.node.publish(&channel, outgoing, PublishAsk::default()).await.map_err(|error| {
            tracing::debug!(%error, "could not publish for a client");
            error.code()
        })?;
        shared.node.metrics().publications.get_or_create(&RoadLabel { road: Road::client }).inc();
        self.reply(id, &Reply::Publish);
        Ok(())
    }
}
