//! What a backend has said, as neutral nouns. Whatever others will see is looked at here: a backend's slip must not
//! break a client's wire.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::Bytes;
use fanfare_proto::capability;
use fanfare_proto::data::normalise_json;
use fanfare_proto::hook;
use fanfare_proto::limits::VERSION_EPOCH_BYTES_MAX;
use fanfare_proto::name;

use crate::model::wire::WireKey;
use crate::model::{Capabilities, ChannelName, Close, CustomError, Overrides, Permit, Renewed, UserId};

/// The latest moment that an answer may name: the end of the year 9999, in seconds since 1970. A larger number is
/// most often a time in milliseconds, and would never come.
const SECONDS_MAX: i64 = 253_402_300_799;

/// Longest message of an error, in characters; the rest is cut.
const MESSAGE_CHARS_MAX: usize = 256;

/// Who somebody is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Their user; anonymous if the application names none.
    pub user: UserId,
    /// What others see of the connection: JSON on one line; empty if none.
    pub info: Bytes,
    /// When the connection expires, in seconds since 1970; none for never.
    pub expires_at: Option<i64>,
    /// For the client; empty if none. On a wire of JSON it is JSON on one line.
    pub data: Bytes,
    /// Channels that the client is subscribed to without asking. Their namespaces may be unknown.
    pub subs: BTreeMap<ChannelName, Permit>,
    /// For later hooks: JSON on one line; empty if none.
    pub meta: Bytes,
    /// What the connection may do beyond its channels' rules; none if nothing.
    pub caps: Option<Box<Capabilities>>,
}

/// How a publication goes out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amendment {
    /// In the place of what the client said; none to leave it. Not checked against the channel's format yet.
    pub data: Option<Bytes>,
    /// Not to be kept in the channel's history.
    pub skip_history: bool,
    /// The application's labels.
    pub tags: BTreeMap<String, String>,
    /// Makes repeats harmless.
    pub idempotency_key: Option<String>,
    /// It may go out as a patch.
    pub delta: bool,
    /// Number and epoch: dropped if not newer; only where history is kept.
    pub version: Option<(u64, String)>,
}

/// What is wrong with an answer that was well written, for the operator.
pub(super) type Unusable = &'static str;

