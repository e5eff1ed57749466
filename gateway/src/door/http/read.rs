//! From JSON to [`Request`]s. Checks form only: what a request means is the API's business. But an
//! option that is not built is refused here, where its name is known.

use base64::Engine;
use base64::engine::general_purpose::PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose};
use bytes::Bytes;
use fanfare_proto::api::{self as wire, Method, Text};
use fanfare_proto::code::ErrorCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::Refusal;
use crate::api::ApiError;
use crate::api::request::{
    Batch, Broadcast, Disconnect, Message, Pace, Publish, Refresh, Request, Subscribe, Unsubscribe, Who,
};
use crate::model::command::{HistoryAsk, Since};

/// Reads the body of `POST /api/<method>`.
pub(super) fn call(method: &str, body: &Bytes) -> Result<Request, Refusal> {
    let method = Method::parse(method).ok_or(Refusal::NoSuchMethod)?;
    // `info` and `channels` have nothing to say, so some callers send nothing.
    let json: &[u8] = if body.is_empty() { b"{}" } else { body };
    read(method, json, body)
}

/// Reads the body of `POST /api`, which names its method.
pub(super) fn call_in_body(body: &Bytes) -> Result<Request, Refusal> {
    let call: wire::Call<'_> = parse(body)?;
    let method = Method::parse(&call.method).ok_or(Refusal::NoSuchMethod)?;
    read(method, call.params.map_or(b"{}", |params| params.get().as_bytes()), body)
}

