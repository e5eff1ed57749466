//! From what a publisher asks and what the channel's rules say to what the broker is asked.

use tracing::Instrument;

use super::Node;
use crate::broker::{Ack, BrokerError, IdempotencyKey, Outgoing, PublishOptions, Published, Retention, Version};
use crate::config::section::{ChannelOptions, PublishAck};
use crate::model::ChannelName;
use crate::telemetry::propagate;

/// What a publisher may ask for. What it does not ask for is as the channel's rules say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishAsk {
    /// Not to be kept in the channel's history: then it has no position and cannot be recovered.
    pub skip_history: bool,
    /// Makes repeats harmless; checked by the caller.
    pub key: Option<String>,
    /// Drops it if it is not newer; only on channels with history, as the caller has checked.
    pub version: Option<Version>,
    /// Another ack level than the channel's.
    pub ack: Option<PublishAck>,
}

impl Node {
    /// Says something on a channel, to all nodes. Payload and rules were checked by the caller.
    ///
    /// # Errors
    /// The broker's.
    pub async fn publish(
        &self,
        channel: &ChannelName,
        mut outgoing: Outgoing,
        ask: PublishAsk,
    ) -> Result<Published, BrokerError> {
        let rules = self.parts.rules.options(channel);
        if rules.is_some_and(|rules| rules.delta_publish) {
            outgoing.publication.delta = true;
        }
        let options = self.publish_options(rules, ask);
        let published = self.publish_traced(channel, outgoing, options).await?;
        if let Some(position) = &published.position
            && let Some(cursor) = self.streams.get(channel)
        {
            cursor.lock().expect(position);
        }
        Ok(published)
    }

    async fn publish_traced(
        &self,
        channel: &ChannelName,
        mut outgoing: Outgoing,
        options: PublishOptions,
    ) -> Result<Published, BrokerError> {
        if !self.parts.tracing.enabled() {
            return self.parts.broker.publish(channel, outgoing, options).await;
        }
        let span = self.parts.tracing.publish_span(&outgoing.traceparent, self.parts.rules.namespace_label(channel));
        outgoing.traceparent = propagate::outgoing(span.as_ref(), &outgoing.traceparent);
        let publish = self.parts.broker.publish(channel, outgoing, options);
        match span {
            Some(span) => publish.instrument(span).await,
            None => publish.await,
        }
    }

    fn publish_options(&self, rules: Option<&ChannelOptions>, ask: PublishAsk) -> PublishOptions {
        let config = &self.parts.history;
        let history = rules.and_then(|rules| rules.history).filter(|_| !ask.skip_history);
        let level = ask.ack.or(history.map(|history| history.ack)).unwrap_or_default();
        PublishOptions {
            retention: history.map(|history| Retention {
                size: history.size,
                ttl: history.ttl,
                meta_ttl: history.meta_ttl,
            }),
            key: ask.key.map(|text| IdempotencyKey { text, window: config.idempotency_window }),
            version: ask.version,
            ack: match level {
                PublishAck::Stored => Ack::Stored,
                PublishAck::Replicated => {
                    Ack::Replicated { replicas: config.replicas, timeout: config.replicated_timeout }
                }
            },
        }
    }
}
