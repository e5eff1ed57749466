//! What the application says in its tokens: the claims of connection and subscription JWTs.
//!
//! Input is the payload of a token whose signature was checked, output are plain values. This module
//! must not know keys, algorithms or the time: whether a token is good *now* is for the gateway to
//! decide.
//!
//! Reading is strict. A claim of the wrong type makes the whole token invalid, because a claim that
//! is passed over in silence (an `exp` that is a string, say) makes a token stronger than its author
//! meant it to be. For the same reason a claim must not come twice, and `null` is a wrong type; only
//! where any JSON is allowed (`info`, `data`, `meta`) `null` says the same as leaving the claim out.
//! Unknown claims are ignored. `docs/protocol/tokens.md` is the table for application authors.

mod capability;
mod place;

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::capability::Capability;
use crate::data::normalise_json;
use crate::limits::REVOKED_ID_BYTES_MAX;

pub use crate::name::can_be_user;
pub use place::{issuer, user_at};

/// The latest moment that a claim may name: the end of the year 9999, in seconds since 1970. A larger
/// number is most often a time in milliseconds, which would make a token that never expires.
pub const SECONDS_MAX: i64 = crate::limits::UNIX_SECONDS_MAX;

/// Why claims were refused. The application's fault. Names claims, never their values: these may be
/// personal, and errors are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// The payload is not one JSON object, or a known claim comes twice.
    #[error("the payload is not a JSON object with each claim once")]
    Payload,
    /// A claim has the wrong type or a value out of range.
    #[error("the claim \"{0}\" has a wrong type or value")]
    Claim(&'static str),
    /// A required claim is missing or empty.
    #[error("the claim \"{0}\" is missing")]
    Missing(&'static str),
    /// The claim that was configured to name the user is no text, or not where it should be.
    #[error(
        "the user's id, found by user_id_claim and after user_prefix, is none: a text of at most 512 bytes without control characters"
    )]
    User,
    /// A connection token with a `channel`: somebody mixed up the two kinds.
    #[error("a connection token must not have a claim \"channel\"")]
    ChannelInConnectionToken,
}

/// The claims that both kinds of token have (RFC 7519, 4.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// The user's id; empty for anonymous.
    pub sub: String,
    /// Not good at or after this moment: seconds since 1970, fractions rounded down.
    pub exp: Option<i64>,
    /// Not good before this moment: seconds since 1970, fractions rounded up.
    pub nbf: Option<i64>,
    /// When it was made: seconds since 1970.
    pub iat: Option<i64>,
    /// The token's own id, at most [`REVOKED_ID_BYTES_MAX`]; empty if none.
    pub jti: String,
    /// Whom it is for; a single name is a list of one.
    pub aud: Vec<String>,
    /// Who made it.
    pub iss: Option<String>,
}

/// The claims of a connection token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectClaims {
    /// Who, when, by whom.
    pub registered: Registered,
    /// When the connection expires: seconds since 1970; 0 for never. Wins over `exp`, which is then
    /// for the token alone.
    pub expire_at: Option<i64>,
    /// What others see of the user: JSON on one line; empty if none.
    pub info: Bytes,
    /// What only the application's own hooks see: JSON on one line; empty if none.
    pub meta: Bytes,
    /// Server-side subscriptions without options.
    pub channels: Vec<String>,
    /// Server-side subscriptions with options; win over `channels`.
    pub subs: BTreeMap<String, SubscriptionOptions>,
    /// What may be done on which channels, in the order in which they count.
    pub caps: Vec<Capability>,
}

/// What a connection token says of one server-side subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// What others on the channel see of the user: JSON on one line; empty if none.
    pub info: Bytes,
    /// What the client itself gets with the subscription: JSON on one line; empty if none.
    pub data: Bytes,
    /// Departures from the channel's rules.
    pub overrides: Overrides,
}

/// Departures from a channel's rules; `None` leaves the rule as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Whether the subscription counts as present.
    pub presence: Option<bool>,
    /// Whether it is told to others who asked.
    pub join_leave: Option<bool>,
    /// Whether it is told who comes and goes without asking.
    pub force_push_join_leave: Option<bool>,
    /// Whether it recovers without asking.
    pub force_recovery: Option<bool>,
    /// Whether it is positioned without asking.
    pub force_positioning: Option<bool>,
}

/// The claims of a subscription token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscribeClaims {
    /// Who, when, by whom.
    pub registered: Registered,
    /// The channel it opens; never empty.
    pub channel: String,
    /// The only connection it is good for; `None` for any.
    pub client: Option<String>,
    /// When the subscription expires: seconds since 1970; 0 for never. Wins over `exp`.
    pub expire_at: Option<i64>,
    /// Information, data and overrides.
    pub options: SubscriptionOptions,
}

