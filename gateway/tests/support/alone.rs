//! A node that is alone with a broker in memory, in this process: made of real parts, with a clock that stands still.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use fanfare_gateway::broker::Events;
use fanfare_gateway::broker::memory::MemoryBroker;
use fanfare_gateway::channel::Rules;
use fanfare_gateway::codec::centrifuge::Json;
use fanfare_gateway::config::{self, Config, Machine, Purpose, Sources};
use fanfare_gateway::hub::Hub;
use fanfare_gateway::model::time::{Clock, TestClock};
use fanfare_gateway::model::wire::Encode;
use fanfare_gateway::model::{ByteSize, NodeId};
use fanfare_gateway::node::{LeaseConfig, Node, Parts};
use fanfare_gateway::presence::memory::MemoryPresence;
use fanfare_gateway::task::Tasks;
use fanfare_gateway::telemetry::Metrics;
use fanfare_gateway::telemetry::tracing::Tracing;

/// Longer than any test: nothing happens by the clock.
pub const LONG: Duration = Duration::from_secs(24 * 60 * 60);

/// The node, and what its maker may want of it.
pub struct Alone {
    pub node: Arc<Node>,
    pub broker: Arc<MemoryBroker>,
    /// What the broker tells; the node hears only what it is passed.
    pub told: Events,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub tasks: Tasks,
}

/// The configuration of `dev` with these variables in the environment.
pub fn dev(environment: BTreeMap<String, OsString>) -> Config {
    let sources = Sources {
        purpose: Purpose::Dev,
        file: None,
        environment,
        flags: Vec::new(),
        machine: Machine { host_name: "node".into(), open_files_max: None },
    };
    config::load(&sources).expect("the habits of dev are good").config
}

impl Alone {
    /// Makes one, within a runtime. Its clients speak JSON.
    pub fn new(config: &Config, rules: Rules) -> Self {
        let metrics = Arc::new(Metrics::new());
        let clock: Arc<dyn Clock> = TestClock::at_unix_ms(1_700_000_000_000);
        let tasks = Tasks::new(Arc::clone(&metrics));
        let (broker, told) = MemoryBroker::start(&config.broker, Arc::clone(&metrics), Arc::clone(&clock));
        let tell = Arc::new(|_, _| Box::pin(std::future::ready(())) as _);
        let encoders: [Arc<dyn Encode>; 1] = [Arc::new(Json)];
        let node = Node::new(Parts {
            id: NodeId::random(),
            lease: LeaseConfig { name: "node".into(), heartbeat: LONG, lease: LONG },
            hub: Arc::new(Hub::new(&encoders, Arc::clone(&metrics))),
            broker: broker.clone(),
            bus: broker.clone(),
            roster: broker.clone(),
            ledger: broker.clone(),
            presence: MemoryPresence::start(tell, Arc::clone(&clock), &tasks, Arc::clone(&metrics)),
            history: config.history.clone(),
            page_size: ByteSize::mib(1),
            members: config.presence.clone(),
            rules: Arc::new(rules),
            clock: Arc::clone(&clock),
            metrics: Arc::clone(&metrics),
            tracing: Tracing::default(),
            patience: LONG,
        });
        Self { node, broker, told, clock, metrics, tasks }
    }
}
