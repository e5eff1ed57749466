//! From a message and the channel's rules to what goes to Redis. Pure, but for the clock and chance.

use std::time::SystemTime;

use bytes::Bytes;
use fanfare_proto::envelope::{Envelope, Publication};
use fanfare_proto::limits::{IDEMPOTENCY_KEY_BYTES_MAX, VERSION_EPOCH_BYTES_MAX};
use fanfare_proto::name;
use fanfare_proto::pattern::Pattern;
use fanfare_proto::rules::{self, ChannelRules, History, Rules};
use fanfare_proto::script::publish::Retention;

use super::super::{Ack, Fault, Message, PublishError, Version, trace};

/// A message as it goes out.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    pub(super) channel: String,
    pub(super) envelope: Bytes,
    pub(super) retention: Option<Retention>,
    /// And how long it is remembered, in milliseconds.
    pub(super) key: Option<(String, u64)>,
    pub(super) version: Option<Version>,
    /// Whether the answer waits for replicas.
    pub(super) replicated: bool,
    pub(super) fresh_epoch: String,
}

impl Ready {
    /// Whether a PUBLISH does it.
    pub(super) fn is_plain(&self) -> bool {
        self.retention.is_none() && self.key.is_none()
    }
}

/// What all messages of a batch have in common: they are published at one time, by one caller.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    time_ms: i64,
    /// Of the current span.
    traceparent: Option<String>,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { time_ms: now_ms(), traceparent: trace::current() }
    }
}

/// Whether a PUBLISH does it, should the message be in order: nothing is kept of it.
pub(super) fn is_plain(message: &Message, key: Option<&str>, rules: Option<&Rules>) -> bool {
    let kept = || rules.and_then(|rules| rules.of(&message.channel)).is_some_and(|rules| rules.history.is_some());
    key.is_none() && (message.skip_history || !kept())
}

/// Of a message that [is plain](is_plain): what goes out.
pub(super) fn plain(message: &Message, rules: Option<&Rules>, moment: &Moment) -> Result<Envelope, PublishError> {
    let checked = check(message, None, rules)?;
    Ok(envelope(message, checked.data, checked.rules, moment))
}

/// Of any message: what goes out, and how.
pub(super) fn prepare(
    message: &Message,
    key: Option<&str>,
    rules: Option<&Rules>,
    moment: &Moment,
) -> Result<Ready, PublishError> {
    let checked = check(message, key, rules)?;
    let Checked { history, replicated, window_ms, .. } = checked;
    let scripted = history.is_some() || key.is_some();
    Ok(Ready {
        channel: message.channel.clone(),
        envelope: envelope(message, checked.data, checked.rules, moment).encode(),
        retention: history.map(|history| Retention {
            size: history.size,
            ttl_ms: history.ttl_ms,
            meta_ttl_ms: history.meta_ttl_ms,
        }),
        key: key.map(|key| (key.to_owned(), window_ms)),
        version: message.version.clone(),
        replicated,
        // Only the script asks for it.
        fresh_epoch: if scripted { format!("{:016x}", rand::random::<u64>()) } else { String::new() },
    })
}

/// A message that may go out, and what the rules make of it.
struct Checked {
    data: Bytes,
    rules: ChannelRules,
    history: Option<History>,
    replicated: bool,
    window_ms: u64,
}

