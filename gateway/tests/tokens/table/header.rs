//! What a header may say, and what it may not.

use serde_json::json;

use super::{GOOD, INVALID, Row, row};

pub(crate) const ROWS: &[Row] = &[
    row("not JSON", |d| d.header = Some("alg: HS256".into()), INVALID),
    row("an array", |d| d.header = Some(r#"["HS256",null,null]"#.into()), INVALID),
    row("null", |d| d.header = Some("null".into()), INVALID),
    row("a text", |d| d.header = Some(r#""HS256""#.into()), INVALID),
    row("cut off", |d| d.header = Some(r#"{"alg":"HS256""#.into()), INVALID),
    row("something behind it", |d| d.header = Some(r#"{"alg":"HS256"}{}"#.into()), INVALID),
    row("a byte order mark in front", |d| d.header = Some("\u{feff}{\"alg\":\"HS256\"}".into()), INVALID),
    row("white space in front", |d| d.header = Some(" {\"alg\":\"HS256\"}".into()), INVALID),
    row("nested 10,000 deep", |d| d.header = Some(format!(r#"{{"alg":"HS256","x":{}"#, "[".repeat(10_000))), INVALID),
    row("no alg", |d| d.header = Some(r#"{"typ":"JWT"}"#.into()), INVALID),
    row("alg null", |d| d.header = Some(r#"{"alg":null}"#.into()), INVALID),
    row("alg a number", |d| d.header = Some(r#"{"alg":256}"#.into()), INVALID),
    row("alg a list", |d| d.header = Some(r#"{"alg":["HS256"]}"#.into()), INVALID),
    row("alg twice", |d| d.header = Some(r#"{"alg":"HS256","alg":"none"}"#.into()), INVALID),
    row("alg twice, escaped", |d| d.header = Some(r#"{"alg":"HS256","\u0061lg":"none"}"#.into()), INVALID),
    row("alg none", |d| unsigned(d, "none"), INVALID),
    row("alg None", |d| unsigned(d, "None"), INVALID),
    row("alg NONE", |d| unsigned(d, "NONE"), INVALID),
    row("alg nOnE", |d| unsigned(d, "nOnE"), INVALID),
    row("alg none behind a space", |d| unsigned(d, " none"), INVALID),
    row("alg empty", |d| unsigned(d, ""), INVALID),
    row("alg none, but signed", |d| d.header = Some(r#"{"alg":"none"}"#.into()), INVALID),
    row("alg HS256, but unsigned", |d| unsigned(d, "HS256"), INVALID),
    row("alg in small letters", |d| d.header = Some(r#"{"alg":"hs256"}"#.into()), INVALID),
    row("alg of encryption", |d| d.header = Some(r#"{"alg":"RSA-OAEP"}"#.into()), INVALID),
    row("alg of encryption with a shared key", |d| d.header = Some(r#"{"alg":"dir"}"#.into()), INVALID),
    row("alg of another curve", |d| d.header = Some(r#"{"alg":"ES256K"}"#.into()), INVALID),
    row("alg of the standard, but not allowed", |d| d.algorithm = "HS512", INVALID),
    row("another typ", |d| d.more.extend([("typ".into(), json!("at+jwt"))]), GOOD),
    row(
        "crit with something unknown",
        |d| d.more.extend([("crit".into(), json!(["x"])), ("x".into(), json!(1))]),
        INVALID,
    ),
    row("crit empty", |d| d.more.extend([("crit".into(), json!([]))]), INVALID),
    row("crit null", |d| d.more.extend([("crit".into(), json!(null))]), INVALID),
    row("crit with exp", |d| d.more.extend([("crit".into(), json!(["exp"]))]), INVALID),
    row(
        "b64 false, critical",
        |d| d.more.extend([("b64".into(), json!(false)), ("crit".into(), json!(["b64"]))]),
        INVALID,
    ),
    row("b64 false", |d| d.more.extend([("b64".into(), json!(false))]), INVALID),
    row("b64 true", |d| d.more.extend([("b64".into(), json!(true))]), GOOD),
    row("zip", |d| d.more.extend([("zip".into(), json!("DEF"))]), INVALID),
    row("enc", |d| d.more.extend([("enc".into(), json!("A256GCM"))]), INVALID),
    row("jku of somebody else", |d| d.more.extend([("jku".into(), json!("https://evil.example/jwks.json"))]), GOOD),
    row("x5u of somebody else", |d| d.more.extend([("x5u".into(), json!("http://169.254.169.254/"))]), GOOD),
    row("x5c of nobody", |d| d.more.extend([("x5c".into(), json!(["MIIB"]))]), GOOD),
    row(
        "jwk of its own, with which it is signed",
        |d| {
            d.algorithm = "HS256";
            d.secret = b"a secret that the token brings along".to_vec();
            let jwk = json!({"kty": "oct", "k": "YSBzZWNyZXQgdGhhdCB0aGUgdG9rZW4gYnJpbmdzIGFsb25n"});
            d.more.extend([("jwk".into(), jwk)]);
        },
        INVALID,
    ),
    row("kid of nobody, with a shared secret", |d| d.kid = Some(json!("any")), GOOD),
    row("kid null", |d| d.kid = Some(json!(null)), INVALID),
    row("kid a number", |d| d.kid = Some(json!(1)), INVALID),
    row("kid a list", |d| d.kid = Some(json!(["rsa"])), INVALID),
    row("kid an object", |d| d.kid = Some(json!({"kid": "rsa"})), INVALID),
    row("kid of nobody", |d| by_rsa(d, json!("nobody")), INVALID),
    row("kid empty", |d| by_rsa(d, json!("")), INVALID),
    row("kid a path", |d| by_rsa(d, json!("../../../../dev/null")), INVALID),
    row("kid a URL", |d| by_rsa(d, json!("https://evil.example/key.pem")), INVALID),
    row("kid SQL", |d| by_rsa(d, json!("x' UNION SELECT 'secret")), INVALID),
    row("kid a command", |d| by_rsa(d, json!("|| id")), INVALID),
    row("kid with a NUL behind it", |d| by_rsa(d, json!("rsa\0")), INVALID),
    row("kid with a line end", |d| by_rsa(d, json!("rsa\r\n")), INVALID),
    row("kid in capitals", |d| by_rsa(d, json!("RSA")), INVALID),
    row("kid of 40 KB", |d| by_rsa(d, json!("k".repeat(40_000))), INVALID),
    row("kid of 64 KiB", |d| by_rsa(d, json!("k".repeat(64 * 1024))), INVALID),
    row("kid of a key of another kind", |d| by_rsa(d, json!("p256")), INVALID),
    row("kid twice", |d| d.header = Some(r#"{"alg":"HS256","kid":"a","kid":"b"}"#.into()), INVALID),
    row("kid of its key", |d| by_rsa(d, json!("rsa")), GOOD),
];

fn unsigned(draft: &mut crate::draft::Draft, algorithm: &str) {
    draft.header = Some(json!({ "alg": algorithm, "typ": "JWT" }).to_string());
    draft.signature = |_| Vec::new();
}

fn by_rsa(draft: &mut crate::draft::Draft, kid: serde_json::Value) {
    draft.algorithm = "RS256";
    draft.kid = Some(kid);
}
