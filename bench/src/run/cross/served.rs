//! By way of two servers.

use std::sync::Arc;
use std::time::Duration;

use super::{Road, next};
use crate::crowd::Crowd;
use crate::crowd::marker;
use crate::crowd::posts::Poster;
use crate::crowd::tally::Tally;
use crate::run::{Target, patiently};
use crate::server::Server;
use crate::wire::Wire;

const CHANNEL: &str = "bench";

/// A publisher at one server, a subscriber at the other.
pub(super) struct Served {
    publisher: Publisher,
    subscriber: Crowd,
}

enum Publisher {
    /// As a backend publishes.
    Http { poster: Poster, wire: Arc<dyn Wire>, sequence: u32 },
    /// By a client, where there is no API.
    Client(Crowd),
}

impl Served {
    pub(super) fn connect(target: &Target, a: &Server, b: &Server) -> anyhow::Result<Self> {
        let wire = target.wire()?;
        let subscriber = patiently(|| Crowd::connect(target.plan(b, 1, CHANNEL)?))?;
        let publisher = match wire.publish_http(CHANNEL, b"{}") {
            Some(_) => Publisher::Http { poster: Poster::new(a.address, 1)?, wire, sequence: 0 },
            None => Publisher::Client(patiently(|| Crowd::connect(target.plan(a, 1, CHANNEL)?.after(1)))?),
        };
        Ok(Self { publisher, subscriber })
    }

    /// What a reader must know of the publisher.
    pub(super) fn remark(&self) -> Option<String> {
        let remark = "published over a WebSocket, whose client is subscribed too: there is no API over HTTP";
        matches!(self.publisher, Publisher::Client(_)).then(|| remark.to_owned())
    }
}

impl Road for Served {
    fn publish(&mut self, size: usize) -> anyhow::Result<()> {
        // First what the server has said since: answers to what was published before.
        match &mut self.publisher {
            Publisher::Http { poster, wire, sequence } => {
                poster.turn(Duration::ZERO)?;
                let payload = next(sequence).payload(size);
                wire.publish_http(CHANNEL, &payload).map_or(Ok(()), |request| poster.post(&request))
            }
            Publisher::Client(crowd) => {
                crowd.turn(Duration::ZERO)?;
                crowd.publish(size, marker::now())?;
                crowd.turn(Duration::ZERO).map(|_| ())
            }
        }
    }

    fn turn(&mut self, wait: Duration) -> anyhow::Result<()> {
        // Answers to publications wake nobody, unless others wait for them.
        if let Publisher::Http { poster, .. } = &mut self.publisher
            && poster.waiting() > 0
        {
            poster.turn(Duration::ZERO)?;
            return self.subscriber.turn(wait.min(Duration::from_millis(1))).map(|_| ());
        }
        self.subscriber.turn(wait).map(|_| ())
    }

    fn tally(&self) -> &Tally {
        self.subscriber.tally()
    }

    fn reset_tally(&mut self) {
        self.subscriber.reset_tally();
    }
}