pub(super) fn identity(result: hook::ConnectResult, wire: WireKey) -> Result<Identity, Unusable> {
    let plain = result.channels.into_iter().map(|channel| (channel, hook::SubscribeOptions::default()));
    // Of two entries with one name a map keeps the later: the one with options.
    let subs = plain.chain(result.subs).map(|(channel, options)| {
        let channel = ChannelName::parse(&channel).map_err(|_| "it names a channel that cannot exist")?;
        let sub = Permit {
            info: info(&options.info, &options.b64info)?,
            data: data(&options.data, &options.b64data, wire)?,
            overrides: overrides(options.r#override),
            expires_at: moment(options.expire_at)?,
        };
        Ok((channel, sub))
    });
    Ok(Identity {
        user: user(&result.user)?,
        info: info(&result.info, &result.b64info)?,
        expires_at: moment(result.expire_at)?,
        data: data(&result.data, &result.b64data, wire)?,
        subs: subs.collect::<Result<_, Unusable>>()?,
        meta: one_line(result.meta).ok_or("meta is no JSON")?,
        caps: caps(result.caps)?,
    })
}

fn user(id: &str) -> Result<UserId, Unusable> {
    let good = name::can_be_user(id).then(|| UserId::new(id));
    good.ok_or("its user is no id: at most 512 bytes, without control characters")
}

pub(super) fn renewed(result: Option<hook::RefreshResult>) -> Result<Renewed, Unusable> {
    let Some(result) = result.filter(|result| !result.expired) else { return Ok(Renewed::Expired) };
    Ok(Renewed::Until {
        expires_at: moment(result.expire_at)?,
        info: info(&result.info, &result.b64info)?,
        meta: one_line(result.meta).ok_or("meta is no JSON")?,
        caps: caps(result.caps)?,
    })
}

pub(super) fn sub_renewed(result: Option<hook::SubRefreshResult>) -> Result<Renewed, Unusable> {
    let Some(result) = result.filter(|result| !result.expired) else { return Ok(Renewed::Expired) };
    let info = info(&result.info, &result.b64info)?;
    Ok(Renewed::Until { expires_at: moment(result.expire_at)?, info, meta: Bytes::new(), caps: None })
}

pub(super) fn permit(result: hook::SubscribeResult, wire: WireKey) -> Result<Permit, Unusable> {
    Ok(Permit {
        info: info(&result.info, &result.b64info)?,
        data: data(&result.data, &result.b64data, wire)?,
        overrides: overrides(result.r#override),
        expires_at: moment(result.expire_at)?,
    })
}

/// One that says nothing we know spoils all: it may be an exception from those that follow.
fn caps(said: Vec<hook::ChannelsCapability>) -> Result<Option<Box<Capabilities>>, Unusable> {
    let read = || {
        let said = said.into_iter().map(TryInto::try_into).collect::<Result<Vec<capability::Capability>, _>>()?;
        capability::check(&said).map(|()| Capabilities::new(said))
    };
    read().map_err(
        |_| "caps is no list of at most 64 entries, with 256 channels together and the actions allowed on them",
    )
}

fn overrides(said: Option<hook::SubscribeOptionOverride>) -> Overrides {
    let hook::SubscribeOptionOverride {
        presence,
        join_leave,
        force_recovery,
        force_positioning,
        force_push_join_leave,
    } = said.unwrap_or_default();
    let value = |said: Option<hook::BoolValue>| said.map(|said| said.value);
    Overrides {
        presence: value(presence),
        join_leave: value(join_leave),
        force_push_join_leave: value(force_push_join_leave),
        force_recovery: value(force_recovery),
        force_positioning: value(force_positioning),
    }
}

pub(super) fn amendment(result: hook::PublishResult) -> Result<Amendment, Unusable> {
    let data = payload(&result.data, &result.b64data, "b64data is not base64")?;
    let idempotency_key = match result.idempotency_key.as_str() {
        "" => None,
        key if name::is_idempotency_key(key) => Some(key.to_owned()),
        _ => return Err("idempotency_key is too long, or not printable ASCII"),
    };
    if result.version_epoch.len() > VERSION_EPOCH_BYTES_MAX {
        return Err("version_epoch is too long");
    }
    Ok(Amendment {
        data: Some(data).filter(|data| !data.is_empty()),
        skip_history: result.skip_history,
        tags: result.tags,
        idempotency_key,
        delta: result.delta,
        version: (result.version > 0).then_some((result.version, result.version_epoch)),
    })
}

pub(super) fn said(result: hook::RpcResult, wire: WireKey) -> Result<Bytes, Unusable> {
    data(&result.data, &result.b64data, wire)
}

/// Custom errors have 400-1999; those below are the protocol's own, which backends use, too.
pub(super) fn error(error: hook::Error) -> Result<CustomError, Unusable> {
    let hook::Error { code, message, temporary } = error;
    if !(100..=1999).contains(&code) {
        return Err("an error's code must be within 400-1999");
    }
    Ok(CustomError { code, message: message.chars().take(MESSAGE_CHARS_MAX).collect(), temporary })
}

/// Custom codes are 4000-4999; those from 3000 on are the protocol's own, which backends use, too.
pub(super) fn close(disconnect: &hook::Disconnect) -> Result<Close, Unusable> {
    match u16::try_from(disconnect.code) {
        Ok(code @ 3000..=4999) => Ok(Close::custom(code, &disconnect.reason)),
        _ => Err("a disconnect's code must be within 4000-4999"),
    }
}

/// What others see is JSON, whoever looks and by whatever wire.
fn info(json: &Bytes, base64: &str) -> Result<Bytes, Unusable> {
    one_line(payload(json, base64, "b64info is not base64")?).ok_or("info is no JSON")
}

/// What one client sees is JSON on a wire of JSON.
fn data(json: &Bytes, base64: &str, wire: WireKey) -> Result<Bytes, Unusable> {
    let payload = payload(json, base64, "b64data is not base64")?;
    match wire {
        WireKey::CentrifugeJson => one_line(payload).ok_or("data is no JSON, and the client takes only that"),
        WireKey::CentrifugeProtobuf => Ok(payload),
    }
}

/// Base64 wins unless it is empty: encoders that cannot leave a field out write an empty one.
fn payload(plain: &Bytes, base64: &str, wrong: Unusable) -> Result<Bytes, Unusable> {
    if base64.is_empty() {
        return Ok(plain.clone());
    }
    let engine = if base64.ends_with('=') { STANDARD } else { STANDARD_NO_PAD };
    // Without padding both read the same where the length needs none.
    engine.decode(base64).map(Bytes::from).map_err(|_| wrong)
}

/// JSON that every client can be sent, on one line; nothing and `null` are empty.
fn one_line(json: Bytes) -> Option<Bytes> {
    if json.is_empty() {
        return Some(json);
    }
    let json = normalise_json(json).ok()?;
    Some(if json == "null" { Bytes::new() } else { json })
}

fn moment(seconds: i64) -> Result<Option<i64>, Unusable> {
    match seconds {
        0 => Ok(None),
        1..=SECONDS_MAX => Ok(Some(seconds)),
        _ => Err("expire_at is no moment in seconds since 1970"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Rights;

    const JSON: WireKey = WireKey::CentrifugeJson;
    const BYTES: WireKey = WireKey::CentrifugeProtobuf;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn who_somebody_is() {
        let options = hook::SubscribeOptions { info: bytes("{\n}"), b64data: "MQ==".into(), ..Default::default() };
        let result = hook::ConnectResult {
            user: "42".into(),
            expire_at: 7,
            b64info: "eyJhIjoxfQ".into(),
            data: bytes("[1,\n2]"),
            channels: vec!["news".into(), "chat:a".into()],
            subs: BTreeMap::from([("chat:a".into(), options)]),
            meta: bytes("null"),
            ..Default::default()
        };
        let identity = identity(result, JSON).unwrap();
        assert_eq!((identity.user.as_str(), identity.expires_at), ("42", Some(7)));
        assert_eq!(
            (&identity.info[..], &identity.data[..], &identity.meta[..]),
            (&b"{\"a\":1}"[..], &b"[1,2]"[..], &b""[..])
        );
        let subs: Vec<_> = identity.subs.iter().map(|(channel, sub)| (channel.as_str(), sub.clone())).collect();
        let chat = Permit { info: bytes("{}"), data: bytes("1"), ..Permit::default() };
        assert_eq!(subs, [("chat:a", chat), ("news", Permit::default())]);
    }

    #[test]
    fn what_cannot_be_meant() {
        let of = |result: hook::ConnectResult| identity(result, JSON).unwrap_err();
        let nothing = hook::ConnectResult::default;
        assert!(of(hook::ConnectResult { expire_at: -1, ..nothing() }).contains("expire_at"));
        assert!(of(hook::ConnectResult { expire_at: 1_700_000_000_000, ..nothing() }).contains("expire_at"));
        assert!(of(hook::ConnectResult { channels: vec!["a b".into()], ..nothing() }).contains("channel"));
        assert!(of(hook::ConnectResult { b64info: "!".into(), ..nothing() }).contains("b64info"));
        assert!(of(hook::ConnectResult { b64data: "/w==".into(), ..nothing() }).contains("data"));
        assert!(of(hook::ConnectResult { info: bytes("NaN"), ..nothing() }).contains("info"));
        let key = hook::PublishResult { idempotency_key: "a\nb".into(), ..Default::default() };
        assert!(amendment(key).unwrap_err().contains("idempotency_key"));
    }

    #[test]
    fn bytes_go_to_those_who_can_take_them_and_info_never_is_bytes() {
        let result = || hook::RpcResult { b64data: "/w==".into(), ..Default::default() };
        assert_eq!(said(result(), BYTES), Ok(Bytes::from_static(b"\xff")));
        assert!(said(result(), JSON).is_err());
        let result = hook::SubscribeResult { b64info: "/w==".into(), ..Default::default() };
        assert!(permit(result, BYTES).is_err());
    }

    #[test]
    fn errors_and_closes_have_their_ranges() {
        let told = |code| error(hook::Error { code, message: "m".repeat(1000), temporary: true });
        for code in [100, 400, 1999] {
            assert_eq!(told(code).map(|error| (error.code, error.message.len())), Ok((code, 256)));
        }
        for code in [0, 99, 2000, u32::MAX] {
            assert!(told(code).is_err(), "{code}");
        }
        let ended = |code, reason: &str| close(&hook::Disconnect { code, reason: reason.into() });
        assert_eq!(
            ended(4501, "banned").map(|close| (close.code, close.reason.into_owned())),
            Ok((4501, "banned".into()))
        );
        assert!(!ended(4000, "{}").unwrap().reason.starts_with('{'), "clients read JSON as advice");
        for code in [0, 1000, 2999, 5000, 65_536 + 4000] {
            assert!(ended(code, "x").is_err(), "{code}");
        }
    }

    #[test]
    fn nothing_said_about_what_has_expired_ends_it() {
        assert_eq!(renewed(None), Ok(Renewed::Expired));
        assert_eq!(
            sub_renewed(Some(hook::SubRefreshResult { expired: true, ..Default::default() })),
            Ok(Renewed::Expired)
        );
        let until = hook::RefreshResult { expire_at: 9, meta: bytes("{}"), ..Default::default() };
        let until = renewed(Some(until)).unwrap();
        assert_eq!(until, Renewed::Until { expires_at: Some(9), info: Bytes::new(), meta: bytes("{}"), caps: None });
    }

    #[test]
    fn what_is_granted_beyond_the_rules() {
        let yes = Some(hook::BoolValue { value: true });
        let said = hook::SubscribeOptionOverride {
            presence: yes,
            force_recovery: Some(hook::BoolValue::default()),
            ..Default::default()
        };
        let result = hook::SubscribeResult { r#override: Some(said), ..Default::default() };
        let expected = Overrides { presence: Some(true), force_recovery: Some(false), ..Overrides::default() };
        assert_eq!(permit(result, JSON).unwrap().overrides, expected);
        let options = hook::SubscribeOptions { r#override: Some(said), expire_at: 7, ..Default::default() };
        let result = hook::ConnectResult { subs: BTreeMap::from([("a".into(), options)]), ..Default::default() };
        let identity = identity(result, JSON).unwrap();
        let sub = identity.subs.values().next().unwrap();
        assert_eq!((sub.overrides, sub.expires_at), (expected, Some(7)));
    }

    #[test]
    fn one_capability_that_says_nothing_spoils_all() {
        let entry = |channels: &str, matching: &str, allow: &str| hook::ChannelsCapability {
            channels: vec![channels.into()],
            r#match: matching.into(),
            allow: vec![allow.into()],
        };
        let read = |entries: &[hook::ChannelsCapability]| caps(entries.to_vec());
        let good = read(&[entry("news", "", "sub"), entry("chat:*", "wildcard", "pub")]).unwrap().unwrap();
        assert_eq!(
            (good.on("news"), good.on("chat:a"), good.on("a")),
            (Rights::SUBSCRIBE, Rights::PUBLISH, Rights::NONE)
        );
        assert_eq!(read(&[]), Ok(None));
        let nameless = hook::ChannelsCapability::default();
        let wrong = [("a", "regex", "sub"), ("a", "", "subscribe"), ("a*", "", "sub"), ("", "", "sub")];
        for bad in wrong.map(|(channel, matching, allow)| entry(channel, matching, allow)).iter().chain([&nameless]) {
            assert!(read(&[entry("news", "", "sub"), bad.clone()]).is_err(), "{bad:?}");
        }
    }
}