impl ConnectClaims {
    /// Reads the payload of a connection token.
    ///
    /// # Errors
    /// The first claim that is wrong; see [`ClaimsError`].
    pub fn parse(payload: &[u8]) -> Result<Self, ClaimsError> {
        let raw: RawClaims<'_> = object(payload)?;
        if raw.channel.is_some() {
            return Err(ClaimsError::ChannelInConnectionToken);
        }
        Ok(Self {
            registered: raw.registered()?,
            expire_at: claim("expire_at", raw.expire_at)?.map(NumericDate::rounded_down),
            info: payload_claim(("info", raw.info), ("b64info", raw.b64info))?,
            meta: payload_claim(("meta", raw.meta), ("", None))?,
            channels: claim("channels", raw.channels)?.unwrap_or_default(),
            subs: raw.subs()?,
            caps: capability::read(raw.caps)?,
        })
    }
}

impl SubscribeClaims {
    /// Reads the payload of a subscription token.
    ///
    /// # Errors
    /// The first claim that is wrong, or a missing `channel`; see [`ClaimsError`].
    pub fn parse(payload: &[u8]) -> Result<Self, ClaimsError> {
        let raw: RawClaims<'_> = object(payload)?;
        let channel: String = claim("channel", raw.channel)?.unwrap_or_default();
        if channel.is_empty() {
            return Err(ClaimsError::Missing("channel"));
        }
        Ok(Self {
            registered: raw.registered()?,
            channel,
            client: claim("client", raw.client)?.filter(|client: &String| !client.is_empty()),
            expire_at: claim("expire_at", raw.expire_at)?.map(NumericDate::rounded_down),
            options: SubscriptionOptions {
                info: payload_claim(("info", raw.info), ("b64info", raw.b64info))?,
                data: payload_claim(("data", raw.data), ("b64data", raw.b64data))?,
                overrides: overrides(claim("override", raw.overrides)?),
            },
        })
    }
}

/// All claims that we know, cut out and not yet read, so that an error can name the claim.
#[derive(Deserialize)]
struct RawClaims<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    sub: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    exp: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    nbf: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    iat: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    jti: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    aud: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    iss: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    expire_at: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    info: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    b64info: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    b64data: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    meta: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    channels: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    subs: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    channel: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    client: Option<&'a RawValue>,
    #[serde(borrow, rename = "override", default, deserialize_with = "present")]
    overrides: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    caps: Option<&'a RawValue>,
}

impl RawClaims<'_> {
    fn registered(&self) -> Result<Registered, ClaimsError> {
        Ok(Registered {
            sub: claim("sub", self.sub)?.map(user).transpose()?.unwrap_or_default(),
            exp: claim("exp", self.exp)?.map(NumericDate::rounded_down),
            nbf: claim("nbf", self.nbf)?.map(NumericDate::rounded_up),
            iat: claim("iat", self.iat)?.map(NumericDate::rounded_down),
            jti: claim("jti", self.jti)?.map(id).transpose()?.unwrap_or_default(),
            aud: claim("aud", self.aud)?.map(|Audience(names)| names).unwrap_or_default(),
            iss: claim("iss", self.iss)?,
        })
    }

    fn subs(&self) -> Result<BTreeMap<String, SubscriptionOptions>, ClaimsError> {
        let Some(Entries(entries)) = claim::<Entries<Object<RawOptions<'_>>>>("subs", self.subs)? else {
            return Ok(BTreeMap::new());
        };
        let options = |raw: RawOptions<'_>| {
            Ok(SubscriptionOptions {
                info: payload_claim(("subs", raw.info), ("subs", raw.b64info))?,
                data: payload_claim(("subs", raw.data), ("subs", raw.b64data))?,
                overrides: overrides(raw.overrides),
            })
        };
        entries.into_iter().map(|(channel, Object(raw))| Ok((channel, options(raw)?))).collect()
    }
}

#[derive(Deserialize)]
struct RawOptions<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    info: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    b64info: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    b64data: Option<&'a RawValue>,
    #[serde(rename = "override", default, deserialize_with = "present")]
    overrides: Option<Object<RawOverrides>>,
}

#[derive(Deserialize)]
struct RawOverrides {
    #[serde(default, deserialize_with = "present")]
    presence: Option<Object<Flag>>,
    #[serde(default, deserialize_with = "present")]
    join_leave: Option<Object<Flag>>,
    #[serde(default, deserialize_with = "present")]
    force_push_join_leave: Option<Object<Flag>>,
    #[serde(default, deserialize_with = "present")]
    force_recovery: Option<Object<Flag>>,
    #[serde(default, deserialize_with = "present")]
    force_positioning: Option<Object<Flag>>,
}

