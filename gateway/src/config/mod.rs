//! Configuration in three forms: raw (what was written), checked ([`Config`]), built (the parts, by
//! `app`). A leaf: knows nouns, nothing that lives.

pub mod secret;
pub mod section;

use section::{
    ApiConfig, AuthConfig, BrokerConfig, ChannelConfig, ClientConfig, ServerConfig, ShutdownConfig, TelemetryConfig,
};

/// The whole configuration, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Listeners.
    pub server: ServerConfig,
    /// Client connections.
    pub client: ClientConfig,
    /// Channel rules.
    pub channel: ChannelConfig,
    /// What joins the nodes.
    pub broker: BrokerConfig,
    /// Whose tokens are good.
    pub auth: AuthConfig,
    /// The server API.
    pub api: ApiConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
    /// How a node goes down.
    pub shutdown: ShutdownConfig,
}
