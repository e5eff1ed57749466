//! The rules of single fields, named by the attributes that `build.rs` puts on the generated messages.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Zero and empty are not written.
pub(in crate::centrifuge) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// `null` is the same as nothing.
pub(in crate::centrifuge) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A message within a message. Serde would also take an array of its fields' values; the protocol does
/// not.
pub(in crate::centrifuge) fn message<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_option(OptionVisitor(PhantomData))
}

struct OptionVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OptionVisitor<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(ObjectVisitor::new()).map(Some)
    }
}

/// Reads a message from an object and from nothing else.
pub(super) struct ObjectVisitor<T>(PhantomData<T>);

impl<T> ObjectVisitor<T> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// `bytes`: a JSON value as it is written, `null` included; empty if the field is not there.
pub(in crate::centrifuge) mod raw {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::value::RawValue;

    use crate::data;

    /// Copies, so that a small payload does not keep a large frame in memory.
    pub(in crate::centrifuge) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|value| Bytes::copy_from_slice(value.get().as_bytes()))
    }

    /// On one line; what is not acceptable data is written as `null`. A payload that came by another road
    /// than publications do must not break the frame around it.
    pub(in crate::centrifuge) fn serialize<S: Serializer>(value: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        let line = data::normalise_json(value.clone()).unwrap_or_default();
        match serde_json::from_slice::<&RawValue>(&line) {
            Ok(value) => value.serialize(serializer),
            Err(_) => serializer.serialize_none(),
        }
    }

    /// What [`serialize`] writes.
    pub(in crate::centrifuge) fn line(value: &Bytes) -> Bytes {
        let line = data::normalise_json(value.clone()).unwrap_or_default();
        let text = serde_json::from_slice::<&RawValue>(&line).map(RawValue::get);
        text.map_or(Bytes::from_static(b"null"), |text| line.slice_ref(text.as_bytes()))
    }
}
