//! Well signed, and not to be believed. `NOW` in a payload stands for now.

use serde_json::{Value, json};

use super::Outcome::{Close, Error, Good};
use super::{EXPIRED, GOOD, IGNORED_IN_SUBSCRIPTION, INVALID, OTHER_USER, Row, row};
use crate::token::now;

const YEAR_9999: u64 = 253_402_300_799;

pub(crate) const ROWS: &[Row] = &[
    // The payload as a whole.
    row("payload empty", |d| d.payload = Some(|_| Vec::new()), INVALID),
    row("payload not JSON", |d| d.payload = Some(|_| b"sub=42".to_vec()), INVALID),
    row("payload an array", |d| d.payload = Some(|claims| format!("[{claims}]").into()), INVALID),
    row("payload null", |d| d.payload = Some(|_| b"null".to_vec()), INVALID),
    row("payload a text", |d| d.payload = Some(|_| b"\"42\"".to_vec()), INVALID),
    row("payload cut off", |d| d.payload = Some(|claims| claims[..claims.len() - 1].into()), INVALID),
    row("payload twice", |d| d.payload = Some(|claims| format!("{claims}{claims}").into()), INVALID),
    row("payload not UTF-8", |d| d.payload = Some(|claims| with_bytes(&claims, b"\xff")), INVALID),
    row(
        "payload with half of a surrogate pair",
        |d| d.payload = Some(|claims| with_bytes(&claims, br"\ud800")),
        INVALID,
    ),
    row(
        "payload with a byte order mark in front",
        |d| d.payload = Some(|claims| format!("\u{feff}{claims}").into()),
        INVALID,
    ),
    row("a claim twice", |d| d.payload = Some(|claims| first(&claims, r#""sub":"43""#)), INVALID),
    row("a claim twice, escaped", |d| d.payload = Some(|claims| first(&claims, r#""\u0073ub":"43""#)), INVALID),
    row("exp twice", |d| d.payload = Some(|claims| first(&claims, r#""exp":1"#)), INVALID),
    row("exp NaN", |d| d.payload = Some(|claims| in_place_of_exp(&claims, "NaN")), INVALID),
    row("exp Infinity", |d| d.payload = Some(|claims| in_place_of_exp(&claims, "Infinity")), INVALID),
    row("exp 1e308", |d| d.payload = Some(|claims| in_place_of_exp(&claims, "1e308")), INVALID),
    row("exp 1e400", |d| d.payload = Some(|claims| in_place_of_exp(&claims, "1e400")), INVALID),
    row("exp 2 to the 64", |d| d.payload = Some(|claims| in_place_of_exp(&claims, "18446744073709551616")), INVALID),
    row("exp with a zero in front", |d| d.payload = Some(|claims| in_place_of_exp(&claims, "04102444800")), INVALID),
    row("an unknown claim", |d| d.set("roles", json!(["admin", null, {"a": 1}])), GOOD),
    row("an unknown claim, 10,000 deep", |d| d.payload = Some(|claims| first(&claims, &deep("roles"))), GOOD),
    row("2,000 unknown claims", |d| (0..2000).for_each(|n| d.set(&format!("c{n}"), json!(n))), GOOD),
    row("a million claims", |d| d.payload = Some(|_| many()), INVALID),
    // exp
    row("exp a moment ago", |d| d.set("exp", json!(now() - 1)), EXPIRED),
    row("exp now", |d| d.set("exp", json!(now())), EXPIRED),
    row("exp 0", |d| d.set("exp", json!(0)), EXPIRED),
    row("exp 1", |d| d.set("exp", json!(1)), EXPIRED),
    row("exp with a fraction", |d| d.set("exp", json!(now() as f64 + 600.5)), GOOD),
    row("exp at the end of time", |d| d.set("exp", json!(YEAR_9999)), GOOD),
    row("exp after the end of time", |d| d.set("exp", json!(YEAR_9999 + 1)), INVALID),
    row("exp in milliseconds", |d| d.set("exp", json!((now() + 600) * 1000)), INVALID),
    row("exp negative", |d| d.set("exp", json!(-1)), INVALID),
    row("exp the least number", |d| d.set("exp", json!(i64::MIN)), INVALID),
    row("exp the largest number", |d| d.set("exp", json!(u64::MAX)), INVALID),
    row("exp a text", |d| d.set("exp", json!((now() + 600).to_string())), INVALID),
    row("exp a date", |d| d.set("exp", json!("2099-01-01T00:00:00Z")), INVALID),
    row("exp null", |d| d.set("exp", json!(null)), INVALID),
    row("exp true", |d| d.set("exp", json!(true)), INVALID),
    row("exp a list", |d| d.set("exp", json!([now() + 600])), INVALID),
    row("exp an object", |d| d.set("exp", json!({ "value": now() + 600 })), INVALID),
    row("no exp", |d| drop(d.claims.remove("exp")), GOOD),
    // nbf, iat
    row("nbf in ten minutes", |d| d.set("nbf", json!(now() + 600)), EXPIRED),
    row("nbf long ago", |d| d.set("nbf", json!(1)), GOOD),
    row("nbf a text", |d| d.set("nbf", json!("0")), INVALID),
    row("nbf null", |d| d.set("nbf", json!(null)), INVALID),
    row("nbf negative", |d| d.set("nbf", json!(-1)), INVALID),
    row("iat in an hour", |d| d.set("iat", json!(now() + 3600)), EXPIRED),
    row("iat in a few seconds", |d| d.set("iat", json!(now() + 5)), GOOD),
    row("iat a text", |d| d.set("iat", json!("1700000000")), INVALID),
    row("iat an object", |d| d.set("iat", json!({})), INVALID),
    // aud, iss
    row("no aud", |d| drop(d.claims.remove("aud")), INVALID),
    row("aud of somebody else", |d| d.set("aud", json!("somebody")), INVALID),
    row("aud in capitals", |d| d.set("aud", json!("FANFARE")), INVALID),
    row("aud with more behind it", |d| d.set("aud", json!("fanfare2")), INVALID),
    row("aud empty", |d| d.set("aud", json!("")), INVALID),
    row("aud an empty list", |d| d.set("aud", json!([])), INVALID),
    row("aud a list of others", |d| d.set("aud", json!(["a", "b"])), INVALID),
    row("aud a list with ours", |d| d.set("aud", json!(["a", "fanfare"])), GOOD),
    row("aud a list of lists", |d| d.set("aud", json!([["fanfare"]])), INVALID),
    row("aud a list with a number", |d| d.set("aud", json!(["fanfare", 1])), INVALID),
    row("aud null", |d| d.set("aud", json!(null)), INVALID),
    row("aud an object", |d| d.set("aud", json!({ "fanfare": true })), INVALID),
    row("no iss", |d| drop(d.claims.remove("iss")), INVALID),
    row("iss of somebody else", |d| d.set("iss", json!("https://evil.example")), INVALID),
    row("iss with a slash behind it", |d| d.set("iss", json!("https://app.example/")), INVALID),
    row("iss in capitals", |d| d.set("iss", json!("HTTPS://APP.EXAMPLE")), INVALID),
    row("iss a list", |d| d.set("iss", json!(["https://app.example"])), INVALID),
    row("iss null", |d| d.set("iss", json!(null)), INVALID),
    // sub
    row("sub of somebody else", |d| d.set("sub", json!("43")), OTHER_USER),
    row("sub with a space behind it", |d| d.set("sub", json!("42 ")), OTHER_USER),
    row("sub empty", |d| d.set("sub", json!("")), [Close(3507), Close(3500)]),
    row("no sub", |d| drop(d.claims.remove("sub")), [Close(3507), Close(3500)]),
    row("sub a number", |d| d.set("sub", json!(42)), INVALID),
    row("sub null", |d| d.set("sub", json!(null)), INVALID),
    row("sub a list", |d| d.set("sub", json!(["42"])), INVALID),
    row("sub an object", |d| d.set("sub", json!({ "id": "42" })), INVALID),
    row("sub with a line end", |d| d.set("sub", json!("42\r\nlevel=ERROR")), INVALID),
    row("sub with an escape sequence", |d| d.set("sub", json!("\u{1b}[2J")), INVALID),
    row("sub with a NUL", |d| d.set("sub", json!("42\0")), INVALID),
    // What it opens.
    row("jti a number", |d| d.set("jti", json!(7)), INVALID),
    row("expire_at in the past", |d| d.set("expire_at", json!(1)), EXPIRED),
    row("expire_at never", |d| d.set("expire_at", json!(0)), GOOD),
    row("expire_at a text", |d| d.set("expire_at", json!("0")), INVALID),
    row("expire_at null", |d| d.set("expire_at", json!(null)), INVALID),
    row("info with half of a surrogate pair", |d| d.payload = Some(|c| first(&c, r#""info":"\ud800""#)), INVALID),
    row("b64info not base64", |d| d.set("b64info", json!("%%")), INVALID),
    row("b64info not JSON", |d| d.set("b64info", json!("/w==")), INVALID),
    row("meta nested 200 deep", |d| d.payload = Some(|c| first(&c, &nested("meta", 200))), IGNORED_IN_SUBSCRIPTION),
    row("info nested 200 deep", |d| d.payload = Some(|c| first(&c, &nested("info", 200))), INVALID),
    row("channels a text", |d| d.set("channels", json!("news")), IGNORED_IN_SUBSCRIPTION),
    row("channels null", |d| d.set("channels", json!(null)), IGNORED_IN_SUBSCRIPTION),
    row("channels with a number", |d| d.set("channels", json!([1])), IGNORED_IN_SUBSCRIPTION),
    row("channels with a name that cannot be", |d| d.set("channels", json!(["a b"])), IGNORED_IN_SUBSCRIPTION),
    row("channels with the empty name", |d| d.set("channels", json!([""])), IGNORED_IN_SUBSCRIPTION),
    row("channels of an unknown namespace", |d| d.set("channels", json!(["nobody:x"])), [Error(102), Good]),
    row("channels, 129 of them", |d| d.set("channels", many_channels()), [Close(3505), Good]),
    row("subs a list", |d| d.set("subs", json!(["news"])), IGNORED_IN_SUBSCRIPTION),
    row("subs with null", |d| d.set("subs", json!({ "news": null })), IGNORED_IN_SUBSCRIPTION),
    row(
        "subs with a channel twice",
        |d| d.payload = Some(|c| first(&c, r#""subs":{"a":{},"a":{}}"#)),
        IGNORED_IN_SUBSCRIPTION,
    ),
    row(
        "subs with a bare override",
        |d| d.set("subs", json!({ "a": { "override": { "presence": true } } })),
        IGNORED_IN_SUBSCRIPTION,
    ),
    row("override a list", |d| d.set("override", json!([])), [Good, Error(103)]),
    row("override bare", |d| d.set("override", json!({ "presence": true })), [Good, Error(103)]),
    row("override with a number", |d| d.set("override", json!({ "presence": { "value": 1 } })), [Good, Error(103)]),
    row("another kind of token", mix_up, [Close(3500), Error(103)]),
    row("channel of another name", |d| in_subscription(d, "channel", json!("$other")), [Good, Close(3500)]),
    row("channel in capitals", |d| in_subscription(d, "channel", json!("$NEWS")), [Good, Close(3500)]),
    row("channel a list", |d| in_subscription(d, "channel", json!(["$news"])), [Good, Error(103)]),
    row("channel null", |d| in_subscription(d, "channel", json!(null)), [Good, Error(103)]),
    row("channel empty", |d| in_subscription(d, "channel", json!("")), [Good, Error(103)]),
    row(
        "client of another connection",
        |d| d.set("client", json!("e6fa9d0a-0000-4000-8000-000000000000")),
        [Good, Close(3500)],
    ),
    row("client empty", |d| d.set("client", json!("")), GOOD),
    row("client a number", |d| d.set("client", json!(1)), [Good, Error(103)]),
    row("data not base64", |d| d.set("b64data", json!("!")), [Good, Error(103)]),
];

/// The text of the claims with these bytes in the user's name.
fn with_bytes(claims: &str, bytes: &[u8]) -> Vec<u8> {
    let (before, after) = claims.split_once(r#""sub":"42"#).unwrap();
    [before.as_bytes(), br#""sub":"42"#, bytes, after.as_bytes()].concat()
}

/// The text of the claims with another one in front.
fn first(claims: &str, claim: &str) -> Vec<u8> {
    claims.replacen('{', &format!("{{{claim},"), 1).into_bytes()
}

fn in_place_of_exp(claims: &str, number: &str) -> Vec<u8> {
    let (before, after) = claims.split_once(r#""exp":"#).unwrap();
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    format!(r#"{before}"exp":{number}{rest}"#).into_bytes()
}

fn deep(name: &str) -> String {
    nested(name, 10_000)
}

fn nested(name: &str, depth: usize) -> String {
    format!(r#""{name}":{}{}"#, "[".repeat(depth), "]".repeat(depth))
}

/// More than a token may have.
fn many() -> Vec<u8> {
    let claims: Vec<_> = (0..1_000_000).map(|n| format!(r#""{n}":0"#)).collect();
    format!("{{{}}}", claims.join(",")).into_bytes()
}

fn many_channels() -> Value {
    (0..129).map(|n| format!("channel-{n}")).collect::<Vec<_>>().into()
}

/// One kind in the place of the other.
fn mix_up(draft: &mut crate::draft::Draft) {
    if draft.claims.remove("channel").is_none() {
        draft.set("channel", json!("$news"));
    }
}

/// A claim of subscription tokens; in a connection token it would be another row.
fn in_subscription(draft: &mut crate::draft::Draft, name: &str, value: Value) {
    if draft.claims.contains_key("channel") {
        draft.set(name, value);
    }
}
