//! `[channel]`: rules by namespace.

/// The rules of all channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelConfig {
    /// For names without a namespace. Namespaces inherit nothing from it.
    pub default: ChannelOptions,
    /// By name; names are unique.
    pub namespaces: Vec<Namespace>,
}

/// Channels called `name:...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Two or more letters, digits, `-`, `_`.
    pub name: String,
    /// Its rules.
    pub options: ChannelOptions,
}

/// What may be done on a channel. Everything is off unless switched on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches, as the configuration names them")]
pub struct ChannelOptions {
    /// A client with a user id may subscribe without a subscription token.
    pub allow_subscribe_for_client: bool,
    /// With the former: an anonymous one, too.
    pub allow_subscribe_for_anonymous: bool,
    /// A client with a user id may publish.
    pub allow_publish_for_client: bool,
    /// A subscriber may publish.
    pub allow_publish_for_subscriber: bool,
    /// With either of the former two: an anonymous one, too.
    pub allow_publish_for_anonymous: bool,
    /// `name#42,43` is open to the users 42 and 43, without a token.
    pub allow_user_limited_channels: bool,
    /// A publishing client does not get its own publication.
    pub exclude_publisher: bool,
    /// What payloads are.
    pub publication_data_format: DataFormat,
}

/// What payloads are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataFormat {
    /// JSON, whoever publishes and however; every client can be told.
    #[default]
    Json,
    /// Any bytes; JSON clients cannot subscribe.
    Binary,
}
