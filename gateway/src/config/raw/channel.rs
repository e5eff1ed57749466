//! The keys about channels: their rules, and what holds for the history and the members of all.

use std::time::Duration;

use crate::config::manual::{Key, Section, Unset, show};
use crate::config::section::{DataFormat, DeltaType, HookChoice, PublishAck, RecoveryMode};
use crate::config::settings::Reader;
use crate::config::value::Value;

section! {
    /// What may be done on channels without a namespace. Everything is off unless switched on.
    RawChannelOptions at "channel.default" {
        /// A client with a user id may subscribe without a subscription token.
        allow_subscribe_for_client: bool, default "false";
        /// With the former: an anonymous one, too.
        allow_subscribe_for_anonymous: bool, default "false";
        /// A client with a user id may publish.
        allow_publish_for_client: bool, default "false";
        /// A subscriber may publish.
        allow_publish_for_subscriber: bool, default "false";
        /// With either of the former two: an anonymous one, too.
        allow_publish_for_anonymous: bool, default "false";
        /// `name#42,43` is open to the users 42 and 43, without a token.
        allow_user_limited_channels: bool, default "false";
        /// A regular expression that the part of a name after the namespace must fit (of a channel that
        /// begins with `/`, the whole name), `$` left out; else the answer is error 107.
        channel_regex: String, example "^[a-z0-9-]{1,64}$";
        /// A publishing client does not get its own publication.
        exclude_publisher: bool, default "false";
        /// "json": payloads are JSON, whoever publishes. "binary": any bytes; JSON clients cannot
        /// subscribe.
        publication_data_format: DataFormat, default "json";
        /// Publications that are kept of each channel, for recovery and `history`; at most 100,000. 0: none.
        history_size: usize, default "0";
        /// How long they are kept after the last one. History is on when this and `history_size` are
        /// above zero; one without the other stops the start.
        history_ttl: Duration, default "0s";
        /// How long the numbering of a channel's publications is kept after the last one; at least
        /// `history_ttl`. A client that comes back later is told that it lost something.
        history_meta_ttl: Duration, default "30d";
        /// Subscribers are told when they may have missed something. Needs history.
        force_positioning: bool, default "false";
        /// The same, for those that ask for it.
        allow_positioning: bool, default "false";
        /// Subscribers get what they missed when they come back. Needs history.
        force_recovery: bool, default "false";
        /// The same, for those that ask for it.
        allow_recovery: bool, default "false";
        /// "stream": everything that was missed. "cache": the latest publication, also on the first
        /// subscribe with recovery; for tickers. Needs recovery.
        force_recovery_mode: RecoveryMode, default "stream";
        /// A client with a user id may read the history, of private and user-limited channels, too.
        allow_history_for_client: bool, default "false";
        /// A subscriber may read the history. Who may read it may also ask for positioning and recovery.
        allow_history_for_subscriber: bool, default "false";
        /// With either of the former two: an anonymous one, too.
        allow_history_for_anonymous: bool, default "false";
        /// When a publisher is answered: "stored" in Redis, or "replicated", when replicas have it, too
        /// (`history.replicas`). Needs history.
        publish_ack: PublishAck, default "stored";
        /// Patches that subscribers may ask for instead of whole publications: "fossil". Needs history;
        /// those get them that have positioning or recovery.
        allowed_delta_types: Vec<DeltaType>, default "[]";
        /// Every publication may go out as a patch, not only those whose publisher says so.
        delta_publish: bool, default "false";
        /// Who is on the channel is known, on all nodes.
        presence: bool, default "false";
        /// Subscribers that ask for it and may ask for presence are told who joins and leaves. Needs
        /// presence.
        join_leave: bool, default "false";
        /// All subscribers are told. Needs join_leave.
        force_push_join_leave: bool, default "false";
        /// How long a client whose connection was lost counts as there; at most 60s. Who comes back within
        /// it neither leaves nor joins, as far as others are told.
        leave_delay: Duration, default "3s";
        /// A client with a user id may ask who is on the channel, on private and user-limited ones, too.
        allow_presence_for_client: bool, default "false";
        /// A subscriber may ask who is on the channel.
        allow_presence_for_subscriber: bool, default "false";
        /// With either of the former two: an anonymous one, too.
        allow_presence_for_anonymous: bool, default "false";
        /// true: `hook.subscribe` is asked whether a client may have the channel; or a hook's name, "app". Who
        /// brings a token is not asked about, nor are user-limited channels; private ones stay closed.
        subscribe_hook: HookChoice, default "false";
        /// The same with `hook.sub_refresh`: whether a subscription may go on that has expired.
        sub_refresh_hook: HookChoice, default "false";
        /// The same with `hook.publish`: what becomes of a client's publication. Nothing else decides then.
        publish_hook: HookChoice, default "false";
    }
}

section! {
    /// A namespace: channels called `name:...`, or that fit a pattern. Besides its name it takes all keys of
    /// `channel.default`, and inherits nothing from there. Repeat the section for each; in the
    /// variable FANFARE_CHANNEL__NAMESPACE they are a JSON list of objects.
    RawNamespaceName at "channel.namespace" {
        /// Two or more letters, digits, `-`, `_`.
        name: String, example "chat";
        /// Makes it the namespace of channels such as `/users/42`, instead of `name:...`: `:id` stands for
        /// the rest of a segment. The narrowest pattern that fits counts; a name that begins with `/` and
        /// fits none is an unknown channel.
        pattern: String, example "/users/:id";
    }
}

section! {
    /// What holds for the history of all channels.
    RawHistory at "history" {
        /// Most publications of one recovery, and of one page of history. Who missed more is told so.
        /// Unset: each namespace's `history_size`.
        recovery_max_publication_limit: usize, example "1000";
        /// How often the position of a quiet channel is compared with its stream's: how late a loss that
        /// no broken link has announced is noticed.
        position_check_interval: Duration, default "10s";
        /// How long an idempotency key is remembered after its last use.
        idempotency_window: Duration, default "5m";
        /// Replicas that must confirm a publication with the ack level "replicated".
        replicas: usize, default "1";
        /// How long a publisher waits for them.
        replicated_timeout: Duration, default "1s";
    }
}

section! {
    /// What holds for the members of all channels.
    RawPresence at "presence" {
        /// Most members of a channel that one answer lists; beyond, they can only be counted.
        list_max: usize, default "10000";
    }
}
