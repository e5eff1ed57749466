//! The keys about events that the application's backend is told.

use std::time::Duration;

use fanfare_proto::hook::event::Name;

use crate::config::manual::{Key, Section, Unset, show};
use crate::config::secret::Secret;
use crate::config::settings::Reader;
use crate::config::value::Value;
use crate::config::web_url::WebUrl;

section! {
    /// Events that the application's backend is told, by signed POSTs of batches: each at least once, and in
    /// order for each channel. All nodes must have the same here. docs/operations/webhooks.md has the bodies
    /// and what is promised.
    RawWebhook at "webhook" {
        /// Where batches are posted. Unset: there are no events, and nothing of this costs anything.
        url: WebUrl, example "https://example.com/fanfare/events";
        /// What batches are signed with; 32 random bytes or more. Needed where `url` is set.
        secret: Secret, example "change-me";
        /// What is told. By all nodes together: "channel_occupied" and "channel_vacated" (it has a
        /// subscriber, or none any more), "member_joined" and "member_left" (a user, on channels with
        /// presence), "cache_empty" (somebody wanted the latest publication, and there is none). Of each
        /// connection: "client_connected", "client_disconnected", "client_subscribed", "client_unsubscribed".
        events: Vec<Name>, default r#"["channel_occupied", "channel_vacated", "member_joined", "member_left", "cache_empty"]"#;
        /// Only channels of these namespaces; "default" is names without one. Unset: all channels.
        namespaces: Vec<String>, example r#"["chat"]"#;
        /// How long one POST may take.
        timeout: Duration, default "10s";
        /// Most events of one POST.
        batch_size: usize, default "100";
        /// How long events are gathered before they are posted.
        batch_delay: Duration, default "500ms";
        /// How long a channel has no subscriber, or a member no connection, before that is told. Who comes
        /// back within it was never away.
        debounce: Duration, default "3s";
        /// Events that may wait for a backend that does not take them, all nodes together. Beyond, the oldest
        /// are lost, which is counted and told ("events_lost").
        backlog_max: usize, default "100000";
    }
}