/// Applies the rules, and what gateways would refuse.
fn check(message: &Message, key: Option<&str>, rules: Option<&Rules>) -> Result<Checked, PublishError> {
    let refused = |text: String| Err(PublishError::message(text));
    if key.is_some_and(|key| !name::is_idempotency_key(key)) {
        return refused(format!("an idempotency key is 1 to {IDEMPOTENCY_KEY_BYTES_MAX} bytes of printable ASCII"));
    }
    if message.version.as_ref().is_some_and(|version| version.number == 0) {
        return refused("versions count from 1".to_owned());
    }
    if message.version.as_ref().is_some_and(|version| version.epoch.len() > VERSION_EPOCH_BYTES_MAX) {
        return refused(format!("a version's epoch has at most {VERSION_EPOCH_BYTES_MAX} bytes"));
    }
    let fallback;
    let known = match rules {
        Some(rules) => rules,
        None => {
            fallback = default_rules(&message.channel);
            &fallback
        }
    };
    let data = known.check(&message.channel, message.data.clone());
    let data = data.map_err(|error| PublishError::message(error.to_string()))?;
    let of_channel = known.of(&message.channel).copied().unwrap_or_default();
    if rules.is_none() && (key.is_some() || message.version.is_some() || message.ack == Some(Ack::Replicated)) {
        return Err(without_rules());
    }
    let history = of_channel.history.filter(|_| !message.skip_history);
    if history.is_none() && message.version.is_some() {
        return refused(format!("a version needs history, which {:?} does not keep of this", message.channel));
    }
    if history.is_none() && message.ack == Some(Ack::Replicated) {
        return refused(format!("only history is replicated, and {:?} keeps none of this", message.channel));
    }
    let replicated = match message.ack {
        Some(ack) => ack == Ack::Replicated,
        None => history.is_some() && of_channel.ack == rules::Ack::Replicated,
    };
    Ok(Checked { data, rules: of_channel, history, replicated, window_ms: known.common.idempotency_window_ms })
}

fn envelope(message: &Message, data: Bytes, rules: ChannelRules, moment: &Moment) -> Envelope {
    let traceparent = message.traceparent.as_ref().or(moment.traceparent.as_ref());
    Envelope::Publication(Publication {
        data,
        tags: message.tags.clone(),
        time_ms: moment.time_ms,
        exclude_client: message.exclude_client.clone().unwrap_or_default(),
        traceparent: traceparent.cloned().unwrap_or_default(),
        delta: message.delta || rules.delta_publish,
        ..Publication::default()
    })
}

/// What was asked for cannot be had by the default rules, and to leave it out would break a promise.
fn without_rules() -> PublishError {
    let text = "no gateway has stored its channel rules in this Redis under this prefix, and without them no key, \
                version or replicated ack can be kept to; nothing was published";
    PublishError::unknown(Fault::Setup, text)
}

/// What holds while nobody has stored rules. The channel's namespace, or a pattern for it, is taken to exist:
/// to refuse it for good, only because this process came up before the first gateway, would be wrong.
fn default_rules(channel: &str) -> Rules {
    let any = |path: &str| (0..path.matches('/').count()).map(|at| format!("/:v{at}")).collect::<String>();
    let pattern = name::path(channel).and_then(|path| Pattern::parse(&any(path)).ok());
    let patterns = pattern.map(|pattern| (pattern, ChannelRules::default())).into_iter().collect();
    let namespace = name::namespace(channel).filter(|namespace| name::is_namespace(namespace));
    let namespaces = namespace.map(|namespace| (namespace.to_owned(), ChannelRules::default())).into_iter().collect();
    Rules::new(ChannelRules::default(), namespaces).with_patterns(patterns)
}

