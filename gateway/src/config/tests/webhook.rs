//! What is said of events for the application's backend.

use std::collections::BTreeSet;
use std::time::Duration;

use fanfare_proto::hook::event::Name;

use super::{SECRET, good, problems};
use crate::config::secret::Secret;
use crate::config::section::WebhookConfig;
use crate::config::web_url::WebUrl;

/// A webhook with these further keys.
fn with(keys: &str) -> String {
    format!("[webhook]\nurl = \"http://backend/events\"\nsecret = \"{SECRET}\"\n{keys}")
}

#[test]
fn a_url_and_a_secret_are_enough() {
    let expected = WebhookConfig {
        url: WebUrl::new("http://backend/events"),
        secret: Secret::new(SECRET),
        events: BTreeSet::from([
            Name::ChannelOccupied,
            Name::ChannelVacated,
            Name::MemberJoined,
            Name::MemberLeft,
            Name::CacheEmpty,
        ]),
        namespaces: None,
        timeout: Duration::from_secs(10),
        batch_size: 100,
        batch_delay: Duration::from_millis(500),
        debounce: Duration::from_secs(3),
        backlog_max: 100_000,
    };
    assert_eq!(good(&with(""), &[]).config.webhook, Some(expected));
    let unset = format!("[webhook]\nsecret = \"{SECRET}\"");
    assert_eq!(good(&unset, &[]).config.webhook, None);
}

#[test]
fn lists_name_what_there_is() {
    let keys =
        "events = [\"client_connected\"]\nnamespaces = [\"default\", \"chat\"]\n[[channel.namespace]]\nname = \"chat\"";
    let webhook = good(&with(keys), &[]).config.webhook.unwrap();
    assert_eq!(webhook.events, BTreeSet::from([Name::ClientConnected]));
    assert_eq!(webhook.namespaces, Some(BTreeSet::from(["chat".to_owned(), "default".to_owned()])));
    for (keys, said) in [
        ("events = [\"channel_full\"]", "the name of an event such as \"channel_occupied\""),
        // Always told: nobody asks for it, and nobody can do without.
        ("events = [\"events_lost\"]", "the name of an event such as \"channel_occupied\""),
        ("events = []", "nothing would be posted"),
        ("namespaces = [\"chat\"]", "add a [[channel.namespace]] of that name"),
        ("batch_size = 0", "write 1 to 1000"),
        ("backlog_max = 799", "write 800 to 10000000"),
        ("debounce = \"2m\"", "write 0s to 1m"),
        ("timeout = \"0s\"", "write 1ms to 1m"),
    ] {
        let problems = problems(&with(keys), &[]);
        assert!(matches!(&problems[..], [problem] if problem.contains(said)), "{keys}: {problems:?}");
    }
}

#[test]
fn a_webhook_without_a_secret_or_a_good_url_stops_the_start() {
    let missing = problems("[webhook]\nurl = \"http://backend\"", &[]);
    assert!(matches!(&missing[..], [problem] if problem.contains("FANFARE_WEBHOOK__SECRET_FILE")), "{missing:?}");
    for url in ["backend/events", "ftp://backend", "http://", "https:///events", "http://a b/"] {
        let said = problems(&format!("[webhook]\nurl = \"{url}\"\nsecret = \"{SECRET}\""), &[]);
        assert!(matches!(&said[..], [problem] if problem.contains("is not a URL")), "{url}: {said:?}");
    }
    let said = problems(&format!("[webhook]\nurl = \"http://u:hunter2@h/\"\nsecret = \"{SECRET}\""), &[]);
    assert!(said[0].contains("has a password in it") && !said[0].contains("hunter2"), "{said:?}");
}
