//! Each part's section: plain data, checked, cloneable, without live objects.

pub mod api;
pub mod auth;
pub mod broker;
pub mod channel;
pub mod client;
pub mod history;
pub mod hook;
pub mod limit;
pub mod presence;
pub mod server;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod webhook;

pub use api::ApiConfig;
pub use auth::{AuthConfig, TokenConfig};
pub use broker::{BrokerConfig, BrokerUrl};
pub use channel::{
    ChannelConfig, ChannelOptions, DataFormat, DeltaType, HistoryOptions, Namespace, PublishAck, RecoveryMode,
};
pub use client::{ClientConfig, PersonalChannel};
pub use history::HistoryConfig;
pub use hook::{HookChoice, HookConfig, HookScheme, HookUrl, HooksConfig, StatusMeaning, StatusRule};
pub use limit::{CommandRates, LimitConfig};
pub use presence::PresenceConfig;
pub use server::{AddressHeader, ProxyProtocol, ServerConfig};
pub use shutdown::ShutdownConfig;
pub use telemetry::{LogFormat, TelemetryConfig};
pub use tls::{TlsConfig, TlsVersion};
pub use webhook::WebhookConfig;