/// Milliseconds since 1970.
#[allow(clippy::disallowed_methods, reason = "the rule keeps the gateway's clock movable; here the time is only told")]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use fanfare_proto::rules::CommonRules;

    use super::*;

    fn rules() -> Rules {
        let history = Some(History { size: 5, ttl_ms: 1000, meta_ttl_ms: 9000 });
        let kept = ChannelRules { history, delta_publish: true, ..ChannelRules::default() };
        let safe = ChannelRules { ack: rules::Ack::Replicated, ..kept };
        let common = CommonRules { idempotency_window_ms: 77, ..CommonRules::default() };
        let namespaces = [("kept".to_owned(), kept), ("safe".to_owned(), safe)].into();
        Rules::new(ChannelRules::default(), namespaces).with_common(common)
    }

    fn ready(message: &Message) -> Ready {
        prepare(message, message.idempotency_key.as_deref(), Some(&rules()), &Moment::now()).unwrap()
    }

    fn publication(ready: &Ready) -> Publication {
        match Envelope::decode(ready.envelope.clone()).unwrap() {
            Envelope::Publication(publication) => publication,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_channel_decides_what_is_kept() {
        let plain = ready(&Message::new("news", "1"));
        assert!(plain.is_plain() && !plain.replicated && !publication(&plain).delta);
        let kept = ready(&Message::new("kept:x", "1"));
        assert_eq!(kept.retention, Some(Retention { size: 5, ttl_ms: 1000, meta_ttl_ms: 9000 }));
        assert!(!kept.replicated && publication(&kept).delta);
        assert_ne!(kept.fresh_epoch, ready(&Message::new("kept:x", "1")).fresh_epoch);
        assert!(ready(&Message::new("safe:x", "1")).replicated);
    }

    #[test]
    fn the_message_may_ask_for_something_else() {
        let base = Message::new("safe:x", "1");
        let skipped = ready(&Message { skip_history: true, ..base.clone() });
        assert!(skipped.is_plain() && !skipped.replicated);
        assert!(!ready(&Message { ack: Some(Ack::Stored), ..base.clone() }).replicated);
        let kept = Message::new("kept:x", "1");
        assert!(ready(&Message { ack: Some(Ack::Replicated), ..kept }).replicated);
        let news = Message { idempotency_key: Some("k".into()), delta: true, ..Message::new("news", "1") };
        let news = ready(&news);
        assert_eq!(news.key, Some(("k".to_owned(), 77)));
        assert!(!news.is_plain() && news.retention.is_none() && publication(&news).delta);
    }

    #[test]
    fn what_is_plain_is_known_before_it_is_prepared() {
        let (news, kept) = (Message::new("news", "1"), Message::new("kept:x", "1"));
        for message in [
            news.clone(),
            kept.clone(),
            Message { skip_history: true, ..kept.clone() },
            Message { idempotency_key: Some("k".to_owned()), ..news.clone() },
            Message { idempotency_key: Some("k".to_owned()), skip_history: true, ..kept },
        ] {
            let plain = is_plain(&message, message.idempotency_key.as_deref(), Some(&rules()));
            assert_eq!(plain, ready(&message).is_plain(), "{message:?}");
        }
        assert!(is_plain(&Message::new("kept:x", "1"), None, None) && !is_plain(&news, Some("k"), None));
    }

    #[test]
    fn both_roads_send_the_same_bytes() {
        let moment = Moment { time_ms: 7, traceparent: Some("of the caller".to_owned()) };
        let own = Message { traceparent: Some("its own".to_owned()), ..Message::new("news", "{\n}") };
        for message in [own, Message { skip_history: true, ..Message::new("kept:x", "1").tag("a", "b") }] {
            let plain = plain(&message, Some(&rules()), &moment).unwrap().encode();
            assert_eq!(plain, prepare(&message, None, Some(&rules()), &moment).unwrap().envelope, "{message:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let version = |number, epoch: &str| Some(Version { number, epoch: epoch.to_owned() });
        let (news, kept) = (Message::new("news", "1"), Message::new("kept:x", "1"));
        for message in [
            Message { version: version(1, ""), ..news.clone() },
            Message { ack: Some(Ack::Replicated), ..news.clone() },
            Message { version: version(0, ""), ..kept.clone() },
            Message { version: version(1, &"e".repeat(129)), ..kept.clone() },
            Message { version: version(1, ""), skip_history: true, ..kept.clone() },
            Message { ack: Some(Ack::Replicated), skip_history: true, ..kept.clone() },
            Message { idempotency_key: Some(String::new()), ..kept.clone() },
            Message { idempotency_key: Some("a\r\nb".to_owned()), ..kept.clone() },
            Message { idempotency_key: Some("k".repeat(129)), ..kept.clone() },
        ] {
            let error =
                prepare(&message, message.idempotency_key.as_deref(), Some(&rules()), &Moment::now()).unwrap_err();
            assert!(error.is_rejected() && error.fault() == Fault::Message, "{message:?}: {error}");
        }
    }

    #[test]
    fn without_rules_nothing_is_promised() {
        let news = Message::new("kept:x", "1");
        assert!(prepare(&news, None, None, &Moment::now()).unwrap().is_plain());
        assert!(prepare(&Message { ack: Some(Ack::Stored), ..news.clone() }, None, None, &Moment::now()).is_ok());
        let version = Some(Version { number: 1, epoch: String::new() });
        for (message, key) in [
            (news.clone(), Some("k")),
            (Message { version, ..news.clone() }, None),
            (Message { ack: Some(Ack::Replicated), ..news.clone() }, None),
        ] {
            let error = prepare(&message, key, None, &Moment::now()).unwrap_err();
            assert!(error.is_retryable() && error.fault() == Fault::Setup, "{error}");
        }
    }
}