/// Reads one request. `json` is a part of `body`, which its payloads share; or has no payloads.
fn read(method: Method, json: &[u8], body: &Bytes) -> Result<Request, Refusal> {
    match method {
        Method::Publish => publish(parse(json)?, body),
        Method::Broadcast => broadcast(parse(json)?, body),
        Method::Subscribe => subscribe(parse(json)?, body),
        Method::Unsubscribe => unsubscribe(parse(json)?),
        Method::Disconnect => disconnect(parse(json)?),
        Method::Refresh => refresh(parse(json)?),
        Method::RevokeToken => parse(json).map(revoke_token),
        Method::InvalidateUserTokens => invalidate_user_tokens(parse(json)?),
        Method::BlockUser => parse(json).map(block_user),
        Method::UnblockUser => {
            parse(json).map(|wire: wire::UnblockUser<'_>| Request::UnblockUser { user: owned(wire.user) })
        }
        Method::History => history(parse(json)?),
        Method::HistoryRemove => {
            parse(json).map(|wire: wire::HistoryRemove<'_>| Request::HistoryRemove { channel: owned(wire.channel) })
        }
        Method::Presence => {
            parse(json).map(|wire: wire::Presence<'_>| Request::Presence { channel: owned(wire.channel) })
        }
        Method::PresenceStats => {
            parse(json).map(|wire: wire::PresenceStats<'_>| Request::PresenceStats { channel: owned(wire.channel) })
        }
        Method::Info => parse(json).map(|wire::Info {}| Request::Info),
        Method::Channels => channels(&parse(json)?),
        Method::Batch => Ok(batch(parse(json)?, body)),
        Method::Unbuilt => {
            Err(ApiError::new(ErrorCode::NotAvailable, "this method is not available in this version").into())
        }
    }
}

/// What `publish` and `broadcast` have in common: fields of one name and type in two structs.
macro_rules! message {
    ($wire:ident, $body:ident) => {
        Message {
            data: payload($wire.data, $wire.b64data, "b64data", $body)?,
            tags: $wire.tags,
            exclude_client: optional($wire.exclude_client),
            idempotency_key: owned($wire.idempotency_key),
            delta: $wire.delta,
            version: $wire.version,
            version_epoch: owned($wire.version_epoch),
            skip_history: $wire.skip_history,
            ack: owned($wire.ack),
        }
    };
}

fn publish(wire: wire::Publish<'_>, body: &Bytes) -> Result<Request, Refusal> {
    let message = message!(wire, body);
    Ok(Request::Publish(Publish { channel: owned(wire.channel), message }))
}

fn broadcast(wire: wire::Broadcast<'_>, body: &Bytes) -> Result<Request, Refusal> {
    let message = message!(wire, body);
    Ok(Request::Broadcast(Broadcast { channels: wire.channels.into_iter().map(owned).collect(), message }))
}

fn subscribe(wire: wire::Subscribe<'_>, body: &Bytes) -> Result<Request, Refusal> {
    refuse_unbuilt(wire.unbuilt())?;
    Ok(Request::Subscribe(Subscribe {
        who: who(wire.user, wire.client, wire.session),
        channel: owned(wire.channel),
        info: payload(wire.info, wire.b64info, "b64info", body)?,
        data: payload(wire.data, wire.b64data, "b64data", body)?,
        expire_at: wire.expire_at,
        recover_since: wire.recover_since.map(since),
    }))
}

fn unsubscribe(wire: wire::Unsubscribe<'_>) -> Result<Request, Refusal> {
    refuse_unbuilt(wire.unbuilt())?;
    let who = who(wire.user, wire.client, wire.session);
    Ok(Request::Unsubscribe(Unsubscribe { who, channel: owned(wire.channel) }))
}

fn disconnect(wire: wire::Disconnect<'_>) -> Result<Request, Refusal> {
    refuse_unbuilt(wire.unbuilt())?;
    let advice = wire.disconnect.unwrap_or_default();
    Ok(Request::Disconnect(Disconnect {
        who: who(wire.user, wire.client, wire.session),
        whitelist: wire.whitelist.into_iter().map(owned).collect(),
        code: advice.code,
        reason: owned(advice.reason),
    }))
}

fn refresh(wire: wire::Refresh<'_>) -> Result<Request, Refusal> {
    refuse_unbuilt(wire.unbuilt())?;
    let who = who(wire.user, wire.client, wire.session);
    Ok(Request::Refresh(Refresh { who, expired: wire.expired, expire_at: wire.expire_at }))
}

fn revoke_token(wire: wire::RevokeToken<'_>) -> Request {
    Request::RevokeToken { uid: owned(wire.uid), expire_at: wire.expire_at }
}

fn invalidate_user_tokens(wire: wire::InvalidateUserTokens<'_>) -> Result<Request, Refusal> {
    refuse_unbuilt(wire.unbuilt())?;
    let wire::InvalidateUserTokens { user, issued_before, expire_at, .. } = wire;
    Ok(Request::InvalidateUserTokens { user: owned(user), issued_before, expire_at })
}

fn block_user(wire: wire::BlockUser<'_>) -> Request {
    Request::BlockUser { user: owned(wire.user), expire_at: wire.expire_at }
}

fn history(wire: wire::History<'_>) -> Result<Request, Refusal> {
    let ask = HistoryAsk { limit: wire.limit, since: wire.since.map(since), reverse: wire.reverse };
    Ok(Request::History { channel: owned(wire.channel), ask })
}

fn since(wire: wire::Since<'_>) -> Since {
    Since { offset: wire.offset, epoch: wire.epoch.0.into() }
}

fn channels(wire: &wire::Channels<'_>) -> Result<Request, Refusal> {
    Ok(Request::Channels { pattern: wire.pattern.to_string() })
}

/// A call that cannot be read is refused in its place; the others go on.
fn batch(wire: wire::Batch<'_>, body: &Bytes) -> Request {
    let calls =
        wire.commands.iter().map(|command| command_in_batch(command, body).map_err(|refusal| ApiError::from(&refusal)));
    let pace = if wire.parallel { Pace::Overlapping } else { Pace::OneByOne };
    Request::Batch(Batch { calls: calls.collect(), pace })
}

fn command_in_batch(command: &wire::Command<'_>, body: &Bytes) -> Result<Request, Refusal> {
    // Entries that are no method are skipped like any unknown field.
    let mut named = command.iter().filter_map(|(name, request)| Some((Method::parse(name)?, request)));
    match (named.next(), named.next()) {
        // Nobody needs it, and it would be read by a recursion as deep as the body nests.
        (Some((Method::Batch, _)), None) => Err(ApiError::bad("a batch cannot hold a batch").into()),
        (Some((method, request)), None) => read(method, request.get().as_bytes(), body),
        (Some(_), Some(_)) => Err(ApiError::bad("a command has one method").into()),
        (None, _) => Err(Refusal::NoSuchMethod),
    }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Refusal> {
    // serde would also read a list as the fields in their order, which no caller means.
    if json.trim_ascii_start().first() == Some(&b'[') {
        return Err(Refusal::Malformed("a request is an object, not a list".to_owned()));
    }
    // The parser's words tell what it met, what it wanted, and where.
    serde_json::from_slice(json).map_err(|wrong| Refusal::Malformed(wrong.to_string()))
}

fn refuse_unbuilt(option: Option<&'static str>) -> Result<(), Refusal> {
    match option {
        None => Ok(()),
        Some(name) => {
            let message = format!("{name}: this option is not available in this version");
            Err(ApiError::new(ErrorCode::NotAvailable, message).into())
        }
    }
}

/// The bytes of a payload; empty if there is none. base64 goes first: who sends it means it.
fn payload(
    json: Option<&RawValue>,
    base64: Option<Text<'_>>,
    field: &'static str,
    body: &Bytes,
) -> Result<Bytes, Refusal> {
    match (base64.filter(|text| !text.is_empty()), json) {
        (Some(text), _) => match BASE64.decode(text.as_bytes()) {
            Ok(bytes) => Ok(bytes.into()),
            Err(wrong) => Err(ApiError::bad(format!("{field}: not base64: {wrong}")).into()),
        },
        (None, Some(json)) => Ok(body.slice_ref(json.get().as_bytes())),
        (None, None) => Ok(Bytes::new()),
    }
}

fn who(user: Text<'_>, client: Text<'_>, session: Text<'_>) -> Who {
    Who { user: owned(user), client: owned(client), session: owned(session) }
}

fn owned(text: Text<'_>) -> String {
    text.0.into_owned()
}

fn optional(text: Option<Text<'_>>) -> String {
    text.map(owned).unwrap_or_default()
}

/// Libraries differ in whether they pad.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&base64::alphabet::STANDARD, PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent));