/// A switch with a name around it: `{"value": true}`.
#[derive(Deserialize)]
struct Flag {
    value: bool,
}

fn overrides(raw: Option<Object<RawOverrides>>) -> Overrides {
    let value = |flag: Option<Object<Flag>>| flag.map(|Object(flag)| flag.value);
    raw.map_or_else(Overrides::default, |Object(raw)| Overrides {
        presence: value(raw.presence),
        join_leave: value(raw.join_leave),
        force_push_join_leave: value(raw.force_push_join_leave),
        force_recovery: value(raw.force_recovery),
        force_positioning: value(raw.force_positioning),
    })
}

/// Reads a whole payload. Cutting out raw values does not recurse, so depth costs no stack here.
fn object<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, ClaimsError> {
    serde_json::from_slice(payload).map(|Object(claims)| claims).map_err(|_| ClaimsError::Payload)
}

/// Reads one claim, if it is there.
fn claim<'a, T: Deserialize<'a>>(name: &'static str, raw: Option<&'a RawValue>) -> Result<Option<T>, ClaimsError> {
    raw.map(|raw| serde_json::from_str(raw.get()).map_err(|_| ClaimsError::Claim(name))).transpose()
}

fn user(id: String) -> Result<String, ClaimsError> {
    if can_be_user(&id) { Ok(id) } else { Err(ClaimsError::Claim("sub")) }
}

/// A token's own id: what is longer could not be revoked.
fn id(id: String) -> Result<String, ClaimsError> {
    if id.len() > REVOKED_ID_BYTES_MAX { Err(ClaimsError::Claim("jti")) } else { Ok(id) }
}

/// Reads a payload that comes as JSON or, with the `b64` name, as JSON in base64. Base64 wins unless
/// it is empty: encoders that cannot leave a field out write an empty one.
fn payload_claim(
    (name, json): (&'static str, Option<&RawValue>),
    (base64_name, base64): (&'static str, Option<&RawValue>),
) -> Result<Bytes, ClaimsError> {
    let encoded = claim::<String>(base64_name, base64)?.unwrap_or_default();
    let plain = json
        .map(|raw| one_line(Bytes::copy_from_slice(raw.get().as_bytes())).ok_or(ClaimsError::Claim(name)))
        .transpose()?;
    if encoded.is_empty() {
        return Ok(plain.unwrap_or_default());
    }
    let engine = if encoded.ends_with('=') { STANDARD } else { STANDARD_NO_PAD };
    let decoded = engine.decode(&encoded).map_err(|_| ClaimsError::Claim(base64_name))?;
    one_line(decoded.into()).ok_or(ClaimsError::Claim(base64_name))
}

/// JSON that every client can be sent, by the rules for published data. `null` becomes nothing.
fn one_line(json: Bytes) -> Option<Bytes> {
    let json = normalise_json(json).ok()?;
    Some(if json == "null" { Bytes::new() } else { json })
}

/// For fields that may be missing but not `null`: whatever is there is read.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A struct that must be written as a JSON object: serde would take an array of its fields, too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// A map in which no key comes twice.
struct Entries<T>(BTreeMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((key, value)) = map.next_entry()? {
                    if entries.insert(key, value).is_some() {
                        return Err(A::Error::custom("a key comes twice"));
                    }
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

/// One name, or a list of names.
struct Audience(Vec<String>);

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AudienceVisitor;
        impl<'de> Visitor<'de> for AudienceVisitor {
            type Value = Audience;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Audience(vec![name.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element()? {
                    names.push(name);
                }
                Ok(Audience(names))
            }
        }
        deserializer.deserialize_any(AudienceVisitor)
    }
}

/// A moment as RFC 7519 writes it: seconds since 1970, perhaps with a fraction. At most
/// [`SECONDS_MAX`], which an `f64` holds exactly.
#[derive(Clone, Copy)]
struct NumericDate(f64);

impl NumericDate {
    #[allow(clippy::cast_possible_truncation, reason = "checked against SECONDS_MAX when read")]
    fn rounded_down(self) -> i64 {
        self.0.floor() as i64
    }

    #[allow(clippy::cast_possible_truncation, reason = "checked against SECONDS_MAX when read")]
    fn rounded_up(self) -> i64 {
        self.0.ceil() as i64
    }
}

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[allow(clippy::cast_precision_loss, reason = "SECONDS_MAX is far below 2^53")]
        const LATEST: f64 = SECONDS_MAX as f64;
        // serde's `f64` takes integers as well, and nothing but numbers.
        let seconds = f64::deserialize(deserializer)?;
        if (0.0..=LATEST).contains(&seconds) { Ok(Self(seconds)) } else { Err(D::Error::custom("out of range")) }
    }
}

#[cfg(test)]
mod tests;
