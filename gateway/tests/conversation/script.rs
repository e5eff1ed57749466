//! Reads the files and compares values with patterns: pure, without a gateway.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::token;

/// The client that speaks in lines without a name.
const NAMELESS: &str = "alice";

/// A file.
pub(crate) struct Script {
    /// TOML for the gateway.
    pub(crate) config: String,
    /// What happens, with line numbers.
    pub(crate) steps: Vec<(usize, Step)>,
}

/// One thing that happens.
pub(crate) enum Step {
    /// A client sends a frame.
    Says { who: String, frame: String },
    /// A client hears these lines next, in any order.
    Hears { who: String, lines: Vec<Value> },
    /// A client's connection is closed.
    Closed { who: String, code: u16 },
    /// A backend calls the API.
    Api { method: String, body: String },
    /// What the API must have answered.
    Answer { expected: Value },
}

/// Reads a file; panics with the line number on what it does not understand.
pub(crate) fn parse(text: &str) -> Script {
    let mut script = Script { config: String::new(), steps: Vec::new() };
    let mut any_order = false;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let json = |text: &str| serde_json::from_str(text).unwrap_or_else(|error| panic!("line {number}: {error}"));
        let split = line.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(line.len());
        let (name, rest) = line.split_at(split);
        let who = if name.is_empty() { NAMELESS } else { name }.to_owned();
        let mut characters = rest.chars();
        let mark = characters.next();
        let rest = characters.as_str();
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        let joins = any_order && mark == Some('*');
        any_order = mark == Some('*');
        let step = match (mark, name) {
            (None, "") | (Some('#'), "") => continue,
            (Some('%'), "") => {
                script.config += &format!("{rest}\n");
                continue;
            }
            (Some('|'), "") => match script.steps.last_mut() {
                Some((_, Step::Says { frame, .. })) => {
                    *frame += &format!("\n{rest}");
                    continue;
                }
                _ => panic!("line {number}: there is no frame to go on with"),
            },
            (Some('$'), "") => {
                let (method, body) = rest.split_once(' ').unwrap_or((rest, "{}"));
                Step::Api { method: method.to_owned(), body: body.to_owned() }
            }
            (Some('='), "") => Step::Answer { expected: json(rest) },
            (Some('>'), _) => Step::Says { who, frame: rest.to_owned() },
            (Some('<'), _) => Step::Hears { who, lines: vec![json(rest)] },
            (Some('*'), _) => match script.steps.last_mut() {
                Some((_, Step::Hears { who: same, lines })) if joins && *same == who => {
                    lines.push(json(rest));
                    continue;
                }
                _ => Step::Hears { who, lines: vec![json(rest)] },
            },
            (Some('!'), _) => {
                Step::Closed { who, code: rest.parse().unwrap_or_else(|_| panic!("line {number}: {rest}")) }
            }
            _ => panic!("line {number}: {line}"),
        };
        script.steps.push((number, step));
    }
    script
}

/// Puts tokens and learnt words in the place of `<...>`.
pub(crate) fn substitute(frame: &str, words: &HashMap<String, Value>) -> String {
    let mut out = String::new();
    let mut rest = frame;
    while let Some((before, after)) = rest.split_once('<') {
        out += before;
        let Some((inside, behind)) = after.split_once('>') else {
            panic!("no end of <{after}");
        };
        if let Some(claims) = inside.strip_prefix("token:") {
            out += &token::mint(&claims_of(claims));
        } else {
            match words.get(inside) {
                Some(Value::String(text)) => out += text,
                Some(value) => out += &value.to_string(),
                None => panic!("nobody has said <{inside}> yet"),
            }
        }
        rest = behind;
    }
    out + rest
}

/// `sub=42,exp=-5` as claims. `info` is JSON, `channels=a+b` a list, `override=presence+!join_leave` and
/// `subs=news/presence` switches, `caps=chat:*/sub+pub;news/` what may be done on which channels; all others are strings.
fn claims_of(text: &str) -> Value {
    let mut claims = Map::new();
    for (name, value) in text.split(',').filter_map(|claim| claim.split_once('=')) {
        let value = match name {
            "exp" | "nbf" | "iat" | "expire_at" => {
                let offset: i64 = value.parse().unwrap();
                Value::from(token::now().checked_add_signed(offset).unwrap())
            }
            "channels" => value.split('+').map(Value::from).collect(),
            "info" => serde_json::from_str(value).unwrap(),
            "override" => overrides(value),
            "subs" => {
                let (channel, names) = value.split_once('/').unwrap();
                json!({ channel: { "override": overrides(names) } })
            }
            "caps" => value.split(';').map(capability).collect(),
            _ => Value::from(value),
        };
        claims.insert(name.to_owned(), value);
    }
    Value::Object(claims)
}

/// `presence+!join_leave`: one is on, the other off.
fn overrides(text: &str) -> Value {
    let switch = |name: &str| match name.strip_prefix('!') {
        Some(name) => (name.to_owned(), json!({ "value": false })),
        None => (name.to_owned(), json!({ "value": true })),
    };
    Value::Object(text.split('+').map(switch).collect())
}

/// `chat:*/sub+pub` as an entry of `caps`.
fn capability(text: &str) -> Value {
    let (channel, rights) = text.rsplit_once('/').unwrap();
    let rights: Vec<_> = rights.split('+').filter(|right| !right.is_empty()).collect();
    let matching = if channel.contains('*') { "wildcard" } else { "" };
    serde_json::json!({ "channels": [channel], "match": matching, "allow": rights })
}

/// Whether `heard` is what `expected` describes; learns the words in it.
pub(crate) fn matches(expected: &Value, heard: &Value, words: &mut HashMap<String, Value>) -> bool {
    match (expected, heard) {
        (Value::String(pattern), heard) if pattern.starts_with('<') && pattern.ends_with('>') => {
            let word = &pattern[1..pattern.len() - 1];
            word == "any" || words.entry(word.to_owned()).or_insert_with(|| heard.clone()) == heard
        }
        (Value::Object(expected), Value::Object(heard)) => {
            let open = expected.contains_key("...");
            let known = |key: &String| open || expected.contains_key(key);
            heard.keys().all(known)
                && expected
                    .iter()
                    .filter(|(key, _)| *key != "...")
                    .all(|(key, pattern)| heard.get(key).is_some_and(|value| matches(pattern, value, words)))
        }
        (Value::Array(expected), Value::Array(heard)) => {
            expected.len() == heard.len() && expected.iter().zip(heard).all(|(e, h)| matches(e, h, words))
        }
        _ => expected == heard,
    }
}

#[test]
fn patterns_can_fail() {
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let check = |pattern: &str, heard: &str| matches(&json(pattern), &json(heard), &mut HashMap::new());
    assert!(check(r#"{"a":"<any>"}"#, r#"{"a":[1]}"#));
    assert!(!check(r#"{"a":1}"#, r#"{"a":1,"b":2}"#));
    assert!(check(r#"{"a":1,"...":0}"#, r#"{"a":1,"b":2}"#));
    assert!(!check(r#"{"a":1,"...":0}"#, r#"{"b":2}"#));
    assert!(!check(r#"["<x>","<x>"]"#, "[1,2]"));
    assert!(check(r#"["<x>","<x>"]"#, "[2,2]"));
    assert!(!check("[1]", "[1,2]"));
}
