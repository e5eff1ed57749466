use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn connect(payload: &str) -> Result<ConnectClaims, ClaimsError> {
    ConnectClaims::parse(payload.as_bytes())
}

fn subscribe(payload: &str) -> Result<SubscribeClaims, ClaimsError> {
    SubscribeClaims::parse(payload.as_bytes())
}

#[test]
fn all_connection_claims() {
    let claims = connect(
        r#"{"sub":"42","exp":1700000100,"nbf":1700000000,"iat":1700000000.25,"jti":"t1","aud":["a","b"],"iss":"app",
            "info":{"name":"Ada",
              "age":36},"meta":[1,
            2],"channels":["news"],"expire_at":0,
            "subs":{"chat":{"info":{"role":"admin"},"b64data":"eyJhIjoxfQ==","override":{"presence":{"value":true},"force_recovery":{"value":false}}},"x":{}},
            "unknown":{"anything":[null]}}"#,
    )
    .unwrap();
    assert_eq!(claims.registered.sub, "42");
    assert_eq!(claims.registered.exp, Some(1_700_000_100));
    assert_eq!(claims.registered.nbf, Some(1_700_000_000));
    assert_eq!(claims.registered.iat, Some(1_700_000_000));
    assert_eq!(claims.registered.jti, "t1");
    assert_eq!(claims.registered.aud, ["a", "b"]);
    assert_eq!(claims.registered.iss.as_deref(), Some("app"));
    assert!(!claims.info.contains(&b'\n'));
    assert_eq!(&claims.info[..14], br#"{"name":"Ada","#);
    assert!(!claims.meta.contains(&b'\n'));
    assert_eq!(claims.channels, ["news"]);
    assert_eq!(claims.expire_at, Some(0));
    let chat = SubscriptionOptions {
        info: Bytes::from_static(br#"{"role":"admin"}"#),
        data: Bytes::from_static(br#"{"a":1}"#),
        overrides: Overrides { presence: Some(true), force_recovery: Some(false), ..Overrides::default() },
    };
    assert_eq!(
        claims.subs,
        BTreeMap::from([("chat".to_owned(), chat), ("x".to_owned(), SubscriptionOptions::default())])
    );
}

#[test]
fn no_claim_at_all_is_the_anonymous_user() {
    assert_eq!(connect("{}"), Ok(ConnectClaims::default()));
}

#[test]
fn all_subscription_claims() {
    let claims = subscribe(
        r#"{"sub":"42","channel":"$chat:1","client":"c1","aud":"a","info":1,"data":"d","expire_at":1700000000,
            "override":{"join_leave":{"value":true}}}"#,
    )
    .unwrap();
    assert_eq!(claims.channel, "$chat:1");
    assert_eq!(claims.client.as_deref(), Some("c1"));
    assert_eq!(claims.registered.aud, ["a"]);
    assert_eq!(claims.expire_at, Some(1_700_000_000));
    assert_eq!(&claims.options.info[..], b"1");
    assert_eq!(&claims.options.data[..], br#""d""#);
    assert_eq!(claims.options.overrides.join_leave, Some(true));
}

#[test]
fn the_two_kinds_cannot_be_mixed_up() {
    assert_eq!(connect(r#"{"sub":"42","channel":"news"}"#), Err(ClaimsError::ChannelInConnectionToken));
    assert_eq!(connect(r#"{"channel":null}"#), Err(ClaimsError::ChannelInConnectionToken));
    assert_eq!(subscribe(r#"{"sub":"42"}"#), Err(ClaimsError::Missing("channel")));
    assert_eq!(subscribe(r#"{"channel":""}"#), Err(ClaimsError::Missing("channel")));
}

// Values of JSON types, or out of ranges, that claims of these kinds do not have.
const STRING: &[&str] = &["1", "true", "null", "[]", "{}", r#""\ud800""#];
const NUMBER: &[&str] =
    &[r#""1700000000""#, "true", "null", "[1]", "{}", "-1", "-0.5", "1e15", "1700000000000", "1e400"];
const LIST: &[&str] = &["1", "true", "null", r#""news""#, "{}", "[1]", "[null]", r#"["a",["b"]]"#];
const MAP: &[&str] = &[
    "1",
    "true",
    "null",
    r#""news""#,
    "[]",
    r#"["news"]"#,
    r#"{"a":null}"#,
    r#"{"a":[]}"#,
    r#"{"a":"b"}"#,
    r#"{"a":{},"a":{}}"#,
    r#"{"a":{"info":1,"info":2}}"#,
    r#"{"a":{"b64info":1}}"#,
    r#"{"a":{"b64data":"e30=!"}}"#,
    r#"{"a":{"override":null}}"#,
    r#"{"a":{"override":{"presence":true}}}"#,
];
const OVERRIDE: &[&str] = &[
    "1",
    "null",
    "[]",
    r#"{"presence":true}"#,
    r#"{"presence":{}}"#,
    r#"{"presence":null}"#,
    r#"{"presence":[true]}"#,
    r#"{"force_recovery":{"value":1}}"#,
    r#"{"force_recovery":{"value":null}}"#,
];
const BASE64: &[&str] = &["1", "null", "[]", "{}", r#""%%""#, r#""_-""#, r#""/w==""#];

#[test]
fn wrong_types_in_connection_tokens_are_refused_and_named() {
    let table: &[(&'static str, &[&str])] = &[
        ("sub", STRING),
        ("jti", STRING),
        ("iss", STRING),
        ("exp", NUMBER),
        ("nbf", NUMBER),
        ("iat", NUMBER),
        ("expire_at", NUMBER),
        ("channels", LIST),
        ("subs", MAP),
        ("aud", &["1", "true", "null", "{}", "[1]", "[null]"]),
        ("b64info", BASE64),
        ("info", &[r#""\udc00""#, r#"{"a":"\ud800x"}"#]),
        ("meta", &[r#"["\ud800"]"#]),
    ];
    let long = |bytes: usize| format!(r#"{{"jti":"{}"}}"#, "x".repeat(bytes));
    assert!(connect(&long(REVOKED_ID_BYTES_MAX)).is_ok());
    assert_eq!(connect(&long(REVOKED_ID_BYTES_MAX + 1)), Err(ClaimsError::Claim("jti")));
    for (name, values) in table {
        for value in *values {
            let payload = format!(r#"{{"{name}":{value}}}"#);
            assert_eq!(connect(&payload), Err(ClaimsError::Claim(name)), "{payload}");
        }
    }
    assert_eq!(connect(r#"{"b64info":"e30="}"#).unwrap().info, "{}");
}

#[test]
fn wrong_types_in_subscription_tokens_are_refused_and_named() {
    let table: &[(&'static str, &[&str])] = &[
        ("client", STRING),
        ("override", OVERRIDE),
        ("b64info", BASE64),
        ("b64data", BASE64),
        ("data", &[r#""\udc00""#]),
        ("exp", NUMBER),
        ("sub", STRING),
        ("expire_at", NUMBER),
    ];
    for (name, values) in table {
        for value in *values {
            let payload = format!(r#"{{"channel":"news","{name}":{value}}}"#);
            assert_eq!(subscribe(&payload), Err(ClaimsError::Claim(name)), "{payload}");
        }
    }
    for value in STRING {
        assert_eq!(subscribe(&format!(r#"{{"channel":{value}}}"#)), Err(ClaimsError::Claim("channel")), "{value}");
    }
}

#[test]
fn payloads_that_are_no_object() {
    let payloads: &[&[u8]] = &[
        b"",
        b" ",
        b"x",
        b"null",
        b"1",
        b"\"sub\"",
        b"[]",
        b"[\"42\"]",
        b"{",
        b"{}x",
        b"{}{}",
        b"{\"sub\":\"42\",}",
        b"{\"exp\":NaN}",
        b"{\"exp\":Infinity}",
        b"{\"exp\":01}",
        b"{\"sub\":\"\xff\"}",
        b"{\"sub\":\"1\",\"sub\":\"2\"}",
        b"{\"exp\":1,\"exp\":2}",
        b"{\"sub\":\"1\",\"s\\u0075b\":\"2\"}",
    ];
    for payload in payloads {
        assert_eq!(ConnectClaims::parse(payload), Err(ClaimsError::Payload), "{}", String::from_utf8_lossy(payload));
        assert_eq!(SubscribeClaims::parse(payload), Err(ClaimsError::Payload));
    }
}

#[test]
fn a_user_fits_on_a_line() {
    for id in [r"a\n", r"\r42", r"42\u0000", r"\u001b[2J", r"a\u007f", r"\u0085"] {
        assert_eq!(connect(&format!(r#"{{"sub":"{id}"}}"#)), Err(ClaimsError::Claim("sub")), "{id}");
    }
    assert_eq!(connect(r#"{"sub":"Ada Lovelace, \u00e9"}"#).unwrap().registered.sub, "Ada Lovelace, é");
}

#[test]
fn null_is_nothing_where_any_json_is_allowed() {
    let claims = connect(r#"{"info":null,"meta":null,"subs":{"a":{"info":null,"data":null}}}"#).unwrap();
    assert!(claims.info.is_empty() && claims.meta.is_empty());
    assert_eq!(claims.subs["a"], SubscriptionOptions::default());
}

#[test]
fn base64_wins_unless_empty() {
    assert_eq!(connect(r#"{"info":1,"b64info":"Mg"}"#).unwrap().info, "2");
    assert_eq!(connect(r#"{"info":1,"b64info":""}"#).unwrap().info, "1");
    assert_eq!(connect(r#"{"b64info":"ewp9"}"#).unwrap().info, "{}", "line ends go from base64, too");
    // The loser is looked at all the same.
    assert_eq!(connect(r#"{"info":"\ud800","b64info":"Mg=="}"#), Err(ClaimsError::Claim("info")));
}

#[test]
fn fractions_are_rounded_to_the_strict_side() {
    let registered = connect(r#"{"exp":10.9,"nbf":10.1,"iat":0}"#).unwrap().registered;
    assert_eq!((registered.exp, registered.nbf, registered.iat), (Some(10), Some(11), Some(0)));
    assert_eq!(connect(r#"{"exp":253402300799}"#).unwrap().registered.exp, Some(SECONDS_MAX));
    assert_eq!(connect(r#"{"exp":253402300800}"#), Err(ClaimsError::Claim("exp")));
}

/// On a small stack, so that recursion would show.
#[test]
fn depth_costs_no_stack() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(30_000), close.repeat(30_000));
    let on_a_small_stack = move || {
        assert!(connect(&format!(r#"{{"unknown":{}}}"#, deep("[", "]"))).is_ok());
        for name in ["info", "meta", "subs", "channels", "aud", "exp", "sub"] {
            for value in [deep("[", "]"), deep(r#"{"info":"#, "}").replace(":}", ":1}")] {
                assert_eq!(connect(&format!(r#"{{"{name}":{value}}}"#)), Err(ClaimsError::Claim(name)));
            }
        }
        assert_eq!(connect(&deep("[", "]")), Err(ClaimsError::Payload));
        assert_eq!(connect(&deep(r#"{"info":"#, "}")), Err(ClaimsError::Payload));
    };
    std::thread::Builder::new().stack_size(256 * 1024).spawn(on_a_small_stack).unwrap().join().unwrap();
}

#[test]
fn errors_do_not_repeat_values() {
    let error = connect(r#"{"sub":{"secret":"hunter2"}}"#).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

proptest! {
    #[test]
    fn any_bytes_are_claims_or_an_error(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = ConnectClaims::parse(&payload);
        let _ = SubscribeClaims::parse(&payload);
    }

    #[test]
    fn an_exp_that_is_taken_is_the_exp_that_was_written(seconds in 0..=SECONDS_MAX) {
        let claims = connect(&format!(r#"{{"exp":{seconds}}}"#)).unwrap();
        prop_assert_eq!(claims.registered.exp, Some(seconds));
    }
}
