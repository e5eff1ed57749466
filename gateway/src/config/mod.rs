//! Configuration in three forms: raw (what was written), checked ([`Config`]), built (the parts, by
//! `app`). A leaf: knows nouns, nothing that lives.
//!
//! `settings` gathers what was written with its place, [`load`] lays file, environment and flags over
//! each other, `raw` declares every key once, `check` makes a [`Config`] of it or says all that is
//! wrong, [`print`] makes the manual.

pub mod centrifugo;
mod check;
pub mod duration;
pub mod load;
mod machine;
pub mod manual;
pub(crate) mod moment;
pub mod print;
mod problem;
mod rate;
mod raw;
pub mod secret;
pub mod section;
mod settings;
mod unknown;
mod value;
pub mod web_url;

pub use load::{Flag, Loaded, Purpose, Sources, load};
pub use machine::Machine;
pub use problem::{Problem, Problems};
pub use raw::SECTIONS;
pub use settings::{Origin, Settings};

use section::{
    ApiConfig, AuthConfig, BrokerConfig, ChannelConfig, ClientConfig, HistoryConfig, HooksConfig, LimitConfig,
    PresenceConfig, ServerConfig, ShutdownConfig, TelemetryConfig, WebhookConfig,
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
    /// Streams.
    pub history: HistoryConfig,
    /// Members.
    pub presence: PresenceConfig,
    /// What joins the nodes.
    pub broker: BrokerConfig,
    /// Whose tokens are good.
    pub auth: AuthConfig,
    /// The application's hooks.
    pub hook: HooksConfig,
    /// The server API.
    pub api: ApiConfig,
    /// How much anyone may ask for.
    pub limit: LimitConfig,
    /// Events that the application's backend is told; none if it is told nothing.
    pub webhook: Option<WebhookConfig>,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
    /// How a node goes down.
    pub shutdown: ShutdownConfig,
}

#[cfg(test)]
mod tests;
