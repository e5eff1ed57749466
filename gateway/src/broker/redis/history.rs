//! Streams in Redis: pages of them by one script, their tops by plain reads. Anybody with access to Redis
//! can write there, so what comes from there is checked like what comes in.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_proto::envelope::Envelope;
use fanfare_proto::script::history::{Answer, Call};

use super::RedisBroker;
use super::wire;
use crate::broker::{BrokerError, HistoryPage, HistoryQuery, Previous, Stream, fresh_epoch};
use crate::model::time::millis;
use crate::model::{ChannelName, Position, Retained};
use crate::redis_link::{LinkError, cmd, pipe};
use crate::telemetry::metrics::ReasonLabel;

/// Streams that are asked for their tops in one round trip.
const TOPS_MAX: usize = 512;

/// Epoch and top as they stand in a stream's meta.
type Top = (Option<String>, Option<String>);

impl RedisBroker {
    pub(super) async fn read_page(
        &self,
        channel: &ChannelName,
        query: HistoryQuery,
    ) -> Result<HistoryPage, BrokerError> {
        let fresh_epoch = fresh_epoch();
        let call = Call {
            keys: &self.keys,
            channel: channel.as_str(),
            fresh_epoch: &fresh_epoch,
            meta_ttl_ms: millis(query.meta_ttl),
            since: query.since,
            limit: query.limit,
            bytes: query.size.bytes() as u64,
            reverse: query.reverse,
        };
        let (keys, arguments) = (call.keys(), call.arguments());
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let arguments: Vec<&[u8]> = arguments.iter().map(|argument| &argument[..]).collect();
        let script = &self.scripts.history;
        let answer: Vec<Vec<u8>> = match query.limit {
            // Quick, and asked with every subscription.
            0 => self.link.run_script(script, &keys, &arguments).await?,
            _ => self.link.read_script(script, &keys, &arguments).await?,
        };
        let answer = Answer::parse(answer.into_iter().map(Bytes::from).collect());
        Ok(self.page(channel, answer.map_err(|error| BrokerError::Refused(error.to_string()))?))
    }

    fn page(&self, channel: &ChannelName, answer: Answer) -> HistoryPage {
        let epoch: Arc<str> = Arc::from(answer.epoch);
        let publications = answer
            .entries
            .into_iter()
            .filter_map(|(offset, envelope)| self.retained(channel, &epoch, offset, envelope));
        let publications = publications.collect();
        let previous = answer.previous.map(|(epoch, top)| Previous { epoch: Arc::from(epoch), top });
        HistoryPage { stream: Stream { top: Position { offset: answer.top, epoch }, previous }, publications }
    }

    /// A stored publication; none, which is a hole in the page, if it cannot be read here.
    fn retained(&self, channel: &ChannelName, epoch: &Arc<str>, offset: u64, envelope: Bytes) -> Option<Arc<Retained>> {
        let read = match Envelope::decode(envelope) {
            Ok(Envelope::Publication(publication)) => {
                wire::decode(publication, self.announced.format(channel.as_str())).map_err(|error| error.to_string())
            }
            Ok(_) => Err("it is no publication".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        match read {
            Ok(outgoing) => {
                let mut publication = outgoing.publication;
                // Where it stands in the stream counts, not where it was once sent.
                publication.position = Some(Position { offset, epoch: epoch.clone() });
                Retained::new(publication).map(Arc::new)
            }
            Err(why) => {
                self.metrics.broker_dropped.get_or_create(&ReasonLabel { reason: "unreadable" }).inc();
                if !self.warned_of_entry.swap(true, std::sync::atomic::Ordering::Relaxed) {
                    tracing::warn!(%channel, offset, why, "a stream has an entry that this version cannot read");
                }
                None
            }
        }
    }

    pub(super) async fn read_tops(&self, channels: &[ChannelName]) -> Result<Vec<Option<Position>>, BrokerError> {
        let reading = async {
            let mut tops = Vec::with_capacity(channels.len());
            for channels in channels.chunks(TOPS_MAX) {
                let mut ask = pipe();
                for channel in channels {
                    ask.cmd("HMGET").arg(self.keys.meta(channel.as_str())).arg("epoch").arg("top");
                }
                let answers = self.link.read_each::<Top>(ask).await?;
                tops.extend(answers.into_iter().map(|top| top.and_then(position)));
            }
            Ok(tops)
        };
        tokio::time::timeout(self.timing.command, reading).await.map_err(|_| BrokerError::Timeout)?
    }

    pub(super) async fn forget_stream(&self, channel: &ChannelName) -> Result<(), BrokerError> {
        let removed: Result<i64, LinkError> =
            self.link.command(cmd("DEL").arg(self.keys.stream(channel.as_str()))).await;
        Ok(removed.map(drop)?)
    }
}

fn position((epoch, top): Top) -> Option<Position> {
    Some(Position { offset: top?.parse().ok()?, epoch: Arc::from(epoch?) })
}
