//! What is no token at all: parts, alphabets, sizes.

use super::{GOOD, INVALID, Row, row};

/// Base64 as mail has it, where it differs from base64url.
fn standard_alphabet(token: &str) -> String {
    let token = token.replace('-', "+").replace('_', "/");
    if token.contains(['+', '/']) { token } else { format!("{token}+") }
}

pub(crate) const ROWS: &[Row] = &[
    row("as it should be", |_| (), GOOD),
    row("a dot", |d| d.token = |_| ".".into(), INVALID),
    row("two dots and nothing else", |d| d.token = |_| "..".into(), INVALID),
    row("three dots and nothing else", |d| d.token = |_| "...".into(), INVALID),
    row("a word", |d| d.token = |_| "token".into(), INVALID),
    row("two parts", |d| d.token = |t| t.rsplit_once('.').unwrap().0.into(), INVALID),
    row("four parts", |d| d.token = |t| format!("{t}.e30"), INVALID),
    row("five parts, as an encrypted one", |d| d.token = |t| format!("{t}.e30.e30"), INVALID),
    row("five parts in front of it", |d| d.token = |t| format!("e30.e30.{t}"), INVALID),
    row("an empty header", |d| d.token = |t| t[t.find('.').unwrap()..].into(), INVALID),
    row(
        "an empty payload",
        |d| {
            d.token = |t| {
                let parts: Vec<_> = t.split('.').collect();
                format!("{}..{}", parts[0], parts[2])
            }
        },
        INVALID,
    ),
    row("an empty signature", |d| d.token = |t| format!("{}.", t.rsplit_once('.').unwrap().0), INVALID),
    row("a dot behind it", |d| d.token = |t| format!("{t}."), INVALID),
    row("a dot in front of it", |d| d.token = |t| format!(".{t}"), INVALID),
    row("padding behind it", |d| d.token = |t| format!("{t}="), INVALID),
    row("padding behind its header", |d| d.token = |t| t.replacen('.', "=.", 1), INVALID),
    row("padding behind its payload", |d| d.token = |t| t.replace('.', "=.").replacen("=.", ".", 1), INVALID),
    row("the alphabet of mail", |d| d.token = |t| standard_alphabet(&t), INVALID),
    row("a space in front of it", |d| d.token = |t| format!(" {t}"), INVALID),
    row("a space behind it", |d| d.token = |t| format!("{t} "), INVALID),
    row("a line end behind it", |d| d.token = |t| format!("{t}\n"), INVALID),
    row("a carriage return inside", |d| d.token = |t| t.replacen('.', ".\r\n", 1), INVALID),
    row("a NUL behind it", |d| d.token = |t| format!("{t}\0"), INVALID),
    row("Bearer in front of it", |d| d.token = |t| format!("Bearer {t}"), INVALID),
    row("quotes around it", |d| d.token = |t| format!("\"{t}\""), INVALID),
    row("a letter beyond ASCII", |d| d.token = |t| format!("{t}é"), INVALID),
    row("percent-encoded dots", |d| d.token = |t| t.replace('.', "%2E"), INVALID),
    row("twice, one behind the other", |d| d.token = |t| format!("{t}{t}"), INVALID),
    row("stray bits at the end of its signature", |d| d.token = |t| with_stray_bits(&t), INVALID),
    row("60 KB, well signed", |d| d.set("unknown", "x".repeat(40_000).into()), GOOD),
    row("longer than any token, well signed", |d| d.set("unknown", "x".repeat(50_000).into()), INVALID),
    row("a JSON serialisation (RFC 7515, 7.2)", |d| d.token = |t| json_serialisation(&t), INVALID),
];

/// The last letter of a 32-byte signature has two bits that mean nothing and must be zero.
fn with_stray_bits(token: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = token.split_at(token.len() - 1);
    let value = ALPHABET.iter().position(|letter| [*letter] == last.as_bytes()).unwrap();
    assert_eq!(value % 4, 0, "the encoder wrote zeros");
    format!("{rest}{}", char::from(ALPHABET[value + 1]))
}

fn json_serialisation(token: &str) -> String {
    let parts: Vec<_> = token.split('.').collect();
    format!(r#"{{"protected":"{}","payload":"{}","signature":"{}"}}"#, parts[0], parts[1], parts[2])
}
