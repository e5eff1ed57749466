//! How single fields are read: leniently where callers' libraries differ, strictly where a guess would
//! change the meaning.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A text that borrows from the request where it has no escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

/// Whether an option that this version has not built was asked for. Absent, `null`, `false`, 0 and
/// empty values ask for nothing: libraries send them by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given(pub bool);

/// The first option in a table that was asked for.
pub(super) fn first_given(options: &[(&'static str, Given)]) -> Option<&'static str> {
    options.iter().find(|(_, given)| given.0).map(|(name, _)| *name)
}

/// Reads `null` as the default, as most servers of this API do.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Keeps a present `null` as a payload.
pub(super) fn payload<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// For `skip_serializing_if`.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
pub(super) fn is_false(value: &bool) -> bool {
    !*value
}

/// For `skip_serializing_if`.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
pub(super) fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GivenVisitor)
    }
}

struct GivenVisitor;

impl<'de> Visitor<'de> for GivenVisitor {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Given, E> {
        Ok(Given(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Given, E> {
        Ok(Given(value != 0))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Given, E> {
        Ok(Given(value != 0))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Given, E> {
        Ok(Given(value != 0.0))
    }

    fn visit_str<E>(self, value: &str) -> Result<Given, E> {
        Ok(Given(!value.is_empty()))
    }

    fn visit_unit<E>(self) -> Result<Given, E> {
        Ok(Given(false))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Given, A::Error> {
        let mut given = false;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            given = true;
        }
        Ok(Given(given))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given, A::Error> {
        let mut given = false;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            given = true;
        }
        Ok(Given(given))
    }
}
