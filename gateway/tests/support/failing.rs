//! A broker that refuses everything, for tests of those who use one.
//!
//! For `#[path = "../support/failing.rs"] mod failing;` in integration tests.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(missing_docs, unreachable_pub, reason = "a part of the test binaries that include it")]

use std::collections::BTreeMap;
use std::future::ready;
use std::time::Duration;

use fanfare_gateway::broker::roster::{Announcement, NodeRecord};
use fanfare_gateway::broker::{
    BoxFuture, Broker, BrokerError, Bus, Health, HistoryPage, HistoryQuery, Outgoing, PublishOptions, Published, Roster,
};
use fanfare_gateway::model::{ChannelName, Position};
use fanfare_proto::envelope::Control;

/// Fails every call with the same error.
#[derive(Clone, Debug)]
pub struct FailingBroker(pub BrokerError);

impl FailingBroker {
    /// As if there were no link.
    pub fn unreachable() -> Self {
        Self(BrokerError::Unreachable("a failing double".into()))
    }

    fn fail<T: Send + 'static>(&self) -> BoxFuture<'static, Result<T, BrokerError>> {
        Box::pin(ready(Err(self.0.clone())))
    }
}

impl Broker for FailingBroker {
    fn subscribe<'a>(&'a self, _: &'a [ChannelName]) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.fail()
    }

    fn unsubscribe<'a>(&'a self, _: &'a [ChannelName]) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.fail()
    }

    fn publish<'a>(
        &'a self,
        _: &'a ChannelName,
        _: Outgoing,
        _: PublishOptions,
    ) -> BoxFuture<'a, Result<Published, BrokerError>> {
        self.fail()
    }

    fn history<'a>(&'a self, _: &'a ChannelName, _: HistoryQuery) -> BoxFuture<'a, Result<HistoryPage, BrokerError>> {
        self.fail()
    }

    fn tops<'a>(&'a self, _: &'a [ChannelName]) -> BoxFuture<'a, Result<Vec<Option<Position>>, BrokerError>> {
        self.fail()
    }

    fn forget<'a>(&'a self, _: &'a ChannelName) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.fail()
    }

    fn health(&self) -> Health {
        Health::Silent(Duration::from_secs(60))
    }
}

impl Bus for FailingBroker {
    fn send(&self, _: Control) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.fail()
    }
}

impl Roster for FailingBroker {
    fn announce(&self, _: Announcement) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.fail()
    }

    fn leave<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.fail()
    }

    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeRecord>, BrokerError>> {
        self.fail()
    }

    fn channels<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<BTreeMap<String, u64>, BrokerError>> {
        self.fail()
    }
}
