//! Tables of what passes and what does not, and serde_json as a second opinion.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn normalise(data: &str) -> Result<String, DataError> {
    normalise_json(Bytes::copy_from_slice(data.as_bytes())).map(|data| String::from_utf8(data.to_vec()).unwrap())
}

#[test]
fn valid_json_passes_unchanged() {
    for data in [
        "{}",
        "[]",
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-12.50e+3",
        "1E400",
        "123456789012345678901234567890",
        r#""""#,
        r#""a long string of plain characters, äöü and 😀, over several words""#,
        r#""\" \\ \/ \b \f \n \r \t \u00e9 \uD83D\ude00""#,
        r#"{"a":1,"b":[{},[],"x",null],"a":2}"#,
        "{ \"a\" :\t[ 1 , 2 ] }",
        "\"\u{7f}\u{2028}\"",
    ] {
        assert_eq!(normalise(data).as_deref(), Ok(data));
    }
}

#[test]
fn line_breaks_between_tokens_go() {
    for (data, line) in [
        ("{\n  \"a\": 1\r\n}", "{  \"a\": 1}"),
        ("\n[\n1\n,\r2\n]\n", "[1,2]"),
        (" \t1\n", "1"),
        ("{\"a\\nb\":\n\"c\\r\"}", "{\"a\\nb\":\"c\\r\"}"),
        ("[\n]", "[]"),
    ] {
        assert_eq!(normalise(data).as_deref(), Ok(line), "{data:?}");
    }
}

#[test]
fn what_is_on_one_line_is_not_copied() {
    for (data, from) in [(&b"{\"a\":1}"[..], 0), (b"  [1, 2]\r\n", 2)] {
        let data = Bytes::from_static(data);
        let line = normalise_json(data.clone()).unwrap();
        assert_eq!(line.as_ptr(), data[from..].as_ptr());
    }
}

