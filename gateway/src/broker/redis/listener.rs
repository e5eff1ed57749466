//! What names mean, and what becomes of their messages: publications and memberships go to the node, announcements of
//! orders to the [`super::control`] task, probes to the [`super::pulse`]. What cannot be read, or is not
//! what its channel carries, ends here.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_proto::envelope::Envelope;
use fanfare_proto::script;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};

use super::control::News;
use super::pulse::{Announced, Vitals};
use super::wire;
use crate::broker::BrokerEvent;
use crate::broker::event::Room;
use crate::model::ChannelName;
use crate::redis_link::subscriber::Listener;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::ReasonLabel;

/// What a subscribed name stands for.
#[derive(Clone, Debug)]
pub(super) enum Topic {
    Channel(ChannelName),
    Control,
    Probe,
}

/// Sorts what comes in.
#[derive(Debug)]
pub(super) struct Sorter {
    pub(super) control: mpsc::Sender<News>,
    /// Told when `control` was full: the control task then reads the log, where everything is.
    pub(super) missed: Arc<Notify>,
    pub(super) vitals: Arc<Vitals>,
    /// Which channels carry JSON.
    pub(super) announced: Arc<Announced>,
    pub(super) metrics: Arc<Metrics>,
    /// The first unreadable message is logged, all are counted.
    pub(super) warned: bool,
}

impl Listener for Sorter {
    type Topic = Topic;
    type Event = BrokerEvent;

    fn message(&mut self, topic: &Topic, payload: Bytes) -> Option<BrokerEvent> {
        match topic {
            Topic::Channel(channel) => self.published(channel, payload),
            Topic::Control => {
                match script::parse_control(payload) {
                    Some((id, envelope)) => self.tell_control(News::Order { id, envelope }),
                    None => self.unreadable("control", "it is not an announcement"),
                }
                None
            }
            Topic::Probe => {
                let number = std::str::from_utf8(&payload).ok().and_then(|text| text.parse::<u64>().ok());
                if let Some(number) = number {
                    self.vitals.heard(number);
                }
                None
            }
        }
    }

    fn subscribed(&mut self, topic: &Topic, gap: bool) -> Option<BrokerEvent> {
        match topic {
            Topic::Channel(channel) => gap.then(|| BrokerEvent::Gap { channel: channel.clone() }),
            Topic::Control => {
                self.tell_control(News::Linked { heard: self.vitals.last_heard() });
                None
            }
            Topic::Probe => None,
        }
    }

    fn hold(event: &mut BrokerEvent, bytes: OwnedSemaphorePermit) {
        if let BrokerEvent::Published { room, .. } | BrokerEvent::Member { room, .. } = event {
            *room = Some(Room::new(bytes));
        }
    }
}

impl Sorter {
    fn published(&mut self, channel: &ChannelName, payload: Bytes) -> Option<BrokerEvent> {
        match Envelope::decode(payload) {
            Ok(Envelope::Publication(publication)) => {
                match wire::decode(publication, self.announced.format(channel.as_str())) {
                    Ok(outgoing) => Some(BrokerEvent::Published { channel: channel.clone(), outgoing, room: None }),
                    Err(error) => {
                        self.unreadable(channel.as_str(), &error.to_string());
                        None
                    }
                }
            }
            Ok(Envelope::Membership(membership)) => match wire::decode_membership(membership) {
                Some(membership) => Some(BrokerEvent::Member { channel: channel.clone(), membership, room: None }),
                None => {
                    self.unreadable(channel.as_str(), "somebody joined or left, and nobody is named");
                    None
                }
            },
            Ok(Envelope::Control(_)) => {
                self.unreadable(channel.as_str(), "an order on a channel");
                None
            }
            Err(error) => {
                self.unreadable(channel.as_str(), &error.to_string());
                None
            }
        }
    }

    fn tell_control(&self, news: News) {
        if self.control.try_send(news).is_err() {
            self.missed.notify_one();
        }
    }

    fn unreadable(&mut self, name: &str, why: &str) {
        self.metrics.broker_dropped.get_or_create(&ReasonLabel { reason: "unreadable" }).inc();
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(name, why, "somebody publishes what this version cannot read; it is thrown away");
        }
    }
}
