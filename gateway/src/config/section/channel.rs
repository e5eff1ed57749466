//! `[channel]`: rules by namespace.

use std::time::Duration;

use fanfare_proto::pattern::Pattern;

use super::hook::HookChoice;
use crate::model::NameRegex;

/// The rules of all channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelConfig {
    /// For names without a namespace. Namespaces inherit nothing from it.
    pub default: ChannelOptions,
    /// By name; names are unique.
    pub namespaces: Vec<Namespace>,
}

/// Channels called `name:...`, or those that fit a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Two or more letters, digits, `-`, `_`.
    pub name: String,
    /// With a pattern: the channels that fit it, and no others. None of two clash.
    pub pattern: Option<Pattern>,
    /// Its rules.
    pub options: ChannelOptions,
}

/// What may be done on a channel. Everything is off unless switched on.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// What names must fit besides: the part after the namespace, or the whole of a path.
    pub channel_regex: Option<NameRegex>,
    /// A publishing client does not get its own publication.
    pub exclude_publisher: bool,
    /// What payloads are.
    pub publication_data_format: DataFormat,
    /// What is kept of what was said; none: nothing.
    pub history: Option<HistoryOptions>,
    /// Subscribers are told when they may have missed something, whether they ask for it or not.
    pub force_positioning: bool,
    /// Subscribers that ask for it are told when they may have missed something.
    pub allow_positioning: bool,
    /// Subscribers get what they missed when they come back, whether they ask for it or not.
    pub force_recovery: bool,
    /// Subscribers that ask for it get what they missed when they come back.
    pub allow_recovery: bool,
    /// What those get who come back.
    pub force_recovery_mode: RecoveryMode,
    /// A client with a user id may read the history.
    pub allow_history_for_client: bool,
    /// A subscriber may.
    pub allow_history_for_subscriber: bool,
    /// With either of the former two: an anonymous one, too.
    pub allow_history_for_anonymous: bool,
    /// Patches that subscribers may agree to; none if to none.
    pub allowed_delta: Option<DeltaType>,
    /// Every publication may be sent as a patch, whether its publisher asks for it or not.
    pub delta_publish: bool,
    /// Who is on the channel is known.
    pub presence: bool,
    /// Subscribers that ask for it are told who joins and leaves.
    pub join_leave: bool,
    /// All subscribers are.
    pub force_push_join_leave: bool,
    /// How long a client whose connection is lost is still taken to be there.
    pub leave_delay: Duration,
    /// A client with a user id may ask who is on the channel.
    pub allow_presence_for_client: bool,
    /// A subscriber may.
    pub allow_presence_for_subscriber: bool,
    /// With either of the former two: an anonymous one, too.
    pub allow_presence_for_anonymous: bool,
    /// Who is asked whether a client may have the channel.
    pub subscribe_hook: HookChoice,
    /// Who is asked whether a subscription may go on that has expired.
    pub sub_refresh_hook: HookChoice,
    /// Who is asked what becomes of a client's publication.
    pub publish_hook: HookChoice,
}

impl ChannelOptions {
    /// Nothing is switched on.
    pub const CLOSED: Self = Self {
        allow_subscribe_for_client: false,
        allow_subscribe_for_anonymous: false,
        allow_publish_for_client: false,
        allow_publish_for_subscriber: false,
        allow_publish_for_anonymous: false,
        allow_user_limited_channels: false,
        channel_regex: None,
        exclude_publisher: false,
        publication_data_format: DataFormat::Json,
        history: None,
        force_positioning: false,
        allow_positioning: false,
        force_recovery: false,
        allow_recovery: false,
        force_recovery_mode: RecoveryMode::Stream,
        allow_history_for_client: false,
        allow_history_for_subscriber: false,
        allow_history_for_anonymous: false,
        allowed_delta: None,
        delta_publish: false,
        presence: false,
        join_leave: false,
        force_push_join_leave: false,
        leave_delay: Duration::ZERO,
        allow_presence_for_client: false,
        allow_presence_for_subscriber: false,
        allow_presence_for_anonymous: false,
        subscribe_hook: HookChoice::Off,
        sub_refresh_hook: HookChoice::Off,
        publish_hook: HookChoice::Off,
    };
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self::CLOSED
    }
}

/// What is kept of what was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryOptions {
    /// Publications; at least 1.
    pub size: usize,
    /// How long they are kept after the last one.
    pub ttl: Duration,
    /// How long the stream's numbering is; at least `ttl`.
    pub meta_ttl: Duration,
    /// When publishers are answered.
    pub ack: PublishAck,
}

/// When a publisher is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PublishAck {
    /// When Redis has stored the publication.
    #[default]
    Stored,
    /// When replicas have it, too.
    Replicated,
}

/// What a client gets that comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecoveryMode {
    /// Everything that it missed.
    #[default]
    Stream,
    /// The latest publication.
    Cache,
}

/// A way to write a publication as the difference to the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeltaType {
    /// The format of the Fossil version control system.
    Fossil,
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
