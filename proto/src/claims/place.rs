//! Single claims, found by where they are: for what must be known before the rest is read, and for
//! claims whose names are configured.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{ClaimsError, can_be_user};

/// Who made the token (`iss`), read before its signature is checked: good for choosing a key and nothing
/// else.
///
/// # Errors
/// [`ClaimsError`] for a payload that is no object, or an `iss` that is no text or comes twice.
pub fn issuer(payload: &[u8]) -> Result<Option<String>, ClaimsError> {
    text_at(payload, &["iss"], ClaimsError::Claim("iss"))
}

/// The user's id at a path of names, from the outside in; none if it, or an object on the way, is missing.
///
/// # Errors
/// [`ClaimsError::User`] if there is something else than objects on the way and a text that can be an id at the
/// end, or if one of the names comes twice.
pub fn user_at(payload: &[u8], path: &[String]) -> Result<Option<String>, ClaimsError> {
    let user = text_at(payload, path, ClaimsError::User)?;
    if user.as_deref().is_none_or(can_be_user) { Ok(user) } else { Err(ClaimsError::User) }
}

fn text_at(payload: &[u8], path: &[impl AsRef<str>], wrong: ClaimsError) -> Result<Option<String>, ClaimsError> {
    let mut at = std::str::from_utf8(payload).map_err(|_| ClaimsError::Payload)?;
    for (depth, name) in path.iter().enumerate() {
        let found = member(at, name.as_ref()).map_err(|_| if depth == 0 { ClaimsError::Payload } else { wrong })?;
        let Some(value) = found else { return Ok(None) };
        at = value.get();
    }
    serde_json::from_str(at).map(Some).map_err(|_| wrong)
}

/// The member of this name of an object in which it does not come twice. Passing over the others does not
/// recurse, so depth costs no stack.
fn member<'a>(object: &'a str, name: &str) -> serde_json::Result<Option<&'a RawValue>> {
    let mut reader = serde_json::Deserializer::from_str(object);
    let found = Member(name).deserialize(&mut reader)?;
    reader.end()?;
    Ok(found)
}

struct Member<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<String>()? {
            if name != self.0 {
                map.next_value::<IgnoredAny>()?;
            } else if found.replace(map.next_value::<&RawValue>()?).is_some() {
                return Err(A::Error::custom("a name comes twice"));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(payload: &str, path: &[&str]) -> Result<Option<String>, ClaimsError> {
        user_at(payload.as_bytes(), &path.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_issuer_is_a_text_that_comes_once() {
        assert_eq!(issuer(br#"{"sub":1,"iss":"a","x":[{"iss":"b"}]}"#), Ok(Some("a".to_owned())));
        assert_eq!(issuer(br#"{"i\u0073s":"a"}"#), Ok(Some("a".to_owned())));
        assert_eq!(issuer(b"{}"), Ok(None));
        for wrong in [r#"{"iss":1}"#, r#"{"iss":null}"#, r#"{"iss":["a"]}"#] {
            assert_eq!(issuer(wrong.as_bytes()), Err(ClaimsError::Claim("iss")), "{wrong}");
        }
        for wrong in ["", "1", "[]", r#"["iss"]"#, r#"{"iss":"a","iss":"a"}"#, r#"{"iss":"a"}x"#, r#"{"iss":"a""#] {
            assert_eq!(issuer(wrong.as_bytes()), Err(ClaimsError::Payload), "{wrong}");
        }
        assert_eq!(issuer(b"{\"iss\":\"\xff\"}"), Err(ClaimsError::Payload));
    }

    #[test]
    fn the_user_is_where_the_path_leads() {
        let payload = r#"{"sub":"1","user":{"id":"42","name":{"first":"Ada"}},"https://a.example/id":"7"}"#;
        assert_eq!(user(payload, &["user", "id"]), Ok(Some("42".to_owned())));
        assert_eq!(user(payload, &["user", "name", "first"]), Ok(Some("Ada".to_owned())));
        assert_eq!(user(payload, &["https://a.example/id"]), Ok(Some("7".to_owned())));
        assert_eq!(user(payload, &["user", "mail"]), Ok(None));
        assert_eq!(user(payload, &["account", "id"]), Ok(None));
        for path in [&["user"][..], &["sub", "id"], &["user", "name"], &["user", "id", "x"]] {
            assert_eq!(user(payload, path), Err(ClaimsError::User), "{path:?}");
        }
        let twice = r#"{"user":{"id":"42","id":"43"}}"#;
        assert_eq!(user(twice, &["user", "id"]), Err(ClaimsError::User));
        assert_eq!(user(r#"{"user":{"id":42}}"#, &["user", "id"]), Err(ClaimsError::User));
        assert_eq!(user("{\"user\":{\"id\":\"a\\u0000\"}}", &["user", "id"]), Err(ClaimsError::User));
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!(r#"{{"x":{}{},"iss":"a"}}"#, "[".repeat(30_000), "]".repeat(30_000));
        let read = move || assert_eq!(issuer(deep.as_bytes()), Ok(Some("a".to_owned())));
        std::thread::Builder::new().stack_size(256 * 1024).spawn(read).unwrap().join().unwrap();
    }
}
