//! Saying something on one channel or on many.

use std::sync::OnceLock;

use bytes::Bytes;
use fanfare_proto::code::ErrorCode;
use fanfare_proto::limits::{
    API_BROADCAST_CHANNELS_MAX, API_CONCURRENCY_MAX, IDEMPOTENCY_KEY_BYTES_MAX, VERSION_EPOCH_BYTES_MAX,
};
use fanfare_proto::name;
use futures_util::{StreamExt, stream};

use super::request::{Broadcast, Message, Publish};
use super::{Api, ApiError, Context, payload};
use crate::broker::{Outgoing, Version};
use crate::config::section::{ChannelOptions, DataFormat, PublishAck};
use crate::model::{ConnectionId, Position, Publication};
use crate::node::PublishAsk;
use crate::telemetry::metrics::{Road, RoadLabel};

/// A message as it goes out, but for what depends on the channel.
struct Prepared {
    outgoing: Outgoing,
    ask: PublishAsk,
    /// The payload checked as JSON, once for all channels of a broadcast.
    json: OnceLock<Result<Bytes, ApiError>>,
}

impl Api {
    pub(super) async fn publish(&self, publish: Publish, context: &Context) -> Result<Option<Position>, ApiError> {
        let prepared = self.prepare(publish.message, context)?;
        self.send(&publish.channel, &prepared).await
    }

    /// Publishes to all channels, several at once. Each channel gets the same, so overlapping cannot
    /// change what a channel hears.
    pub(super) async fn broadcast(
        &self,
        broadcast: Broadcast,
        context: &Context,
    ) -> Result<Vec<Result<Option<Position>, ApiError>>, ApiError> {
        match broadcast.channels.len() {
            0 => return Err(ApiError::bad("channels: at least one is needed")),
            1..=API_BROADCAST_CHANNELS_MAX => {}
            count => {
                return Err(ApiError::too_many(format!(
                    "channels: {count} are more than {API_BROADCAST_CHANNELS_MAX} in one broadcast"
                )));
            }
        }
        let prepared = &self.prepare(broadcast.message, context)?;
        let sends = broadcast.channels.into_iter().map(|channel| async move { self.send(&channel, prepared).await });
        Ok(stream::iter(sends).buffered(API_CONCURRENCY_MAX).collect().await)
    }

    fn prepare(&self, message: Message, context: &Context) -> Result<Prepared, ApiError> {
        if message.data.is_empty() {
            return Err(ApiError::bad("data: a payload is needed, as data or as b64data"));
        }
        let exclude = match message.exclude_client.as_str() {
            "" => None,
            id => Some(ConnectionId::parse(id).ok_or_else(|| ApiError::bad("exclude_client: this is no client id"))?),
        };
        let ask = ask(&message)?;
        let publication = Publication {
            data: message.data,
            tags: message.tags,
            time_ms: self.node.clock().unix_ms(),
            exclude,
            delta: message.delta,
            ..Publication::default()
        };
        let outgoing = Outgoing { publication, traceparent: context.traceparent.clone() };
        Ok(Prepared { outgoing, ask, json: OnceLock::new() })
    }

    async fn send(&self, channel: &str, prepared: &Prepared) -> Result<Option<Position>, ApiError> {
        let (channel, options) = self.channel(channel)?;
        prepared.fits(options)?;
        let outgoing = prepared.for_format(options.publication_data_format)?;
        let published = self.node.publish(&channel, outgoing, prepared.ask.clone()).await?;
        self.node.metrics().publications.get_or_create(&RoadLabel { road: Road::api }).inc();
        Ok(published.position)
    }
}

/// What the publisher asks for besides delivery.
fn ask(message: &Message) -> Result<PublishAsk, ApiError> {
    let key = match message.idempotency_key.as_str() {
        "" => None,
        key if name::is_idempotency_key(key) => Some(key.to_owned()),
        _ => {
            return Err(ApiError::bad(format!(
                "idempotency_key: must be 1 to {IDEMPOTENCY_KEY_BYTES_MAX} bytes of printable ASCII"
            )));
        }
    };
    let version = match (message.version, message.version_epoch.len()) {
        (0, 0) => None,
        (0, _) => return Err(ApiError::bad("version_epoch: needs a version of at least 1")),
        (number, 0..=VERSION_EPOCH_BYTES_MAX) => Some(Version { number, epoch: message.version_epoch.clone() }),
        _ => return Err(ApiError::bad(format!("version_epoch: is over {VERSION_EPOCH_BYTES_MAX} bytes"))),
    };
    let ack = match message.ack.as_str() {
        "" => None,
        "stored" => Some(PublishAck::Stored),
        "replicated" => Some(PublishAck::Replicated),
        _ => return Err(ApiError::bad("ack: must be \"stored\" or \"replicated\"")),
    };
    Ok(PublishAsk { skip_history: message.skip_history, key, version, ack })
}

impl Prepared {
    /// Refuses what the channel cannot do: whoever relies on it must learn that.
    fn fits(&self, options: &ChannelOptions) -> Result<(), ApiError> {
        let wanted = match &self.ask {
            PublishAsk { version: Some(_), .. } => "version",
            PublishAsk { ack: Some(PublishAck::Replicated), .. } => "ack \"replicated\"",
            _ => return Ok(()),
        };
        let missing = match options.history {
            None => "the channel keeps no history",
            Some(_) if self.ask.skip_history => "skip_history keeps it out of the history",
            Some(_) => return Ok(()),
        };
        Err(ApiError::new(ErrorCode::NotAvailable, format!("{wanted}: {missing}")))
    }

    fn for_format(&self, format: DataFormat) -> Result<Outgoing, ApiError> {
        let mut outgoing = self.outgoing.clone();
        if format == DataFormat::Json {
            let data = &self.outgoing.publication.data;
            outgoing.publication.data =
                self.json.get_or_init(|| payload::check(data.clone(), format, "data")).clone()?;
        }
        Ok(outgoing)
    }
}