#[test]
fn everything_else_is_refused() {
    use DataError::{ControlCharacter, CutOff, Empty, LoneSurrogate, SecondValue, Unexpected};
    for (data, error) in [
        ("", Empty),
        (" \n ", Empty),
        ("NaN", Unexpected { at: 0 }),
        ("nan", Unexpected { at: 1 }),
        ("Infinity", Unexpected { at: 0 }),
        ("-Infinity", Unexpected { at: 1 }),
        ("'a'", Unexpected { at: 0 }),
        ("tru", CutOff),
        ("trux", Unexpected { at: 3 }),
        ("truex", SecondValue { at: 4 }),
        ("01", Unexpected { at: 1 }),
        ("+1", Unexpected { at: 0 }),
        (".5", Unexpected { at: 0 }),
        ("1.", CutOff),
        ("[1.]", Unexpected { at: 3 }),
        ("1e", CutOff),
        ("1e+", CutOff),
        ("1.2.3", Unexpected { at: 3 }),
        ("-", CutOff),
        ("--1", Unexpected { at: 1 }),
        ("0x10", SecondValue { at: 1 }),
        ("[", CutOff),
        ("[1", CutOff),
        ("[1 2]", Unexpected { at: 3 }),
        ("[1,]", Unexpected { at: 3 }),
        ("[,1]", Unexpected { at: 1 }),
        ("[1}", Unexpected { at: 2 }),
        ("{\"a\":1]", Unexpected { at: 6 }),
        ("]", Unexpected { at: 0 }),
        ("{\"a\"}", Unexpected { at: 4 }),
        ("{\"a\":}", Unexpected { at: 5 }),
        ("{\"a\":1,}", Unexpected { at: 7 }),
        ("{a:1}", Unexpected { at: 1 }),
        ("{1:1}", Unexpected { at: 1 }),
        ("{} {}", SecondValue { at: 3 }),
        ("{}\n{}", SecondValue { at: 3 }),
        ("1 // one", SecondValue { at: 2 }),
        ("\"", CutOff),
        ("\"abc\\\"", CutOff),
        ("\"a\nb\"", ControlCharacter { at: 2 }),
        ("\"12345678\r\"", ControlCharacter { at: 9 }),
        ("\"\0\"", ControlCharacter { at: 1 }),
        ("\"\\x\"", Unexpected { at: 2 }),
        ("\"\\u12g4\"", Unexpected { at: 5 }),
        ("\"\\u12\"", Unexpected { at: 5 }),
        ("\"\\ud800\"", LoneSurrogate { at: 1 }),
        ("\"x\\udc00\"", LoneSurrogate { at: 2 }),
        ("\"\\ud800\\ud800\"", LoneSurrogate { at: 1 }),
        ("\"\\ud800\\n\"", LoneSurrogate { at: 1 }),
        ("\"\\ud800\\u0041\"", LoneSurrogate { at: 1 }),
        ("\u{feff}1", Unexpected { at: 0 }),
        ("\u{a0}1", Unexpected { at: 0 }),
    ] {
        assert_eq!(normalise(data), Err(error), "{data:?}");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    for (data, at) in [(&b"\"\xff\""[..], 1), (b"\"\xed\xa0\x80\"", 1), (b"\"\xc0\x80\"", 1), (b"1\x80", 1)] {
        assert_eq!(normalise_json(Bytes::from_static(data)), Err(DataError::Utf8 { at }));
    }
}

#[test]
fn nesting_has_a_limit() {
    let arrays = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(normalise(&arrays(DATA_DEPTH_MAX)).is_ok());
    assert_eq!(normalise(&arrays(DATA_DEPTH_MAX + 1)), Err(DataError::TooDeep));
    assert_eq!(normalise(&arrays(30_000)), Err(DataError::TooDeep));
    let objects = |depth: usize| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
    assert!(normalise(&objects(DATA_DEPTH_MAX)).is_ok());
    assert_eq!(normalise(&objects(DATA_DEPTH_MAX + 1)), Err(DataError::TooDeep));
    assert_eq!(normalise(&"[{\"a\":".repeat(15_000)), Err(DataError::TooDeep));
}

#[test]
fn messages_say_what_and_where() {
    assert_eq!(normalise("{\"a\":NaN}").unwrap_err().to_string(), "data is not JSON: unexpected byte at 5");
    assert_eq!(normalise(&"[".repeat(200)).unwrap_err().to_string(), "data is nested deeper than 128 levels");
}

/// Values with strings of all kinds, nested less deep than serde_json allows.
fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    scalar.prop_recursive(8, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Text made of what JSON is made of, so that a good part of it nearly is.
fn almost_json() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{", "}", "[", "]", ":", ",", "\"", "\"a\"", "\\", "\\u", "d800", "\\udc00", "\\ud83d", "0", "1", "-", ".",
        "e", "E5", "+", "null", "true", "fals", " ", "\n", "\r", "\t", "\u{1}", "é", "😀", "abcdefgh",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn agrees_with_serde_json_on_values(value in value(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let line = normalise(&text).unwrap();
        prop_assert!(!line.contains(['\n', '\r']));
        // Not to `value`: serde_json's own way there and back may cost a float its last bit.
        prop_assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
        prop_assert_eq!(normalise(&line).unwrap(), line);
    }

    #[test]
    fn agrees_with_serde_json_on_almost_json(text in almost_json()) {
        match serde_json::from_str::<Value>(&text) {
            // serde_json has no numbers beyond the range of a double; JSON has.
            Err(error) if error.to_string().starts_with("number out of range") => {}
            other => prop_assert_eq!(normalise(&text).is_ok(), other.is_ok(), "{:?}", text),
        }
    }

    #[test]
    fn agrees_with_serde_json_on_damaged_json(value in value(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = serde_json::to_vec(&value).unwrap();
        let place = place.index(text.len());
        text[place] = byte;
        match serde_json::from_slice::<Value>(&text) {
            Err(error) if error.to_string().starts_with("number out of range") => {}
            other => prop_assert_eq!(normalise_json(text.clone().into()).is_ok(), other.is_ok(), "{:?}", text),
        }
    }

    #[test]
    fn special_bytes_are_found_in_words(bytes in any::<[u8; 8]>()) {
        let expected = bytes.iter().any(|byte| IS_SPECIAL[usize::from(*byte)]);
        prop_assert_eq!(has_special(u64::from_le_bytes(bytes)), expected);
    }
}
