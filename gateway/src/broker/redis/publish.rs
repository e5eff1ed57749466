//! Publications on their way out: a bare `PUBLISH` where nothing is kept, else one script that numbers,
//! stores and sends.

use std::sync::Arc;

use fanfare_proto::script::publish::{self, Call};

use super::{RedisBroker, wire};
use crate::broker::{Ack, BrokerError, Outcome, Outgoing, PublishOptions, Published, fresh_epoch};
use crate::model::time::millis;
use crate::model::{ChannelName, Position};
use crate::redis_link::cmd;

impl RedisBroker {
    pub(super) async fn send_publication(
        &self,
        channel: &ChannelName,
        mut outgoing: Outgoing,
        options: PublishOptions,
    ) -> Result<Published, BrokerError> {
        options.check()?;
        if options.is_plain() {
            let mut publish = cmd("PUBLISH");
            publish.arg(self.keys.channel(channel.as_str())).arg(&wire::encode(outgoing)[..]);
            // How many got it says only how many nodes of this server: nothing that anybody asks.
            self.link.command::<i64>(&publish).await?;
            return Ok(Published::default());
        }
        // The script gives it one.
        outgoing.publication.position = None;
        let fresh_epoch = fresh_epoch();
        let call = Call {
            keys: &self.keys,
            channel: channel.as_str(),
            envelope: wire::encode(outgoing),
            retention: options.retention.map(|retention| publish::Retention {
                size: retention.size as u64,
                ttl_ms: millis(retention.ttl),
                meta_ttl_ms: millis(retention.meta_ttl),
            }),
            key: options.key.as_ref().map(|key| (key.text.as_str(), millis(key.window))),
            version: options.version.as_ref().map(|version| (version.number, version.epoch.as_str())),
            fresh_epoch: &fresh_epoch,
        };
        let answer = self.run_publish(&call, options.ack).await?;
        let answer = publish::Answer::parse(&answer).map_err(|error| BrokerError::Refused(error.to_string()))?;
        Ok(Published {
            position: answer.position.map(|(offset, epoch)| Position { offset, epoch: Arc::from(epoch) }),
            outcome: match answer.outcome {
                publish::Outcome::Sent => Outcome::Sent,
                publish::Outcome::Repeated => Outcome::Repeated,
                publish::Outcome::Stale => Outcome::Stale,
            },
        })
    }

    async fn run_publish(&self, call: &Call<'_>, ack: Ack) -> Result<Vec<u8>, BrokerError> {
        let (keys, arguments) = (call.keys(), call.arguments());
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let arguments: Vec<&[u8]> = arguments.iter().map(|argument| &argument[..]).collect();
        match ack {
            Ack::Stored => Ok(self.link.run_script(&self.scripts.publish, &keys, &arguments).await?),
            Ack::Replicated { replicas: wanted, timeout } => {
                let run = self.link.confirmed_script(&self.scripts.publish, &keys, &arguments, wanted, timeout);
                let (answer, confirmed) = run.await?;
                // Whatever went wrong with the wait: it is stored here, and nobody knows where else.
                let confirmed = confirmed.unwrap_or_else(|error| {
                    tracing::debug!(%error, "cannot wait for replicas");
                    0
                });
                if confirmed < wanted { Err(BrokerError::NotReplicated { confirmed, wanted }) } else { Ok(answer) }
            }
        }
    }
}
